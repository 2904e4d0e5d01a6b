import type { Clock } from "../ports/clock.ts";

/**
 * Guests that do not stay up. The first start after a stop is immediate; a guest that is found stopped
 * again soon after each start waits longer every time, so that a crash loop is not driven by the agent.
 */

/** Second start in a row: this long after the first; then twice as long each time. */
const WAIT_BASE_MS = 5_000;

/** Longest wait between two starts. */
export const RESTART_WAIT_MAX_MS = 300_000;

/** A guest that stayed up this long starts over; one that fell earlier counts on. */
const STABLE_AFTER_MS = 600_000;

interface Entry {
  readonly startedAtMs: number;
  readonly startsInARow: number;
}

/** How long guests that were started lately must wait before they are started again. */
export class Restarts {
  readonly #clock: Clock;
  readonly #entries = new Map<number, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A start succeeded. */
  started(vmid: number): void {
    const nowMs = this.#clock.monotonic();
    const before = this.#entries.get(vmid);
    const isInARow = before !== undefined && nowMs - before.startedAtMs < STABLE_AFTER_MS;
    this.#entries.set(vmid, { startedAtMs: nowMs, startsInARow: isInARow ? before.startsInARow + 1 : 1 });
  }

  /** Milliseconds until this guest may be started again, and how often it was in a row. 0: now. */
  wait(vmid: number): { readonly remainingMs: number; readonly startsInARow: number } {
    const entry = this.#entries.get(vmid);
    if (entry === undefined || entry.startsInARow < 2) return { remainingMs: 0, startsInARow: entry?.startsInARow ?? 0 };
    // The exponent is bounded before the power: 2^20 is far over the cap.
    const waitMs = Math.min(RESTART_WAIT_MAX_MS, WAIT_BASE_MS * 2 ** Math.min(entry.startsInARow - 2, 20));
    return { remainingMs: Math.max(0, entry.startedAtMs + waitMs - this.#clock.monotonic()), startsInARow: entry.startsInARow };
  }

  forget(vmid: number): void {
    this.#entries.delete(vmid);
  }
}
