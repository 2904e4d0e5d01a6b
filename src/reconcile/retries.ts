import type { Journal } from "../journal/types.ts";
import type { HoldReason } from "../plan/types.ts";
import { unreachable } from "../ports/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import { Backoff } from "../schedule/backoff.ts";
import { strongest, type WorkResult } from "../schedule/work-result.ts";
import type { GuestJobOutcome } from "./guest-job.ts";
import type { GuestMemory } from "./guest-memory.ts";

/**
 * When a guest is looked at again although nothing announces a change: at the time it waits for where
 * that is known, and else at growing intervals.
 */

/** First wait where nobody knows how long it takes; doubles. */
const FIRST_LOOK_MS = 1_000;

/** Shortest wait: what was over just now is seen, and what does not end when it should makes no guest spin. */
const LEAST_WAIT_MS = 50;

/** Longest wait of a guest that is held: most holds end with an event; this finds those that do not. */
export const HELD_LOOK_MAX_MS = 60_000;

/** Longest wait of a guest that waits for its own act or start: what is shown of the time left is not older. */
export const WAITING_LOOK_MAX_MS = 10_000;

/** A journal that cannot be written is tried again, and a healthy one looks at its disk, this often. */
export const JOURNAL_RETRY_MS = 3_000;

/** Ends by a person or an edit, and both announce themselves. */
const ENDS_WITH_EVENT: ReadonlySet<HoldReason> = new Set(["Paused", "Template"]);

export interface RetriesDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly journal: Journal;
  readonly memory: GuestMemory;
}

/** Turns how a guest's job ended into when its guest is looked at again. */
export class Retries {
  readonly #deps: RetriesDeps;
  readonly #held: Backoff;

  constructor(deps: RetriesDeps) {
    this.#deps = deps;
    this.#held = new Backoff(deps.clock, deps.random, { baseMs: FIRST_LOOK_MS, maxMs: HELD_LOOK_MAX_MS, jitter: 0 });
  }

  forget(vmid: number): void {
    this.#held.forget(vmid);
  }

  resultOf(outcome: GuestJobOutcome): WorkResult {
    const result = this.#ownResult(outcome);
    const pauseEndMs = outcome.pausedReason === undefined ? undefined : this.#deps.memory.situations.pauseEndsInMs(outcome.desired.vmid);
    const whole = pauseEndMs === undefined ? result : strongest(result, { kind: "requeueAfter", delayMs: pauseEndMs });
    return whole.kind === "requeueAfter" ? { ...whole, delayMs: Math.max(LEAST_WAIT_MS, whole.delayMs) } : whole;
  }

  #ownResult(outcome: GuestJobOutcome): WorkResult {
    const { retry, desired: { vmid } } = outcome;
    const { backoff, refusals } = this.#deps.memory;
    if (retry === "soon") return this.#waiting(outcome);
    this.#held.forget(vmid);
    switch (retry) {
      case "none":
        return { kind: "done" };
      case "backoff":
        return { kind: "error" };
      case "later":
        return { kind: "requeueAfter", delayMs: backoff.remainingMs(vmid), keepsFailures: true };
      case "refused":
        return { kind: "requeueAfter", delayMs: refusals.remainingMs(vmid) };
      default:
        return unreachable(retry);
    }
  }

  /** Only time is missing: that is no failure of the guest's, and no success either. */
  #waiting(outcome: GuestJobOutcome): WorkResult {
    const { vmid } = outcome.desired;
    const hold = outcome.result === "held" ? outcome.plan?.holds[0]?.reason : undefined;
    if (hold !== undefined && ENDS_WITH_EVENT.has(hold)) return { kind: "done" };
    return { kind: "requeueAfter", delayMs: this.#knownWaitMs(outcome, hold) ?? this.#held.failed(vmid), keepsFailures: true };
  }

  /** Undefined: nobody knows how long it takes. */
  #knownWaitMs({ result, desired: { vmid } }: GuestJobOutcome, hold: HoldReason | undefined): number | undefined {
    const { starts, situations } = this.#deps.memory;
    if (result === "journal_unavailable") return JOURNAL_RETRY_MS;
    if (result === "failed") return Math.min(WAITING_LOOK_MAX_MS, starts.wait(vmid).remainingMs);
    if (result === "settling") return Math.min(WAITING_LOOK_MAX_MS, this.#windowMs(vmid) ?? this.#held.failed(vmid));
    if (hold === "WaitingForOrder") return Math.min(WAITING_LOOK_MAX_MS, situations.startDelayMs() ?? this.#held.failed(vmid));
    return undefined;
  }

  /** Until it is certain that an act without an answer does not happen any more. */
  #windowMs(vmid: number): number | undefined {
    const { journal, memory } = this.#deps;
    const waits = journal.openOperations().flatMap((operation) => (operation.guest.vmid === vmid && operation.state === "started" ? [memory.windows.remainingMs(operation)] : []));
    const waitMs = Math.min(...waits);
    return waitMs > 0 && Number.isFinite(waitMs) ? waitMs : undefined;
  }
}
