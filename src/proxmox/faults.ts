import type { Delivery, ProxmoxFault } from "../ports/proxmox-api.ts";

/** Longest text of Proxmox that goes into a message, in characters: its longest refusals are lists of privileges of about 200. */
const TEXT_LENGTH_MAX = 500;

/** Control, format and line-breaking characters: they could forge log lines or hide text on a terminal. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu;

/** Text that came from outside, made fit for a message: one line, printable, at most 500 characters. */
export function cleanText(text: string): string {
  const oneLine = text.replace(UNPRINTABLE, " ").replace(/\s+/g, " ").trim();
  return oneLine.length <= TEXT_LENGTH_MAX ? oneLine : `${oneLine.slice(0, TEXT_LENGTH_MAX).toWellFormed()}…`;
}

/** Nothing listens there, or the connection ended before anything was sent. */
export function unreachableFault(message: string, cause?: unknown): ProxmoxFault {
  return { code: "proxmox.unreachable", message, delivery: "none", ...(cause === undefined ? {} : { cause }) };
}

/** The request was (or may have been) sent, and no complete answer came back. */
export function noAnswerFault(message: string, cause?: unknown): ProxmoxFault {
  return { code: "proxmox.no_answer", message, delivery: "unknown", ...(cause === undefined ? {} : { cause }) };
}

/** The certificate is not a trusted one; nothing was sent. */
export function untrustedFault(message: string, presentedFingerprint?: string): ProxmoxFault {
  const presented = presentedFingerprint === undefined ? {} : { presentedFingerprint };
  return { code: "proxmox.untrusted", message, delivery: "none", ...presented };
}

/** This process did not get to sending in time; Proxmox has not heard of the request. */
export function busyFault(message: string): ProxmoxFault {
  return { code: "proxmox.transient", message, delivery: "none", isReadOnlyCluster: false };
}

/** The token could not be used at all; nothing was sent. */
export function tokenFault(message: string): ProxmoxFault {
  return { code: "proxmox.unauthenticated", message, delivery: "none" };
}

/** What came back is not what Proxmox's API gives. */
export function unexpectedAnswerFault(message: string, delivery: Delivery, status?: number): ProxmoxFault {
  return { code: "proxmox.unexpected_answer", message, delivery, ...(status === undefined ? {} : { status }) };
}
