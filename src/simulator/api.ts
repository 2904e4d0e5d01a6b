import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";

/**
 * The seam inside the simulator. On one side HTTP (`http/`, `access/`, `faults`): bytes, TLS, who is
 * calling, broken connections. On the other the host (`host/`): guests, configs, tasks, power. The
 * HTTP side never looks into a config; the host side never sees a header.
 *
 * The HTTP side answers by itself: 401, /access/*, malformed requests, HEAD/PATCH/OPTIONS, bodies on
 * GET and DELETE. Everything else goes to `SimulatedNode.handle`, which answers unknown paths (501),
 * permission checks (403, before existence), unknown nodes (500) and parameters (400).
 */

/**
 * A form or JSON value: text; a list where a key was repeated or JSON gave a list; JSON types kept as
 * given, so that type checks can fail as Proxmox's do ("got HASH", "got ARRAY").
 */
export type ParameterValue =
  | string
  | number
  | boolean
  | null
  | readonly ParameterValue[]
  | { readonly [key: string]: ParameterValue };

export type Parameters = Readonly<Record<string, ParameterValue>>;

export type ApiMethod = "GET" | "POST" | "PUT" | "DELETE";

/** Who is calling, already authenticated. */
export interface Caller {
  /** "root@pam", without the token. */
  readonly user: string;
  /** The token's name ("agent"), undefined for a login. */
  readonly tokenId: string | undefined;
  /** root@pam by ticket: the only caller that passes `only root can set …` checks. A token never is. */
  readonly isRootLogin: boolean;
  /** Whether the ACLs give `privilege` on `path` ("/vms/100", "VM.Audit"), propagation included. */
  can(path: string, privilege: string): boolean;
}

/** One API request after HTTP is done with it. */
export interface ApiCall {
  readonly method: ApiMethod;
  /** Path after /api2/json, decoded, without empty parts: ["nodes", "pve1", "qemu", "100", "config"]. `.` is kept. */
  readonly segments: readonly string[];
  /** The path as Proxmox prints it in `Method 'GET /nope' not implemented`. */
  readonly path: string;
  /** Query (GET, DELETE) or body (POST, PUT) parameters; path parameters are not in here. */
  readonly parameters: Parameters;
  readonly caller: Caller;
}

/**
 * What the host answers. `isProxied`: pvedaemon would have made this answer, not pveproxy (the two
 * differ in headers and when pvedaemon is down). `reason` is the text without a trailing newline; the
 * JSON `message` gets one, except where `hasBareMessage` (501 `Method … not implemented`).
 */
export type ApiAnswer =
  | {
      readonly status: 200;
      readonly data: unknown;
      /** Beside `data` in the body, where Proxmox counts rows. */
      readonly total?: number;
      readonly isProxied: boolean;
    }
  | {
      readonly status: number;
      readonly reason: string;
      /** Message per parameter (400). */
      readonly errors?: Readonly<Record<string, string>>;
      /** false: status line and headers only. */
      readonly hasBody: boolean;
      /** true: `message` without the trailing newline. */
      readonly hasBareMessage?: boolean;
      readonly isProxied: boolean;
    };

/** Something done at the host or in the GUI by somebody else. */
export interface HostEdit {
  readonly vmid: number;
  /** Config keys written as if by an editor on the file: stored as given, never pending. */
  readonly set?: Readonly<Record<string, string>>;
  readonly delete?: readonly string[];
  /** Sets the config lock ("backup"); null removes it. */
  readonly lock?: string | null;
  readonly destroy?: boolean;
  readonly power?: "start" | "stop" | "pause" | "resume";
}

export type HostEditAnswer = { readonly ok: true } | { readonly ok: false; readonly message: string };

/** What is wrong with the host, as opposed to with the wire. */
export type HostFault =
  /** New tasks of this type (all, if left out) do not finish until the fault is released. */
  | { readonly kind: "task_hang"; readonly taskType?: string; readonly vmid?: number }
  /** New tasks of this type end with `exit` and do nothing. */
  | { readonly kind: "task_fail"; readonly taskType?: string; readonly vmid?: number; readonly exit: string }
  /** No quorum: /etc/pve cannot be written. */
  | { readonly kind: "read_only" };

/** `/etc/pve/.vmlist`. */
export interface VmList {
  readonly version: number;
  readonly ids: Readonly<Record<string, VmListEntry>>;
}

export interface VmListEntry {
  readonly node: string;
  readonly type: "qemu" | "lxc";
  readonly version: number;
}

/** What moved, so that host files are rewritten only where they differ. */
export type HostChange =
  /** A config was written, made or removed: .vmlist, .version. */
  | { readonly kind: "config"; readonly vmid: number }
  /** A guest started or ended: run files. */
  | { readonly kind: "run"; readonly vmid: number }
  /** The task list moved: tasks/active, .version. */
  | { readonly kind: "tasks" }
  /** datacenter.cfg or ha/* was written. */
  | { readonly kind: "cluster" };

export interface SimulatedNode {
  readonly name: string;
  handle(call: ApiCall): Promise<ApiAnswer>;
  /** Whether pvedaemon (not pveproxy itself) would answer this call; unknown paths are not its. */
  isProxied(method: ApiMethod, segments: readonly string[]): boolean;

  /** Does it at once, asking no permission and no lock; the answer says why not. */
  edit(edit: HostEdit): Promise<HostEditAnswer>;
  /** Breaks the host until the returned function is called (hung tasks then go on). */
  addFault(fault: HostFault): () => void;

  vmlist(): VmList;
  /** The content of `/etc/pve/.version`, ready for JSON. */
  clusterVersion(): Readonly<Record<string, unknown>>;
  /** Lines of /var/log/pve/tasks/active, without line ends: "UPID 0" running, "UPID 1 ENDTIME STATUS" ended. */
  activeTasks(): readonly string[];
  runningGuests(): readonly { readonly kind: "qemu" | "lxc"; readonly vmid: number }[];
  datacenterConfig(): string;
  haResources(): string;
  /** Calls back after every change, synchronously; the returned function ends that. */
  onChange(callback: (change: HostChange) => void): () => void;
  /** Cancels whatever is under way. */
  stop(): void;
}

/** Raw files as a host stores them, e.g. "/etc/pve/nodes/pve1/qemu-server/100.conf", "/etc/pve/user.cfg". */
export interface StartState {
  readonly files: Readonly<Record<string, string>>;
  readonly vmlist?: VmList;
}

/** What `createNode` (host/node.ts) takes. */
export interface NodeOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  /** The files to start from. */
  readonly startState: StartState;
  /** SHA-256 of the node's certificate, "AB:CD:…": GET /nodes prints it. */
  readonly fingerprint: string;
}
