import type { HaStatus, ObservedGuest } from "../guest/observed.ts";
import type { GuestPlanInput, GuestSituation, PlanFacts } from "./input.ts";
import { planGuest } from "./plan-guest.ts";
import type { GuestPlan } from "./types.ts";

/**
 * More guests than one host ever has, so in practice entries go only when their guest does; the bound
 * is for a caller that never says which guests are gone. About 1 KB an entry.
 */
const ENTRIES_MAX = 50_000;

interface Entry {
  input: GuestPlanInput;
  readonly plan: GuestPlan;
}

/**
 * Remembers each guest's last plan and gives the same object again while nothing it was computed from
 * has changed: the very same declaration object, config digest (it covers pending values), run state,
 * lock, HA state, situation and facts. It never changes what a plan says, only what it costs.
 */
export class PlanCache {
  readonly #entries = new Map<number, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** The plan of `input`, computed only when something changed. */
  plan(input: GuestPlanInput): GuestPlan {
    const { vmid } = input.desired;
    const known = this.#entries.get(vmid);
    if (known !== undefined && isSameInput(known.input, input)) {
      // The newer, equal one: so the observation before it can be collected.
      known.input = input;
      return known.plan;
    }
    const plan = planGuest(input);
    this.#makeRoom(vmid);
    this.#entries.set(vmid, { input, plan });
    return plan;
  }

  /** Forgets every guest that is not in `vmids`; called after a full read of the host. */
  retain(vmids: { has(vmid: number): boolean }): void {
    for (const vmid of this.#entries.keys()) if (!vmids.has(vmid)) this.#entries.delete(vmid);
  }

  #makeRoom(vmid: number): void {
    if (this.#entries.size < ENTRIES_MAX || this.#entries.has(vmid)) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }
}

function isSameInput(left: GuestPlanInput, right: GuestPlanInput): boolean {
  return (
    left.desired === right.desired &&
    left.absence === right.absence &&
    left.absenceMessage === right.absenceMessage &&
    isSameObservation(left.observed, right.observed) &&
    isSameSituation(left.situation, right.situation) &&
    areSameFacts(left.facts, right.facts)
  );
}

/** The digest stands for the whole config, both views. Identity follows from the config. */
function isSameObservation(left: ObservedGuest | undefined, right: ObservedGuest | undefined): boolean {
  if (left === right) return true;
  if (left === undefined || right === undefined) return false;
  return (
    left.config.digest === right.config.digest &&
    left.runState === right.runState &&
    left.lock === right.lock &&
    left.name === right.name &&
    left.isTemplate === right.isTemplate &&
    left.node === right.node &&
    left.kind === right.kind &&
    left.vmid === right.vmid &&
    isSameHaStatus(left.ha, right.ha)
  );
}

function isSameHaStatus(left: HaStatus | undefined, right: HaStatus | undefined): boolean {
  return left === right || (left?.isManaged === right?.isManaged && left?.state === right?.state);
}

function isSameSituation(left: GuestSituation, right: GuestSituation): boolean {
  return (
    left === right ||
    (left.pausedReason === right.pausedReason &&
      left.isActUnsettled === right.isActUnsettled &&
      left.foreignTask === right.foreignTask &&
      left.bulkTask === right.bulkTask &&
      left.mustWaitForOrder === right.mustWaitForOrder &&
      left.shutdownFailed === right.shutdownFailed)
  );
}

function areSameFacts(left: PlanFacts, right: PlanFacts): boolean {
  return (
    left === right ||
    (left.node === right.node &&
      left.tagStyle.isOrdered === right.tagStyle.isOrdered &&
      left.tagStyle.isCaseSensitive === right.tagStyle.isCaseSensitive &&
      left.pveVersion.major === right.pveVersion.major &&
      left.pveVersion.minor === right.pveVersion.minor &&
      left.pveVersion.patch === right.pveVersion.patch)
  );
}
