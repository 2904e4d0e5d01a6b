import type { Clock } from "../../src/ports/clock.ts";

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/**
 * A clock that stands still until `advance` moves it. Timers fire in order of their due time, then of
 * their scheduling; between two of them every microtask that is ready runs, as with a real clock.
 */
export class FakeClock implements Clock {
  #nowMs: number;
  #elapsedMs = 0;
  #order = 0;
  #timers: Timer[] = [];

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  /** Whole milliseconds, as the machine's own clock gives; the monotonic one has fractions. */
  now(): number {
    return Math.floor(this.#nowMs);
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const cancel = this.schedule(durationMs, () => resolve());
      signal?.addEventListener("abort", () => {
        cancel();
        resolve();
      }, { once: true });
    });
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { dueMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Timers that have not fired. */
  pendingTimers(): number {
    return this.#timers.length;
  }

  /** Moves the wall clock alone, as an operator or NTP would. */
  jumpWallClock(byMs: number): void {
    this.#nowMs += byMs;
  }

  /** Moves time forward, firing what falls due and letting promises settle in between. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#elapsedMs + byMs;
    await settle();
    for (let next = this.#nextDue(endMs); next !== undefined; next = this.#nextDue(endMs)) {
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#move(next.dueMs);
      next.callback();
      await settle();
    }
    this.#move(endMs);
    await settle();
  }

  #nextDue(endMs: number): Timer | undefined {
    return this.#timers
      .filter((timer) => timer.dueMs <= endMs)
      .sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)[0];
  }

  #move(toMs: number): void {
    this.#nowMs += toMs - this.#elapsedMs;
    this.#elapsedMs = toMs;
  }
}

/** Lets every promise that can settle do so: one macrotask turn drains the microtask queue. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
