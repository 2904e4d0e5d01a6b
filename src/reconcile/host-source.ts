import { DEFAULT_TAG_STYLE } from "../guest/host-facts.ts";
import type { HaStatus } from "../guest/observed.ts";
import type { GuestListEntry, ProxmoxApi, ProxmoxFault, ProxmoxResult, TaskRecord } from "../ports/proxmox-api.ts";
import { isListedAlike, type HostFacts, type HostSnapshot, type ListedGuest } from "./host-snapshot.ts";

/** Running tasks asked for in one pass; a node with more is overloaded anyway. */
export const ACTIVE_TASK_COUNT_MAX = 500;

/** What a poll found. `changed`: guests whose config or run state may differ from the last poll. */
export interface HostPoll {
  readonly snapshot: HostSnapshot;
  readonly changed: ReadonlySet<number>;
  /** The source lost track (first poll, pmxcfs restarted): everything must be read. */
  readonly mustResync: boolean;
}

/** Where a pass learns what is on the host: over the API, or from the host's own files. */
export interface HostSource {
  poll(): Promise<ProxmoxResult<HostPoll>>;
  /** The host as it is this moment, for a power act; does not count as a poll. */
  look(): Promise<ProxmoxResult<HostSnapshot>>;
  /** Rarely changing facts. */
  facts(): Promise<ProxmoxResult<HostFacts>>;
  /** Asks the cluster where these vmids are; called only for declared guests that are not here. */
  locate(vmids: readonly number[]): Promise<ProxmoxResult<ReadonlyMap<number, string>>>;
  /** True when config changes announce themselves, so that no round-robin re-read is needed. */
  readonly announcesConfigChanges: boolean;
  /** However rarely the API is to be polled: as long as it costs nothing, this source is asked this often. */
  readonly pollIntervalMaxMs: number;
  /** True when a successful poll proves that Proxmox's API answers. */
  readonly asksProxmox: boolean;
}

/** Off the host: one list per kind and the running tasks; config changes are found by re-reading. */
export class ApiHostSource implements HostSource {
  readonly announcesConfigChanges = false;
  readonly asksProxmox = true;
  readonly pollIntervalMaxMs = Number.POSITIVE_INFINITY;
  readonly #api: ProxmoxApi;
  readonly #node: string;
  #last: ReadonlyMap<number, ListedGuest> | undefined;

  constructor(options: { api: ProxmoxApi; node: string }) {
    this.#api = options.api;
    this.#node = options.node;
  }

  async poll(): Promise<ProxmoxResult<HostPoll>> {
    const looked = await this.look();
    if (!looked.ok) return looked;
    const last = this.#last;
    this.#last = looked.value.guests;
    const changed = last === undefined ? new Set<number>() : differing(last, looked.value.guests);
    return { ok: true, value: { snapshot: looked.value, changed, mustResync: last === undefined } };
  }

  async look(): Promise<ProxmoxResult<HostSnapshot>> {
    const [qemu, lxc, tasks] = await Promise.all([
      this.#api.listGuests("qemu"),
      this.#api.listGuests("lxc"),
      this.#api.listTasks({ source: "active", limit: ACTIVE_TASK_COUNT_MAX }),
    ]);
    const failure = firstFailure(qemu, lxc, tasks);
    if (failure !== undefined) return { ok: false, error: failure };
    const guests = new Map<number, ListedGuest>();
    for (const list of [qemu, lxc]) {
      if (list.ok) for (const entry of list.value) guests.set(entry.vmid, listed(entry));
    }
    return { ok: true, value: { guests, elsewhere: new Map(), tasks: tasks.ok ? running(tasks.value) : [] } };
  }

  facts(): Promise<ProxmoxResult<HostFacts>> {
    return readFacts(this.#api, this.#node);
  }

  locate(vmids: readonly number[]): Promise<ProxmoxResult<ReadonlyMap<number, string>>> {
    return locateOverApi(this.#api, this.#node, vmids);
  }
}

/** Version, tag style and HA over the API; what the token may not see falls back to Proxmox's defaults. */
export async function readFacts(api: ProxmoxApi, node: string): Promise<ProxmoxResult<HostFacts>> {
  const [version, tagStyle, ha] = await Promise.all([api.version(), api.tagStyle(), api.haResources()]);
  if (!version.ok) return version;
  if (!tagStyle.ok) return tagStyle;
  if (!ha.ok) return ha;
  return {
    ok: true,
    value: {
      node,
      pveVersion: version.value,
      tagStyle: tagStyle.value ?? DEFAULT_TAG_STYLE,
      ha: ha.value === null ? null : new Map(ha.value.map((row): [number, HaStatus] => [row.vmid, { isManaged: true, state: row.state }])),
    },
  };
}

/** vmid → node, for the asked ones that are elsewhere in the cluster. */
export async function locateOverApi(api: ProxmoxApi, node: string, vmids: readonly number[]): Promise<ProxmoxResult<ReadonlyMap<number, string>>> {
  const wanted = new Set(vmids);
  if (wanted.size === 0) return { ok: true, value: new Map() };
  const located = await api.locateGuests();
  if (!located.ok) return located;
  return { ok: true, value: new Map(located.value.filter((row) => wanted.has(row.vmid) && row.node !== node).map((row) => [row.vmid, row.node])) };
}

/** vmids whose kind or run state differ, or that came or went. */
function differing(before: ReadonlyMap<number, ListedGuest>, after: ReadonlyMap<number, ListedGuest>): ReadonlySet<number> {
  const changed = new Set<number>();
  for (const [vmid, guest] of after) if (!isListedAlike(before.get(vmid), guest)) changed.add(vmid);
  for (const vmid of before.keys()) if (!after.has(vmid)) changed.add(vmid);
  return changed;
}

function listed({ kind, vmid, runState, problem }: GuestListEntry): ListedGuest {
  return problem === undefined ? { kind, vmid, runState } : { kind, vmid, runState, problem };
}

function running(tasks: readonly TaskRecord[]): readonly TaskRecord[] {
  return tasks.filter((task) => task.isRunning);
}

function firstFailure(...results: readonly ProxmoxResult<unknown>[]): ProxmoxFault | undefined {
  for (const result of results) if (!result.ok) return result.error;
  return undefined;
}
