import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Interrupted, measureAppends, measureInRounds, sampleOf, type Contender } from "../../src/bench/rounds.ts";
import { FakeClock } from "../support/fake-clock.ts";

function counting(name: string, values: readonly number[], order: string[] = []): Contender {
  let round = 0;
  return {
    name,
    sample: async () => {
      order.push(name);
      const value = values[round++] ?? Number.NaN;
      return { value, p50Ms: value / 10, p99Ms: value };
    },
  };
}

describe("rounds", () => {
  test("contenders take turns, so that a slow moment hits all of them", async () => {
    const order: string[] = [];
    await measureInRounds([counting("a", [1, 1, 1], order), counting("b", [1, 1, 1], order)], { rounds: 3 });
    expect(order).toEqual(["a", "b", "a", "b", "a", "b"]);
  });

  test("give the median with the spread, and one bad round moves it no further than to its neighbour", async () => {
    const outcomes = await measureInRounds([counting("a", [5, 1, 4, 900, 3])], { rounds: 5 });
    expect(outcomes.get("a")).toEqual({ value: 4, min: 1, max: 900, p50Ms: 0.4, p99Ms: 4, rounds: 5 });
  });

  test("of what has no latencies say so", async () => {
    const outcomes = await measureInRounds([{ name: "a", sample: async () => ({ value: 2 }) }], { rounds: 2 });
    expect(outcomes.get("a")).toEqual({ value: 2, min: 2, max: 2, p50Ms: null, p99Ms: null, rounds: 2 });
  });

  for (const [how, fail] of [["throws", () => { throw new Error("broken"); }], ["rejects", () => Promise.reject(new Error("broken"))], ["throws what is no error", () => Promise.reject("broken")]] as const) {
    test(`one that ${how} is out and reported, and the others go on`, async () => {
      let calls = 0;
      const bad: Contender = {
        name: "bad",
        sample: async () => {
          calls += 1;
          return fail();
        },
      };
      const outcomes = await measureInRounds([bad, counting("good", [1, 2, 3])], { rounds: 3 });
      expect(outcomes.get("bad")).toEqual(new Error("broken"));
      expect(calls).toBe(1);
      expect(outcomes.get("good")).toMatchObject({ value: 2, rounds: 3 });
    });
  }

  test("end when time is up: who was measured keeps what it has, who was not has failed", async () => {
    const clock = new FakeClock();
    const slow = (name: string, tookMs: number): Contender => ({ name, sample: () => clock.sleep(tookMs).then(() => ({ value: tookMs })) });
    const running = measureInRounds([slow("a", 3), slow("b", 4), slow("c", 1_000), slow("d", 1)], { rounds: 3, limit: { clock, enoughMs: 20, latestMs: 500 } });
    await clock.advance(2_000);
    const outcomes = await running;
    expect(outcomes.get("a")).toMatchObject({ value: 3, rounds: 1 });
    expect(outcomes.get("c")).toMatchObject({ value: 1_000, rounds: 1 });
    expect(outcomes.get("d")).toEqual(new Error("not measured: what was measured before it took 1 s; measure it alone"));
  });

  test("all of them are measured while there is time", async () => {
    const clock = new FakeClock();
    const outcomes = await measureInRounds([counting("a", [1, 2, 3])], { rounds: 3, limit: { clock, enoughMs: 20, latestMs: 30 } });
    expect(outcomes.get("a")).toMatchObject({ rounds: 3 });
  });

  test("end at once when somebody interrupts, even if what is running never ends", async () => {
    const interrupt = new AbortController();
    const hanging: Contender = {
      name: "hanging",
      sample: () => {
        interrupt.abort();
        return new Promise(() => {});
      },
    };
    const said: string[] = [];
    const running = measureInRounds([hanging, counting("next", [1])], { rounds: 1, interrupted: interrupt.signal, onSample: (name) => said.push(name) });
    expect(await running.catch((error: unknown) => error)).toBeInstanceOf(Interrupted);
    expect(said).toEqual(["hanging"]);
  });
});

describe("appends", () => {
  test("are kept under way as many as asked for, for as long as asked for", async () => {
    const clock = new FakeClock();
    let [running, most] = [0, 0];
    const measuring = measureAppends({
      clock, appenders: 8, durationMs: 100,
      append: async () => {
        most = Math.max(most, (running += 1));
        await clock.sleep(10);
        running -= 1;
      },
    });
    await clock.advance(100);
    expect(await measuring).toEqual({ value: 800, p50Ms: 10, p99Ms: 10 });
    expect([most, running]).toEqual([8, 0]);
  });

  test("stop when somebody interrupts", async () => {
    const interrupt = new AbortController();
    let count = 0;
    await measureAppends({ clock: new FakeClock(), appenders: 2, durationMs: 100, interrupted: interrupt.signal, append: async () => void (++count === 10 && interrupt.abort()) });
    expect(count).toBeLessThan(15);
  });

  test("that fail are not swallowed", async () => {
    const failing = measureAppends({ clock: new FakeClock(), appenders: 2, durationMs: 1, append: () => Promise.reject(new Error("no space")) });
    expect(await failing.catch((error: Error) => error.message)).toBe("no space");
  });

  test("have p50 ≤ p99, both among what was measured, whatever the order", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.001, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 300 }), (latencies) => {
        const sample = sampleOf(latencies, 500);
        expect(sample).toEqual(sampleOf(latencies.toReversed(), 500));
        expect(latencies).toContain(sample.p50Ms);
        expect(latencies).toContain(sample.p99Ms);
        expect(sample.p50Ms).toBeLessThanOrEqual(sample.p99Ms);
        expect(sample.value).toBe(latencies.length * 2);
        expect(latencies.filter((latency) => latency > sample.p99Ms).length).toBeLessThanOrEqual(latencies.length / 100);
      }),
    );
  });
});
