import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Limiter, type Release } from "../../src/lanes/limiter.ts";

async function held(acquired: Promise<Release | undefined>): Promise<Release> {
  const release = await acquired;
  if (release === undefined) throw new Error("expected a place");
  return release;
}

async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

describe("limiter", () => {
  test("admits up to the limit and then in the order of asking", async () => {
    const limiter = new Limiter(2);
    const order: number[] = [];
    const releases: Release[] = [];
    const all = [0, 1, 2, 3, 4].map(async (index) => {
      releases.push(await held(limiter.acquire()));
      order.push(index);
    });
    await turn();
    expect([order, limiter.inUse, limiter.waiting]).toEqual([[0, 1], 2, 3]);
    for (let round = 0; round < 5; round++) {
      releases.shift()?.();
      await turn();
    }
    await Promise.all(all);
    expect([order, limiter.inUse, limiter.waiting]).toEqual([[0, 1, 2, 3, 4], 0, 0]);
  });

  test("a newcomer does not overtake those who wait", async () => {
    const limiter = new Limiter(1);
    const first = await held(limiter.acquire());
    const order: string[] = [];
    const waiting = limiter.acquire().then((release) => { order.push("waiting"); return release; });
    first();
    const newcomer = limiter.acquire().then((release) => { order.push("newcomer"); return release; });
    (await waiting)?.();
    (await newcomer)?.();
    expect(order).toEqual(["waiting", "newcomer"]);
  });

  test("giving a place back twice gives it back once", async () => {
    const limiter = new Limiter(1);
    const release = await held(limiter.acquire());
    release();
    release();
    expect(limiter.inUse).toBe(0);
    const [first, second] = [await held(limiter.acquire()), limiter.acquire()];
    await turn();
    expect([limiter.inUse, limiter.waiting]).toEqual([1, 1]);
    first();
    (await held(second))();
  });

  test("who gives up while waiting gets no place and leaves no trace", async () => {
    const limiter = new Limiter(1);
    const release = await held(limiter.acquire());
    const controller = new AbortController();
    const abandoned = limiter.acquire(controller.signal);
    const patient = limiter.acquire();
    controller.abort();
    expect(await abandoned).toBeUndefined();
    expect(limiter.waiting).toBe(1);
    release();
    (await held(patient))();
    expect([limiter.inUse, limiter.waiting]).toEqual([0, 0]);
  });

  test("an abort that comes after the place was given changes nothing", async () => {
    const limiter = new Limiter(1);
    const controller = new AbortController();
    const first = await held(limiter.acquire());
    const second = limiter.acquire(controller.signal);
    first();
    controller.abort();
    const release = await held(second);
    expect(limiter.inUse).toBe(1);
    release();
    expect(limiter.inUse).toBe(0);
  });

  test("an aborted signal never gets a place", async () => {
    const limiter = new Limiter(1);
    expect(await limiter.acquire(AbortSignal.abort())).toBeUndefined();
    expect(limiter.inUse).toBe(0);
  });

  test("raising the limit admits those who wait; lowering it takes nothing away", async () => {
    const limiter = new Limiter(1);
    const releases: Release[] = [];
    for (let count = 0; count < 4; count++) void held(limiter.acquire()).then((release) => releases.push(release));
    await turn();
    limiter.resize(3);
    await turn();
    expect([limiter.limit, limiter.inUse, limiter.waiting]).toEqual([3, 3, 1]);
    limiter.resize(1);
    releases.shift()?.();
    await turn();
    expect([limiter.inUse, limiter.waiting]).toEqual([2, 1]);
    releases.shift()?.();
    releases.shift()?.();
    await turn();
    expect([limiter.inUse, limiter.waiting]).toEqual([1, 0]);
  });

  for (const limit of [0, -1, 1.5, NaN, Infinity]) {
    test(`refuses ${limit} as a limit`, () => {
      expect(() => new Limiter(limit)).toThrow("whole number from 1");
      expect(() => new Limiter(1).resize(limit)).toThrow("whole number from 1");
    });
  }

  test("never more holders than the limit, never a free place while somebody waits", async () => {
    const steps = fc.array(fc.oneof(fc.constant("acquire" as const), fc.constant("release" as const), fc.constant("abort" as const)), { maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), steps, async (limit, plan) => {
        const limiter = new Limiter(limit);
        const releases: Release[] = [];
        const controllers: AbortController[] = [];
        for (const step of plan) {
          if (step === "acquire") {
            const controller = new AbortController();
            controllers.push(controller);
            void limiter.acquire(controller.signal).then((release) => release !== undefined && releases.push(release));
          } else if (step === "release") releases.shift()?.();
          else controllers.pop()?.abort();
          await Promise.resolve();
          expect(limiter.inUse).toBeLessThanOrEqual(limit);
          if (limiter.waiting > 0) expect(limiter.inUse).toBe(limit);
        }
      }),
    );
  });
});
