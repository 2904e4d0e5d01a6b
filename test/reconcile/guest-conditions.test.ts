import { describe, expect, test } from "bun:test";
import { GUEST_CONDITIONS, type GuestConditionType } from "../../src/conditions/condition.ts";
import { ConditionTracker } from "../../src/conditions/tracker.ts";
import type { Action, Deferred, GuestPlan, Hold } from "../../src/plan/types.ts";
import { differencesOf, driftedFieldsOf, RECONCILE_RESULTS, recordConditions, type GuestOutcome, type ReconcileResult } from "../../src/reconcile/guest-conditions.ts";
import { desiredGuest } from "../support/guests.ts";

const GUEST = { kind: "qemu", vmid: 101 } as const;
const EMPTY: GuestPlan = { guest: GUEST, name: "web", standing: "managed", actions: [], withheld: [], deferred: [], holds: [], restartPending: [], drivePending: [], driveUnknown: "", message: "" };
const CORES: Action = { type: "set_config", guest: GUEST, digest: "d", changes: [{ key: "cores", change: "set", declared: "4", found: "2", foundRaw: "2", send: "4", applies: "now" }] };
const SECRET: Action = { type: "set_config", guest: GUEST, digest: "d", changes: [{ key: "cipassword", change: "set", declared: "hunter2", found: "hunter1", foundRaw: "hunter1", send: "hunter2", applies: "now" }] };
const START: Action = { type: "start", guest: GUEST, reason: "" };
const ARGS: Deferred = { key: "args", reason: "root_only", declared: "-x", found: null, message: "" };
const LOCKED: Hold = { reason: "Locked", scope: "all", message: "locked by Proxmox (backup)" };

function recorded(outcome: Partial<GuestOutcome> & { result: ReconcileResult }): (type: GuestConditionType) => string {
  const tracker = new ConditionTracker(0, () => {});
  recordConditions(tracker, { desired: desiredGuest(), plan: EMPTY, message: "", pausedReason: undefined, ...outcome }, { nowMs: 0, generation: "g" });
  return (type) => {
    const condition = tracker.guestCondition(101, type);
    return condition === undefined ? "" : [condition.status, condition.reason, condition.message].join(" ").trim();
  };
}

/** What each result makes of the guest, everything else being as in a plan that has one difference. */
const SYNCED: Readonly<Record<ReconcileResult, string>> = {
  in_sync: "True InSync", acted: "True InSync", ignored: "Unknown Ignored mode: ignore",
  observing: "False Observing cores 2 → 4", deferred: "False Deferred cores 2 → 4", held: "False Held cores 2 → 4",
  missing: "False Missing", unreadable: "Unknown Unreadable why", failed: "False ActFailed why", settling: "Unknown Acting why", unknown: "Unknown Acting why",
  revision_held: "False RevisionHeld cores 2 → 4", dry_run: "False DryRun cores 2 → 4", journal_unavailable: "False JournalUnavailable why",
  stopping: "Unknown Acting the agent is stopping", conflict: "Unknown Conflict why",
};

describe("every result has its condition", () => {
  test.each(RECONCILE_RESULTS.map((result) => [result, SYNCED[result]] as const))("%s: Synced %s", (result, synced) => {
    const at = recorded({ result, plan: { ...EMPTY, actions: [CORES] }, message: "why" });
    expect(at("Synced")).toBe(synced);
    for (const type of ["Held", "OutcomeUnknown", "Paused", "RestartPending"] as const) {
      const [status, reason] = at(type).split(" ");
      expect(["True", "False", "Unknown"]).toContain(status ?? "");
      expect(GUEST_CONDITIONS[type].reasons as readonly string[]).toContain(reason ?? "");
    }
  });

  test.each([["settling", "Unknown Settling m"], ["unknown", "True Unknown m"], ["in_sync", "False AllKnown"], ["failed", "False AllKnown"]] as const)("%s: OutcomeUnknown %s", (result, expected) => {
    const at = recorded({ result, message: "m" });
    expect(at("OutcomeUnknown")).toBe(expected);
    expect(at("Held")).toBe(result === "settling" || result === "unknown" ? "True ActUnsettled m" : "False NotHeld");
  });

  test("a hold is shown with its reason; one without a difference shows what is stuck", () => {
    const at = recorded({ result: "held", plan: { ...EMPTY, withheld: [START], holds: [LOCKED] }, message: LOCKED.message });
    expect([at("Held"), at("Synced")]).toEqual(["True Locked locked by Proxmox (backup)", "False Held start"]);
    expect(recorded({ result: "held", plan: { ...EMPTY, holds: [{ reason: "GuestPaused", scope: "power", message: "its run state is paused" }] }, message: "its run state is paused" })("Synced")).toBe("False Held its run state is paused");
  });

  test("a guest on another node is nobody's difference", () => {
    expect(recorded({ result: "missing", plan: { ...EMPTY, standing: "on_other_node", message: "is on node pve2" } })("Synced")).toBe("Unknown OnOtherNode is on node pve2");
  });

  test("an observed guest that does not differ is in sync, as observed", () => {
    expect(recorded({ result: "observing" })("Synced")).toBe("True Observing");
  });

  test("a pause is shown with its words", () => {
    expect(recorded({ result: "in_sync", pausedReason: "paused since T: mine" })("Paused")).toBe("True ByOperator paused since T: mine");
  });
});

describe("pending values", () => {
  const pending = { ...EMPTY, restartPending: [{ key: "cores", running: "1", pending: "2" }, { key: "vga", running: undefined, pending: "std" }, { key: "cpu", running: "host", pending: undefined }] };

  test("are listed with what runs and what will", () => {
    expect(recorded({ result: "in_sync", plan: pending })("RestartPending")).toBe("True PendingValues applies at the next restart: cores 1 → 2; vga absent → std; cpu host → absent; \"agent restart 101 --key NAME\" restarts it once");
  });

  test("secrets are named without their values", () => {
    const at = recorded({ result: "in_sync", plan: { ...EMPTY, restartPending: [{ key: "cipassword", running: "hunter1", pending: "hunter2" }] } });
    expect(at("RestartPending")).toBe("True PendingValues applies at the next restart: cipassword; \"agent restart 101 --key NAME\" restarts it once");
  });

  test.each([["not read", undefined], ["unreadable", { ...EMPTY, standing: "unreadable" as const }]])("what was known stays while the guest is %s", (_, plan) => {
    const tracker = new ConditionTracker(0, () => {});
    const base = { desired: desiredGuest(), message: "", pausedReason: undefined };
    recordConditions(tracker, { ...base, result: "in_sync", plan: pending }, { nowMs: 0, generation: "g" });
    recordConditions(tracker, { ...base, result: "unreadable", plan }, { nowMs: 1, generation: "g" });
    expect(tracker.guestCondition(101, "RestartPending")?.status).toBe("True");
  });
});

describe("differences in words and numbers", () => {
  test("acts, those withheld too, then what is deferred, in one line without secrets", () => {
    const plan: GuestPlan = { ...EMPTY, actions: [CORES, SECRET], withheld: [START], deferred: [ARGS] };
    expect(differencesOf(plan)).toBe("cores 2 → 4; cipassword differs; start; deferred: args (root_only)");
    expect(driftedFieldsOf(plan)).toBe(4);
  });

  test("a key counts once, no plan counts nothing", () => {
    expect(driftedFieldsOf({ ...EMPTY, actions: [CORES], deferred: [{ ...ARGS, key: "cores" }] })).toBe(1);
    expect([driftedFieldsOf(undefined), differencesOf(undefined), differencesOf(EMPTY)]).toEqual([0, "", ""]);
  });
});
