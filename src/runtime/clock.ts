import type { Clock } from "../ports/clock.ts";

/**
 * Runtime: the one place where time, randomness, files, the log and the operating system are the real
 * ones. Each file implements one interface of ports/ (or reads one thing of the system) and holds no
 * policy. Every other room gets them handed in, so a test or a simulation can hand in its own.
 */

/** The longest delay a timer takes; a longer one would fire at once (the delay is a signed 32-bit number). */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** The machine's clocks and timers. Its timers keep the process alive until they fire or are cancelled. */
export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    if (durationMs === 0) return new Promise((resolve) => void setImmediate(resolve));
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel();
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      const cancel = this.schedule(durationMs, wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }

  schedule(delayMs: number, callback: () => void): () => void {
    if (Number.isNaN(delayMs)) throw new RangeError("expected a delay in milliseconds, found NaN");
    const dueMs = performance.now() + Math.max(0, delayMs);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const arm = (): void => {
      const leftMs = dueMs - performance.now();
      timer = leftMs > TIMER_MAX_MS ? setTimeout(arm, TIMER_MAX_MS) : setTimeout(callback, Math.max(0, leftMs));
    };
    arm();
    return () => clearTimeout(timer);
  }
}
