import type { Clock } from "../../src/ports/clock.ts";
import type { Random } from "../../src/ports/random.ts";

interface Due {
  readonly dueMs: number;
  /** Who goes first among those that are due at once. */
  readonly order: number;
  readonly sequence: number;
  readonly callback: () => void;
  isCancelled: boolean;
}

/**
 * Virtual time for a whole simulated site: one heap of what is due, fired one at a time, every promise
 * settled in between. With a random source those that are due at the same moment fire in random order;
 * without one in order of their scheduling. Nothing ever really waits.
 */
export class SimulatedTime {
  /** Wall clock of the site at the start, milliseconds since the epoch. */
  readonly startMs = Date.UTC(2026, 0, 1);
  /** Events fired so far. */
  fired = 0;
  /** Called after every event, when all that it set off has settled. */
  onEvent: () => void = () => {};
  readonly #random: Random | undefined;
  #heap: Due[] = [];
  #elapsedMs = 0;
  #sequence = 0;

  constructor(random?: Random) {
    this.#random = random;
  }

  elapsedMs(): number {
    return this.#elapsedMs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const sequence = this.#sequence++;
    const due: Due = { dueMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#random?.fraction() ?? 0, sequence, callback, isCancelled: false };
    this.#push(due);
    return () => {
      due.isCancelled = true;
    };
  }

  /** Events that are still to come. */
  pending(): number {
    return this.#heap.reduce((count, due) => count + (due.isCancelled ? 0 : 1), 0);
  }

  /** Moves time forward, firing what falls due. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#elapsedMs + byMs;
    await settle();
    while (await this.#fireUntil(endMs));
    this.#elapsedMs = Math.max(this.#elapsedMs, endMs);
  }

  /** Goes to the next event and fires it; false when none is left. */
  async step(): Promise<boolean> {
    return this.#fireUntil(Number.POSITIVE_INFINITY);
  }

  async #fireUntil(endMs: number): Promise<boolean> {
    for (let next = this.#heap[0]; next !== undefined && next.isCancelled; next = this.#heap[0]) this.#pop();
    const [next] = this.#heap;
    if (next === undefined || next.dueMs > endMs) return false;
    this.#pop();
    this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs);
    this.fired++;
    next.callback();
    await settle();
    this.onEvent();
    return true;
  }

  #push(due: Due): void {
    const heap = this.#heap;
    heap.push(due);
    for (let at = heap.length - 1; at > 0; ) {
      const up = (at - 1) >> 1;
      if (!isBefore(heap[at] as Due, heap[up] as Due)) return;
      [heap[at], heap[up]] = [heap[up] as Due, heap[at] as Due];
      at = up;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      let least = at;
      for (const child of [left, left + 1]) if (child < heap.length && isBefore(heap[child] as Due, heap[least] as Due)) least = child;
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least] as Due, heap[at] as Due];
      at = least;
    }
  }
}

function isBefore(left: Due, right: Due): boolean {
  return (left.dueMs - right.dueMs || left.order - right.order || left.sequence - right.sequence) < 0;
}

/** One turn of the event loop runs every promise continuation that can run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export interface SimulatedClockOptions {
  /** How far the wall clock is off, milliseconds; may change at any time. */
  readonly offsetMs?: () => number;
  /** How late timers fire, milliseconds: a busy machine. */
  readonly latenessMs?: () => number;
}

/** The clock of one process or machine of the site. After `stop` nothing of it fires any more: its sleepers never wake. */
export class SimulatedClock implements Clock {
  readonly #time: SimulatedTime;
  readonly #options: SimulatedClockOptions;
  #isStopped = false;
  #timers = 0;

  constructor(time: SimulatedTime, options: SimulatedClockOptions = {}) {
    this.#time = time;
    this.#options = options;
  }

  now(): number {
    return Math.floor(this.#time.startMs + this.#time.elapsedMs() + (this.#options.offsetMs?.() ?? 0));
  }

  monotonic(): number {
    return this.#time.elapsedMs();
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const wake = (): void => {
        cancel();
        resolve();
      };
      const cancel = this.schedule(durationMs, () => {
        signal?.removeEventListener("abort", wake);
        resolve();
      });
      signal?.addEventListener("abort", wake, { once: true });
    });
  }

  schedule(delayMs: number, callback: () => void): () => void {
    let isOver = false;
    this.#timers++;
    const finish = (): boolean => {
      const wasOver = isOver;
      isOver = true;
      if (!wasOver) this.#timers--;
      return !wasOver;
    };
    const cancel = this.#time.schedule(delayMs + (this.#options.latenessMs?.() ?? 0), () => {
      if (finish() && !this.#isStopped) callback();
    });
    return () => {
      if (finish()) cancel();
    };
  }

  /** Timers that have neither fired nor been cancelled. */
  pendingTimers(): number {
    return this.#timers;
  }

  stop(): void {
    this.#isStopped = true;
  }
}
