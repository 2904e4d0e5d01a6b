import { expect, test } from "bun:test";
import { Restarts } from "../../src/schedule/restarts.ts";
import { FakeClock } from "../support/fake-clock.ts";

test("the first start after a stop does not wait, each further one in a row waits twice as long, up to five minutes", async () => {
  const clock = new FakeClock();
  const restarts = new Restarts(clock);
  expect(restarts.wait(101).remainingMs).toBe(0);
  const waits: number[] = [];
  for (let start = 0; start < 10; start++) {
    restarts.started(101);
    const { remainingMs } = restarts.wait(101);
    waits.push(remainingMs);
    await clock.advance(remainingMs);
    expect(restarts.wait(101).remainingMs).toBe(0);
  }
  expect(waits).toEqual([0, 5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
});

test("a guest that stayed up for ten minutes starts over, and guests do not count for each other", async () => {
  const clock = new FakeClock();
  const restarts = new Restarts(clock);
  for (let start = 0; start < 4; start++) restarts.started(101);
  expect(restarts.wait(101)).toEqual({ remainingMs: 20_000, startsInARow: 4 });
  expect(restarts.wait(102)).toEqual({ remainingMs: 0, startsInARow: 0 });
  await clock.advance(600_000);
  restarts.started(101);
  expect(restarts.wait(101)).toEqual({ remainingMs: 0, startsInARow: 1 });
});

test("a guest that is forgotten starts over", () => {
  const restarts = new Restarts(new FakeClock());
  for (let start = 0; start < 3; start++) restarts.started(101);
  restarts.forget(101);
  expect(restarts.wait(101).remainingMs).toBe(0);
});
