import type { GuestIdentity } from "./identity.ts";
import type { GuestKey } from "./key.ts";

/** A value as Proxmox gives it: integers come as numbers, the rest as strings. */
export type RawValue = string | number;

/** One view of a guest's configuration: Proxmox's key to its value. Server-owned `digest` is not in it. */
export type RawConfig = Readonly<Record<string, RawValue>>;

/** A change that Proxmox holds back until the guest's next start (its [PENDING] section). */
export type PendingChange =
  | { readonly key: string; readonly change: "set"; readonly value: RawValue }
  | { readonly key: string; readonly change: "delete"; readonly isForced: boolean };

/** What `/pending` tells: two views of one configuration, and the digest both belong to. */
export interface GuestConfig {
  /** What the running guest has now. */
  readonly running: RawConfig;
  /** What it will have once pending changes are applied; comparisons are made with this view. */
  readonly merged: RawConfig;
  readonly pending: readonly PendingChange[];
  /** SHA-1 of the whole file; sent with every write, never compared as state. */
  readonly digest: string;
}

/**
 * A value that a VM's cloud-init drive does not hold yet; the drive is written anew when the guest starts.
 * `onDrive` undefined: it holds none, or, where `isTold` is false, one that Proxmox does not tell.
 */
export interface DriveChange {
  readonly key: string;
  readonly onDrive: string | undefined;
  readonly isTold: boolean;
}

/** What is known of a cloud-init drive: where it differs from the configuration, or why that could not be read. */
export type DriveState = { readonly isKnown: true; readonly changes: readonly DriveChange[] } | { readonly isKnown: false; readonly message: string };

/** Run state as status/current tells it. `paused` covers every qmpstatus that is neither running nor stopped. */
export type RunState = "running" | "stopped" | "paused" | "unknown";

/** What Proxmox's HA manager has to do with a guest. */
export interface HaStatus {
  readonly isManaged: boolean;
  /** The requested state, e.g. "started", "ignored"; absent when unmanaged or not told. */
  readonly state?: string;
}

/** Everything known about a guest at one moment, from the sources that were read. */
export interface ObservedGuest extends GuestKey {
  readonly node: string;
  readonly name: string | undefined;
  readonly runState: RunState;
  readonly isTemplate: boolean;
  /** Proxmox's config lock ("backup", "migrate", …), when one is set. */
  readonly lock: string | undefined;
  readonly ha: HaStatus | undefined;
  readonly config: GuestConfig;
  readonly identity: GuestIdentity;
  /** Left out where it was not asked for: no drive, nothing declared that is on it, or the guest does not run. */
  readonly drive?: DriveState;
}
