import { describe, expect, test } from "bun:test";
import { isSettled, QueueBench } from "./queue-fixture.ts";

/*
 * What established work queues are tested with, by number of the case, where it applies to keys of guests:
 * 2, 3, 4, 5, 6, 21, 22, 23  one at a time, once more      7, 8, 9, 10, 27, 36   shutting down
 * 24, 28, 48                 priorities                    11, 20, 34            nothing kept, everything counted
 * 12–15, 25, 26, 30–33       delays (work-queue-delays)    16–18, 35, 43–46, 50  results (work-queue-results)
 * 1, 29                      any order (work-queue-fuzz)   37, 41, 42, 47        workers
 */

describe("one key is worked on by one at a time", () => {
  test("keys come out in the order they were asked for", async () => {
    const bench = new QueueBench();
    bench.add(103, 101, 102);
    expect(await bench.drainReady()).toEqual(["103 event", "101 event", "102 event"]);
  });

  test("a key that is asked for twice is there once", async () => {
    const bench = new QueueBench();
    bench.add(101, 101, 102, 101);
    expect(bench.queue.depth()).toBe(2);
    expect(await bench.drainReady()).toEqual(["101 event", "102 event"]);
  });

  test("a key that is asked for while it is worked on waits until that is over, and comes exactly once more", async () => {
    const bench = new QueueBench();
    bench.add(101);
    const first = await bench.take();
    bench.add(101, 101, 101);
    expect([bench.queue.depth(), await bench.takeIfAny()]).toEqual([0, undefined]);
    first.finish({ kind: "done" });
    expect(await bench.drainReady()).toEqual(["101 event"]);
    expect(bench.queue.has(101)).toBe(false);
  });

  test("a key that is asked for again goes to the end of the line", async () => {
    const bench = new QueueBench();
    bench.add(101, 102, 103);
    const first = await bench.take();
    bench.add(101);
    first.finish({ kind: "done" });
    expect(await bench.drainReady()).toEqual(["102 event", "103 event", "101 event"]);
  });

  test("others are handed out while one key is worked on", async () => {
    const bench = new QueueBench();
    bench.add(101, 102);
    await bench.take();
    expect((await bench.take()).key).toBe(102);
  });

  test("whoever waits for a key gets it the moment it may be worked on", async () => {
    const bench = new QueueBench();
    bench.add(101);
    const first = await bench.take();
    const next = bench.queue.get();
    bench.add(101);
    expect(await isSettled(next)).toBe(false);
    first.finish({ kind: "done" });
    expect((await next)?.key).toBe(101);
  });

  test("those who wait are served in the order they came", async () => {
    const bench = new QueueBench();
    const waiting = [bench.queue.get(), bench.queue.get()];
    bench.add(101, 102);
    expect((await Promise.all(waiting)).map((taken) => taken?.key)).toEqual([101, 102]);
  });

  test("finishing twice is finishing once", async () => {
    const bench = new QueueBench();
    bench.add(101);
    const first = await bench.take();
    first.finish({ kind: "done" });
    bench.add(101);
    const second = await bench.take();
    first.finish({ kind: "error" });
    expect([bench.queue.isRunning(101), bench.backoff.size()]).toEqual([true, 0]);
    second.finish({ kind: "done" });
    expect(bench.queue.isRunning(101)).toBe(false);
  });
});

describe("priorities", () => {
  test("a person's wish comes before what happened, and that before the resync; within one, first come first served", async () => {
    const bench = new QueueBench();
    bench.addWith("resync", 101, 102);
    bench.addWith("event", 103, 104);
    bench.addWith("wish", 105, 106);
    expect(await bench.drainReady()).toEqual(["105 wish", "106 wish", "103 event", "104 event", "101 resync", "102 resync"]);
  });

  test("asking again raises a key, and it joins the end of the higher line", async () => {
    const bench = new QueueBench();
    bench.addWith("resync", 101, 102, 103);
    bench.addWith("event", 104, 102);
    expect(await bench.drainReady()).toEqual(["104 event", "102 event", "101 resync", "103 resync"]);
  });

  test("asking again never lowers a key, nor costs it its place", async () => {
    const bench = new QueueBench();
    bench.addWith("event", 101, 102);
    bench.addWith("resync", 101);
    expect(await bench.drainReady()).toEqual(["101 event", "102 event"]);
  });

  test("a key that comes back keeps the priority it was worked on with, though others asked by less", async () => {
    const bench = new QueueBench();
    bench.addWith("wish", 101);
    const first = await bench.take();
    bench.queue.addAfter(101, 5_000, "resync");
    first.finish({ kind: "error" });
    await bench.clock.advance(1_000);
    expect(await bench.drainReady()).toEqual(["101 wish"]);
  });

  test("once it is done, the next asking counts by itself", async () => {
    const bench = new QueueBench();
    bench.addWith("wish", 101);
    const first = await bench.take();
    bench.addWith("resync", 101);
    bench.addWith("event", 102);
    first.finish({ kind: "done" });
    expect(await bench.drainReady()).toEqual(["102 event", "101 resync"]);
  });

  test("an event overtakes ten thousand guests of a resync", async () => {
    const bench = new QueueBench();
    for (let key = 1; key <= 10_000; key++) bench.queue.add(key, "resync");
    bench.queue.add(9_999, "event");
    expect((await bench.take()).key).toBe(9_999);
    expect(bench.queue.state().depth).toEqual({ wish: 0, event: 0, resync: 9_999 });
  });
});

describe("shutting down", () => {
  test("nothing that is asked for afterwards is taken", async () => {
    const bench = new QueueBench();
    bench.queue.shutDown();
    expect([bench.queue.add(101, "wish"), bench.queue.addAfter(102, 1, "wish"), bench.queue.depth()]).toEqual([false, false, 0]);
  });

  test("what is ready is still handed out, what waits for its time is dropped, then there is no more", async () => {
    const bench = new QueueBench();
    bench.add(101);
    bench.queue.addAfter(102, 1_000, "event");
    bench.queue.shutDown();
    expect((await bench.queue.get())?.key).toBe(101);
    await bench.clock.advance(10_000);
    expect(await bench.queue.get()).toBeUndefined();
    expect(bench.clock.pendingTimers()).toBe(0);
  });

  test("whoever waits for a key is told at once that none will come", async () => {
    const bench = new QueueBench();
    bench.queue.addAfter(101, 60_000, "event");
    const waiting = [bench.queue.get(), bench.queue.get()];
    bench.queue.shutDown();
    expect(await Promise.all(waiting)).toEqual([undefined, undefined]);
    expect(bench.clock.pendingTimers()).toBe(0);
  });

  test("without draining, nobody waits for what is being worked on", async () => {
    const bench = new QueueBench();
    bench.add(101);
    await bench.take();
    bench.queue.shutDown();
    expect(await bench.queue.get()).toBeUndefined();
  });

  test("draining waits for what is being worked on", async () => {
    const bench = new QueueBench();
    bench.add(101, 102);
    const [first, second] = [await bench.take(), await bench.take()];
    const drained = bench.queue.drain();
    first.finish({ kind: "done" });
    expect(await isSettled(drained)).toBe(false);
    second.finish({ kind: "error" });
    expect(await isSettled(drained)).toBe(true);
    expect([bench.queue.depth(), bench.queue.has(102)]).toEqual([0, false]);
  });

  test("draining an idle queue is over at once", async () => {
    expect(await isSettled(new QueueBench().queue.drain())).toBe(true);
  });

  test("a key that was asked for while it was worked on is still worked on once more before a drain is over", async () => {
    const bench = new QueueBench();
    bench.add(101);
    const first = await bench.take();
    bench.add(101);
    const drained = bench.queue.drain();
    const next = bench.queue.get();
    first.finish({ kind: "done" });
    const again = await next;
    expect([again?.key, await isSettled(drained)]).toEqual([101, false]);
    again?.finish({ kind: "done" });
    expect(await isSettled(drained)).toBe(true);
  });

  test.each(["drain", "shutDown"] as const)("a second call (%s) waits for nothing any more and drops what is ready", async (how) => {
    const bench = new QueueBench();
    bench.add(101, 102);
    const stuck = await bench.take();
    bench.add(101);
    const drained = bench.queue.drain();
    expect(await isSettled(drained)).toBe(false);
    void bench.queue[how]();
    expect([await isSettled(drained), bench.queue.depth(), await bench.queue.get()]).toEqual([true, 0, undefined]);
    stuck.finish({ kind: "error" });
    expect([bench.queue.depth(), bench.queue.has(101), bench.clock.pendingTimers()]).toEqual([0, false, 0]);
  });

  test("fifty times in a row, a shutdown while keys are being handed out leaves nobody waiting", async () => {
    for (let round = 0; round < 50; round++) {
      const bench = new QueueBench();
      const waiting = Array.from({ length: 4 }, () => bench.queue.get());
      bench.add(101, 102);
      bench.queue.addAfter(103, 0, "wish");
      bench.queue.shutDown();
      const keys = (await Promise.all(waiting)).map((taken) => taken?.key);
      expect(keys).toEqual([101, 102, 103, undefined]);
    }
  });
});

describe("nothing is kept, everything is counted", () => {
  test("a key that is done is not held by the queue", async () => {
    const bench = new QueueBench();
    for (let key = 1; key <= 1_000; key++) bench.queue.add(key, "event");
    await bench.drainReady();
    expect(Array.from({ length: 1_000 }, (_, index) => bench.queue.has(index + 1)).includes(true)).toBe(false);
    expect([bench.backoff.size(), bench.clock.pendingTimers()]).toEqual([0, 0]);
  });

  test("waiting and work are measured: adds, depth, latency, duration, unfinished and longest on the queue's clock", async () => {
    const bench = new QueueBench();
    bench.add(101, 102, 101);
    await bench.clock.advance(2_000);
    const first = await bench.take();
    await bench.clock.advance(500);
    const second = await bench.take();
    await bench.clock.advance(1_000);
    expect(bench.queue.state()).toEqual({ depth: { wish: 0, event: 0, resync: 0 }, delayed: 0, running: 2, unfinishedSeconds: 2.5, longestRunningSeconds: 1.5 });
    first.finish({ kind: "done" });
    second.finish({ kind: "requeueAfter", delayMs: 1_000 });
    expect(bench.told).toEqual(["added", "added", "waited 2", "waited 2.5", "done 1.5", "requeueAfter 1"]);
    expect(bench.queue.state()).toEqual({ depth: { wish: 0, event: 0, resync: 0 }, delayed: 1, running: 0, unfinishedSeconds: 0, longestRunningSeconds: 0 });
    await bench.clock.advance(3_000);
    expect([bench.queue.state().depth.event, bench.queue.state().delayed, bench.told.at(-1)]).toEqual([1, 0, "added"]);
    await bench.take();
    expect(bench.told.at(-1)).toBe("waited 2");
  });

  test("the depth by priority follows a key that is raised, taken, forgotten and comes back", async () => {
    const bench = new QueueBench();
    bench.addWith("resync", 101, 102);
    bench.addWith("wish", 101);
    expect(bench.queue.state().depth).toEqual({ wish: 1, event: 0, resync: 1 });
    bench.queue.forget(102);
    const first = await bench.take();
    expect(bench.queue.state().depth).toEqual({ wish: 0, event: 0, resync: 0 });
    first.finish({ kind: "error" });
    await bench.clock.advance(1_000);
    expect(bench.queue.state().depth).toEqual({ wish: 1, event: 0, resync: 0 });
  });

  test("a key beyond the bound is refused and counted; those that are there may be asked for again, and room comes back", async () => {
    const bench = new QueueBench(2);
    bench.add(101);
    bench.queue.addAfter(102, 60_000, "event");
    expect([bench.queue.add(103, "wish"), bench.queue.add(102, "wish"), bench.queue.add(101, "resync")]).toEqual([false, true, true]);
    expect(bench.told.filter((what) => what === "refused")).toHaveLength(1);
    await bench.drainReady();
    expect(bench.queue.add(103, "wish")).toBe(true);
  });

  test("a forgotten key is gone, its failures too; forgotten while it is worked on, its result asks for nothing", async () => {
    const bench = new QueueBench();
    bench.add(101, 102);
    const first = await bench.take();
    bench.queue.forget(101);
    bench.queue.forget(102);
    first.finish({ kind: "error" });
    expect([bench.queue.has(101), bench.queue.has(102), bench.backoff.size(), bench.queue.depth()]).toEqual([false, false, 0, 0]);
  });

  test("a key that is asked for after it was forgotten is of interest again", async () => {
    const bench = new QueueBench();
    bench.add(101);
    const first = await bench.take();
    bench.queue.forget(101);
    bench.add(101);
    first.finish({ kind: "error" });
    expect([await bench.drainReady(), bench.backoff.size()]).toEqual([["101 event"], 0]);
  });
});
