import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Backoff } from "../../src/schedule/backoff.ts";
import { PRIORITIES, type Taken } from "../../src/schedule/queue-types.ts";
import { requeueOf, type WorkResult } from "../../src/schedule/work-result.ts";
import { WorkQueue } from "../../src/schedule/work-queue.ts";
import { Workers } from "../../src/schedule/workers.ts";
import { SeededRandom } from "../journal/journal-fixture.ts";
import { FakeClock } from "../support/fake-clock.ts";

/*
 * Invariants, whatever is done in whatever order (fast-check prints the seed of what breaks one):
 * 1. a key is never with two at once
 * 2. a key is handed out only when it was asked for and its time has come
 * 3. what is handed out has the highest priority of all that are ready; within one, it has been ready longest
 * 4. the depth is the number of keys that are ready, by priority
 * 5. whatever was asked for is handed out in the end, and then the queue holds nothing
 */

const KEYS = 6;

type Step =
  | { readonly type: "add" | "forget"; readonly key: number; readonly rank: number }
  | { readonly type: "later"; readonly key: number; readonly rank: number; readonly delayMs: number }
  | { readonly type: "take" }
  | { readonly type: "finish"; readonly index: number; readonly result: WorkResult }
  | { readonly type: "pass"; readonly ms: number };

const key = fc.integer({ min: 1, max: KEYS });
const rank = fc.integer({ min: 0, max: 2 });
const result = fc.oneof(
  fc.constantFrom<WorkResult>({ kind: "error" }, { kind: "terminal" }, { kind: "requeue" }, { kind: "done" }),
  fc.record({ kind: fc.constant("requeueAfter" as const), delayMs: fc.nat(3_000), keepsFailures: fc.boolean() }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant("add" as const), key, rank }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("forget" as const), key, rank }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("later" as const), key, rank, delayMs: fc.nat(3_000) }) },
  { weight: 4, arbitrary: fc.constant({ type: "take" as const }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("finish" as const), index: fc.nat(KEYS), result }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("pass" as const), ms: fc.nat(2_000) }) },
);

/** What was asked for, as plainly as it can be said: every key with its time and priority, looked through each time. */
class Plain {
  nowMs = 0;
  #order = 0;
  readonly wanted = new Map<number, { atMs: number; rank: number; order: number; isReady: boolean }>();
  readonly running = new Map<number, { rank: number; isForgotten: boolean; again: { atMs: number; rank: number } | undefined }>();

  want(wantedKey: number, atMs: number, wantedRank: number): void {
    const busy = this.running.get(wantedKey);
    if (busy !== undefined) {
      busy.again = { atMs: Math.min(atMs, busy.again?.atMs ?? atMs), rank: Math.min(wantedRank, busy.again?.rank ?? wantedRank) };
      busy.isForgotten = false;
      return;
    }
    const known = this.wanted.get(wantedKey);
    const next = { atMs: Math.min(atMs, known?.atMs ?? atMs), rank: Math.min(wantedRank, known?.rank ?? wantedRank) };
    if (known !== undefined && known.atMs === next.atMs && known.rank === next.rank) return;
    // One that is ready loses its place only by being raised.
    if (known?.isReady === true && known.rank === next.rank) return;
    this.wanted.set(wantedKey, { ...next, order: ++this.#order, isReady: known?.isReady ?? false });
    this.promote();
  }

  /** Those whose time has come are ready from then on, in the order of their times. */
  promote(): void {
    const due = [...this.wanted.values()].filter((entry) => !entry.isReady && entry.atMs <= this.nowMs).sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    for (const entry of due) {
      entry.isReady = true;
      entry.order = ++this.#order;
    }
  }

  ready(): readonly (readonly [number, { rank: number; order: number }])[] {
    this.promote();
    return [...this.wanted].filter(([, entry]) => entry.isReady).sort(([, a], [, b]) => a.rank - b.rank || a.order - b.order);
  }

  take(): number | undefined {
    const [first] = this.ready();
    if (first === undefined) return undefined;
    this.wanted.delete(first[0]);
    this.running.set(first[0], { rank: first[1].rank, isForgotten: false, again: undefined });
    return first[0];
  }

  finish(doneKey: number, backAtMs: number | undefined): void {
    const busy = this.running.get(doneKey);
    this.running.delete(doneKey);
    if (busy?.again !== undefined) this.want(doneKey, busy.again.atMs, busy.again.rank);
    if (busy !== undefined && !busy.isForgotten && backAtMs !== undefined) this.want(doneKey, backAtMs, busy.rank);
  }

  forget(forgottenKey: number): void {
    this.wanted.delete(forgottenKey);
    const busy = this.running.get(forgottenKey);
    if (busy === undefined) return;
    busy.again = undefined;
    busy.isForgotten = true;
  }
}

/** A queue and its plain twin, on a clock that only the test moves; nobody waits, so that no timer is set. */
class Twins {
  readonly plain = new Plain();
  readonly backoff: Backoff;
  readonly queue: WorkQueue;
  readonly taken: Taken[] = [];

  constructor(makeQueue = (options: ConstructorParameters<typeof WorkQueue>[0]): WorkQueue => new WorkQueue(options)) {
    const clock = { ...new FakeClock(), now: () => this.plain.nowMs, monotonic: () => this.plain.nowMs, sleep: () => Promise.resolve(), schedule: () => () => {} };
    this.backoff = new Backoff(clock, new SeededRandom(1), { baseMs: 100, maxMs: 2_000, jitter: 0 });
    this.queue = makeQueue({ clock, backoff: this.backoff });
  }

  async do(what: Step): Promise<void> {
    switch (what.type) {
      case "add":
        this.queue.add(what.key, PRIORITIES[what.rank] ?? "resync");
        return this.plain.want(what.key, Number.NEGATIVE_INFINITY, what.rank);
      case "later":
        this.queue.addAfter(what.key, what.delayMs, PRIORITIES[what.rank] ?? "resync");
        return this.plain.want(what.key, this.plain.nowMs + what.delayMs, what.rank);
      case "forget":
        this.queue.forget(what.key);
        return this.plain.forget(what.key);
      case "pass":
        this.plain.nowMs += what.ms;
        return;
      case "take":
        return this.take();
      case "finish":
        return this.finish(what.index, what.result);
    }
  }

  async take(): Promise<void> {
    const expected = this.plain.take();
    const taken = this.queue.depth() === 0 ? undefined : await this.queue.get();
    expect(taken?.key).toBe(expected as never);
    if (taken !== undefined) this.taken.push(taken);
  }

  finish(index: number, how: WorkResult): void {
    const [one] = this.taken.splice(index % Math.max(1, this.taken.length), 1);
    if (one === undefined) return;
    const isForgotten = this.plain.running.get(one.key)?.isForgotten === true;
    one.finish(how);
    const { again } = requeueOf(how);
    const backAtMs = isForgotten || again === undefined ? undefined : this.plain.nowMs + (again === "backoff" ? this.backoff.remainingMs(one.key) : again.afterMs);
    this.plain.finish(one.key, backAtMs);
  }

  check(): void {
    const ready = this.plain.ready();
    const { depth, delayed, running } = this.queue.state();
    expect(PRIORITIES.map((priority) => depth[priority])).toEqual(PRIORITIES.map((_, at) => ready.filter(([, entry]) => entry.rank === at).length));
    expect([delayed, running]).toEqual([this.plain.wanted.size - ready.length, this.plain.running.size]);
    const held = this.taken.map((taken) => taken.key);
    expect(new Set(held).size).toBe(held.length);
  }

  /** Nothing more is asked for: everything is served, each once, and nothing stays. */
  async settle(): Promise<void> {
    for (let round = 0; round < 4 * KEYS; round++) {
      while (this.taken.length > 0) this.finish(0, { kind: "done" });
      this.plain.nowMs += 5_000;
      while (this.queue.depth() > 0) await this.take();
    }
    expect([this.plain.wanted.size, this.plain.running.size, this.taken.length]).toEqual([0, 0, 0]);
    for (let one = 1; one <= KEYS; one++) expect(this.queue.has(one)).toBe(false);
  }
}

async function play(steps: readonly Step[], makeQueue?: ConstructorParameters<typeof Twins>[0]): Promise<void> {
  const twins = new Twins(makeQueue);
  for (const what of steps) {
    await twins.do(what);
    twins.check();
  }
  await twins.settle();
}

describe("in any order of asking, taking, finishing and waiting", () => {
  test("the queue does what a plain list of keys with times and priorities would do", async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 80 }), (steps) => play(steps)), { numRuns: 400 });
  });

  test("a queue that lets a key be taken early is caught", async () => {
    class Early extends WorkQueue {
      override addAfter(early: number, delayMs: number, priority: Parameters<WorkQueue["addAfter"]>[2]): boolean {
        return super.addAfter(early, Math.max(0, delayMs - 1_000), priority);
      }
    }
    const canary = fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 80 }), (steps) => play(steps, (options) => new Early(options))), { numRuns: 400, endOnFailure: true });
    await expect(canary).rejects.toThrow();
  });

  test("fifty who ask and ten who work: no key is with two at once, and each that was asked for is worked on after that", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1 }), async (seed) => {
        const clock = new FakeClock();
        const random = new SeededRandom(seed);
        const queue = new WorkQueue({ clock, backoff: new Backoff(clock, random) });
        const busy = new Set<number>();
        const askedMs = new Map<number, number>();
        const workedMs = new Map<number, number>();
        let overlaps = 0;
        const workers = new Workers({
          queue, count: 10, onDefect: () => {},
          run: async (one) => {
            if (busy.has(one)) overlaps++;
            busy.add(one);
            workedMs.set(one, clock.monotonic());
            await clock.sleep(random.fraction() * 20);
            busy.delete(one);
            return { kind: "done" };
          },
        });
        workers.start();
        const producers = Array.from({ length: 50 }, async () => {
          for (let round = 0; round < 10; round++) {
            await clock.sleep(random.fraction() * 50);
            const asked = Math.floor(random.fraction() * 25);
            askedMs.set(asked, clock.monotonic());
            queue.add(asked, PRIORITIES[Math.floor(random.fraction() * 3)] ?? "event");
          }
        });
        await clock.advance(2_000);
        await Promise.all(producers);
        expect(overlaps).toBe(0);
        for (const [asked, atMs] of askedMs) expect(workedMs.get(asked) ?? -1).toBeGreaterThanOrEqual(atMs);
        expect(queue.busy()).toBe(0);
      }),
      { numRuns: 3 },
    );
  });
});
