import { describe, expect, test } from "bun:test";
import type { Condition } from "../../src/conditions/condition.ts";
import { RECONCILE_RESULTS, type ReconcileResult } from "../../src/reconcile/guest-conditions.ts";
import { onceExit, problemsOf, remainingOf } from "../../src/reconcile/once.ts";
import type { GuestView } from "../../src/reconcile/types.ts";
import type { GuestPlan } from "../../src/plan/types.ts";

const EMPTY: GuestPlan = { guest: { kind: "qemu", vmid: 101 }, name: "web", standing: "managed", actions: [], withheld: [], deferred: [], holds: [], restartPending: [], drivePending: [], driveUnknown: "", message: "" };

function view(result: ReconcileResult, plan: Partial<GuestPlan> = {}): GuestView {
  return { guest: EMPTY.guest, name: "web", runState: "running", result, plan: { ...EMPTY, ...plan }, message: "", refused: [] };
}

/** The exit code of a run that ended with one guest like this. */
const EXITS: Readonly<Record<ReconcileResult, number>> = {
  in_sync: 0, acted: 0, ignored: 0, observing: 0,
  deferred: 2, held: 2, missing: 2, settling: 2, unknown: 2, revision_held: 2, dry_run: 2, stopping: 2, conflict: 2,
  failed: 1, unreadable: 1, journal_unavailable: 1,
};

describe("the exit code of run --once", () => {
  test("is 4 with a corrupt journal, whatever else is", () => {
    expect([onceExit([], [], true, true), onceExit([view("failed")], ["x"], false, true), onceExit([], [], true, false)]).toEqual([4, 4, 0]);
  });

  test.each(RECONCILE_RESULTS.map((result) => [result, EXITS[result]] as const))("%s: %p", (result, exit) => {
    expect(onceExit(remainingOf([view("in_sync"), view(result)]), [], true)).toBe(exit as 0 | 1 | 2);
  });

  test.each([
    ["observed drift", view("observing", { withheld: [{ type: "start", guest: EMPTY.guest, reason: "" }] }), 2],
    ["observed and deferred", view("observing", { deferred: [{ key: "args", reason: "root_only", declared: "x", found: null, message: "" }] }), 2],
    ["pending values alone", view("in_sync", { restartPending: [{ key: "cores", running: "1", pending: "2" }] }), 0],
    ["a guest of another node", view("missing", { standing: "on_other_node" }), 0],
  ] as const)("%s", (_, guest, exit) => {
    expect(onceExit(remainingOf([guest]), [], true)).toBe(exit);
  });

  test("a problem of the host or a first read that never ended is an error, whatever the guests say", () => {
    expect([onceExit([], ["ProxmoxReachable is False (Unreachable)"], true), onceExit([], [], false), onceExit([], [], true)]).toEqual([1, 1, 0]);
  });

  test("a failure outweighs what waits for a person", () => {
    expect(onceExit(remainingOf([view("held"), view("failed")]), [], true)).toBe(1);
  });
});

test("problems are the required host conditions that are False, in words", () => {
  const condition = (type: Condition["type"], status: Condition["status"], reason: string, message = ""): Condition => ({ type, status, reason, message, lastTransitionTime: "", observedGeneration: "" });
  expect(problemsOf([
    condition("ProxmoxReachable", "False", "Untrusted", "another certificate"),
    condition("QuorumOk", "Unknown", "NotVisible"),
    condition("RevisionHeld", "True", "TooManyAffected"),
    condition("RevisionHeld", "False", "NotHeld"),
    condition("ClockSane", "False", "BehindJournal"),
    condition("Synced", "False", "Drifted"),
  ])).toEqual(["ProxmoxReachable is False (Untrusted): another certificate", "ClockSane is False (BehindJournal)"]);
});
