import type { HaStatus } from "../guest/observed.ts";
import type { Log } from "../ports/log.ts";
import type { ProxmoxApi, ProxmoxResult } from "../ports/proxmox-api.ts";
import type { HostSnapshot as HostFiles, HostWatcher } from "../proxmox/host-watcher.ts";
import type { HostProblem } from "../proxmox/run-states.ts";
import type { HostFacts, HostSnapshot, ListedGuest } from "./host-snapshot.ts";
import { ApiHostSource, locateOverApi, readFacts, type HostPoll, type HostSource } from "./host-source.ts";

/** Of the second within which an edit is to be mended, looking takes a quarter; looking at unchanged files costs half a millisecond. */
const FILES_POLL_MS = 250;

/**
 * On the host: Proxmox's own files say which guests there are, which configs changed, what runs and
 * which tasks are at work, without a single request. While they cannot be used (wrong group, pmxcfs
 * down) the API is asked instead, and everything is read again on every switch.
 */
export class FileHostSource implements HostSource {
  readonly #watcher: HostWatcher;
  readonly #overApi: ApiHostSource;
  readonly #api: ProxmoxApi;
  readonly #log: Log;
  readonly #node: string;
  readonly #answers: () => Promise<boolean>;
  readonly #changed = new Set<number>();
  #mode: "starting" | "files" | "api" = "starting";
  #mustResync = true;
  #files: HostFiles | undefined;
  #guests: HostGuests | undefined;

  /** @param options.answers whether Proxmox's file system can be read without being stuck in it; asked before each look */
  constructor(options: { watcher: HostWatcher; api: ProxmoxApi; log: Log; node: string; answers?: () => Promise<boolean> }) {
    this.#watcher = options.watcher;
    this.#answers = options.answers ?? (() => Promise.resolve(true));
    this.#api = options.api;
    this.#log = options.log;
    this.#node = options.node;
    this.#overApi = new ApiHostSource(options);
  }

  get announcesConfigChanges(): boolean {
    return this.#mode === "files";
  }

  get pollIntervalMaxMs(): number {
    return this.#mode === "files" ? FILES_POLL_MS : Number.POSITIVE_INFINITY;
  }

  get asksProxmox(): boolean {
    return this.#mode !== "files";
  }

  async poll(): Promise<ProxmoxResult<HostPoll>> {
    const snapshot = await this.#read();
    if (snapshot === undefined) return this.#pollOverApi();
    const poll: HostPoll = { snapshot, changed: new Set(this.#changed), mustResync: this.#mustResync };
    this.#changed.clear();
    this.#mustResync = false;
    return { ok: true, value: poll };
  }

  async look(): Promise<ProxmoxResult<HostSnapshot>> {
    const snapshot = await this.#read();
    return snapshot === undefined ? this.#overApi.look() : { ok: true, value: snapshot };
  }

  async facts(): Promise<ProxmoxResult<HostFacts>> {
    const facts = await readFacts(this.#api, this.#node);
    if (!facts.ok || this.#mode !== "files") return facts;
    const { tagStyle, haResources } = this.#files ?? { tagStyle: null, haResources: null };
    const ha = haResources?.map((row): [number, HaStatus] => [row.vmid, { isManaged: true, state: row.state }]);
    return {
      ok: true,
      value: { ...facts.value, tagStyle: tagStyle ?? facts.value.tagStyle, ha: ha === undefined ? facts.value.ha : new Map(ha) },
    };
  }

  locate(vmids: readonly number[]): Promise<ProxmoxResult<ReadonlyMap<number, string>>> {
    return locateOverApi(this.#api, this.#node, vmids);
  }

  async #pollOverApi(): Promise<ProxmoxResult<HostPoll>> {
    const poll = await this.#overApi.poll();
    if (!poll.ok || !this.#mustResync) return poll;
    this.#mustResync = false;
    return { ok: true, value: { ...poll.value, mustResync: true } };
  }

  /** Takes what the files say now; what changed is kept until the next poll. Undefined: the files cannot be used. */
  async #read(): Promise<HostSnapshot | undefined> {
    if (!(await this.#answers())) {
      this.#switchTo("api", "Proxmox's cluster file system (pmxcfs) does not answer");
      return undefined;
    }
    const files = this.#watcher.poll();
    const problem = files.problems.find(isBlinding);
    if (problem !== undefined) {
      this.#switchTo("api", problem.message);
      return undefined;
    }
    this.#switchTo("files", "");
    const before = this.#files;
    this.#files = files;
    for (const vmid of [...files.changed, ...files.runStateChanged]) this.#changed.add(vmid);
    if (files.starttimeChanged || hasOtherFacts(before, files)) this.#mustResync = true;
    return this.#snapshotOf(files);
  }

  #switchTo(mode: "files" | "api", why: string): void {
    if (mode === this.#mode) return;
    if (mode === "api") this.#log.warn("the host's own files cannot be used; asking the API instead", { why });
    else if (this.#mode === "api") this.#log.info("the host's own files can be used again");
    this.#mode = mode;
    this.#mustResync = true;
  }

  /** The guests are made anew only when they changed: with ten thousand that would be all that an idle agent does. */
  #snapshotOf(files: HostFiles): HostSnapshot {
    if (this.#guests?.vmlist !== files.vmlist || this.#guests.runStates !== files.runStates) this.#guests = guestsOf(files, this.#node);
    return { guests: this.#guests.here, elsewhere: this.#guests.elsewhere, tasks: files.activeTasks };
  }
}

/** The guests that the files tell of, and what they were made of. */
interface HostGuests extends Pick<HostFiles, "vmlist" | "runStates"> {
  readonly here: ReadonlyMap<number, ListedGuest>;
  readonly elsewhere: ReadonlyMap<number, string>;
}

function guestsOf({ vmlist, runStates }: HostFiles, node: string): HostGuests {
  const here = new Map<number, ListedGuest>();
  const elsewhere = new Map<number, string>();
  for (const [vmid, entry] of vmlist) {
    if (entry.node === node) here.set(vmid, { kind: entry.kind, vmid, runState: runStates.get(vmid) ?? "unknown" });
    else elsewhere.set(vmid, entry.node);
  }
  return { vmlist, runStates, here, elsewhere };
}

/**
 * Without the list of guests, what runs, or the tasks at work, the files would tell less than the API
 * does. Only those with a stand-in may fail: datacenter.cfg and the HA resources are asked of the API,
 * and a task list that was caught half-written is read again at the next poll.
 */
function isBlinding({ path, kind }: HostProblem): boolean {
  if (path.endsWith("/datacenter.cfg") || path.endsWith("/ha/resources.cfg")) return false;
  return kind === "unreadable" || !path.endsWith("/active");
}

/** Another tag style or HA set changes what plans come out as. The watcher gives the same object while nothing moved. */
function hasOtherFacts(before: HostFiles | undefined, now: HostFiles): boolean {
  return before !== undefined && (before.tagStyle !== now.tagStyle || before.haResources !== now.haResources);
}
