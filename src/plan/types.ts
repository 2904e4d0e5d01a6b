import type { GuestKey } from "../guest/key.ts";
import type { NormalForm } from "../normalize/types.ts";
import type { Applies } from "./hot-applied.ts";

/**
 * What would be done to a guest and why. Pure data: made by plan/, judged by gate/, executed by
 * reconcile/, printed by the CLI. Nothing here has happened yet.
 */

/** One config key whose declared and found values differ in normal form. */
export interface FieldChange {
  readonly key: string;
  readonly change: "set" | "delete";
  /** Normal forms, for a person and for `-o json`. */
  readonly declared: NormalForm;
  readonly found: NormalForm;
  /** The raw value found in the merged view; undefined when absent. */
  readonly foundRaw: string | undefined;
  /** The text to send for "set"; undefined for "delete". */
  readonly send: string | undefined;
  /** "now", or what the change waits for while the guest runs. */
  readonly applies: Applies;
}

/** An act that is planned. Order within a guest is the order of the list. */
export type Action =
  | {
      readonly type: "set_config";
      readonly guest: GuestKey;
      /** Digest of the config the changes were computed from; sent with the write. */
      readonly digest: string;
      readonly changes: readonly FieldChange[];
    }
  | { readonly type: "start"; readonly guest: GuestKey; readonly reason: string }
  | { readonly type: "shutdown"; readonly guest: GuestKey; readonly reason: string }
  /** Of a VM, when a person asks for it by `agent restart`; no plan has one. */
  | { readonly type: "reboot"; readonly guest: GuestKey & { readonly kind: "qemu" }; readonly reason: string };

/** Why something declared is not done by itself. */
export const DEFERRED_REASONS = [
  "holds_data", // volume keys, unusedN, mount points
  "not_on_allow_list", // a key (or a kind of change) that is not known to be harmless
  "root_only", // Proxmox takes it from root@pam's password login only
  "removes_protection", // protection 1 → 0
  "hardware_address", // would change or drop a MAC address
  "needs_signature", // destruction
  "would_create", // the guest does not exist
  "would_grow", // a disk is smaller than declared
  "would_hard_stop", // did not shut down in time
  "template", // would turn into, or out of, a template
  "invalid_value", // cannot be written for this key; the message says why
  "server_owned", // Proxmox owns this key
] as const;
export type DeferredReason = (typeof DEFERRED_REASONS)[number];

/** Something declared that is visible in the plan and never sent. */
export interface Deferred {
  /** A config key, or "state" for run state and existence. */
  readonly key: string;
  readonly reason: DeferredReason;
  readonly declared: NormalForm;
  readonly found: NormalForm;
  /** For a person: what it is and what they can do. */
  readonly message: string;
}

/** Why a guest takes no act (of some sort) right now. */
export const HOLD_REASONS = [
  "Locked", "Template", "HaManaged", "Paused", "GuestPaused", "ForeignTask", "BulkTask", "WaitingForOrder", "ActUnsettled", "NoQuorum",
] as const;
export type HoldReason = (typeof HOLD_REASONS)[number];

export interface Hold {
  readonly reason: HoldReason;
  /** "power": only run state is left alone; "all": nothing is sent. */
  readonly scope: "power" | "all";
  readonly message: string;
}

/** A declared value that Proxmox has taken and will apply at the guest's next start. */
export interface PendingField {
  readonly key: string;
  readonly running: string | undefined;
  readonly pending: string | undefined;
}

/**
 * A declared value that the configuration has and the guest's cloud-init drive has not: the guest sees it
 * once the drive was written anew. `onDrive` undefined: the drive has none, or Proxmox does not tell which.
 */
export interface DrivePendingField {
  readonly key: string;
  readonly onDrive: string | undefined;
  readonly isTold: boolean;
  readonly configured: string | undefined;
}

/** How a guest stands as a whole. */
export const GUEST_STANDINGS = [
  "managed", // enforce, present, readable
  "observed", // mode observe: differences are reported, nothing is sent
  "ignored", // mode ignore
  "missing", // declared, not there
  "on_other_node",
  "conflict", // declared more than once
  "unreadable", // could not be read, so nothing is planned
] as const;
export type GuestStanding = (typeof GUEST_STANDINGS)[number];

/** The plan for one guest. */
export interface GuestPlan {
  readonly guest: GuestKey;
  readonly name: string | undefined;
  readonly standing: GuestStanding;
  /** What would be sent, in order. Empty when in sync, held, observed or ignored. */
  readonly actions: readonly Action[];
  /** What differs and would be sent, were the guest not held or merely observed. */
  readonly withheld: readonly Action[];
  readonly deferred: readonly Deferred[];
  readonly holds: readonly Hold[];
  readonly restartPending: readonly PendingField[];
  readonly drivePending: readonly DrivePendingField[];
  /** Why it is not known what the cloud-init drive holds; empty when it is, or when it does not matter. */
  readonly driveUnknown: string;
  /** For standings that need a word: where it is, why it cannot be read. */
  readonly message: string;
}
