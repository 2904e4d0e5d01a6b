import type { Clock } from "../ports/clock.ts";
import type { FileSystem } from "../ports/file-system.ts";
import { cleanText } from "./faults.ts";
import type { VmlistEntry } from "./host-formats.ts";
import { MachinePids } from "./machine-pids.ts";
import { isAlike, WatchedDirectory } from "./watched-directory.ts";

/** A file that could not be used in this poll; what was known from it before still stands. */
export interface HostProblem {
  readonly path: string;
  readonly kind: "unreadable" | "malformed";
  readonly message: string;
}

export interface RunStatesOptions {
  readonly runDir: string;
  readonly cgroupDir: string;
  readonly procDir: string;
  readonly node: string;
  readonly files: Pick<FileSystem, "readFile" | "list" | "status">;
  readonly clock: Pick<Clock, "monotonic">;
}

type RunStateMap = ReadonlyMap<number, "running" | "stopped">;

export interface RunStatesPoll {
  /** The same object while nothing changed. */
  readonly states: RunStateMap;
  /** Ascending; empty at the first poll. */
  readonly changed: readonly number[];
  readonly problems: readonly HostProblem[];
}

/** Up to so many containers their names are listed at every poll: a tenth of a millisecond. */
const CONTAINERS_LISTED_ALWAYS_MAX = 256;

/** Of more, so often, and whenever the task list changed: only the death of a container's init makes no task. */
const CONTAINER_LISTING_MS = 1_000;

/**
 * Which guests of this node run. A VM runs while <runDir>/qemu-server/VMID.pid names a live process (a
 * killed QEMU leaves the file for a moment); a container while <cgroupDir>/lxc/VMID exists. What a poll
 * costs does not grow with the guests: the directory of pid files is listed when it changed, many
 * containers less often than few, and so many processes are looked at in turn (machine-pids.ts).
 */
export class RunStates {
  readonly #options: RunStatesOptions;
  readonly #pidFiles: WatchedDirectory;
  readonly #machines: MachinePids;
  #containerNames: readonly string[] | undefined;
  #containersListedAtMs = 0;
  #containers: ReadonlySet<number> = new Set();
  #vmlist: ReadonlyMap<number, VmlistEntry> | undefined;
  #states: RunStateMap | undefined;
  #problems: HostProblem[] = [];

  constructor(options: RunStatesOptions) {
    this.#options = options;
    this.#pidFiles = new WatchedDirectory(`${options.runDir}/qemu-server`, options.files, options.clock);
    this.#machines = new MachinePids(options);
  }

  /**
   * @param arePidsVisible false where other users' processes are hidden: then a pid file counts by being there
   * @param haveTasksChanged whether a task began or ended since the last poll
   */
  poll(vmlist: ReadonlyMap<number, VmlistEntry>, arePidsVisible: boolean, haveTasksChanged: boolean): RunStatesPoll {
    this.#problems = [];
    const haveContainersChanged = this.#readContainers(haveTasksChanged);
    const haveMachinesChanged = this.#machines.poll(this.#usable(`${this.#options.runDir}/qemu-server`, this.#pidFiles.names()), arePidsVisible);
    const before = this.#states;
    if (before !== undefined && !haveContainersChanged && !haveMachinesChanged && vmlist === this.#vmlist) return { states: before, changed: [], problems: this.#problems };
    this.#vmlist = vmlist;
    this.#states = this.#stateOfAll(vmlist);
    return { states: this.#states, changed: before === undefined ? [] : changedStates(before, this.#states), problems: this.#problems };
  }

  /** Listed, for a control group's directory does not tell when it changed. True when it did. */
  #readContainers(haveTasksChanged: boolean): boolean {
    const { cgroupDir, files, clock } = this.#options;
    const nowMs = clock.monotonic();
    const isDue = nowMs - this.#containersListedAtMs >= CONTAINER_LISTING_MS;
    if ((this.#containerNames?.length ?? 0) > CONTAINERS_LISTED_ALWAYS_MAX && !haveTasksChanged && !isDue) return false;
    this.#containersListedAtMs = nowMs;
    const names = this.#usable(`${cgroupDir}/lxc`, files.list(`${cgroupDir}/lxc`));
    if (names === undefined || (this.#containerNames !== undefined && isAlike(this.#containerNames, names))) return false;
    this.#containerNames = names;
    this.#containers = numbersOf(names, /^(\d+)$/);
    return true;
  }

  #stateOfAll(vmlist: ReadonlyMap<number, VmlistEntry>): RunStateMap {
    const states = new Map<number, "running" | "stopped">();
    for (const [vmid, { kind, node }] of vmlist) {
      if (node !== this.#options.node) continue;
      const isRunning = kind === "qemu" ? this.#machines.isAlive(vmid) : this.#containers.has(vmid);
      states.set(vmid, isRunning ? "running" : "stopped");
    }
    return states;
  }

  /** Names in a directory; an absent one is empty (nothing of its kind ever ran), an unreadable one undefined. */
  #usable(path: string, listed: ReturnType<FileSystem["list"]>): readonly string[] | undefined {
    if (listed.ok) return listed.value;
    if (listed.error.code === "file.not_found") return NOTHING;
    this.#problems.push({ path, kind: "unreadable", message: cleanText(listed.error.message) });
    return undefined;
  }
}

const NOTHING: readonly string[] = [];

/** The numbers among names, each taken by the first group of `pattern`. */
function numbersOf(names: readonly string[], pattern: RegExp): Set<number> {
  const numbers = new Set<number>();
  for (const name of names) {
    const digits = pattern.exec(name)?.[1];
    if (digits !== undefined) numbers.add(Number(digits));
  }
  return numbers;
}

function changedStates(before: RunStateMap, after: RunStateMap): number[] {
  const changed: number[] = [];
  for (const [vmid, state] of after) if (before.has(vmid) && before.get(vmid) !== state) changed.push(vmid);
  return changed.sort((a, b) => a - b);
}
