import type { Result } from "../ports/errors.ts";

/**
 * The journal's records and its contract with the rest of the agent. Format and durability rules:
 * docs/journal.md. This room knows nothing of Proxmox: a guest is a kind and a number, an action a
 * word and its parameters.
 */

export interface JournalGuest {
  readonly kind: string;
  readonly vmid: number;
  /** The parts of the guest's identity that were known (guest/identity.ts). */
  readonly identity: Readonly<Record<string, string>>;
}

/** Who asked for an act. Comes from this agent's own code paths only, never from what a source claims. */
export type Provenance = "desired" | "operation" | "compensation";

/** What an operation is, fixed when it is planned. */
export interface NewOperation {
  readonly guest: JournalGuest;
  /** "set_config", "start", "shutdown". */
  readonly action: string;
  /** What would be sent; write-only values only as an HMAC. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly provenance: Provenance;
  /** Idempotency key of a one-shot operation; until it expires a key never runs twice. */
  readonly key?: string;
  readonly keyExpiresAt?: string;
}

export const OPERATION_STATES = ["planned", "started", "task_running", "succeeded", "failed", "unknown", "abandoned"] as const;
export type OperationState = (typeof OPERATION_STATES)[number];

/** What may happen to an operation; journal/operation.ts has the one total table. */
export type OperationEvent =
  | { readonly type: "start" }
  | { readonly type: "task"; readonly upid: string }
  /** `note` keeps a success's warnings. `by`: "answer", "observation" or "person". */
  | { readonly type: "succeed"; readonly by: OutcomeSource; readonly note?: string }
  | { readonly type: "fail"; readonly by: OutcomeSource; readonly error: string }
  | { readonly type: "lose"; readonly reason: string }
  | { readonly type: "abandon"; readonly reason: string };

export type OutcomeSource = "answer" | "observation" | "person";

/** An operation as it stands. */
export interface Operation extends NewOperation {
  /** Sortable, unique in this journal. */
  readonly id: string;
  readonly state: OperationState;
  /** RFC 3339 UTC: when it was planned, when it last changed, and when it was started. */
  readonly plannedAt: string;
  readonly changedAt: string;
  readonly startedAt?: string;
  readonly upid?: string;
  /** Error, loss or abandon reason, or a success's note. */
  readonly detail?: string;
  readonly outcomeBy?: OutcomeSource;
}

/** Whether nothing happens to an operation any more. `unknown` is not settled: a person, or a look, may still tell. */
export function isSettled(state: OperationState): boolean {
  return state === "succeeded" || state === "failed" || state === "abandoned";
}

export type VerdictOutcome = "allowed" | "held" | "rejected";

/** How the journal is; decides what may go on (docs/journal.md, "Without a healthy journal"). */
export type JournalState = "healthy" | "missing" | "unwritable" | "insecure" | "full" | "poisoned" | "corrupt" | "closed";

export interface JournalHealth {
  readonly state: JournalState;
  /** For a person: what was expected, found, where, what to do. Empty when healthy. */
  readonly message: string;
}

/** The end of the chain: enough to prove later that nothing before it was changed. */
export interface JournalHead {
  readonly segment: string;
  readonly sequence: number;
  /** SHA-256 of the last frame, hex. */
  readonly hash: string;
}

/** What a compaction did. */
export interface Compaction {
  /** The segment the journal goes on in. */
  readonly segment: string;
  /** Records of live state it begins with, its checkpoint not counted. */
  readonly records: number;
  readonly sizeBytes: number;
  /** Segments that were removed, oldest first, and those that are kept for audit. */
  readonly removed: readonly string[];
  readonly kept: readonly string[];
}

/** What reconcile/ and the CLI use. Every promise resolves only when the record is durable. */
export interface Journal {
  health(): JournalHealth;
  head(): JournalHead;
  /** Wall-clock time of the newest record, milliseconds since the epoch; undefined while there is none. */
  lastRecordedAtMs(): number | undefined;
  /**
   * Wall-clock times, milliseconds since the epoch: the newest record that this process found, and when it
   * found it. Undefined for a new journal, and for one that begins with an epoch anyway.
   */
  foundAtOpening(): { readonly newestMs: number; readonly openedMs: number } | undefined;
  /** Writes down that this journal does not know all that was done: it came from a backup. */
  recordRestored(detail: string): Promise<Result<void>>;
  /** Records appended since the process started. */
  appendedCount(): number;
  /** Torn tails repaired since the process started. */
  repairedCount(): number;

  /** Records an intent ("planned"). */
  plan(operation: NewOperation): Promise<Result<Operation>>;
  /** Applies an event; an illegal one is `journal.illegal_transition`. */
  apply(id: string, event: OperationEvent): Promise<Result<Operation>>;
  /** Two records in one sync: planned and started. What the hot path uses. */
  begin(operation: NewOperation): Promise<Result<Operation>>;
  operation(id: string): Operation | undefined;
  /** Operations that are neither settled nor abandoned, oldest first. */
  openOperations(): readonly Operation[];
  /** Recent operations that are settled, newest last, bounded. */
  recentOperations(): readonly Operation[];
  /** The operation that keeps this key from being used now; undefined when it may be used. */
  keyHolder(key: string): Operation | undefined;
  /** When something decided before may have been forgotten, and how: the newest of each reason (record.ts). */
  epochs(): readonly { readonly at: string; readonly reason: string; readonly detail: string }[];

  /** Latest wins; `null` forgets. Survives compaction. */
  putFact(namespace: string, key: string, value: FactValue | null): Promise<Result<void>>;
  fact(namespace: string, key: string): FactValue | undefined;
  facts(namespace: string): ReadonlyMap<string, FactValue>;

  /** Writes a record only when the verdict for this guest and action digest changed. */
  recordVerdict(guest: JournalGuest, actionDigest: string, outcome: VerdictOutcome, reason: string): Promise<Result<void>>;

  /**
   * Goes on in a new segment that begins with the live state, and removes the older ones that retention
   * no longer keeps. Fails with what keeps the journal from being written.
   */
  compact(): Promise<Result<Compaction>>;
  /** Tries to get from full, poisoned, missing or unwritable back to healthy; a healthy one looks whether its disk still is. */
  reopen(): Promise<JournalHealth>;
  /** Waits for what was submitted, then closes and releases the lock. */
  close(): Promise<void>;
}

export type FactValue = string | number | boolean | { readonly [key: string]: FactValue } | readonly FactValue[];
