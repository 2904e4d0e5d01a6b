/** Time comes in through this interface, so that a test or a simulation can own it. */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May jump; never use it to measure a duration. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. For durations and deadlines. */
  monotonic(): number;
  /** Resolves after `durationMs` (0: after a turn of the event loop), or at once when `signal` aborts (it never rejects). */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `delayMs`; the returned function cancels it. */
  schedule(delayMs: number, callback: () => void): () => void;
}
