import type { DesiredGuest } from "../desired/model.ts";
import type { PveVersion, TagStyle } from "../guest/host-facts.ts";
import type { ObservedGuest } from "../guest/observed.ts";

/** Why there is no observation of a declared guest. */
export type Absence = "missing" | "on_other_node" | "unreadable";

/**
 * What stands around a guest at the moment of planning. Texts are for people and end up in holds;
 * an absent field says that the matter does not stand in the way.
 */
export interface GuestSituation {
  /** The operator's pause, in their words (may be empty text: paused without a reason). */
  readonly pausedReason?: string | undefined;
  /** An act of ours on this guest that runs or whose outcome is unknown. */
  readonly isActUnsettled?: string | undefined;
  /** The cluster has no quorum: Proxmox would refuse every write and every start. */
  readonly hasNoQuorum?: boolean | undefined;
  /** A running task of somebody else on this guest. */
  readonly foreignTask?: string | undefined;
  /** A running startall, stopall, suspendall or migrateall on this node. */
  readonly bulkTask?: string | undefined;
  /** What a start has to wait for (start-order.ts says it). */
  readonly mustWaitForOrder?: string | undefined;
  /** The last shutdown request ran into its timeout and the guest has run on since. */
  readonly shutdownFailed?: boolean | undefined;
}

/** Facts of the host that planning needs. */
export interface PlanFacts {
  /** The node this agent keeps; a guest seen on another one is left alone. */
  readonly node: string;
  readonly tagStyle: TagStyle;
  readonly pveVersion: PveVersion;
}

/** Everything a guest's plan is computed from. */
export interface GuestPlanInput {
  readonly desired: DesiredGuest;
  /** undefined: not read. Then `absence` says why, and "unreadable" is assumed when it does not. */
  readonly observed: ObservedGuest | undefined;
  readonly absence?: Absence | undefined;
  /** Where the guest is, or why it could not be read. */
  readonly absenceMessage?: string | undefined;
  readonly situation: GuestSituation;
  readonly facts: PlanFacts;
}
