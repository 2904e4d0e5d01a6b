import type { ConditionMoment, ConditionStatus, GuestConditionType, GuestReason } from "../conditions/condition.ts";
import type { ConditionTracker } from "../conditions/tracker.ts";
import type { DesiredGuest } from "../desired/model.ts";
import { isSecretKey } from "../plan/keys.ts";
import type { Action, DrivePendingField, GuestPlan } from "../plan/types.ts";
import { unreachable } from "../ports/errors.ts";

/**
 * How one reconcile ended: the word in metrics and in `status`. Closed, so that a metric can be
 * initialised for each.
 */
export const RECONCILE_RESULTS = [
  "in_sync", "acted", "observing", "ignored", "deferred", "held", "missing", "unreadable", "failed", "settling", "unknown",
  "revision_held", "dry_run", "journal_unavailable", "stopping", "conflict",
] as const;
export type ReconcileResult = (typeof RECONCILE_RESULTS)[number];

/** What one reconcile found, as far as conditions tell it. */
export interface GuestOutcome {
  readonly result: ReconcileResult;
  readonly desired: DesiredGuest;
  /** After the gate's judgement; undefined when the guest was not read. */
  readonly plan: GuestPlan | undefined;
  /** A failure's text, what is being waited for, or empty. */
  readonly message: string;
  /** Text of the pause in force, if any. */
  readonly pausedReason: string | undefined;
}

interface Verdict<T extends GuestConditionType> {
  readonly status: ConditionStatus;
  readonly reason: GuestReason<T>;
  readonly message: string;
}

/** Writes a guest's conditions, once per reconcile. */
export function recordConditions(tracker: ConditionTracker, outcome: GuestOutcome, at: ConditionMoment): void {
  const { desired } = outcome;
  const synced = syncedOf(outcome);
  tracker.setGuest(desired, "Synced", synced.status, synced.reason, synced.message, at);
  const held = heldOf(outcome);
  tracker.setGuest(desired, "Held", held.status, held.reason, held.message, at);
  const unknown = outcomeUnknownOf(outcome);
  tracker.setGuest(desired, "OutcomeUnknown", unknown.status, unknown.reason, unknown.message, at);
  const paused: Verdict<"Paused"> =
    outcome.pausedReason === undefined
      ? { status: "False", reason: "NotPaused", message: "" }
      : { status: "True", reason: "ByOperator", message: outcome.pausedReason };
  tracker.setGuest(desired, "Paused", paused.status, paused.reason, paused.message, at);
  // While a guest cannot be read, nothing is known about its pending values: the last word stands.
  if (outcome.plan === undefined || outcome.plan.standing === "unreadable") return;
  const pending = restartPendingOf(outcome.plan, desired);
  tracker.setGuest(desired, "RestartPending", pending.status, pending.reason, pending.message, at);
}

/**
 * Drift was found and is about to be mended: the event that says what was mended. A guest that was not
 * in sync before has its reason on record already; a retry is no news.
 */
export function recordDrift(tracker: ConditionTracker, plan: GuestPlan, at: ConditionMoment): void {
  if ((tracker.guestCondition(plan.guest.vmid, "Synced")?.status ?? "True") !== "True") return;
  tracker.setGuest(plan.guest, "Synced", "False", "Drifted", differencesOf(plan), at);
}

function syncedOf(outcome: GuestOutcome): Verdict<"Synced"> {
  const planned = differencesOf(outcome.plan);
  switch (outcome.result) {
    case "in_sync":
    case "acted":
      return { status: "True", reason: "InSync", message: "" };
    case "observing":
      return planned === "" ? { status: "True", reason: "Observing", message: "" } : { status: "False", reason: "Observing", message: planned };
    case "ignored":
      return { status: "Unknown", reason: "Ignored", message: "mode: ignore" };
    case "deferred":
      return { status: "False", reason: "Deferred", message: planned };
    case "held":
      return { status: "False", reason: "Held", message: planned === "" ? outcome.message : planned };
    case "missing":
      return outcome.plan?.standing === "on_other_node"
        ? { status: "Unknown", reason: "OnOtherNode", message: outcome.plan.message }
        : { status: "False", reason: "Missing", message: outcome.plan?.message ?? "" };
    case "unreadable":
      return { status: "Unknown", reason: "Unreadable", message: outcome.message };
    case "failed":
      return { status: "False", reason: "ActFailed", message: outcome.message };
    case "settling":
    case "unknown":
      return { status: "Unknown", reason: "Acting", message: outcome.message };
    case "revision_held":
      return { status: "False", reason: "RevisionHeld", message: planned };
    case "dry_run":
      return { status: "False", reason: "DryRun", message: planned };
    case "journal_unavailable":
      return { status: "False", reason: "JournalUnavailable", message: outcome.message };
    case "stopping":
      return { status: "Unknown", reason: "Acting", message: "the agent is stopping" };
    case "conflict":
      return { status: "Unknown", reason: "Conflict", message: outcome.message };
    default:
      return unreachable(outcome.result);
  }
}

function heldOf(outcome: GuestOutcome): Verdict<"Held"> {
  if (outcome.result === "settling" || outcome.result === "unknown") return { status: "True", reason: "ActUnsettled", message: outcome.message };
  const hold = outcome.plan?.holds[0];
  return hold === undefined ? { status: "False", reason: "NotHeld", message: "" } : { status: "True", reason: hold.reason, message: hold.message };
}

function outcomeUnknownOf(outcome: GuestOutcome): Verdict<"OutcomeUnknown"> {
  if (outcome.result === "settling") return { status: "Unknown", reason: "Settling", message: outcome.message };
  if (outcome.result === "unknown") return { status: "True", reason: "Unknown", message: outcome.message };
  return { status: "False", reason: "AllKnown", message: "" };
}

function restartPendingOf(plan: GuestPlan, { mode, vmid }: DesiredGuest): Verdict<"RestartPending"> {
  const { restartPending, drivePending } = plan;
  const fields = restartPending.map((field) => (isSecretKey(field.key) ? field.key : `${field.key} ${field.running ?? "absent"} → ${field.pending ?? "absent"}`));
  const drive = drivePending.length === 0 ? "" : `waits for a regenerated cloud-init drive: ${drivePending.map(describeDriveField).join("; ")}`;
  if (fields.length > 0) {
    const restart = `applies at the next restart: ${fields.join("; ")}`;
    const command = mode === "enforce" ? `; "agent restart ${vmid} --key NAME" restarts it once` : "";
    return { status: "True", reason: "PendingValues", message: `${restart}${drive === "" ? "" : `; ${drive}`}${command}` };
  }
  if (drive !== "") return { status: "True", reason: "CloudInitDrive", message: drive };
  return { status: "False", reason: "NothingPending", message: "" };
}

function describeDriveField({ key, onDrive, isTold, configured }: DrivePendingField): string {
  if (isSecretKey(key) || !isTold) return key;
  return `${key} ${onDrive ?? "absent"} → ${configured ?? "absent"}`;
}

/** "cores 2 → 4; start; deferred: args (root_only)": what is not as declared, in one line. Empty when nothing is. */
export function differencesOf(plan: GuestPlan | undefined): string {
  const acts = actsOf(plan).flatMap(describeAction);
  const kept = (plan?.deferred ?? []).map((entry) => `deferred: ${entry.key} (${entry.reason})`);
  return [...acts, ...kept].join("; ");
}

/** How many declared things differ, each key once; run state counts as one. */
export function driftedFieldsOf(plan: GuestPlan | undefined): number {
  const keys = new Set((plan?.deferred ?? []).map((entry) => entry.key));
  for (const action of actsOf(plan)) {
    if (action.type === "set_config") for (const change of action.changes) keys.add(change.key);
    else keys.add("state");
  }
  return keys.size;
}

function actsOf(plan: GuestPlan | undefined): readonly Action[] {
  return [...(plan?.actions ?? []), ...(plan?.withheld ?? [])];
}

function describeAction(action: Action): readonly string[] {
  if (action.type !== "set_config") return [action.type];
  return action.changes.map((change) =>
    isSecretKey(change.key) ? `${change.key} differs` : `${change.key} ${change.foundRaw ?? "absent"} → ${change.send ?? "absent"}`,
  );
}
