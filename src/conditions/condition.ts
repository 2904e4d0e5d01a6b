import { formatGuestKey, type GuestKey } from "../guest/key.ts";

/**
 * Conditions: what is true of the host and of each guest, in words from closed lists, so that a
 * person, a probe and an alert read the same thing. One event a transition; nothing a pass.
 */

export const CONDITION_STATUSES = ["True", "False", "Unknown"] as const;
export type ConditionStatus = (typeof CONDITION_STATUSES)[number];

/**
 * Host conditions, each with the reasons it may carry. `isRequired`: must be True for readiness.
 * `toleratedReasons`: with one of these an Unknown is no obstacle either, because the agent is merely
 * not permitted to look.
 */
export const HOST_CONDITIONS = {
  JournalReady: { isRequired: true, reasons: ["Starting", "Healthy", "Missing", "Unwritable", "Insecure", "Full", "Poisoned", "Corrupt"] },
  DesiredStateReady: { isRequired: true, reasons: ["Starting", "Loaded", "SourceEmpty", "Unreadable", "Invalid", "Conflicts"] },
  ProxmoxReachable: {
    isRequired: true,
    reasons: ["Starting", "Reachable", "Unreachable", "Untrusted", "Unauthenticated", "Forbidden", "TokenUnusable", "Failing"],
  },
  QuorumOk: { isRequired: true, toleratedReasons: ["NotVisible"], reasons: ["Starting", "Quorate", "NotVisible", "NoQuorum"] },
  FirstFullReadDone: { isRequired: true, reasons: ["Starting", "Done"] },
  ClockSane: { isRequired: true, reasons: ["Starting", "Sane", "BehindJournal"] },
  RevisionHeld: { isRequired: false, reasons: ["Starting", "NotHeld", "TooManyAffected"] },
} as const satisfies Record<string, { isRequired: boolean; reasons: readonly string[]; toleratedReasons?: readonly string[] }>;

export type HostConditionType = keyof typeof HOST_CONDITIONS;
export type HostReason<T extends HostConditionType> = (typeof HOST_CONDITIONS)[T]["reasons"][number];

/** Guest conditions with their reasons. */
export const GUEST_CONDITIONS = {
  Synced: {
    reasons: [
      "InSync", "Drifted", "Acting", "Deferred", "Held", "Observing", "Ignored", "Missing", "OnOtherNode",
      "Unreadable", "ActFailed", "Conflict", "RevisionHeld", "DryRun", "JournalUnavailable",
    ],
  },
  Held: { reasons: ["NotHeld", "Locked", "Template", "HaManaged", "Paused", "GuestPaused", "ForeignTask", "BulkTask", "WaitingForOrder", "ActUnsettled", "NoQuorum"] },
  RestartPending: { reasons: ["NothingPending", "PendingValues", "CloudInitDrive"] },
  OutcomeUnknown: { reasons: ["AllKnown", "Settling", "Unknown"] },
  Paused: { reasons: ["NotPaused", "ByOperator"] },
} as const satisfies Record<string, { reasons: readonly string[] }>;

export type GuestConditionType = keyof typeof GUEST_CONDITIONS;
export type GuestReason<T extends GuestConditionType> = (typeof GUEST_CONDITIONS)[T]["reasons"][number];

/** One condition as it stands. */
export interface Condition {
  readonly type: HostConditionType | GuestConditionType;
  readonly status: ConditionStatus;
  readonly reason: string;
  /** For a person; may name guests, files and errors, so it is withheld from peers that are not loopback. */
  readonly message: string;
  /** RFC 3339, when `status` last changed. */
  readonly lastTransitionTime: string;
  /** Desired-state revision this was computed from; empty before the first. */
  readonly observedGeneration: string;
}

/** When, and from which desired-state revision, a condition was computed. `nowMs`: wall clock. */
export interface ConditionMoment {
  readonly nowMs: number;
  readonly generation: string;
}

/** A change of a condition's status or reason. */
export interface TransitionEvent {
  readonly at: string;
  /** Absent for the host's own conditions. */
  readonly guest?: GuestKey;
  readonly type: Condition["type"];
  readonly from: ConditionStatus;
  readonly to: ConditionStatus;
  readonly reason: string;
  readonly message: string;
}

/** "qemu/101 Synced False Drifted: cores 2 → 4", for the log and the event list. */
export function formatTransition(event: TransitionEvent): string {
  const subject = event.guest === undefined ? "host" : formatGuestKey(event.guest);
  return `${subject} ${event.type} ${event.to} ${event.reason}${event.message === "" ? "" : `: ${event.message}`}`;
}
