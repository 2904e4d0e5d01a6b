import { Backoff } from "../../src/schedule/backoff.ts";
import type { Priority, Taken } from "../../src/schedule/queue-types.ts";
import { WorkQueue } from "../../src/schedule/work-queue.ts";
import { SeededRandom } from "../journal/journal-fixture.ts";
import { FakeClock } from "../support/fake-clock.ts";

/** A queue on a clock that stands still, with everything it tells. */
export class QueueBench {
  readonly clock = new FakeClock();
  /** Without jitter, so that a test can name the moment: 1, 2, 4 … s. */
  readonly backoff = new Backoff(this.clock, new SeededRandom(1), { baseMs: 1_000, maxMs: 300_000, jitter: 0 });
  readonly told: string[] = [];
  readonly queue: WorkQueue;

  constructor(keysMax?: number) {
    this.queue = new WorkQueue({
      clock: this.clock, backoff: this.backoff, ...(keysMax === undefined ? {} : { keysMax }),
      observer: {
        added: () => void this.told.push("added"),
        refused: () => void this.told.push("refused"),
        retried: () => void this.told.push("retried"),
        waited: (seconds) => void this.told.push(`waited ${seconds}`),
        finished: (result, seconds) => void this.told.push(`${result} ${seconds}`),
      },
    });
  }

  add(...keys: readonly number[]): void {
    for (const key of keys) this.queue.add(key, "event");
  }

  /** The key that is next; a test that expects one fails where there is none. */
  async take(): Promise<Taken> {
    const taken = await this.takeIfAny();
    if (taken === undefined) throw new Error("expected a key that is ready, found none");
    return taken;
  }

  /** Undefined when no key is ready at this moment. */
  takeIfAny(): Promise<Taken | undefined> {
    return this.queue.depth() === 0 ? Promise.resolve(undefined) : this.queue.get();
  }

  /** Takes everything that is ready, one after the other: "101 event". */
  async drainReady(): Promise<readonly string[]> {
    const order: string[] = [];
    for (let taken = await this.takeIfAny(); taken !== undefined; taken = await this.takeIfAny()) {
      order.push(`${taken.key} ${taken.priority}`);
      taken.finish({ kind: "done" });
    }
    return order;
  }

  addWith(priority: Priority, ...keys: readonly number[]): void {
    for (const key of keys) this.queue.add(key, priority);
  }
}

/** Whether a promise has settled by now. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => (settled = true));
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  return settled;
}
