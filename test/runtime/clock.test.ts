import { describe, expect, test } from "bun:test";
import { SystemClock } from "../../src/runtime/clock.ts";
import { SystemRandom } from "../../src/runtime/random.ts";

const DAYS_50_MS = 50 * 24 * 3_600_000;

describe("the machine's clock", () => {
  test("tells the wall clock, and a monotonic time that never goes back", () => {
    const clock = new SystemClock();
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1_000);
    let last = clock.monotonic();
    for (let look = 0; look < 1_000; look++) {
      const now = clock.monotonic();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
  });

  test("sleeps at least as long as it was told", async () => {
    const clock = new SystemClock();
    const startedMs = clock.monotonic();
    await clock.sleep(20);
    expect(clock.monotonic() - startedMs).toBeGreaterThanOrEqual(19);
  });

  test("an abort wakes a sleeper at once, before and during its sleep, and never rejects", async () => {
    const clock = new SystemClock();
    await clock.sleep(DAYS_50_MS, AbortSignal.abort(new Error("why")));
    const controller = new AbortController();
    const sleeping = clock.sleep(DAYS_50_MS, controller.signal);
    controller.abort(new Error("why"));
    expect(await sleeping).toBeUndefined();
  });

  test("a delay longer than a timer can count does not fire at once", async () => {
    const clock = new SystemClock();
    let hasFired = false;
    const cancel = clock.schedule(DAYS_50_MS, () => {
      hasFired = true;
    });
    await clock.sleep(20);
    cancel();
    expect(hasFired).toBe(false);
  });

  test("a cancelled callback is not called; cancelling later is harmless", async () => {
    const clock = new SystemClock();
    const calls: string[] = [];
    const cancelled = clock.schedule(1, () => calls.push("cancelled"));
    cancelled();
    const done = Promise.withResolvers<void>();
    const cancel = clock.schedule(5, () => {
      calls.push("kept");
      done.resolve();
    });
    await done.promise;
    cancel();
    expect(calls).toEqual(["kept"]);
  });

  for (const delayMs of [0, -5, Number.NEGATIVE_INFINITY]) {
    test(`a delay of ${delayMs} ms fires on the next turn, not before schedule returns`, async () => {
      const clock = new SystemClock();
      let hasFired = false;
      const fired = Promise.withResolvers<void>();
      clock.schedule(delayMs, () => {
        hasFired = true;
        fired.resolve();
      });
      expect(hasFired).toBe(false);
      await fired.promise;
    });
  }

  test("NaN is a mistake of the caller, not a busy loop", () => {
    expect(() => new SystemClock().schedule(NaN, () => undefined)).toThrow("NaN");
  });
});

describe("the machine's randomness", () => {
  test("fractions lie in [0, 1) and differ", () => {
    const random = new SystemRandom();
    const drawn = Array.from({ length: 1_000 }, () => random.fraction());
    expect(drawn.every((fraction) => fraction >= 0 && fraction < 1)).toBe(true);
    expect(new Set(drawn).size).toBeGreaterThan(990);
  });

  test("bytes come in the asked number, beyond what one draw of the web API gives, and differ", () => {
    const random = new SystemRandom();
    for (const sizeBytes of [0, 1, 16, 70_000]) expect(random.bytes(sizeBytes).length).toBe(sizeBytes);
    expect(Buffer.from(random.bytes(32)).equals(Buffer.from(random.bytes(32)))).toBe(false);
  });

  test("bytes share no memory with a pool that later draws write to", () => {
    const first = new SystemRandom().bytes(16);
    expect(first.buffer.byteLength).toBe(16);
  });
});
