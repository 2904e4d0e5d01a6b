import type { FileSystem } from "../ports/file-system.ts";

/** What a pid file that may not be read says: QEMU writes it 0600 as root, so its presence alone must do. */
const UNREADABLE_PID = -1;

/**
 * Processes looked at in one poll, some 3 µs each; a thousand have their turn in five seconds. It finds a
 * machine that was killed and whose file nobody removed yet: where the file goes, that is seen at once.
 */
export const PIDS_CHECKED_PER_POLL_MAX = 50;

export interface MachinePidsOptions {
  readonly runDir: string;
  readonly procDir: string;
  readonly files: Pick<FileSystem, "readFile" | "status">;
}

/**
 * Which VMs have a pid file that names a live process. A file is read when it appears, and again when
 * the process it named is gone: a machine that was killed and started again writes into the same file.
 */
export class MachinePids {
  readonly #options: MachinePidsOptions;
  /** vmid → pid, undefined where the file names no live process. */
  readonly #pids = new Map<number, number | undefined>();
  /** Those without a live process: few, and each may be one that is about to write its number. */
  readonly #dead = new Set<number>();
  #vmids: readonly number[] = [];
  #names: readonly string[] | undefined;
  #arePidsVisible = true;
  #next = 0;

  constructor(options: MachinePidsOptions) {
    this.#options = options;
  }

  /**
   * @param names the directory of pid files, the same object while it is as before; undefined: cannot be read, what is known stands
   * @returns true when a machine began or ceased to live, or may have
   */
  poll(names: readonly string[] | undefined, arePidsVisible: boolean): boolean {
    const wereVisible = this.#arePidsVisible;
    this.#arePidsVisible = arePidsVisible;
    let hasChanged = wereVisible !== arePidsVisible;
    if (names !== undefined && names !== this.#names) hasChanged = this.#takeNames(names) || hasChanged;
    if (!arePidsVisible) return hasChanged;
    for (const vmid of wereVisible ? this.#turn() : this.#vmids) hasChanged = this.#check(vmid) || hasChanged;
    return hasChanged;
  }

  isAlive(vmid: number): boolean {
    return this.#arePidsVisible ? this.#pids.get(vmid) !== undefined : this.#pids.has(vmid);
  }

  #takeNames(names: readonly string[]): boolean {
    this.#names = names;
    const vmids = new Set<number>();
    for (const name of names) {
      const digits = /^(\d+)\.pid$/.exec(name)?.[1];
      if (digits !== undefined) vmids.add(Number(digits));
    }
    let hasChanged = false;
    for (const vmid of this.#pids.keys()) {
      if (vmids.has(vmid)) continue;
      this.#dead.delete(vmid);
      hasChanged = this.#pids.delete(vmid) || hasChanged;
    }
    for (const vmid of vmids) {
      if (this.#pids.has(vmid)) continue;
      this.#note(vmid, this.#livePid(vmid));
      hasChanged = true;
    }
    this.#vmids = [...vmids];
    return hasChanged;
  }

  /** The dead, and whose turn it is, round and round. */
  #turn(): readonly number[] {
    const count = Math.min(PIDS_CHECKED_PER_POLL_MAX, this.#vmids.length);
    const turn = [...this.#dead].slice(0, PIDS_CHECKED_PER_POLL_MAX);
    for (let step = 0; step < count; step++) {
      const vmid = this.#vmids[(this.#next + step) % this.#vmids.length];
      if (vmid !== undefined) turn.push(vmid);
    }
    this.#next = count === 0 ? 0 : (this.#next + count) % this.#vmids.length;
    return turn;
  }

  #check(vmid: number): boolean {
    const known = this.#pids.get(vmid);
    if (known !== undefined && this.#isLive(known)) return false;
    const pid = this.#livePid(vmid);
    this.#note(vmid, pid);
    return (known === undefined) !== (pid === undefined);
  }

  #note(vmid: number, pid: number | undefined): void {
    this.#pids.set(vmid, pid);
    if (pid === undefined) this.#dead.add(vmid);
    else this.#dead.delete(vmid);
  }

  #livePid(vmid: number): number | undefined {
    const pid = this.#readPid(vmid);
    return pid !== undefined && this.#isLive(pid) ? pid : undefined;
  }

  #readPid(vmid: number): number | undefined {
    const read = this.#options.files.readFile(`${this.#options.runDir}/qemu-server/${vmid}.pid`);
    if (!read.ok) return read.error.code === "file.denied" ? UNREADABLE_PID : undefined;
    const text = new TextDecoder().decode(read.value).trim();
    return /^\d+$/.test(text) ? Number(text) : undefined;
  }

  #isLive(pid: number): boolean {
    return pid === UNREADABLE_PID || isProcess(this.#options, pid);
  }
}

/** Whether a process of this number is there, as far as this process may see. */
export function isProcess({ files, procDir }: Pick<MachinePidsOptions, "procDir"> & { readonly files: Pick<FileSystem, "status"> }, pid: number): boolean {
  return files.status(`${procDir}/${pid}`).ok;
}
