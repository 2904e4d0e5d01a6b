import type { Fault } from "./errors.ts";
import type { DriveChange, GuestConfig, HaStatus, RunState } from "../guest/observed.ts";
import type { GuestKey, GuestKind } from "../guest/key.ts";
import type { PveVersion, TagStyle } from "../guest/host-facts.ts";

/**
 * What the agent asks of Proxmox, as an interface: implemented by proxmox/client.ts over HTTPS, and
 * by fakes in tests. Reads may be retried by the client; `mutate` never is.
 *
 * Every fault is one member of a closed union. For a mutation the question is always "may it have
 * happened?"; `delivery` answers it:
 *   "none"      the request provably never reached Proxmox's worker: it did not happen;
 *   "answered"  Proxmox refused or failed it and said so (a config write may still be partly applied:
 *               observe before planning again);
 *   "unknown"   no answer came back: it may have happened, and it may still happen until the settle
 *               window (request timeout + lock timeout + margin) has passed.
 */
export type Delivery = "none" | "answered" | "unknown";

interface ProxmoxFaultBase extends Fault {
  readonly delivery: Delivery;
  /** HTTP status, when there was one. */
  readonly status?: number;
}

export type ProxmoxFault =
  /** `VM is locked (backup)`: the guest's config lock is set. */
  | (ProxmoxFaultBase & { readonly code: "proxmox.locked"; readonly lock: string })
  /** `can't lock file '…' - got timeout`: another task holds the guest's file lock. */
  | (ProxmoxFaultBase & { readonly code: "proxmox.lock_timeout" })
  /** The config changed since it was read. */
  | (ProxmoxFaultBase & { readonly code: "proxmox.digest_conflict" })
  /** `Configuration file '…' does not exist`: destroyed, or moved to another node. */
  | (ProxmoxFaultBase & { readonly code: "proxmox.guest_missing" })
  /** 403. `missing` is Proxmox's own "(path, privilege)" or sentence. */
  | (ProxmoxFaultBase & { readonly code: "proxmox.forbidden"; readonly missing: string })
  /** 400 with a message per parameter. */
  | (ProxmoxFaultBase & { readonly code: "proxmox.bad_parameter"; readonly parameters: Readonly<Record<string, string>> })
  /** 401: the token is wrong, expired or gone. Proxmox does not say which. */
  | (ProxmoxFaultBase & { readonly code: "proxmox.unauthenticated" })
  /** The certificate is not the one that was pinned or signed by the CA; nothing was sent. */
  | (ProxmoxFaultBase & { readonly code: "proxmox.untrusted"; readonly presentedFingerprint?: string })
  /** Connection refused, reset before sending, name not found, 595; or nothing listening. */
  | (ProxmoxFaultBase & { readonly code: "proxmox.unreachable" })
  /** Sent, and no (complete) answer: timeout, reset, 596, 599. */
  | (ProxmoxFaultBase & { readonly code: "proxmox.no_answer" })
  /** Worth trying again later: 503, pmxcfs restarting, no quorum (`isReadOnlyCluster`). */
  | (ProxmoxFaultBase & { readonly code: "proxmox.transient"; readonly isReadOnlyCluster: boolean })
  /** The answer was not what Proxmox's API gives (not JSON, wrong shape, too large). */
  | (ProxmoxFaultBase & { readonly code: "proxmox.unexpected_answer" })
  /** Everything else Proxmox says no with. */
  | (ProxmoxFaultBase & { readonly code: "proxmox.other" });

export type ProxmoxResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: ProxmoxFault };

/** One row of a node's guest list: live run state; no qmpstatus, so `running` may be paused. */
export interface GuestListEntry extends GuestKey {
  readonly name: string | undefined;
  readonly runState: "running" | "stopped" | "unknown";
  readonly isTemplate: boolean;
  readonly lock: string | undefined;
  /** Why the row could not be read; then only kind and vmid are to be believed. */
  readonly problem?: string;
}

/** status/current: the truth about one guest's run state, right before a power act. */
export interface GuestStatus {
  readonly runState: RunState;
  readonly lock: string | undefined;
  readonly ha: HaStatus | undefined;
  readonly isTemplate: boolean;
}

/** A worker id: `UPID:node:PID:PSTART:TIME:type:id:user@realm!token:`. */
export type Upid = string;

export interface TaskRecord {
  readonly upid: Upid;
  readonly node: string;
  /** Worker type, e.g. "qmstart", "vzdump", "startall". */
  readonly type: string;
  /** What it works on: a vmid as text for guest tasks, else empty or a storage name. */
  readonly id: string;
  /** user@realm!token, taken from the UPID (finished rows list the user without its token). */
  readonly user: string;
  /** Seconds since the epoch. */
  readonly startedAt: number;
  readonly isRunning: boolean;
  /** Exit text once finished. */
  readonly exit: string | undefined;
}

/** How a finished task went: `WARNINGS: n` is a success; `unexpected status` means nobody knows. */
export type TaskVerdict = "succeeded" | "succeeded_with_warnings" | "failed" | "unknown";

export type TaskState =
  | { readonly isRunning: true }
  | { readonly isRunning: false; readonly verdict: TaskVerdict; readonly exit: string };

/** A mutating request, complete and ready to send. Only reconcile/execute.ts hands one to `mutate`. */
export type MutatingRequest =
  | {
      readonly type: "set_config";
      readonly guest: GuestKey;
      readonly digest: string;
      readonly set: Readonly<Record<string, string>>;
      readonly delete: readonly string[];
    }
  | { readonly type: "start"; readonly guest: GuestKey }
  /** Without `timeoutSeconds` Proxmox takes the guest's own `startup` down= time, else 60 s. */
  | { readonly type: "shutdown"; readonly guest: GuestKey; readonly timeoutSeconds?: number }
  /** A VM's shutdown, after which the host itself starts it again; one that does not shut down in time runs on. */
  | { readonly type: "reboot"; readonly guest: GuestKey & { readonly kind: "qemu" }; readonly timeoutSeconds: number };

/** Both answers of a mutation are accepted: a UPID to wait for, or null for done. */
export interface MutationAnswer {
  readonly upid: Upid | null;
}

export interface TaskQuery {
  readonly source: "active" | "archive" | "all";
  readonly vmid?: number;
  readonly limit: number;
}

/** Cluster-wide facts that need more privilege than guests do; `null` says "not permitted to see". */
export interface HaResource extends GuestKey {
  readonly state: string;
}

/** A guest somewhere in the cluster. */
export interface LocatedGuest extends GuestKey {
  readonly node: string;
}

export interface ProxmoxApi {
  version(): Promise<ProxmoxResult<PveVersion>>;
  listGuests(kind: GuestKind): Promise<ProxmoxResult<readonly GuestListEntry[]>>;
  /** One GET of /pending: both views, the digest and the lock. */
  readConfig(guest: GuestKey): Promise<ProxmoxResult<GuestConfig>>;
  /**
   * Which values the VM's cloud-init drive does not hold yet. `digest`: of the configuration just read,
   * which the answer is a part of; while it stays the same nothing is asked again.
   */
  readCloudInitDrive(guest: GuestKey, digest: string): Promise<ProxmoxResult<readonly DriveChange[]>>;
  readStatus(guest: GuestKey): Promise<ProxmoxResult<GuestStatus>>;
  listTasks(query: TaskQuery): Promise<ProxmoxResult<readonly TaskRecord[]>>;
  taskState(upid: Upid): Promise<ProxmoxResult<TaskState>>;
  /** The last lines of a task's log, for a failure's message. */
  taskLogTail(upid: Upid, lines: number): Promise<ProxmoxResult<readonly string[]>>;
  tagStyle(): Promise<ProxmoxResult<TagStyle | null>>;
  haResources(): Promise<ProxmoxResult<readonly HaResource[] | null>>;
  /**
   * Which node each guest of the cluster is on (/cluster/resources?type=vm): asked only when a declared
   * guest is not in this node's lists. Lags up to 10 s behind the truth.
   */
  locateGuests(): Promise<ProxmoxResult<readonly LocatedGuest[]>>;
  /** Whether the cluster has quorum; null where that cannot be seen. A single node has. */
  hasQuorum(): Promise<ProxmoxResult<boolean | null>>;
  mutate(request: MutatingRequest): Promise<ProxmoxResult<MutationAnswer>>;
  /** Closes pooled connections. */
  close(): void;
}

/** A node of the cluster, as GET /nodes lists it to everybody who may log in. */
export interface ClusterNode {
  readonly name: string;
  readonly isOnline: boolean;
}

/**
 * What only `agent doctor` asks: about the token and the host themselves. Apart from `ProxmoxApi`, so
 * that nothing that reconciles can come to depend on it.
 */
export interface ProxmoxInspection {
  /** What this token may do on one path ("/vms/101"), inherited privileges included. Empty: nothing. */
  permissions(path: string): Promise<ProxmoxResult<ReadonlySet<string>>>;
  nodes(): Promise<ProxmoxResult<readonly ClusterNode[]>>;
  /** The host's clock, milliseconds since the epoch in whole seconds (the Date header); null when it is not told. */
  serverTime(): Promise<ProxmoxResult<number | null>>;
}
