import fs from "node:fs";
import { ERROR_NUMBER } from "./ffi.ts";
import { KernelQueue } from "./kernel-queue.ts";

/**
 * fdatasync without a thread of our own: handed to the kernel's asynchronous queue, and waited for
 * right here while that is short. A thread pool costs two wake-ups, about a third of what a fast disk
 * needs for the sync itself; the kernel's queue costs a tenth (docs/decisions/016-journal-speed.md).
 * A disk that is slow or hangs is waited for on the event loop instead: it stops the caller and
 * nobody else.
 */

/** The longest that one sync may keep the process from everything else, milliseconds. */
export const SYNC_WAIT_MS = 2;

/**
 * Of these, the first are spent asking again and again rather than asleep, milliseconds: waking up from
 * an idle processor costs as much as a tenth of a fast disk's sync. Between two looks others have the processor.
 */
const SYNC_POLL_MS = 0.5;

/** Two looks this far apart, milliseconds: others need the processor, and asleep one is woken sooner. */
const CROWDED_MS = 0.1;

/** Syncs that are waited for asleep after the processor was crowded. */
const CROWDED_SYNCS = 16;

/** A queue as this file uses one; `KernelQueue` is the real one. */
export type SyncQueue = Pick<KernelQueue, "submitDataSync" | "take" | "yieldProcessor" | "eventCounter">;

const COUNTER_BYTES = 8;

/** One sync at a time; a second one meanwhile has to take another way. */
export class KernelSync {
  readonly #openQueue: () => SyncQueue | undefined;
  #queue: SyncQueue | undefined;
  #isOpened = false;
  #isBusy = false;
  /** The last sync was answered within the wait: the next one probably will be. */
  #isFast = true;
  /** Syncs for which the processor is left to others. */
  #asleepCount = 0;

  constructor(openQueue: () => SyncQueue | undefined = () => KernelQueue.open()) {
    this.#openQueue = openQueue;
  }

  /** 0 or the system's error number, or a promise of it from a slow disk; undefined: no such queue here, or it is busy, and nothing was begun. */
  sync(descriptor: number): number | Promise<number> | undefined {
    const queue = this.#isBusy ? undefined : this.#opened();
    if (queue === undefined || !queue.submitDataSync(descriptor)) return undefined;
    const outcome = this.#isFast ? this.#waitHere(queue) : undefined;
    if (outcome !== undefined) return outcome;
    this.#isBusy = true;
    return this.#waitOnLoop(queue).finally(() => {
      this.#isBusy = false;
    });
  }

  #opened(): SyncQueue | undefined {
    if (!this.#isOpened) this.#queue = this.#openQueue();
    this.#isOpened = true;
    return this.#queue;
  }

  #waitHere(queue: SyncQueue): number | undefined {
    return this.#poll(queue) ?? queue.take(SYNC_WAIT_MS - SYNC_POLL_MS);
  }

  #poll(queue: SyncQueue): number | undefined {
    if (this.#asleepCount > 0) {
      this.#asleepCount -= 1;
      return undefined;
    }
    const startedAt = performance.now();
    for (let lookedAt = startedAt; lookedAt - startedAt < SYNC_POLL_MS;) {
      queue.yieldProcessor();
      const outcome = queue.take(0);
      if (outcome !== undefined) return outcome;
      const nowMs = performance.now();
      if (nowMs - lookedAt > CROWDED_MS) this.#asleepCount = CROWDED_SYNCS;
      if (this.#asleepCount > 0) return undefined;
      lookedAt = nowMs;
    }
    return undefined;
  }

  async #waitOnLoop(queue: SyncQueue): Promise<number> {
    const startedAt = performance.now();
    for (;;) {
      const canWait = await nextEvent(queue.eventCounter);
      const outcome = queue.take(0);
      this.#isFast = performance.now() - startedAt < SYNC_WAIT_MS;
      if (outcome !== undefined) return outcome;
      // Nobody will say when it ended: an uncertain sync is a failed one, and its late answer must not pass for another's.
      if (!canWait) {
        this.#queue = undefined;
        return ERROR_NUMBER.io;
      }
    }
  }
}

/** Resolves at the next count. One that an earlier sync left behind only costs a turn. */
function nextEvent(eventCounter: number): Promise<boolean> {
  return new Promise((resolve) => {
    fs.read(eventCounter, new Uint8Array(COUNTER_BYTES), 0, COUNTER_BYTES, null, (error) => resolve(error === null || error === undefined));
  });
}
