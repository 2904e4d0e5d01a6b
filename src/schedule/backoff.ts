import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";

/**
 * Which guest may be tried again, and when. Each guest that failed waits on its own: 1 s, 2 s, 4 s …
 * up to the cap, spread by jitter, forgotten on the first success. One guest's trouble never delays
 * another's.
 */

/** First wait after a failure. */
const BACKOFF_BASE_MS = 1_000;

/** Longest wait: an operator who mended something should not have to wait longer than a coffee. */
export const BACKOFF_WAIT_MAX_MS = 300_000;

/** Share of a wait that is random, so that guests that failed together do not retry together. */
const BACKOFF_JITTER = 0.2;

interface Entry {
  failureCount: number;
  notBeforeMs: number;
}

/** Per-key exponential backoff; bounded by the keys that fail, evicted on success or `forget`. */
export class Backoff {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #entries = new Map<number, Entry>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Counts a failure; returns the wait in milliseconds. */
  failed(key: number): number {
    const entry = this.#entries.get(key) ?? { failureCount: 0, notBeforeMs: 0 };
    entry.failureCount += 1;
    const waitMs = jittered(exponential(entry.failureCount), this.#random.fraction());
    entry.notBeforeMs = this.#clock.monotonic() + waitMs;
    this.#entries.set(key, entry);
    return waitMs;
  }

  /** A success, or a reason to start over. */
  forget(key: number): void {
    this.#entries.delete(key);
  }

  /** True when the key does not wait (any more). */
  isReady(key: number): boolean {
    return this.remainingMs(key) <= 0;
  }

  /** True when the key failed and has not succeeded since. */
  isKnown(key: number): boolean {
    return this.#entries.has(key);
  }

  /** Milliseconds until the key may be tried again; 0 when it may now. */
  remainingMs(key: number): number {
    const entry = this.#entries.get(key);
    return entry === undefined ? 0 : Math.max(0, entry.notBeforeMs - this.#clock.monotonic());
  }

  /** Keys that are waiting or were, and have not succeeded since. */
  size(): number {
    return this.#entries.size;
  }
}

/** Wait after the n-th failure in a row, without jitter; overflow-safe. */
function exponential(failureCount: number): number {
  // 2^30 s is far over the cap: the exponent is bounded before the power, not after.
  return Math.min(BACKOFF_WAIT_MAX_MS, BACKOFF_BASE_MS * 2 ** Math.min(failureCount - 1, 30));
}

function jittered(waitMs: number, fraction: number): number {
  return Math.min(BACKOFF_WAIT_MAX_MS, waitMs * (1 - BACKOFF_JITTER + 2 * BACKOFF_JITTER * fraction));
}
