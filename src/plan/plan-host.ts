import type { GuestPlanInput } from "./input.ts";
import { planGuest } from "./plan-guest.ts";
import type { GuestPlan } from "./types.ts";

/** The plans of a host's declared guests in vmid order, with what they add up to. */
export interface HostPlan {
  readonly guests: readonly GuestPlan[];
  readonly summary: PlanSummary;
}

/** Counts of guests, but for the three that say otherwise. */
export interface PlanSummary {
  readonly guests: number;
  readonly inSync: number;
  /** Guests with something to send. */
  readonly changing: number;
  /** Config keys that would be set or deleted, starts, shutdowns: over all guests with something to send. */
  readonly fieldChanges: number;
  readonly starts: number;
  readonly shutdowns: number;
  /** Guests of which something is withheld by a hold. */
  readonly held: number;
  /** Guests in mode observe that differ. */
  readonly observedDrift: number;
  /** Guests of which something declared is deferred. */
  readonly deferred: number;
  readonly restartPending: number;
  /** Guests whose cloud-init drive is older than what is declared. */
  readonly drivePending: number;
  readonly missing: number;
  readonly onOtherNode: number;
  readonly unreadable: number;
  readonly conflicts: number;
  readonly ignored: number;
}

/** Plans every input; `plan` may be a cache's. */
export function planHost(inputs: readonly GuestPlanInput[], plan: (input: GuestPlanInput) => GuestPlan = planGuest): HostPlan {
  return hostPlanOf(inputs.map((input) => plan(input)));
}

/** Sorts plans by vmid and adds them up, e.g. after the gate has judged them. */
export function hostPlanOf(plans: readonly GuestPlan[]): HostPlan {
  const guests = plans.toSorted((left, right) => left.guest.vmid - right.guest.vmid || left.guest.kind.localeCompare(right.guest.kind));
  return { guests, summary: summarize(guests) };
}

/** Nothing to send, nothing withheld, nothing for a person to do. Pending values alone are in sync. */
export function isInSync(plan: GuestPlan): boolean {
  return (
    plan.standing !== "conflict" && plan.standing !== "unreadable" &&
    plan.actions.length === 0 && plan.withheld.length === 0 && plan.deferred.length === 0 && plan.holds.length === 0
  );
}

function summarize(plans: readonly GuestPlan[]): PlanSummary {
  const count = (claim: (plan: GuestPlan) => boolean): number => plans.filter(claim).length;
  const actions = plans.flatMap((plan) => plan.actions);
  return {
    guests: plans.length,
    inSync: count((plan) => plan.standing !== "ignored" && isInSync(plan)),
    changing: count((plan) => plan.actions.length > 0),
    fieldChanges: actions.reduce((sum, action) => sum + (action.type === "set_config" ? action.changes.length : 0), 0),
    starts: actions.filter((action) => action.type === "start").length,
    shutdowns: actions.filter((action) => action.type === "shutdown").length,
    held: count((plan) => plan.holds.length > 0),
    observedDrift: count((plan) => plan.standing === "observed" && plan.withheld.length > 0),
    deferred: count((plan) => plan.deferred.length > 0),
    restartPending: count((plan) => plan.restartPending.length > 0),
    drivePending: count((plan) => plan.drivePending.length > 0),
    missing: count((plan) => plan.standing === "missing" && !isInSync(plan)),
    onOtherNode: count((plan) => plan.standing === "on_other_node"),
    unreadable: count((plan) => plan.standing === "unreadable"),
    conflicts: count((plan) => plan.standing === "conflict"),
    ignored: count((plan) => plan.standing === "ignored"),
  };
}
