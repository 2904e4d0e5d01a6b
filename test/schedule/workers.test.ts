import { describe, expect, test } from "bun:test";
import type { WorkResult } from "../../src/schedule/work-result.ts";
import { Workers } from "../../src/schedule/workers.ts";
import { QueueBench } from "./queue-fixture.ts";

const DONE: WorkResult = { kind: "done" };

type Run = (key: number, yieldPlace: () => void) => Promise<WorkResult>;

class WorkersBench extends QueueBench {
  readonly runs: number[] = [];
  readonly defects: string[] = [];
  readonly workers: Workers;

  constructor(count: number, run: Run) {
    super();
    this.workers = new Workers({
      queue: this.queue, count,
      run: (key, _, yieldPlace) => {
        this.runs.push(key);
        return run(key, yieldPlace);
      },
      onDefect: (key, error) => void this.defects.push(`${key} ${error instanceof Error ? error.message : String(error)}`),
    });
  }
}

/** A run that ends when it is told to. */
function gate(): { readonly run: Run; readonly open: (key: number, result?: WorkResult) => void; readonly isOpen: (key: number) => boolean } {
  const waiting = new Map<number, (result: WorkResult) => void>();
  return {
    run: (key) => new Promise((resolve) => void waiting.set(key, resolve)),
    open: (key, result = DONE) => {
      waiting.get(key)?.(result);
      waiting.delete(key);
    },
    isOpen: (key) => waiting.has(key),
  };
}

describe("workers", () => {
  test("are as many as they were told to be, and take the next key when one is done", async () => {
    const { run, open } = gate();
    const bench = new WorkersBench(2, run);
    bench.add(101, 102, 103);
    bench.workers.start();
    await bench.clock.advance(0);
    expect([bench.runs, bench.queue.depth()]).toEqual([[101, 102], 1]);
    open(102);
    await bench.clock.advance(0);
    expect(bench.runs).toEqual([101, 102, 103]);
  });

  test("do nothing before they are started: what was asked for waits", async () => {
    const bench = new WorkersBench(2, async () => DONE);
    bench.add(101);
    await bench.clock.advance(60_000);
    expect(bench.runs).toEqual([]);
    bench.workers.start();
    await bench.clock.advance(0);
    expect(bench.runs).toEqual([101]);
  });

  test("cannot be started twice", () => {
    const bench = new WorkersBench(1, async () => DONE);
    bench.workers.start();
    expect(() => bench.workers.start()).toThrow("not started yet");
  });

  test("survive a run that throws: told as a defect, the key comes back after its backoff, the others go on", async () => {
    let isBroken = true;
    const bench = new WorkersBench(1, async (key) => {
      if (key === 101 && isBroken) throw new Error("a bug");
      return DONE;
    });
    bench.add(101, 102, 103);
    bench.workers.start();
    await bench.clock.advance(0);
    expect([bench.runs, bench.defects]).toEqual([[101, 102, 103], ["101 a bug"]]);
    await bench.clock.advance(1_000);
    expect(bench.defects).toHaveLength(2);
    isBroken = false;
    await bench.clock.advance(2_000);
    expect([bench.defects.length, bench.backoff.size()]).toEqual([2, 0]);
  });

  test("are not kept by a key that always fails: every other one is served", async () => {
    const bench = new WorkersBench(1, async (key) => (key === 101 ? { kind: "error" } : DONE));
    bench.workers.start();
    bench.add(101);
    for (let key = 200; key < 300; key++) {
      bench.add(key);
      await bench.clock.advance(100);
    }
    expect(bench.runs.filter((key) => key !== 101)).toHaveLength(100);
    // After 1, 2 and 4 s.
    expect(bench.runs.filter((key) => key === 101)).toHaveLength(4);
  });

  test("who only wait give their place away, and their key stays theirs until they are done", async () => {
    const { run, open, isOpen } = gate();
    const bench = new WorkersBench(1, (key, yieldPlace) => {
      if (key === 101) yieldPlace();
      return run(key, yieldPlace);
    });
    bench.add(101, 102);
    bench.workers.start();
    await bench.clock.advance(0);
    expect(bench.runs).toEqual([101, 102]);
    bench.add(101);
    open(102);
    await bench.clock.advance(0);
    expect([bench.runs, isOpen(101)]).toEqual([[101, 102], true]);
    open(101);
    await bench.clock.advance(0);
    expect(bench.runs).toEqual([101, 102, 101]);
  });

  test("a drain waits for one that gave its place away, and works on its key once more when that was asked for", async () => {
    const { run, open } = gate();
    const bench = new WorkersBench(1, (key, yieldPlace) => {
      yieldPlace();
      return run(key, yieldPlace);
    });
    bench.add(101);
    bench.workers.start();
    await bench.clock.advance(0);
    bench.add(101);
    let isDrained = false;
    void bench.queue.drain().then(() => (isDrained = true));
    open(101);
    await bench.clock.advance(0);
    expect([bench.runs, isDrained]).toEqual([[101, 101], false]);
    open(101);
    await bench.clock.advance(0);
    expect(isDrained).toBe(true);
  });
});
