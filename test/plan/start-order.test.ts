import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { mayStart, type StartCandidate, startupOf } from "../../src/plan/start-order.ts";

const candidate = (vmid: number, order?: number, upSeconds = 0, isReady = true): StartCandidate => ({ vmid, order, upSeconds, isReady });
const startable = (candidates: readonly StartCandidate[], concurrent = 1): number[] =>
  candidates.filter(({ vmid }) => mayStart(vmid, candidates, [], 0, concurrent).mayStart).map(({ vmid }) => vmid);

describe("whose turn it is to start", () => {
  const cases: readonly [string, readonly StartCandidate[], number, readonly number[]][] = [
    ["the lowest order first", [candidate(101, 2), candidate(102, 1)], 1, [102]],
    ["no order last", [candidate(101), candidate(102, 9)], 1, [102]],
    ["order 0 before order 1", [candidate(101, 1), candidate(102, 0)], 1, [102]],
    ["within one order by vmid", [candidate(103, 1), candidate(101, 1), candidate(102, 1)], 1, [101]],
    ["as many of one order as may be on their way", [candidate(103, 1), candidate(101, 1), candidate(102, 1)], 2, [101, 102]],
    ["never two orders at once", [candidate(101, 1), candidate(102, 2)], 2, [101]],
    ["a neighbour with a delay before the next", [candidate(101, 1, 30), candidate(102, 1)], 2, [101]],
    ["a lower one that cannot start blocks nobody", [candidate(101, 1, 30, false), candidate(102, 2)], 1, [101, 102]],
  ];
  test.each(cases)("%s", (_, candidates, concurrent, expected) => {
    expect(startable(candidates, concurrent)).toEqual([...expected]);
    expect(startable(candidates.toReversed(), concurrent).toReversed()).toEqual([...expected]);
  });

  test("a guest's delay is kept by those after it, and only by them", () => {
    const recent = [{ vmid: 105, order: 1, upSeconds: 30, startedAtMs: 1000 }];
    const turn = (other: StartCandidate, nowMs: number) => mayStart(other.vmid, [other], recent, nowMs);
    expect(turn(candidate(101, 2), 11_000)).toEqual({ mayStart: false, reason: "guest 105 asks for a delay, 20 s of it are left" });
    expect(turn(candidate(101, 2), 31_000)).toEqual({ mayStart: true });
    expect(turn(candidate(106, 1), 11_000).mayStart).toBe(false);
    expect(turn(candidate(101), 11_000).mayStart).toBe(false);
    expect(turn(candidate(104, 1), 11_000).mayStart).toBe(true);
    expect(turn(candidate(101, 0), 11_000).mayStart).toBe(true);
  });

  test("says which guest it waits for", () => {
    expect(mayStart(102, [candidate(102, 2), candidate(101, 1)], [], 0)).toEqual({ mayStart: false, reason: "guest 101 starts first" });
  });

  test("a guest that is no candidate is not kept waiting", () => {
    expect(mayStart(999, [candidate(101, 1)], [], 0)).toEqual({ mayStart: true });
  });

  const anyCandidates = fc.uniqueArray(
    fc.record({ vmid: fc.integer({ min: 100, max: 130 }), order: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }), upSeconds: fc.constantFrom(0, 30), isReady: fc.boolean() }),
    { selector: ({ vmid }) => vmid, minLength: 1 },
  );

  test("somebody who can start may always start: no deadlock (property)", () => {
    fc.assert(fc.property(anyCandidates, fc.integer({ min: 1, max: 3 }), (candidates, concurrent) => {
      const ready = candidates.filter(({ isReady }) => isReady);
      if (ready.length > 0) expect(ready.some(({ vmid }) => startable(candidates, concurrent).includes(vmid))).toBe(true);
    }));
  });

  test("those ready start in the order of startall when one goes at a time (property)", () => {
    fc.assert(fc.property(anyCandidates, (candidates) => {
      const started: number[] = [];
      for (let left = candidates.filter(({ isReady }) => isReady); left.length > 0; left = left.filter(({ vmid }) => vmid !== started.at(-1))) {
        const turns = startable(left);
        expect(turns).toHaveLength(1);
        started.push(...turns);
      }
      const rank = (vmid: number): number => candidates.find((one) => one.vmid === vmid)?.order ?? Infinity;
      const expected = started.toSorted((a, b) => (rank(a) === rank(b) ? a - b : rank(a) - rank(b)));
      expect(started).toEqual(expected);
    }));
  });
});

test("startup is read in every spelling", () => {
  const cases: readonly [string | undefined, number | undefined, number][] = [
    ["order=2,up=30,down=60", 2, 30],
    ["2,up=30", 2, 30],
    ["up=30, order=01", 1, 30],
    ["down=5", undefined, 0],
    ["order=x", undefined, 0],
    [" ", undefined, 0],
    [undefined, undefined, 0],
  ];
  for (const [startup, order, upSeconds] of cases) {
    expect(startupOf(startup === undefined ? {} : { startup })).toMatchObject({ order, upSeconds });
  }
});
