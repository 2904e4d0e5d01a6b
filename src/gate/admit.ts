import type { ObservedGuest } from "../guest/observed.ts";
import type { Provenance } from "../journal/types.ts";
import type { Action, Deferred, FieldChange, GuestPlan } from "../plan/types.ts";
import { classifyChange, classifyPowerAct, isSameGuest } from "./classify.ts";
import type { Admission, ApprovedAction, Classification } from "./types.ts";

/**
 * Splits planned actions into what may be sent and what is deferred. A set_config keeps its benign
 * changes; one without any is dropped. Nothing is lost: each change is in exactly one of the two.
 * @param observed the guest as it was read for this plan; undefined defers everything
 */
export function admit(actions: readonly Action[], observed: ObservedGuest | undefined, provenance: Provenance = "desired"): Admission {
  const approved: ApprovedAction[] = [];
  const deferred: Deferred[] = [];
  for (const action of actions) {
    const benign = benignPart(action, observed, provenance, deferred);
    if (benign !== undefined) approved.push(approve(benign));
  }
  return { approved, deferred };
}

/** A plan as the gate lets it stand: what it defers is moved from the actions, withheld ones too, to the deferred. */
export function gatePlan(plan: GuestPlan, observed: ObservedGuest | undefined): GuestPlan {
  if (plan.actions.length === 0 && plan.withheld.length === 0) return plan;
  const now = admit(plan.actions, observed);
  const later = admit(plan.withheld, observed);
  return {
    ...plan,
    actions: now.approved,
    withheld: later.approved,
    deferred: [...plan.deferred, ...now.deferred, ...later.deferred],
    // When all that was withheld is deferred anyway, only a run state that cannot be reached is still held.
    holds: later.approved.length > 0 ? plan.holds : plan.holds.filter((hold) => hold.scope === "power"),
  };
}

function benignPart(action: Action, observed: ObservedGuest | undefined, provenance: Provenance, deferred: Deferred[]): Action | undefined {
  if (action.type !== "set_config") {
    return note(classifyPowerAct(action, observed, provenance), deferred) ? action : undefined;
  }
  // Judged against a guest that it is not for, a change is judged against nothing.
  const judgedBy = isSameGuest(action.guest, observed) && observed.config.digest === action.digest ? observed : undefined;
  const changes = action.changes.filter((change: FieldChange) => note(classifyChange(change, judgedBy, provenance), deferred));
  return changes.length === 0 ? undefined : { ...action, changes };
}

/** True when benign; else the reason is kept. */
function note(classification: Classification, deferred: Deferred[]): boolean {
  if (classification.class === "benign") return true;
  deferred.push(classification.deferred);
  return false;
}

/** The only place that makes one. */
function approve(action: Action): ApprovedAction {
  return action as ApprovedAction;
}
