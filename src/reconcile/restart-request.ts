import type { DesiredGuest } from "../desired/model.ts";
import type { Journal, Operation } from "../journal/types.ts";
import type { Fault } from "../ports/errors.ts";

/**
 * What a person asks for with `agent restart`, what they are told, and what can be judged of a request
 * before the guest is looked at: the key, the declaration, the journal.
 */

/** A key that is forgotten sooner would not outlive an outage in which somebody asks again. */
const KEY_LIFE_MIN_MS = 3_600_000;
export const KEY_LIFE_MAX_MS = 366 * 86_400_000;

/** Longest key: a UUID, a ticket's number or a path with room to spare. */
export const KEY_LENGTH_MAX = 128;
const KEY = /^[A-Za-z0-9][A-Za-z0-9._:@/+-]*$/;

export interface RestartRequest {
  readonly vmid: number;
  readonly key: string;
  /** How long the key is remembered. */
  readonly keyLifeMs: number;
  /** When it was first asked for, milliseconds since the epoch; absent: now. */
  readonly issuedAtMs?: number;
  /** How long an outcome is waited for; the restart goes on after that. */
  readonly waitMs: number;
}

/**
 * How a restart stands. "not_running": the guest is stopped, so nothing waits for a restart and nothing was
 * sent. "running": it goes on. "unknown": a person has to say (`agent op resolve`).
 */
export const RESTART_STATES = ["succeeded", "not_running", "running", "unknown", "failed"] as const;
export type RestartState = (typeof RESTART_STATES)[number];

/** The shape of `agent restart -o json`, an interface. */
export interface RestartReport {
  readonly version: 1;
  readonly kind: string;
  readonly vmid: number;
  readonly name: string;
  readonly key: string;
  readonly state: RestartState;
  /** The key had been used before: this is that restart's outcome, and no other was begun. */
  readonly isRepeat: boolean;
  /** The operation that holds the key; empty when none was begun. */
  readonly operation: string;
  /** RFC 3339; empty when no key was taken, or it was given back. */
  readonly keyExpiresAt: string;
  /** For a person. */
  readonly message: string;
  /** Config keys that were pending before. */
  readonly applied: readonly string[];
  /** Config keys that are still pending. */
  readonly stillPending: readonly string[];
}

/** What is wrong with a request whatever the guest is like; undefined: nothing. */
export function complaintAboutRequest({ key, keyLifeMs }: Pick<RestartRequest, "key" | "keyLifeMs">): Fault | undefined {
  if (key.length > KEY_LENGTH_MAX || !KEY.test(key)) {
    return { code: "command.usage", message: `expected a key of 1 to ${KEY_LENGTH_MAX} letters, digits and ._:@/+-, beginning with a letter or digit, found ${JSON.stringify(key.slice(0, KEY_LENGTH_MAX + 1))}` };
  }
  if (keyLifeMs >= KEY_LIFE_MIN_MS && keyLifeMs <= KEY_LIFE_MAX_MS) return undefined;
  return { code: "command.usage", message: `expected a key's life of 1h to 366d, found ${keyLifeMs} ms` };
}

/** Is it this request's own operation? Anything else with the key makes the request a mistake. */
export function isRestartOf(operation: Operation, vmid: number): boolean {
  return operation.guest.vmid === vmid && operation.provenance === "operation" && (operation.action === "reboot" || operation.action === "shutdown");
}

/** What a request hears whose key belongs to another act (`control.refused`). */
export function keyConflict(key: string, { id, action, guest }: Operation): Fault {
  return { code: "control.refused", message: `key "${key}" belongs to another act (${action} of ${guest.kind}/${guest.vmid}, operation ${id}); nothing was sent. Choose another key` };
}

/** Why the declaration keeps the guest from being restarted. */
export function complaintAboutDeclaration(vmid: number, declared: DesiredGuest | undefined): Fault | undefined {
  const refuse = (message: string): Fault => ({ code: "control.refused", message: `guest ${vmid} ${message}; nothing was sent` });
  if (declared === undefined) return refuse("is not declared (or more than once), and the agent touches declared guests only; restart it in Proxmox");
  if (declared.mode !== "enforce") return refuse(`is declared with mode: ${declared.mode}, so the agent sends it nothing; restart it in Proxmox, or declare mode: enforce`);
  if (declared.state === "stopped" || declared.state === "absent") return refuse(`is declared ${declared.state}, so it would not be started again`);
  return undefined;
}

/** Why the journal cannot vouch for the key (docs/journal.md, "Without a healthy journal" and "Keys"). */
export function complaintAboutJournal(journal: Journal, { key, keyLifeMs, issuedAtMs }: RestartRequest, nowMs: number): Fault | undefined {
  const { state, message } = journal.health();
  // A corrupt one does not pass by itself: whoever asks again and again must not wait for it.
  if (state !== "healthy") return { code: state === "corrupt" ? "journal.corrupt" : "reconcile.held", message: `a one-shot act needs a healthy journal, found it ${state}: ${message}; nothing was sent` };
  for (const { at, reason, detail } of journal.epochs()) {
    const epochMs = Date.parse(at);
    const isLossy = reason === "moved" || reason === "restored";
    if (issuedAtMs === undefined ? !isLossy || epochMs + keyLifeMs <= nowMs : issuedAtMs > epochMs) continue;
    return {
      code: "control.refused",
      message: `the journal may have forgotten what was asked for before ${at} (${reason}: ${detail}), so whether key "${key}" was used already is not known; nothing was sent. If this was first asked for after that, say when with --issued-at`,
    };
  }
  return undefined;
}
