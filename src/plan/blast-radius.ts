import type { GuestPlan } from "./types.ts";

/** Below this many guests a large share means nothing: on a host of four, one guest is already 25 %. */
const AFFECTED_GUESTS_MIN = 3;

/**
 * How many guests would be changed. Give it plans that the gate has judged, so that what is deferred
 * anyway does not count. What a hold withholds does count: a revision that arrives while a bulk task
 * runs must not slip through and act when the hold ends.
 */
export function countAffected(plans: readonly GuestPlan[]): number {
  return plans.filter((plan) => plan.standing === "managed" && (plan.actions.length > 0 || plan.withheld.length > 0)).length;
}

export interface BlastRadius {
  readonly affected: number;
  /** All guests of the host, declared or not. */
  readonly hostGuests: number;
  readonly maxAffectedPercent: number;
}

/** True when a new revision touches more of the host than is let through without a person's word. */
export function isHeldByBlastRadius({ affected, hostGuests, maxAffectedPercent }: BlastRadius): boolean {
  return affected >= AFFECTED_GUESTS_MIN && affected * 100 > hostGuests * maxAffectedPercent;
}
