import { describe, expect, test } from "bun:test";
import { isSettled, QueueBench } from "./queue-fixture.ts";

describe("a key that is asked for later", () => {
  test("comes at its time and not before", async () => {
    const bench = new QueueBench();
    bench.queue.addAfter(101, 5_000, "event");
    const next = bench.queue.get();
    await bench.clock.advance(4_999);
    expect([await isSettled(next), bench.queue.depth()]).toEqual([false, 0]);
    await bench.clock.advance(1);
    expect((await next)?.key).toBe(101);
  });

  test.each([[1_000, 9_000], [9_000, 1_000]])("twice (%d and %d ms) comes once, at the earlier time", async (firstMs, secondMs) => {
    const bench = new QueueBench();
    for (const delayMs of [firstMs, secondMs]) bench.queue.addAfter(101, delayMs, "event");
    await bench.clock.advance(999);
    expect(bench.queue.depth()).toBe(0);
    await bench.clock.advance(1);
    expect(await bench.drainReady()).toEqual(["101 event"]);
    await bench.clock.advance(20_000);
    expect(bench.queue.depth()).toBe(0);
  });

  test("does not keep one waiting that was asked for later and is due earlier", async () => {
    const bench = new QueueBench();
    bench.queue.addAfter(101, 60_000, "event");
    const next = bench.queue.get();
    bench.queue.addAfter(102, 1_000, "event");
    await bench.clock.advance(1_000);
    expect((await next)?.key).toBe(102);
  });

  test("comes in the order of the times, whatever order it was asked in; at one time, in the order it was asked", async () => {
    const bench = new QueueBench();
    for (const [key, delayMs] of [[101, 3_000], [102, 1_000], [103, 2_000], [104, 1_000]] as const) bench.queue.addAfter(key, delayMs, "event");
    await bench.clock.advance(5_000);
    expect(await bench.drainReady()).toEqual(["102 event", "104 event", "103 event", "101 event"]);
  });

  test("and now comes now, once", async () => {
    const bench = new QueueBench();
    bench.queue.addAfter(101, 60_000, "event");
    bench.add(101);
    expect(await bench.drainReady()).toEqual(["101 event"]);
    await bench.clock.advance(120_000);
    expect(bench.queue.depth()).toBe(0);
  });

  test("and ready already stays ready", async () => {
    const bench = new QueueBench();
    bench.add(101, 102);
    bench.queue.addAfter(101, 60_000, "event");
    expect(await bench.drainReady()).toEqual(["101 event", "102 event"]);
  });

  test("with a delay of nothing, or less, is now", async () => {
    const bench = new QueueBench();
    bench.queue.addAfter(101, 0, "event");
    bench.queue.addAfter(102, -5, "event");
    expect(await bench.drainReady()).toEqual(["101 event", "102 event"]);
  });

  test("does not count as depth before its time, and does from then on, though nobody takes it", async () => {
    const bench = new QueueBench();
    bench.queue.addAfter(101, 1_000, "wish");
    expect([bench.queue.depth(), bench.queue.state().delayed, bench.told]).toEqual([0, 1, []]);
    await bench.clock.advance(1_000);
    expect([bench.queue.depth(), bench.queue.state().delayed, bench.told]).toEqual([1, 0, ["added"]]);
  });

  test("by a higher priority is raised, and keeps its time", async () => {
    const bench = new QueueBench();
    bench.queue.addAfter(101, 1_000, "resync");
    bench.queue.addAfter(101, 60_000, "wish");
    await bench.clock.advance(999);
    bench.addWith("event", 102);
    expect(bench.queue.depth()).toBe(1);
    await bench.clock.advance(1);
    expect(await bench.drainReady()).toEqual(["101 wish", "102 event"]);
  });

  test("overtakes what was ready before it, when its time has come and its priority is higher, every time", async () => {
    const bench = new QueueBench();
    bench.addWith("resync", 101, 102, 103);
    for (let round = 0; round < 3; round++) {
      bench.queue.addAfter(200, 1_000, "wish");
      await bench.clock.advance(1_000);
      const taken = await bench.take();
      expect(taken.key).toBe(200);
      taken.finish({ kind: "done" });
      (await bench.take()).finish({ kind: "done" });
    }
    expect(bench.queue.depth()).toBe(0);
  });

  test("while it is worked on, waits for its time from then, not from the end of the work", async () => {
    const bench = new QueueBench();
    bench.add(101);
    const first = await bench.take();
    bench.queue.addAfter(101, 1_000, "event");
    await bench.clock.advance(400);
    first.finish({ kind: "done" });
    expect(bench.queue.depth()).toBe(0);
    await bench.clock.advance(600);
    expect(await bench.drainReady()).toEqual(["101 event"]);
  });

  test("in a year needs no timer that a machine cannot set", async () => {
    const bench = new QueueBench();
    const yearMs = 365 * 86_400_000;
    bench.queue.addAfter(101, yearMs, "event");
    const next = bench.queue.get();
    await bench.clock.advance(yearMs - 1);
    expect(await isSettled(next)).toBe(false);
    await bench.clock.advance(1);
    expect((await next)?.key).toBe(101);
  });
});
