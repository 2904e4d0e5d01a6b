import type { Clock } from "../ports/clock.ts";
import type { Backoff } from "./backoff.ts";
import { IndexedHeap } from "./heap.ts";
import { PRIORITIES, type Entry, type Priority, type QueueObserver, type QueueState, type Taken } from "./queue-types.ts";
import { requeueOf, type WorkResult } from "./work-result.ts";

/**
 * Which guest next. Holds keys only, never what is to be done about them: whatever asks for a key, it
 * is one entry; one that is asked for while it is worked on is worked on once more afterwards, never
 * at the same time. Promises: the higher priority first, first come first served within one, and
 * nothing before its time. What is done about a key is the workers' matter (workers.ts).
 */

/**
 * Keys a queue holds at once: ten times the largest host that is tested. A key that does not fit is
 * refused, and the refusal counted; whoever asked must ask again, as a full resync does.
 */
export const QUEUED_KEYS_MAX = 100_000;

/** Longest time one timer is set for: what waits longer is looked at in between. Timers of 25 days overflow. */
const TIMER_LONGEST_MS = 86_400_000;

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** Says how long a key waits that failed; may be asked by others, too. */
  readonly backoff: Backoff;
  readonly observer?: QueueObserver;
  readonly keysMax?: number;
}

export class WorkQueue {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #observer: QueueObserver | undefined;
  readonly #keysMax: number;
  readonly #entries = new Map<number, Entry>();
  readonly #ready = new IndexedHeap<Entry>((left, right) => left.rank < right.rank || (left.rank === right.rank && left.order < right.order));
  readonly #delayed = new IndexedHeap<Entry>((left, right) => left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order));
  readonly #running = new Set<Entry>();
  readonly #readyByRank = PRIORITIES.map(() => 0);
  /** Those who wait for a key, longest first. */
  readonly #takers = new Set<(taken: Taken | undefined) => void>();
  #order = 0;
  #timer: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #mode: "open" | "closed" | "draining" | "forced" = "open";
  #onDrained: (() => void)[] = [];

  constructor(options: WorkQueueOptions) {
    this.#clock = options.clock;
    this.#backoff = options.backoff;
    this.#observer = options.observer;
    this.#keysMax = options.keysMax ?? QUEUED_KEYS_MAX;
  }

  /** Asks for a key now. False: the queue is full or shut down, and the key was not taken. */
  add(key: number, priority: Priority): boolean {
    return this.#want(key, Number.NEGATIVE_INFINITY, PRIORITIES.indexOf(priority));
  }

  /** Asks for a key in `delayMs`; where it is asked for earlier already, that stands. False: as with `add`. */
  addAfter(key: number, delayMs: number, priority: Priority): boolean {
    return this.#want(key, this.#clock.monotonic() + delayMs, PRIORITIES.indexOf(priority));
  }

  /** The next key, as soon as there is one; undefined when the queue was shut down and holds none. */
  get(): Promise<Taken | undefined> {
    this.#promote();
    const entry = this.#ready.first();
    if (entry !== undefined) return Promise.resolve(this.#take(entry));
    if (this.#hasEnded()) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#takers.add(resolve);
      this.#arm();
    });
  }

  /** Is the key ready, waiting for its time, or being worked on? */
  has(key: number): boolean {
    return this.#entries.has(key);
  }

  isRunning(key: number): boolean {
    const entry = this.#entries.get(key);
    return entry !== undefined && this.#running.has(entry);
  }

  /** The key is no longer of interest: it is not worked on (again), and its failures are forgotten. */
  forget(key: number): void {
    this.#backoff.forget(key);
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.again = undefined;
    entry.isForgotten = true;
    if (this.#running.has(entry)) return;
    this.#leaveHeap(entry);
    this.#entries.delete(key);
    this.#noticeEnd();
  }

  /** Keys that are ready; those that wait for their time do not count. */
  depth(): number {
    this.#promote();
    return this.#ready.size;
  }

  /** Ready and being worked on: 0 when the queue is at rest, whatever waits for its time. */
  busy(): number {
    return this.depth() + this.#running.size;
  }

  /** Everything to be shown, as it is this moment. */
  state(): QueueState {
    this.#promote();
    const nowMs = this.#clock.monotonic();
    const runningMs = [...this.#running].map((entry) => nowMs - entry.atMs);
    const [wish = 0, event = 0, resync = 0] = this.#readyByRank;
    return {
      depth: { wish, event, resync },
      delayed: this.#delayed.size,
      running: this.#running.size,
      unfinishedSeconds: runningMs.reduce((sum, ms) => sum + ms, 0) / 1000,
      longestRunningSeconds: runningMs.reduce((longest, ms) => Math.max(longest, ms), 0) / 1000,
    };
  }

  /**
   * Takes no more keys and drops those that wait for their time; what is ready is still handed out.
   * A second call, of this or of `drain`, drops that too.
   */
  shutDown(): void {
    this.#close("closed");
  }

  /**
   * As `shutDown`, and resolves when all that was ready, is being worked on, or was asked for once more
   * meanwhile is done. A second call, of this or of `shutDown`, ends the waiting at once.
   */
  drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrained.push(resolve);
      this.#close("draining");
    });
  }

  #close(mode: "closed" | "draining"): void {
    this.#mode = this.#mode === "open" ? mode : "forced";
    for (const entry of this.#delayed.items()) this.#entries.delete(entry.key);
    this.#delayed.clear();
    for (const entry of this.#running) if (entry.again !== undefined && entry.again.atMs > this.#clock.monotonic()) entry.again = undefined;
    if (this.#mode === "forced") this.#dropReady();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#noticeEnd();
  }

  #dropReady(): void {
    for (const entry of this.#ready.items()) this.#entries.delete(entry.key);
    this.#ready.clear();
    this.#readyByRank.fill(0);
    for (const entry of this.#running) entry.again = undefined;
  }

  /** Will no key come any more? While it drains, one that is being worked on may still be asked for once more. */
  #hasEnded(): boolean {
    if (this.#mode === "open" || this.#ready.size > 0) return false;
    return this.#mode !== "draining" || this.#running.size === 0;
  }

  #noticeEnd(): void {
    if (!this.#hasEnded()) return;
    for (const taker of this.#takers) taker(undefined);
    this.#takers.clear();
    if (this.#mode !== "forced" && this.#running.size > 0) return;
    for (const resolve of this.#onDrained) resolve();
    this.#onDrained = [];
  }

  #want(key: number, atMs: number, rank: number): boolean {
    if (this.#mode !== "open") return false;
    // First: the key itself may be due, and taken at once.
    this.#promote();
    const entry = this.#entries.get(key) ?? this.#newEntry(key, rank);
    if (entry === undefined) return false;
    if (this.#running.has(entry)) {
      const again = entry.again ?? { atMs, rank };
      entry.again = { atMs: Math.min(again.atMs, atMs), rank: Math.min(again.rank, rank) };
      entry.isForgotten = false;
    } else this.#place(entry, atMs, rank);
    return true;
  }

  #newEntry(key: number, rank: number): Entry | undefined {
    if (this.#entries.size >= this.#keysMax) {
      this.#observer?.refused();
      return undefined;
    }
    const entry: Entry = { key, rank, order: 0, atMs: Number.POSITIVE_INFINITY, again: undefined, heapIndex: -1, isReady: false, isForgotten: false };
    this.#entries.set(key, entry);
    return entry;
  }

  /** Puts an entry that nobody works on where it belongs: the earlier time and the higher priority win. */
  #place(entry: Entry, atMs: number, rank: number): void {
    const isReady = entry.isReady || atMs <= this.#clock.monotonic();
    const isRaised = rank < entry.rank;
    if (entry.heapIndex !== -1) {
      if (entry.isReady ? !isRaised : !isReady && atMs >= entry.atMs && !isRaised) return;
    }
    const wasReady = entry.isReady;
    const dueMs = Math.min(entry.atMs, atMs);
    this.#leaveHeap(entry);
    entry.rank = Math.min(entry.rank, rank);
    if (isReady) this.#makeReady(entry, wasReady ? entry.atMs : this.#clock.monotonic(), !wasReady);
    else this.#delay(entry, dueMs);
  }

  /** @param readySinceMs what its waiting is counted from */
  #makeReady(entry: Entry, readySinceMs: number, isNews: boolean): void {
    entry.atMs = readySinceMs;
    entry.order = ++this.#order;
    entry.isReady = true;
    this.#ready.push(entry);
    this.#countReady(entry, 1);
    if (isNews) this.#observer?.added();
    this.#handOut();
  }

  #delay(entry: Entry, dueMs: number): void {
    entry.atMs = dueMs;
    entry.order = ++this.#order;
    this.#delayed.push(entry);
    this.#arm();
  }

  #leaveHeap(entry: Entry): void {
    if (entry.heapIndex === -1) return;
    (entry.isReady ? this.#ready : this.#delayed).remove(entry);
    if (entry.isReady) this.#countReady(entry, -1);
    entry.isReady = false;
  }

  #countReady(entry: Entry, by: number): void {
    this.#readyByRank[entry.rank] = (this.#readyByRank[entry.rank] ?? 0) + by;
  }

  /** Those whose time has come are ready, in the order of their times. */
  #promote(): void {
    const nowMs = this.#clock.monotonic();
    for (let entry = this.#delayed.first(); entry !== undefined && entry.atMs <= nowMs; entry = this.#delayed.first()) {
      this.#delayed.remove(entry);
      this.#makeReady(entry, entry.atMs, true);
    }
  }

  #handOut(): void {
    for (const taker of this.#takers) {
      const entry = this.#ready.first();
      if (entry === undefined) return;
      this.#takers.delete(taker);
      taker(this.#take(entry));
    }
  }

  #take(entry: Entry): Taken {
    const nowMs = this.#clock.monotonic();
    this.#leaveHeap(entry);
    this.#observer?.waited(Math.max(0, nowMs - entry.atMs) / 1000);
    entry.atMs = nowMs;
    this.#running.add(entry);
    let isOver = false;
    return {
      key: entry.key,
      priority: PRIORITIES[entry.rank] ?? "resync",
      finish: (result) => {
        if (isOver) return;
        isOver = true;
        this.#finish(entry, result);
      },
    };
  }

  #finish(entry: Entry, result: WorkResult): void {
    this.#running.delete(entry);
    this.#observer?.finished(result.kind, Math.max(0, this.#clock.monotonic() - entry.atMs) / 1000);
    const { again, rank } = entry;
    const backAtMs = this.#mode === "forced" || entry.isForgotten ? undefined : this.#backAt(entry.key, result);
    entry.again = undefined;
    entry.atMs = Number.POSITIVE_INFINITY;
    // Asked for meanwhile by less than what it was worked on for: that was served, so the lesser one stands.
    if (again !== undefined) entry.rank = again.rank;
    if (again === undefined && backAtMs === undefined) this.#entries.delete(entry.key);
    if (again !== undefined) this.#place(entry, again.atMs, again.rank);
    // Unless it was taken again just now: then that run's result counts.
    if (backAtMs !== undefined && !this.#running.has(entry)) this.#place(entry, backAtMs, rank);
    this.#noticeEnd();
  }

  /** When the result wants the key again (monotonic); undefined: not by itself. */
  #backAt(key: number, result: WorkResult): number | undefined {
    const { failures, again } = requeueOf(result);
    if (failures === "forget") this.#backoff.forget(key);
    if (failures === "count") this.#backoff.failed(key);
    if (again === undefined) return undefined;
    if (again === "backoff") this.#observer?.retried();
    const delayMs = again === "backoff" ? this.#backoff.remainingMs(key) : again.afterMs;
    return this.#mode === "open" ? this.#clock.monotonic() + delayMs : undefined;
  }

  /** One timer, for the first that waits for its time, and only while somebody waits for a key. */
  #arm(): void {
    const first = this.#delayed.first();
    if (first === undefined || this.#takers.size === 0) return;
    if (this.#timer !== undefined && this.#timer.atMs <= first.atMs) return;
    this.#timer?.cancel();
    const delayMs = Math.min(TIMER_LONGEST_MS, Math.max(0, first.atMs - this.#clock.monotonic()));
    const timer = {
      atMs: first.atMs,
      cancel: this.#clock.schedule(delayMs, () => {
        if (this.#timer === timer) this.#timer = undefined;
        this.#promote();
        this.#arm();
      }),
    };
    this.#timer = timer;
  }
}
