import { isDeepStrictEqual } from "node:util";
import type { TagStyle } from "../guest/host-facts.ts";
import { DEFAULT_TAG_STYLE } from "../guest/host-facts.ts";
import type { Clock } from "../ports/clock.ts";
import type { FileSystem } from "../ports/file-system.ts";
import type { HaResource, TaskRecord } from "../ports/proxmox-api.ts";
import { cleanText } from "./faults.ts";
import {
  parseActiveTasks, parseDatacenterTagStyle, parseHaResources, parseHostVersion, parseVmlist,
  type ActiveTask, type HostVersion, type VmlistEntry,
} from "./host-formats.ts";
import { isProcess } from "./machine-pids.ts";
import { RunStates, type HostProblem } from "./run-states.ts";

export interface HostWatcherOptions {
  readonly pveDir: string;
  readonly runDir: string;
  readonly taskDir: string;
  readonly cgroupDir: string;
  readonly procDir: string;
  readonly node: string;
  readonly files: Pick<FileSystem, "readFile" | "list" | "status">;
  readonly clock: Pick<Clock, "monotonic">;
}

/** What the host's files say now. Hints that a guest should be read, never a reason to act by themselves. */
export interface HostSnapshot {
  /** pmxcfs restarted since the last poll: its counters began anew, so read everything. */
  readonly starttimeChanged: boolean;
  /** Every guest of the cluster. The same object while its file was not read again. */
  readonly vmlist: ReadonlyMap<number, VmlistEntry>;
  /** Guests whose configuration or node changed, that appeared or went, since the last poll; ascending. */
  readonly changed: readonly number[];
  /** Guests of this node whose run state changed since the last poll; ascending. Starting and stopping move no counter. */
  readonly runStateChanged: readonly number[];
  /** Guests of this node; `running` includes paused ones. Empty until `.vmlist` was read. The same object while nothing changed. */
  readonly runStates: ReadonlyMap<number, "running" | "stopped">;
  /** Workers that run on this node now. */
  readonly activeTasks: readonly TaskRecord[];
  /** null: not permitted to see (or not read yet). The same object while it says the same, whatever else was written into its file. */
  readonly tagStyle: TagStyle | null;
  readonly haResources: readonly HaResource[] | null;
  readonly problems: readonly HostProblem[];
}

export interface HostWatcher {
  /** Whether this is a Proxmox host, as far as pveDir shows. */
  isPresent(): boolean;
  /**
   * Reads what changed, synchronously. The first poll is the baseline and reports no changes: poll before the first
   * full read, so that what changes in between is reported by the next poll.
   */
  poll(): HostSnapshot;
}

/**
 * Watches the files a Proxmox host keeps about its guests (docs/proxmox.md, "On the host"). On an unchanged host a
 * poll costs two small files, the names of the running containers, a look at some processes, and no request to the API.
 */
export function createHostWatcher(options: HostWatcherOptions): HostWatcher {
  return new FileHostWatcher(options);
}

const EMPTY_VMLIST: ReadonlyMap<number, VmlistEntry> = new Map();

class FileHostWatcher implements HostWatcher {
  readonly #options: HostWatcherOptions;
  readonly #runStates: RunStates;
  #version: HostVersion | undefined;
  #vmlist: Cached<ReadonlyMap<number, VmlistEntry>> = { value: EMPTY_VMLIST, counter: "unread" };
  #tagStyle: Cached<TagStyle | null> = { value: null, counter: "unread" };
  #haResources: Cached<readonly HaResource[] | null> = { value: null, counter: "unread" };
  #activeTasks: readonly ActiveTask[] = [];
  #problems: HostProblem[] = [];

  constructor(options: HostWatcherOptions) {
    this.#options = options;
    this.#runStates = new RunStates(options);
  }

  isPresent(): boolean {
    return this.#options.files.status(`${this.#options.pveDir}/.vmlist`).ok;
  }

  poll(): HostSnapshot {
    this.#problems = [];
    const before = { version: this.#version, vmlist: this.#vmlist };
    this.#readClusterFiles();
    const tasksBefore = this.#activeTasks;
    this.#readTasks();
    const arePidsVisible = this.#arePidsVisible();
    const { states, changed, problems } = this.#runStates.poll(this.#vmlist.value, arePidsVisible, tasksBefore !== this.#activeTasks);
    this.#problems.push(...problems);
    return {
      starttimeChanged: before.version !== undefined && before.version.startTime !== this.#version?.startTime,
      vmlist: this.#vmlist.value,
      changed: before.vmlist.counter === "unread" ? [] : changedGuests(before.vmlist.value, this.#vmlist.value),
      runStateChanged: changed,
      runStates: states,
      activeTasks: this.#activeTasks.filter(({ pid }) => !arePidsVisible || isProcess(this.#options, pid)).map(({ task }) => task),
      tagStyle: this.#tagStyle.value,
      haResources: this.#haResources.value,
      problems: this.#problems,
    };
  }

  /** Everybody sees process 1, unless others' processes are hidden (hidepid, ProtectProc=): then absence says nothing. */
  #arePidsVisible(): boolean {
    return isProcess(this.#options, 1);
  }

  #readClusterFiles(): void {
    const { pveDir } = this.#options;
    const version = this.#read(`${pveDir}/.version`, parseHostVersion);
    if (version === undefined) return;
    const counter = (value: number | undefined): string | undefined => (value === undefined ? undefined : `${version.startTime}/${value}`);
    this.#vmlist = this.#reread(this.#vmlist, counter(version.vmlist), `${pveDir}/.vmlist`, parseVmlist);
    // Both files are optional: without them Proxmox's defaults are in force.
    this.#tagStyle = keepAlike(this.#tagStyle, this.#reread(this.#tagStyle, counter(version.datacenterCfg), `${pveDir}/datacenter.cfg`, parseDatacenterTagStyle, DEFAULT_TAG_STYLE));
    this.#haResources = keepAlike(this.#haResources, this.#reread(this.#haResources, counter(version.haResources), `${pveDir}/ha/resources.cfg`, parseHaResources, []));
    this.#version = version;
  }

  /** Reads `path` when its counter moved (or has none) or the last reading failed; on failure the last value stays. */
  #reread<T>(cached: Cached<T>, counter: string | undefined, path: string, parse: (text: string) => T | undefined, ifAbsent?: T): Cached<T> {
    if (counter !== undefined && cached.counter === counter) return cached;
    const value = this.#read(path, parse, ifAbsent);
    if (value !== undefined) return { value, counter: counter ?? "uncounted" };
    return { value: cached.value, counter: cached.counter === "unread" ? "unread" : "failed" };
  }

  /** Small, and rewritten by whoever starts a worker: read every time, its counter in .version can lag. The same object while it says the same. */
  #readTasks(): void {
    const tasks = this.#read(`${this.#options.taskDir}/active`, parseActiveTasks, []);
    if (tasks !== undefined && upidsOf(tasks) !== upidsOf(this.#activeTasks)) this.#activeTasks = tasks;
  }

  /**
   * undefined, with a problem noted, when the file cannot be used. An absent file is `ifAbsent` where that is given;
   * where it is not, absence is a problem too: a vanished .vmlist is pmxcfs going down, not an empty cluster.
   */
  #read<T>(path: string, parse: (text: string) => T | undefined, ifAbsent?: T): T | undefined {
    const read = this.#options.files.readFile(path);
    if (!read.ok) {
      if (read.error.code === "file.not_found" && ifAbsent !== undefined) return ifAbsent;
      this.#problems.push({ path, kind: "unreadable", message: cleanText(read.error.message) });
      return undefined;
    }
    const value = parse(new TextDecoder().decode(read.value));
    if (value === undefined) this.#problems.push({ path, kind: "malformed", message: `${path} is cut off or not what Proxmox writes; read again at the next poll` });
    return value;
  }
}

/** A file's content and the counter it was read at: "unread" before the first success, "failed" or "uncounted" to read again. */
interface Cached<T> {
  readonly value: T;
  readonly counter: string;
}

function upidsOf(tasks: readonly ActiveTask[]): string {
  return tasks.map(({ task }) => task.upid).join("\n");
}

/** These files hold more than what is taken from them: a new keyboard layout is no news. */
function keepAlike<T>(before: Cached<T>, now: Cached<T>): Cached<T> {
  return isDeepStrictEqual(before.value, now.value) ? { ...now, value: before.value } : now;
}

function changedGuests(before: ReadonlyMap<number, VmlistEntry>, after: ReadonlyMap<number, VmlistEntry>): number[] {
  if (before === after) return [];
  const changed: number[] = [];
  for (const [vmid, entry] of after) {
    const old = before.get(vmid);
    // Unlike, not greater: counters begin anew with pmxcfs.
    if (old === undefined || old.version !== entry.version || old.node !== entry.node || old.kind !== entry.kind) changed.push(vmid);
  }
  for (const vmid of before.keys()) if (!after.has(vmid)) changed.push(vmid);
  return changed.sort((a, b) => a - b);
}
