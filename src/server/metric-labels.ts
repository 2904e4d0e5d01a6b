import { CONDITION_STATUSES, GUEST_CONDITIONS, HOST_CONDITIONS, type ConditionStatus } from "../conditions/condition.ts";
import type { ActResult } from "../reconcile/act.ts";
import type { MutatingRequest } from "../ports/proxmox-api.ts";
import type { QueueObserver, QueueState } from "../reconcile/types.ts";

/**
 * The closed sets of label values. Every series exists from the first scrape on, at 0: a counter that
 * appears with its first event hides that event from `increase()`. What comes from
 * outside and is not in its set is counted under the set's last member, so that nobody can grow the number of series.
 */

/** The names are the record's keys, so that the compiler sees a missing or a needless one. */
const ACTION_NAMES: Readonly<Record<ActionKind, true>> = { set_config: true, start: true, shutdown: true, reboot: true };
const OUTCOME_NAMES: Readonly<Record<ActionOutcome, true>> = {
  succeeded: true, failed: true, conflict: true, unsettled: true, not_journaled: true,
};

export type ActionKind = MutatingRequest["type"];
export type ActionOutcome = ActResult["kind"];
export const ACTION_KINDS = Object.keys(ACTION_NAMES);
export const ACTION_OUTCOMES = Object.keys(OUTCOME_NAMES);

const PRIORITY_NAMES: Readonly<Record<QueuePriority, true>> = { wish: true, event: true, resync: true };

type QueuePriority = keyof QueueState["depth"];

/** Who asked for a guest. */
export const QUEUE_PRIORITIES = Object.keys(PRIORITY_NAMES) as readonly QueuePriority[];

/** How the work on a guest ended, as a label. */
export const QUEUE_RESULTS: Readonly<Record<Parameters<QueueObserver["finished"]>[0], string>> = {
  error: "error", terminal: "terminal", requeueAfter: "requeue_after", requeue: "requeue", done: "done",
};

export const HTTP_METHODS = ["GET", "POST", "PUT", "DELETE", "other"] as const;

/** HTTP statuses Proxmox is known to answer with, what can stand in for one, and the rest. */
export const PROXMOX_CODES = [
  "200", "400", "401", "403", "404", "500", "501", "503", "595", "596", "599",
  "unreachable", "untrusted", "unauthenticated", "no_answer", "transient", "unexpected_answer", "other",
] as const;

export const GUEST_STATES = ["running", "stopped", "paused", "absent", "unknown"] as const;

/** `value` if the set knows it, else the set's last member. */
export function closedLabel(set: readonly string[], value: string): string {
  return set.includes(value) ? value : (set.at(-1) ?? value);
}

export interface ConditionLabels extends Record<string, string> {
  readonly type: string;
  readonly status: ConditionStatus;
  readonly reason: string;
}

/** Every triple a condition may carry, of the host and of guests. */
export const CONDITION_LABELS: readonly ConditionLabels[] = Object.entries({ ...HOST_CONDITIONS, ...GUEST_CONDITIONS }).flatMap(([type, { reasons }]) =>
  CONDITION_STATUSES.flatMap((status) => reasons.map((reason) => ({ type, status, reason }))),
);
