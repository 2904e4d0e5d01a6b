import { isIP } from "node:net";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { X509Certificate } from "node:crypto";
import type { Clock } from "../ports/clock.ts";
import { fail, ok } from "../ports/errors.ts";
import type { ProxmoxResult } from "../ports/proxmox-api.ts";
import { cleanText, unreachableFault, untrustedFault } from "./faults.ts";
import { describeMismatch, distrust, type Trust, type TrustSource } from "./trust.ts";

/** A host on the same machine or LAN answers in milliseconds; a lost SYN is sent again after 1 s and 3 s. */
export const TCP_CONNECT_TIMEOUT_MS = 5_000;
/** 3–4 ms on an idle node; a pveproxy whose workers are all busy may take seconds to accept. */
export const TLS_HANDSHAKE_TIMEOUT_MS = 10_000;

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/**
 * Opens a TLS connection and hands it over only when its certificate is trusted: until then nothing but the
 * handshake has been written, so a token can never reach a stranger. A mismatch reads the trusted files again,
 * once. Faults are `proxmox.unreachable` or `proxmox.untrusted`, both with delivery "none".
 */
export async function openVerified(endpoint: Endpoint, source: TrustSource, clock: Clock): Promise<ProxmoxResult<TLSSocket>> {
  const trust = source.current();
  if (!trust.ok) return trust;
  const first = await dial(endpoint, trust.value, clock);
  if (first.ok || first.error.code !== "proxmox.untrusted") return first;
  const renewed = source.rereadUnlike(trust.value);
  return renewed === undefined ? first : dial(endpoint, renewed, clock);
}

async function dial(endpoint: Endpoint, trust: Trust, clock: Clock): Promise<ProxmoxResult<TLSSocket>> {
  const handshake = await shakeHands(endpoint, trust, clock);
  if (handshake.type === "failed") return fail(unreachableFault(`${target(endpoint)}: ${handshake.reason}`));
  if (handshake.type === "refused") return fail(await explainRefusal(endpoint, trust, clock, handshake.reason));
  const { socket } = handshake;
  const presented = socket.getPeerX509Certificate();
  // `authorized` repeats what `rejectUnauthorized` has enforced: this is the one check that must not fail open.
  const isChainGood = trust.type === "pin" || socket.authorized;
  const problem = presented === undefined || !isChainGood ? describeMismatch(trust, presented?.fingerprint256) : distrust(trust, presented);
  if (problem === undefined) return ok(socket);
  socket.destroy();
  return fail(untrustedFault(`${target(endpoint)}: ${problem}`, presented?.fingerprint256));
}

type Handshake =
  | { readonly type: "done"; readonly socket: TLSSocket }
  /** The TLS library refused the certificate. */
  | { readonly type: "refused"; readonly reason: string }
  | { readonly type: "failed"; readonly reason: string };

function shakeHands(endpoint: Endpoint, trust: Trust | undefined, clock: Clock): Promise<Handshake> {
  return new Promise((resolve) => {
    const socket = connect(tlsOptions(endpoint, trust));
    let isSettled = false;
    const settle = (handshake: Handshake): void => {
      if (isSettled) return;
      isSettled = true;
      cancelTimer();
      if (handshake.type !== "done") socket.destroy();
      resolve(handshake);
    };
    const allow = (timeoutMs: number, what: string): (() => void) =>
      clock.schedule(timeoutMs, () => settle({ type: "failed", reason: `${what} within ${timeoutMs / 1000} s` }));
    let cancelTimer = allow(TCP_CONNECT_TIMEOUT_MS, "no connection");
    socket.once("connect", () => {
      if (isSettled) return;
      cancelTimer();
      cancelTimer = allow(TLS_HANDSHAKE_TIMEOUT_MS, "connected, but no TLS handshake");
    });
    socket.once("secureConnect", () => settle({ type: "done", socket }));
    // Stays for the socket's life: an error of an idle pooled connection must not become an uncaught one.
    socket.on("error", (error) => settle(describeError(error)));
    socket.once("close", () => settle({ type: "failed", reason: "the connection was closed during the TLS handshake" }));
  });
}

/**
 * Explicit `rejectUnauthorized` and `ca`: NODE_TLS_REJECT_UNAUTHORIZED and NODE_EXTRA_CA_CERTS then change nothing
 * (tested). With a pin the chain is not asked for; `distrust` compares the fingerprint before the socket is used.
 */
function tlsOptions({ host, port }: Endpoint, trust: Trust | undefined): ConnectionOptions {
  const name = isIP(host) === 0 ? { servername: host } : {};
  const common: ConnectionOptions = { host, port, minVersion: "TLSv1.2", ...name };
  if (trust?.type !== "ca") return { ...common, rejectUnauthorized: false };
  // `distrust` checks the name after the handshake, against all the names that are good.
  return { ...common, ca: [...trust.certificates], rejectUnauthorized: true, checkServerIdentity: () => undefined };
}

/** What OpenSSL and Node call their verdicts about certificates. */
const CERTIFICATE_ERROR = /CERT|SIGNATURE|INVALID_CA|HOSTNAME|PURPOSE|PATH_LENGTH/;

function describeError(error: Error & { code?: unknown }): Handshake {
  const code = typeof error.code === "string" ? error.code : "";
  const reason = cleanText(code === "" || error.message.includes(code) ? error.message : `${error.message} (${code})`);
  return { type: CERTIFICATE_ERROR.test(code) ? "refused" : "failed", reason };
}

/**
 * The TLS library drops a refused certificate without showing it. A second handshake, on which nothing is sent,
 * reads its fingerprint for the message.
 */
async function explainRefusal(endpoint: Endpoint, trust: Trust, clock: Clock, reason: string) {
  const presented = await peekCertificate(endpoint, clock);
  const message = `${target(endpoint)}: ${reason}: ${describeMismatch(trust, presented?.fingerprint256)}`;
  return untrustedFault(message, presented?.fingerprint256);
}

async function peekCertificate(endpoint: Endpoint, clock: Clock): Promise<X509Certificate | undefined> {
  const handshake = await shakeHands(endpoint, undefined, clock);
  if (handshake.type !== "done") return undefined;
  const presented = handshake.socket.getPeerX509Certificate();
  handshake.socket.destroy();
  return presented;
}

function target({ host, port }: Endpoint): string {
  return `Proxmox at ${host}:${port}`;
}
