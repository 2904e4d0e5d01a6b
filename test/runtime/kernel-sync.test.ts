import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import fs from "node:fs";
import { join } from "node:path";
import { ERROR_NUMBER } from "../../src/runtime/ffi.ts";
import { KernelQueue } from "../../src/runtime/kernel-queue.ts";
import { KernelSync, SYNC_WAIT_MS, type SyncQueue } from "../../src/runtime/kernel-sync.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

let descriptor = -1;

beforeEach(() => {
  descriptor = fs.openSync(join(temporaryDirectory(), "file"), "w");
  fs.writeSync(descriptor, "some bytes\n");
});

afterEach(() => {
  fs.closeSync(descriptor);
});

function realQueue(): KernelQueue {
  const queue = KernelQueue.open();
  if (queue === undefined) throw new Error("expected an asynchronous queue in this kernel; sandboxes without one are tested by their answer below");
  return queue;
}

describe("the kernel's queue", () => {
  test("syncs a file", () => {
    const queue = realQueue();
    expect(queue.submitDataSync(descriptor)).toBe(true);
    expect(queue.take(900)).toBe(0);
  });

  test("does not take a descriptor that is none, and begins nothing", () => {
    const queue = realQueue();
    expect(queue.submitDataSync(1_000_000)).toBe(false);
    expect(queue.take(0)).toBeUndefined();
  });

  test("has nothing to give while nothing was asked for", () => {
    expect(realQueue().take(1)).toBeUndefined();
  });
});

describe("a sync through the queue", () => {
  test("answers with 0 when the disk has answered", async () => {
    expect(await new KernelSync().sync(descriptor)).toBe(0);
  });

  test("many, one after the other, all answer", async () => {
    const sync = new KernelSync();
    for (let count = 0; count < 200; count++) {
      fs.writeSync(descriptor, "more\n");
      expect(await sync.sync(descriptor)).toBe(0);
    }
  });

  test("without a queue it says so, and does not ask for one again", async () => {
    let asked = 0;
    const sync = new KernelSync(() => {
      asked++;
      return undefined;
    });
    expect(await sync.sync(descriptor)).toBeUndefined();
    expect(await sync.sync(descriptor)).toBeUndefined();
    expect(asked).toBe(1);
  });

  test("a descriptor that cannot be synced is left to the other way", async () => {
    expect(await new KernelSync().sync(1_000_000)).toBeUndefined();
  });
});

/** The real queue, whose disk answers only when told to: what was asked for is done behind the counter. */
class SlowQueue implements SyncQueue {
  readonly waitsMs: number[] = [];
  yieldCount = 0;
  outcome: number | undefined;
  readonly #queue = realQueue();

  get eventCounter(): number {
    return this.#queue.eventCounter;
  }

  submitDataSync(): boolean {
    return true;
  }

  take(timeoutMs: number): number | undefined {
    this.waitsMs.push(timeoutMs);
    const { outcome } = this;
    this.outcome = undefined;
    return outcome;
  }

  yieldProcessor(): void {
    this.yieldCount += 1;
  }

  /** Ends the sync, and counts as the kernel does: a real sync of `descriptor` moves the counter. */
  answer(outcome: number): void {
    this.#queue.submitDataSync(descriptor);
    this.#queue.take(900);
    this.outcome = outcome;
  }
}

describe("a disk that does not answer at once", () => {
  test("is waited for on the event loop, which goes on meanwhile", async () => {
    const queue = new SlowQueue();
    const sync = new KernelSync(() => queue);
    let isDone = false;
    const synced = Promise.resolve(sync.sync(descriptor)).finally(() => {
      isDone = true;
    });
    let turns = 0;
    for (; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
    expect({ turns, isDone }).toEqual({ turns: 20, isDone: false });
    queue.answer(0);
    expect(await synced).toBe(0);
    const asleepMs = queue.waitsMs.filter((waitMs) => waitMs > 0);
    expect(asleepMs).toHaveLength(1);
    expect(asleepMs[0]).toBeLessThan(SYNC_WAIT_MS);
  });

  test("its error is the outcome", async () => {
    const queue = new SlowQueue();
    const synced = new KernelSync(() => queue).sync(descriptor);
    queue.answer(ERROR_NUMBER.io);
    expect(await synced).toBe(ERROR_NUMBER.io);
  });

  test("a second sync meanwhile is left to the other way", async () => {
    const queue = new SlowQueue();
    const sync = new KernelSync(() => queue);
    const first = sync.sync(descriptor);
    expect(await sync.sync(descriptor)).toBeUndefined();
    queue.answer(0);
    expect(await first).toBe(0);
  });

  test("the process does not stand still for it a second time in a row", async () => {
    const queue = new SlowQueue();
    const sync = new KernelSync(() => queue);
    for (let round = 0; round < 2; round++) {
      const synced = sync.sync(descriptor);
      await Bun.sleep(3 * SYNC_WAIT_MS);
      queue.answer(0);
      expect(await synced).toBe(0);
    }
    expect(queue.waitsMs.filter((waitMs) => waitMs > 0)).toHaveLength(1);
  });

  test("a counter that cannot be read any more is a failed sync, not an endless wait", async () => {
    const queue: SyncQueue = { eventCounter: 1_000_000, submitDataSync: () => true, take: () => undefined, yieldProcessor: () => {} };
    const sync = new KernelSync(() => queue);
    expect(await sync.sync(descriptor)).toBe(ERROR_NUMBER.io);
    // The answer that is still to come would be taken for the next sync's.
    queue.take = () => 0;
    expect(await sync.sync(descriptor)).toBeUndefined();
  });
});

/** A queue whose sync ends at the n-th look. */
function queueDoneAtLook(looks: number): SlowQueue {
  const queue = new SlowQueue();
  queue.take = (timeoutMs) => {
    queue.waitsMs.push(timeoutMs);
    return queue.waitsMs.length >= looks ? 0 : undefined;
  };
  return queue;
}

describe("a disk that answers within a moment", () => {
  test("is answered for on the spot, without a promise, and without going to sleep", () => {
    const queue = queueDoneAtLook(3);
    expect(new KernelSync(() => queue).sync(descriptor)).toBe(0);
    expect(queue.waitsMs).toEqual([0, 0, 0]);
    expect(queue.yieldCount).toBe(3);
  });

  test("when others need the processor it is waited for asleep, for this sync and some more", () => {
    const queue = queueDoneAtLook(1_000_000);
    // Whoever yields to a busy neighbour comes back late.
    queue.yieldProcessor = () => {
      queue.yieldCount += 1;
      Bun.sleepSync(1);
    };
    queue.take = (timeoutMs) => {
      queue.waitsMs.push(timeoutMs);
      return timeoutMs > 0 ? 0 : undefined;
    };
    const sync = new KernelSync(() => queue);
    for (let count = 0; count < 5; count++) expect(sync.sync(descriptor)).toBe(0);
    expect(queue.yieldCount).toBe(1);
    expect(queue.waitsMs.filter((waitMs) => waitMs > 0)).toHaveLength(5);
  });
});
