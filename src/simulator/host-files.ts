import { join } from "node:path";
import type { Clock } from "../ports/clock.ts";
import type { HostChange, SimulatedNode, VmList } from "./api.ts";
import { isEmptyOrMissing, makeDirectory, readFileIfThere, removePath, replaceFile } from "./files.ts";

/**
 * Keeps a directory looking like what an agent on a host can read without asking the API: pmxcfs's
 * .version and .vmlist, datacenter.cfg, the HA resources, the task list, pid files and container
 * cgroups. Changes are gathered for 20 ms and only files whose content differs are written: a start of
 * a thousand guests costs a thousand pid files, a config edit two writes.
 */

export interface HostFiles {
  /** false: as if pmxcfs had stopped, everything under /etc/pve is gone; true: it is back, with a new start time. */
  setMounted(isMounted: boolean): void;
  /** Writes what is gathered at once. */
  flush(): void;
  stop(): void;
}

/** Long enough to gather a burst, short against an agent's polling (every 250 ms). */
const COALESCE_MS = 20;
const READABLE_MODE = 0o644;
/** Marks a directory as the simulator's, so that no real host's files are ever overwritten. */
const MARKER = ".steward-simulator";
const MARKER_TEXT = "This directory is rewritten by agent simulate.\n";

/** Takes `directory` over and fills it. Throws when it holds something that is not the simulator's. */
export function keepHostFiles(directory: string, node: SimulatedNode, clock: Clock): HostFiles {
  return new HostDirectory(directory, node, clock);
}

class HostDirectory implements HostFiles {
  readonly #directory: string;
  readonly #node: SimulatedNode;
  readonly #clock: Clock;
  readonly #unsubscribe: () => void;
  readonly #written = new Map<string, string>();
  #running = new Set<string>();
  #cancelFlush: (() => void) | undefined;
  #isMounted = true;
  /** Set after a remount: pmxcfs counts its start time anew. */
  #startTimeSeconds: number | undefined;

  constructor(directory: string, node: SimulatedNode, clock: Clock) {
    this.#directory = directory;
    this.#node = node;
    this.#clock = clock;
    this.#takeOver();
    this.flush();
    this.#unsubscribe = node.onChange((change) => this.#note(change));
  }

  setMounted(isMounted: boolean): void {
    if (isMounted && !this.#isMounted) this.#startTimeSeconds = Math.floor(this.#clock.now() / 1000);
    this.#isMounted = isMounted;
    this.flush();
  }

  flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    const node = this.#node;
    this.#put("tasks/active", lines(node.activeTasks()));
    this.#syncRunning();
    /** .version last: who sees it move finds everything else in place. */
    this.#put("datacenter.cfg", this.#isMounted ? node.datacenterConfig() : "");
    this.#put("ha/resources.cfg", this.#isMounted ? node.haResources() : "");
    this.#put(".vmlist", this.#isMounted ? formatVmList(node.vmlist()) : "");
    this.#put(".version", this.#isMounted ? this.#version() : "");
  }

  stop(): void {
    this.#cancelFlush?.();
    this.#unsubscribe();
  }

  #takeOver(): void {
    const marker = join(this.#directory, MARKER);
    if (readFileIfThere(marker) === undefined && !isEmptyOrMissing(this.#directory)) {
      throw new Error(`expected an empty directory or one of the simulator's, found something else in ${this.#directory}: give another --host-dir`);
    }
    replaceFile(marker, MARKER_TEXT, READABLE_MODE);
    for (const part of ["run/qemu-server", "cgroup/lxc", "tasks", "ha"]) {
      removePath(join(this.#directory, part));
      makeDirectory(join(this.#directory, part));
    }
    for (const name of [".version", ".vmlist", "datacenter.cfg"]) removePath(join(this.#directory, name));
  }

  #note(change: HostChange): void {
    /** A run state is visible at once on a host; the rest is gathered. */
    if (change.kind === "run") this.#syncRunning();
    this.#cancelFlush ??= this.#clock.schedule(COALESCE_MS, () => this.flush());
  }

  /** Writes `content` if it differs from what is there; an empty file is no file. */
  #put(name: string, content: string): void {
    if ((this.#written.get(name) ?? "") === content) return;
    const path = join(this.#directory, name);
    if (content === "") removePath(path);
    else replaceFile(path, content, READABLE_MODE);
    this.#written.set(name, content);
  }

  #syncRunning(): void {
    const running = new Set(this.#node.runningGuests().map(({ kind, vmid }) => runPath(kind, vmid)));
    for (const path of this.#running) if (!running.has(path)) removePath(join(this.#directory, path));
    for (const path of running) if (!this.#running.has(path)) this.#markRunning(path);
    this.#running = running;
  }

  /** The pid is that of a process that lives as long as the guests do: the simulator's own. */
  #markRunning(path: string): void {
    const at = join(this.#directory, path);
    if (path.endsWith(".pid")) replaceFile(at, `${process.pid}\n`, READABLE_MODE);
    else makeDirectory(at);
  }

  #version(): string {
    const restarted = this.#startTimeSeconds === undefined ? {} : { starttime: this.#startTimeSeconds };
    return `${JSON.stringify({ ...this.#node.clusterVersion(), ...restarted }, null, 1)}\n`;
  }
}

function runPath(kind: "qemu" | "lxc", vmid: number): string {
  return kind === "qemu" ? `run/qemu-server/${vmid}.pid` : `cgroup/lxc/${vmid}`;
}

/** As pmxcfs prints it: one guest a line. */
function formatVmList(list: VmList): string {
  const rows = Object.entries(list.ids).map(
    ([vmid, { node, type, version }]) => `"${vmid}": { "node": "${node}", "type": "${type}", "version": ${version} }`,
  );
  return `{\n"version": ${list.version},\n"ids": {\n${rows.join(",\n")}}\n\n}\n`;
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join("");
}
