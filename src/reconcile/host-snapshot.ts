import type { TagStyle, PveVersion } from "../guest/host-facts.ts";
import type { GuestKey, GuestKind } from "../guest/key.ts";
import type { HaStatus } from "../guest/observed.ts";
import type { TaskRecord } from "../ports/proxmox-api.ts";

/** A guest of this node as the list (or the host's own files) tells it. */
export interface ListedGuest extends GuestKey {
  readonly runState: "running" | "stopped" | "unknown";
  /** Why its row in the list could not be read: it is there, and nothing else is known of it. */
  readonly problem?: string;
}

/** What one pass knows about the host before any guest is read. */
export interface HostSnapshot {
  /** This node's guests. */
  readonly guests: ReadonlyMap<number, ListedGuest>;
  /** Guests known to be on another node: vmid → node. Filled only as far as it was asked. */
  readonly elsewhere: ReadonlyMap<number, string>;
  /** Why the cluster could not be asked where the guests are that are not here: whether they exist is not known. */
  readonly unlocated?: string;
  /** Running tasks of this node that this token may see. */
  readonly tasks: readonly TaskRecord[];
}

/** Facts that change rarely; read at every full resync. */
export interface HostFacts {
  readonly node: string;
  readonly pveVersion: PveVersion;
  readonly tagStyle: TagStyle;
  /** HA resources by vmid; null: not visible with this token (status/current still tells per guest). */
  readonly ha: ReadonlyMap<number, HaStatus> | null;
}

/** True when two snapshots tell the same about one guest. */
export function isListedAlike(left: ListedGuest | undefined, right: ListedGuest | undefined): boolean {
  return left?.kind === right?.kind && left?.runState === right?.runState && left?.problem === right?.problem;
}

/** Bulk tasks of a whole node: while one runs, run states are its business. */
const BULK_TASK_TYPES: ReadonlySet<string> = new Set(["startall", "stopall", "migrateall", "suspendall"]);

/** The bulk task that is running on the node, if any. */
export function findBulkTask(snapshot: HostSnapshot): TaskRecord | undefined {
  return snapshot.tasks.find((task) => task.isRunning && BULK_TASK_TYPES.has(task.type));
}

/** A running task on this guest that is not one of ours. */
export function findForeignTask(snapshot: HostSnapshot, vmid: number, ownUpids: ReadonlySet<string>): TaskRecord | undefined {
  const id = String(vmid);
  return snapshot.tasks.find((task) => task.isRunning && task.id === id && !ownUpids.has(task.upid));
}

/** Worker type names by act, as Proxmox writes them into a UPID. */
export function taskTypeOf(kind: GuestKind, action: string): string | undefined {
  const table: Readonly<Record<string, Readonly<Record<GuestKind, string | undefined>>>> = {
    start: { qemu: "qmstart", lxc: "vzstart" },
    shutdown: { qemu: "qmshutdown", lxc: "vzshutdown" },
    // Containers are shut down and started by two requests.
    reboot: { qemu: "qmreboot", lxc: undefined },
    set_config: { qemu: "qmconfig", lxc: undefined },
  };
  return table[action]?.[kind];
}
