import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Backoff } from "../../src/schedule/backoff.ts";
import { FakeClock } from "../support/fake-clock.ts";

const BACKOFF_BASE_MS = 1_000;
const BACKOFF_CAP_MS = 300_000;
const BACKOFF_JITTER = 0.2;

/** Always this fraction: 0.5 is no jitter, 0 the shortest, close to 1 the longest. */
function backoffWith(fraction: number): { backoff: Backoff; clock: FakeClock } {
  const clock = new FakeClock();
  return { clock, backoff: new Backoff(clock, { fraction: () => fraction, bytes: () => new Uint8Array() }) };
}

function waits(backoff: Backoff, key: number, count: number): number[] {
  return Array.from({ length: count }, () => backoff.failed(key));
}

describe("waiting", () => {
  test("doubles from a second up to five minutes", () => {
    const { backoff } = backoffWith(0.5);
    expect(waits(backoff, 101, 11).map((ms) => ms / 1000)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  });

  test("a thousand failures later is still the cap, not an overflow", () => {
    const { backoff } = backoffWith(0.5);
    expect(waits(backoff, 101, 1_000).at(-1)).toBe(BACKOFF_CAP_MS);
  });

  test.each([[0, 1 - BACKOFF_JITTER], [0.5, 1], [0.999_999, 1 + BACKOFF_JITTER]])("is spread by a fifth to either side (random %p: times %p)", (fraction, factor) => {
    const { backoff } = backoffWith(fraction);
    expect(backoff.failed(101) / BACKOFF_BASE_MS).toBeCloseTo(factor, 4);
  });

  test("is over when its time has come, not before, by the clock that cannot be set", async () => {
    const { backoff, clock } = backoffWith(0.5);
    backoff.failed(101);
    clock.jumpWallClock(3_600_000);
    await clock.advance(999);
    expect([backoff.isReady(101), backoff.remainingMs(101)]).toEqual([false, 1]);
    await clock.advance(1);
    expect([backoff.isReady(101), backoff.remainingMs(101)]).toEqual([true, 0]);
    // It may be tried; only a success makes it forgotten.
    expect([backoff.size(), backoff.failed(101)]).toEqual([1, 2_000]);
  });

  test("starts over once it was forgotten, and keeps nothing of it", () => {
    const { backoff } = backoffWith(0.5);
    waits(backoff, 101, 5);
    backoff.forget(101);
    expect([backoff.size(), backoff.isReady(101), backoff.failed(101)]).toEqual([0, true, 1_000]);
  });

  test("a key that never failed is ready", () => {
    const { backoff } = backoffWith(0.5);
    expect([backoff.isReady(7), backoff.remainingMs(7), backoff.size()]).toEqual([true, 0, 0]);
    backoff.forget(7);
  });
});

test("each key counts for itself, every wait is within its bounds, and only failing keys are kept (property)", () => {
  const step = fc.oneof(
    fc.record({ type: fc.constant("fail" as const), key: fc.integer({ min: 1, max: 4 }), fraction: fc.double({ min: 0, max: 0.999_999, noNaN: true }) }),
    fc.record({ type: fc.constant("forget" as const), key: fc.integer({ min: 1, max: 4 }), fraction: fc.constant(0) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    let fraction = 0;
    const backoff = new Backoff(new FakeClock(), { fraction: () => fraction, bytes: () => new Uint8Array() });
    const counts = new Map<number, number>();
    for (const { type, key, fraction: drawn } of steps) {
      fraction = drawn;
      if (type === "forget") {
        backoff.forget(key);
        counts.delete(key);
        continue;
      }
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      const plain = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (count - 1));
      const waitMs = backoff.failed(key);
      expect(waitMs).toBeGreaterThanOrEqual(plain * (1 - BACKOFF_JITTER) - 1e-6);
      expect(waitMs).toBeLessThanOrEqual(Math.min(BACKOFF_CAP_MS, plain * (1 + BACKOFF_JITTER)) + 1e-6);
      expect(backoff.remainingMs(key)).toBeCloseTo(waitMs, 6);
    }
    expect(backoff.size()).toBe(counts.size);
  }));
});
