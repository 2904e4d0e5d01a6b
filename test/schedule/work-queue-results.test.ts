import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { requeueOf, strongest, WORK_RESULT_KINDS, type WorkResult } from "../../src/schedule/work-result.ts";
import { QueueBench } from "./queue-fixture.ts";

/** Runs a key once; the milliseconds until it is ready again, or undefined within ten minutes. */
async function waitAfter(bench: QueueBench, result: WorkResult, key = 101): Promise<number | undefined> {
  if (bench.queue.depth() === 0) bench.add(key);
  (await bench.take()).finish(result);
  const startedMs = bench.clock.monotonic();
  for (let step = 0; step < 600 && bench.queue.depth() === 0; step++) await bench.clock.advance(1_000);
  return bench.queue.depth() === 0 ? undefined : bench.clock.monotonic() - startedMs;
}

describe("how the work ended says when the key comes back", () => {
  test.each([
    ["an error: after its backoff", { kind: "error" }, 1_000],
    ["not finished, nobody knows when: after its backoff", { kind: "requeue" }, 1_000],
    ["after a time of its own", { kind: "requeueAfter", delayMs: 7_000 }, 7_000],
    ["an error that trying again cannot mend: not by itself", { kind: "terminal" }, undefined],
    ["done: not by itself", { kind: "done" }, undefined],
  ] as const)("%s", async (_, result, waitMs) => {
    expect(await waitAfter(new QueueBench(), result)).toBe(waitMs as never);
  });

  test("a key that fails again and again waits 1, 2, 4, 8, 16 times the first wait", async () => {
    const bench = new QueueBench();
    const waits: (number | undefined)[] = [];
    for (let failure = 0; failure < 5; failure++) waits.push(await waitAfter(bench, { kind: "error" }));
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
    expect(bench.told.filter((what) => what === "retried")).toHaveLength(5);
  });

  test("a thousand failures in a row wait as long as the longest wait, and no longer", () => {
    const bench = new QueueBench();
    for (let failure = 0; failure < 1_000; failure++) bench.backoff.failed(101);
    expect(bench.backoff.remainingMs(101)).toBe(300_000);
  });

  test("one key's failures never delay another's first retry", async () => {
    const bench = new QueueBench();
    for (let failure = 0; failure < 4; failure++) await waitAfter(bench, { kind: "error" }, 101);
    (await bench.take()).finish({ kind: "done" });
    expect(await waitAfter(bench, { kind: "error" }, 102)).toBe(1_000);
  });

  test.each([
    ["done", { kind: "done" }, 1_000],
    ["a wait of its own", { kind: "requeueAfter", delayMs: 1_000 }, 1_000],
    ["a wait that is no success", { kind: "requeueAfter", delayMs: 1_000, keepsFailures: true }, 4_000],
    ["not finished", { kind: "requeue" }, 8_000],
    ["an error that is final", { kind: "terminal" }, 4_000],
  ] as const)("after two failures and then %s, one more failure waits as long as it should", async (_, between, nextMs) => {
    const bench = new QueueBench();
    for (const result of [{ kind: "error" }, { kind: "error" }, between] as const) await waitAfter(bench, result);
    expect(await waitAfter(bench, { kind: "error" })).toBe(nextMs);
  });

  test("a key that failed and is asked for now comes now; the backoff goes on counting", async () => {
    const bench = new QueueBench();
    bench.add(101);
    (await bench.take()).finish({ kind: "error" });
    bench.add(101);
    expect(bench.queue.depth()).toBe(1);
    expect(await waitAfter(bench, { kind: "error" })).toBe(2_000);
  });

  test("asked for while it failed, it comes back at once and once, not a second time after the backoff", async () => {
    const bench = new QueueBench();
    bench.add(101);
    const first = await bench.take();
    bench.add(101);
    first.finish({ kind: "error" });
    expect(await bench.drainReady()).toEqual(["101 event"]);
    await bench.clock.advance(60_000);
    expect(bench.queue.depth()).toBe(0);
  });
});

describe("of several results the strongest counts", () => {
  const all: readonly WorkResult[] = WORK_RESULT_KINDS.map((kind) => (kind === "requeueAfter" ? { kind, delayMs: 1 } : { kind }));

  test("error, then terminal, then a wait, then not finished, then done: over the whole product", () => {
    for (const [left, stronger] of all.entries()) {
      for (const [right, other] of all.entries()) expect(strongest(stronger, other).kind).toBe(all[Math.min(left, right)]?.kind as never);
    }
  });

  test("of two waits the shorter; it forgets no failures that one of them keeps", () => {
    expect(strongest({ kind: "requeueAfter", delayMs: 5 }, { kind: "requeueAfter", delayMs: 3 })).toEqual({ kind: "requeueAfter", delayMs: 3 });
    expect(strongest({ kind: "requeueAfter", delayMs: 5, keepsFailures: true }, { kind: "requeueAfter", delayMs: 3 })).toEqual({ kind: "requeueAfter", delayMs: 3, keepsFailures: true });
  });

  test("the order in which they are compared does not matter", () => {
    const result = fc.oneof(
      fc.constantFrom<WorkResult>({ kind: "error" }, { kind: "terminal" }, { kind: "requeue" }, { kind: "done" }),
      fc.record({ kind: fc.constant("requeueAfter" as const), delayMs: fc.nat(10) }),
    );
    fc.assert(fc.property(result, result, result, (a, b, c) => {
      expect(strongest(a, b)).toEqual(strongest(b, a));
      expect(strongest(strongest(a, b), c)).toEqual(strongest(a, strongest(b, c)));
    }));
  });

  test("each has its meaning, and only a result that names a time has one", () => {
    expect(all.map((result) => [result.kind, requeueOf(result)])).toEqual([
      ["error", { failures: "count", again: "backoff" }],
      ["terminal", { failures: "keep", again: undefined }],
      ["requeueAfter", { failures: "forget", again: { afterMs: 1 } }],
      ["requeue", { failures: "count", again: "backoff" }],
      ["done", { failures: "forget", again: undefined }],
    ]);
  });
});
