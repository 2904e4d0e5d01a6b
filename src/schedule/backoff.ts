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

/** How long a key waits; the waits double from `baseMs` to `maxMs`. */
interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  /** Share of a wait that is random. */
  readonly jitter: number;
}

const AFTER_FAILURE: BackoffOptions = { baseMs: BACKOFF_BASE_MS, maxMs: BACKOFF_WAIT_MAX_MS, jitter: BACKOFF_JITTER };

interface Entry {
  failureCount: number;
  notBeforeMs: number;
}

/** Per-key exponential backoff; bounded by the keys that fail, evicted on success or `forget`. */
export class Backoff {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: BackoffOptions;
  readonly #entries = new Map<number, Entry>();

  constructor(clock: Clock, random: Random, options: BackoffOptions = AFTER_FAILURE) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
  }

  /** Counts a failure; returns the wait in milliseconds. */
  failed(key: number): number {
    const entry = this.#entries.get(key) ?? { failureCount: 0, notBeforeMs: 0 };
    entry.failureCount += 1;
    const waitMs = this.#jittered(this.#exponential(entry.failureCount));
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

  /** Wait after the n-th failure in a row, without jitter; overflow-safe. */
  #exponential(failureCount: number): number {
    const { baseMs, maxMs } = this.#options;
    // 2^30 times any base is far over the cap: the exponent is bounded before the power, not after.
    return Math.min(maxMs, baseMs * 2 ** Math.min(failureCount - 1, 30));
  }

  #jittered(waitMs: number): number {
    const { jitter, maxMs } = this.#options;
    return jitter === 0 ? waitMs : Math.min(maxMs, waitMs * (1 - jitter + 2 * jitter * this.#random.fraction()));
  }
}
