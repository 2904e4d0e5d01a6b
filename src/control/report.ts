import type { Condition, TransitionEvent } from "../conditions/condition.ts";
import type { JournalHead, JournalHealth, Operation } from "../journal/types.ts";
import type { Deferred, DrivePendingField, Hold, PendingField } from "../plan/types.ts";
import type { Pause } from "../reconcile/pauses.ts";
import type { RefusedField } from "../reconcile/refusals.ts";
import type { GuestView } from "../reconcile/types.ts";

/**
 * What the control socket answers: the shapes of `-o json`, an interface. New fields may be added;
 * what is here keeps its name and meaning while `version` is 1.
 */

export interface StatusReport {
  readonly version: 1;
  /** RFC 3339, when the report was made. */
  readonly now: string;
  readonly agent: {
    readonly version: string;
    readonly commit: string;
    readonly node: string;
    readonly pid: number;
    /** RFC 3339. */
    readonly startedAt: string;
    readonly isDryRun: boolean;
    readonly proxmoxUrl: string;
    /** "empty", or "directory PATH". */
    readonly desired: string;
    /** Why the newest config is not in force; empty when it is. */
    readonly configProblem: string;
  };
  readonly revision: {
    readonly id: string;
    readonly isHeld: boolean;
    readonly message: string;
    /** Guests it declares; `guests` below lists those that were looked at. */
    readonly declaredGuests: number;
  };
  readonly journal: JournalHealth & { readonly head: JournalHead };
  readonly conditions: readonly Condition[];
  readonly guests: readonly GuestReport[];
  readonly pauses: readonly Pause[];
  /** Acts without an outcome, oldest first. */
  readonly openOperations: readonly Operation[];
  /** Newest last, the last few hundred. */
  readonly events: readonly TransitionEvent[];
  /** Transitions since the agent started: how many of `events` are new to whoever asks again. */
  readonly eventCount: number;
}

/** Whether it is worth asking for the whole status again: for those who look all the time. */
export interface ChangeReport {
  readonly version: 1;
  /** Another text: something in the status may be another. */
  readonly change: string;
  /** Guests that are being read or acted on. */
  readonly activeGuests: number;
}

export interface GuestReport {
  readonly kind: string;
  readonly vmid: number;
  readonly name: string;
  readonly runState: string;
  /** How its last reconcile ended (reconcile/guest-conditions.ts). */
  readonly result: string;
  readonly message: string;
  readonly holds: readonly Hold[];
  readonly deferred: readonly Deferred[];
  readonly restartPending: readonly PendingField[];
  readonly drivePending: readonly DrivePendingField[];
  /** Config keys that Proxmox refused, with its words: set aside until something changes. */
  readonly refused: readonly RefusedField[];
  readonly conditions: readonly Condition[];
}

/** What `run --once` found and did. */
export interface OnceReport {
  readonly version: 1;
  /** The exit code: 0 done, nothing left · 1 error · 2 something held or deferred remains · 4 the journal is corrupt. */
  readonly exitCode: 0 | 1 | 2 | 4;
  readonly actions: readonly { readonly kind: string; readonly vmid: number; readonly action: string; readonly outcome: string; readonly keys: readonly string[] }[];
  readonly remaining: readonly RemainingReport[];
  /** Host conditions that are not as they must be, in words. */
  readonly problems: readonly string[];
}

/** A guest of which something remains, and why. */
export interface RemainingReport {
  readonly kind: string;
  readonly vmid: number;
  readonly result: string;
  readonly message: string;
}

/** One guest as `status` shows it. */
export function guestReport(view: GuestView, conditions: readonly Condition[]): GuestReport {
  const { guest, plan } = view;
  return {
    kind: guest.kind, vmid: guest.vmid, name: view.name ?? "", runState: view.runState, result: view.result, message: view.message,
    holds: plan?.holds ?? [], deferred: plan?.deferred ?? [], restartPending: plan?.restartPending ?? [], drivePending: plan?.drivePending ?? [], refused: view.refused, conditions,
  };
}

/** One guest as `run --once` leaves it; without a message of its own its condition says what differs. */
export function remainingReport({ guest, result, message }: GuestView, conditions: readonly Condition[]): RemainingReport {
  return { ...guest, result, message: message || (conditions.find((condition) => condition.type === "Synced")?.message ?? "") };
}
