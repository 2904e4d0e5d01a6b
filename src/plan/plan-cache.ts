import type { DesiredGuest } from "../desired/model.ts";
import type { DriveState, HaStatus, ObservedGuest } from "../guest/observed.ts";
import type { Absence, GuestPlanInput, GuestSituation, PlanFacts } from "./input.ts";
import { planGuest } from "./plan-guest.ts";
import type { GuestPlan } from "./types.ts";

/**
 * More guests than one host ever has, so in practice entries go only when their guest does; the bound
 * is for a caller that never says which guests are gone. About 1 KB an entry.
 */
export const CACHED_PLANS_MAX = 50_000;

/** What a plan was computed from, without the configuration itself: its digest stands for both views. */
interface Basis {
  readonly desired: DesiredGuest;
  readonly absence: Absence | undefined;
  readonly absenceMessage: string | undefined;
  readonly observed: ObservationKey | undefined;
  readonly situation: GuestSituation;
  readonly facts: PlanFacts;
}

/** An observation as far as a plan depends on it. Identity follows from the config. */
type ObservationKey = Pick<ObservedGuest, "kind" | "vmid" | "node" | "name" | "runState" | "isTemplate" | "lock" | "ha" | "drive"> & { readonly digest: string };

interface Entry {
  readonly basis: Basis;
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
    if (known !== undefined && isSameInput(known.basis, input)) return known.plan;
    const plan = planGuest(input);
    this.#makeRoom(vmid);
    this.#entries.set(vmid, { basis: basisOf(input), plan });
    return plan;
  }

  /** Forgets every guest that is not in `vmids`; called after a full read of the host. */
  retain(vmids: { has(vmid: number): boolean }): void {
    for (const vmid of this.#entries.keys()) if (!vmids.has(vmid)) this.#entries.delete(vmid);
  }

  #makeRoom(vmid: number): void {
    if (this.#entries.size < CACHED_PLANS_MAX || this.#entries.has(vmid)) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }
}

function basisOf({ desired, absence, absenceMessage, observed, situation, facts }: GuestPlanInput): Basis {
  return { desired, absence, absenceMessage, observed: observed === undefined ? undefined : keyOf(observed), situation, facts };
}

function keyOf({ kind, vmid, node, name, runState, isTemplate, lock, ha, drive, config }: ObservedGuest): ObservationKey {
  return { kind, vmid, node, name, runState, isTemplate, lock, ha, ...(drive === undefined ? {} : { drive }), digest: config.digest };
}

function isSameInput(known: Basis, input: GuestPlanInput): boolean {
  return (
    known.desired === input.desired &&
    known.absence === input.absence &&
    known.absenceMessage === input.absenceMessage &&
    isSameObservation(known.observed, input.observed) &&
    isSameSituation(known.situation, input.situation) &&
    areSameFacts(known.facts, input.facts)
  );
}

function isSameObservation(known: ObservationKey | undefined, observed: ObservedGuest | undefined): boolean {
  if (known === undefined || observed === undefined) return known === observed;
  return (
    known.digest === observed.config.digest &&
    known.runState === observed.runState &&
    known.lock === observed.lock &&
    known.name === observed.name &&
    known.isTemplate === observed.isTemplate &&
    known.node === observed.node &&
    known.kind === observed.kind &&
    known.vmid === observed.vmid &&
    isSameHaStatus(known.ha, observed.ha) &&
    isSameDrive(known.drive, observed.drive)
  );
}

/** What is known of a drive belongs to the digest; whether it could be read does not. */
function isSameDrive(left: DriveState | undefined, right: DriveState | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return left.isKnown ? right.isKnown && left.changes === right.changes : !right.isKnown && left.message === right.message;
}

function isSameHaStatus(left: HaStatus | undefined, right: HaStatus | undefined): boolean {
  return left === right || (left?.isManaged === right?.isManaged && left?.state === right?.state);
}

/** A field of the situation that is forgotten here would leave a stale plan in force: the compiler asks for each. */
const SITUATION_FIELDS: Readonly<Record<keyof GuestSituation, true>> = {
  pausedReason: true, isActUnsettled: true, hasNoQuorum: true, foreignTask: true, bulkTask: true, mustWaitForOrder: true, shutdownFailed: true,
};

function isSameSituation(left: GuestSituation, right: GuestSituation): boolean {
  if (left === right) return true;
  let field: keyof GuestSituation;
  for (field in SITUATION_FIELDS) if (left[field] !== right[field]) return false;
  return true;
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
