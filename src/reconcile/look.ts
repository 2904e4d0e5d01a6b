import type { DesiredGuest } from "../desired/model.ts";
import { admit, gatePlan } from "../gate/admit.ts";
import type { ApprovedAction } from "../gate/types.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import type { GuestPlanInput, GuestSituation } from "../plan/input.ts";
import { planGuest } from "../plan/plan-guest.ts";
import type { PlanCache } from "../plan/plan-cache.ts";
import type { Action, GuestPlan } from "../plan/types.ts";
import type { ProxmoxApi, ProxmoxFault } from "../ports/proxmox-api.ts";
import type { HostFacts, HostSnapshot } from "./host-snapshot.ts";
import { observeGuest, refine } from "./observe.ts";

/** Everything one read of a guest tells: how it is, what is planned, what the gate lets through. */
export interface Look {
  readonly observed: ObservedGuest | undefined;
  /** The plan after the gate's judgement: what it keeps back is in `deferred`. */
  readonly plan: GuestPlan;
  /** The plan's actions, ready to be executed, in order. */
  readonly approved: readonly ApprovedAction[];
  /** Why the guest could not be read. */
  readonly fault: ProxmoxFault | undefined;
  /** Does the run state come from status/current? */
  readonly isStatusRead: boolean;
}

export interface LookInput {
  readonly api: ProxmoxApi;
  readonly desired: DesiredGuest;
  readonly snapshot: HostSnapshot;
  readonly facts: HostFacts;
  readonly situation: GuestSituation;
  readonly cache?: PlanCache;
  /** Ask status/current about a guest that is declared running and listed so: the list cannot tell paused. */
  readonly wantsStatus?: boolean;
}

/**
 * Reads a guest and plans for it. status/current is asked when a power act is planned, for the list
 * cannot tell paused from running and does not know locks and HA; and when the caller wants it.
 */
export async function lookAtGuest(input: LookInput): Promise<Look> {
  const observation = await observeGuest(input.api, input.desired, input.snapshot, input.facts);
  if (observation.kind !== "observed") {
    const plan = planGuest({ ...planInput(input), observed: undefined, absence: observation.kind, absenceMessage: observation.message });
    return { observed: undefined, plan, approved: [], fault: observation.kind === "unreadable" ? observation.fault : undefined, isStatusRead: false };
  }
  const first = planFor(input, observation.guest);
  const hasPowerAct = [...first.actions, ...first.withheld].some(isPowerAct);
  if (!hasPowerAct && !isWorthAsking(input, observation.guest)) return admitted(observation.guest, first, false);
  const status = await input.api.readStatus(input.desired);
  // Without an act that depends on it, what the list says stands until the next time.
  if (!status.ok && !hasPowerAct) return admitted(observation.guest, first, false);
  if (!status.ok) {
    const plan = planGuest({ ...planInput(input), observed: undefined, absence: "unreadable", absenceMessage: status.error.message });
    return { observed: observation.guest, plan, approved: [], fault: status.error, isStatusRead: false };
  }
  const refined = refine(observation.guest, status.value);
  return admitted(refined, planFor(input, refined), true);
}

/** Containers have no paused state that the list hides (docs/proxmox.md, "Reading"). */
function isWorthAsking({ desired, wantsStatus }: LookInput, { kind, runState }: ObservedGuest): boolean {
  return wantsStatus === true && kind === "qemu" && desired.state === "running" && runState === "running";
}

/** Whether the act changes the run state: start, shutdown, reboot. */
export function isPowerAct(action: Action): boolean {
  return action.type !== "set_config";
}

function planFor(input: LookInput, observed: ObservedGuest): GuestPlan {
  const whole = { ...planInput(input), observed };
  return input.cache === undefined ? planGuest(whole) : input.cache.plan(whole);
}

function planInput(input: LookInput): Omit<GuestPlanInput, "observed"> {
  return {
    desired: input.desired,
    situation: input.situation,
    facts: input.facts,
  };
}

function admitted(observed: ObservedGuest, plan: GuestPlan, isStatusRead: boolean): Look {
  const judged = gatePlan(plan, observed);
  return { observed, plan: judged, approved: admit(judged.actions, observed).approved, fault: undefined, isStatusRead };
}
