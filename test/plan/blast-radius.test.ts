import { describe, expect, test } from "bun:test";
import { countAffected, isHeldByBlastRadius } from "../../src/plan/blast-radius.ts";
import type { GuestPlan } from "../../src/plan/types.ts";

const START = { type: "start", guest: { kind: "qemu", vmid: 101 }, reason: "" } as const;
const PLAN: GuestPlan = {
  guest: START.guest, name: undefined, standing: "managed", actions: [], withheld: [], deferred: [], holds: [], restartPending: [], drivePending: [], driveUnknown: "", message: "",
};

test("affected are guests that are acted on, or would be were they not held just now", () => {
  const plans: GuestPlan[] = [
    PLAN,
    { ...PLAN, actions: [START] },
    { ...PLAN, withheld: [START], holds: [{ reason: "BulkTask", scope: "power", message: "" }] },
    { ...PLAN, standing: "observed", withheld: [START] },
    { ...PLAN, deferred: [{ key: "args", reason: "root_only", declared: "x", found: null, message: "" }] },
  ];
  expect(countAffected(plans)).toBe(2);
});

describe("a large revision is held", () => {
  const cases: readonly [number, number, number, boolean][] = [
    [0, 100, 20, false],
    [20, 100, 20, false],
    [21, 100, 20, true],
    [2, 4, 20, false],
    [3, 4, 20, true],
    [3, 15, 20, false],
    [3, 14, 20, true],
    [5, 5, 100, false],
    [3, 1000, 0, true],
  ];
  test.each(cases)("%i of %i at %i %%: %p", (affected, hostGuests, maxAffectedPercent, expected) => {
    expect(isHeldByBlastRadius({ affected, hostGuests, maxAffectedPercent })).toBe(expected);
  });
});
