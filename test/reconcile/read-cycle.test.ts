import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ReadCycle, REREADS_PER_POLL_MAX } from "../../src/reconcile/read-cycle.ts";
import { FakeClock } from "../support/fake-clock.ts";

function cycleOf(): { readonly clock: FakeClock; readonly cycle: ReadCycle; readonly seconds: number[] } {
  const clock = new FakeClock();
  const seconds: number[] = [];
  return { clock, cycle: new ReadCycle(clock, (took) => void seconds.push(took)), seconds };
}

function numbered(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => 100 + index);
}

describe("a round over all declared guests", () => {
  test("gives everybody a turn before anybody has a second one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), (count) => {
        const { cycle } = cycleOf();
        const vmids = numbered(count);
        const turns: number[] = [];
        for (let poll = 0; turns.length < count && poll < count; poll++) turns.push(...cycle.next(vmids));
        expect(turns.slice(0, count)).toEqual([...vmids]);
      }),
    );
  });

  test("takes no more than its share of a poll, and no guest twice in one", () => {
    const { cycle } = cycleOf();
    expect(cycle.next(numbered(1_000))).toHaveLength(REREADS_PER_POLL_MAX);
    expect(cycleOf().cycle.next(numbered(3))).toEqual([100, 101, 102]);
    expect(cycleOf().cycle.next([])).toEqual([]);
  });

  test("tells how long it took, from the full read or the end of the round before", async () => {
    const { clock, cycle, seconds } = cycleOf();
    const vmids = numbered(2 * REREADS_PER_POLL_MAX);
    cycle.begin();
    await clock.advance(1_000);
    cycle.next(vmids);
    expect(seconds).toEqual([]);
    await clock.advance(2_000);
    cycle.next(vmids);
    expect(seconds).toEqual([3]);
    await clock.advance(500);
    cycle.next(vmids);
    cycle.next(vmids);
    expect(seconds).toEqual([3, 0.5]);
  });

  test("begins anew at a resync: the rest of the round before is not told as a whole one", async () => {
    const { clock, cycle, seconds } = cycleOf();
    const vmids = numbered(3 * REREADS_PER_POLL_MAX);
    cycle.begin();
    cycle.next(vmids);
    cycle.next(vmids);
    await clock.advance(1_000);
    cycle.begin();
    expect(cycle.next(vmids)).toEqual(vmids.slice(0, REREADS_PER_POLL_MAX));
    expect(seconds).toEqual([]);
    await clock.advance(4_000);
    cycle.next(vmids);
    cycle.next(vmids);
    expect(seconds).toEqual([4]);
  });

  test("is a whole one too when guests were declared or removed since the round before", async () => {
    const { clock, cycle, seconds } = cycleOf();
    cycle.begin();
    cycle.next(numbered(REREADS_PER_POLL_MAX));
    expect(seconds).toEqual([0]);
    const more = numbered(REREADS_PER_POLL_MAX + 1);
    await clock.advance(1_000);
    expect(cycle.next(more)).toEqual(more.slice(0, REREADS_PER_POLL_MAX));
    expect(seconds).toEqual([0]);
    await clock.advance(1_000);
    cycle.next([100, 101]);
    expect(seconds).toEqual([0, 2]);
    expect(cycle.next([100, 101])).toContain(100);
  });
});
