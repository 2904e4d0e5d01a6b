import type { FileSystem } from "../ports/file-system.ts";
import { cleanText } from "./faults.ts";
import type { VmlistEntry } from "./host-formats.ts";

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
  readonly files: Pick<FileSystem, "readFile" | "list">;
}

type RunStateMap = ReadonlyMap<number, "running" | "stopped">;

export interface RunStatesPoll {
  readonly states: RunStateMap;
  /** Ascending; empty at the first poll. */
  readonly changed: readonly number[];
  /** undefined when other users' processes cannot be seen (hidepid, ProtectProc=). */
  readonly livePids: ReadonlySet<number> | undefined;
  readonly problems: readonly HostProblem[];
}

/** What a pid file that may not be read says: QEMU writes it 0600 as root, so its presence alone must do. */
const UNREADABLE_PID = -1;

/**
 * Which guests of this node run, from three directory listings. A VM runs while <runDir>/qemu-server/VMID.pid names a
 * live process (a killed QEMU leaves the file for a moment); a container while <cgroupDir>/lxc/VMID exists. Pid
 * files are read once each: when a cached pid is gone from /proc the file is read again.
 */
export class RunStates {
  readonly #options: RunStatesOptions;
  readonly #pids = new Map<number, number>();
  #containers: ReadonlySet<number> = new Set();
  #virtualMachines: ReadonlySet<number> = new Set();
  #states: RunStateMap | undefined;
  #problems: HostProblem[] = [];

  constructor(options: RunStatesOptions) {
    this.#options = options;
  }

  poll(vmlist: ReadonlyMap<number, VmlistEntry>): RunStatesPoll {
    this.#problems = [];
    const { procDir, cgroupDir, runDir } = this.#options;
    const livePids = this.#listLivePids(procDir);
    const containers = this.#list(`${cgroupDir}/lxc`);
    if (containers !== undefined) this.#containers = numbersOf(containers, /^(\d+)$/);
    const pidFiles = this.#list(`${runDir}/qemu-server`);
    if (pidFiles !== undefined) this.#virtualMachines = this.#liveMachines(numbersOf(pidFiles, /^(\d+)\.pid$/), livePids);
    const before = this.#states;
    this.#states = this.#stateOfAll(vmlist);
    return { states: this.#states, changed: before === undefined ? [] : changedStates(before, this.#states), livePids, problems: this.#problems };
  }

  #stateOfAll(vmlist: ReadonlyMap<number, VmlistEntry>): RunStateMap {
    const states = new Map<number, "running" | "stopped">();
    for (const [vmid, { kind, node }] of vmlist) {
      if (node !== this.#options.node) continue;
      const running = kind === "qemu" ? this.#virtualMachines : this.#containers;
      states.set(vmid, running.has(vmid) ? "running" : "stopped");
    }
    return states;
  }

  #liveMachines(pidFiles: ReadonlySet<number>, livePids: ReadonlySet<number> | undefined): Set<number> {
    for (const vmid of this.#pids.keys()) if (!pidFiles.has(vmid)) this.#pids.delete(vmid);
    const live = new Set<number>();
    for (const vmid of pidFiles) if (this.#isMachineAlive(vmid, livePids)) live.add(vmid);
    return live;
  }

  #isMachineAlive(vmid: number, livePids: ReadonlySet<number> | undefined): boolean {
    if (livePids === undefined) return true;
    const known = this.#pids.get(vmid);
    if (known !== undefined && (known === UNREADABLE_PID || livePids.has(known))) return true;
    const pid = this.#readPid(vmid);
    if (pid !== undefined) this.#pids.set(vmid, pid);
    return pid !== undefined && (pid === UNREADABLE_PID || livePids.has(pid));
  }

  #readPid(vmid: number): number | undefined {
    const read = this.#options.files.readFile(`${this.#options.runDir}/qemu-server/${vmid}.pid`);
    if (!read.ok) return read.error.code === "file.denied" ? UNREADABLE_PID : undefined;
    const text = new TextDecoder().decode(read.value).trim();
    return /^\d+$/.test(text) ? Number(text) : undefined;
  }

  #listLivePids(procDir: string): ReadonlySet<number> | undefined {
    const names = this.#list(procDir);
    if (names === undefined) return undefined;
    const pids = numbersOf(names, /^(\d+)$/);
    // Everybody sees process 1, unless others' processes are hidden; then absence says nothing.
    return pids.has(1) ? pids : undefined;
  }

  /** Names in a directory; an absent one is empty (nothing of its kind ever ran), an unreadable one undefined. */
  #list(path: string): readonly string[] | undefined {
    const listed = this.#options.files.list(path);
    if (listed.ok) return listed.value;
    if (listed.error.code === "file.not_found") return [];
    this.#problems.push({ path, kind: "unreadable", message: cleanText(listed.error.message) });
    return undefined;
  }
}

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
