import { fault, ok, type Result } from "../../src/ports/errors.ts";
import type { FileStatus, FileSystem } from "../../src/ports/file-system.ts";
import type { Node } from "../../src/simulator/host/node.ts";

/**
 * The files a Proxmox host keeps about its guests, made from a simulated node when they are read: what
 * the real host watcher reads. What can be wrong with them: not mounted, cut off, not readable, as they
 * were a moment ago, with a counter that moves for nothing, and pmxcfs restarted with counters that begin anew.
 */

export const HOST_DIRECTORIES = { pveDir: "/etc/pve", runDir: "/run", taskDir: "/var/log/pve/tasks", cgroupDir: "/sys/fs/cgroup", procDir: "/proc" } as const;

/** Process ids of QEMU processes: beyond any worker's. */
const MACHINE_PID_BASE = 1_000_000;
const UPID_PID = /^UPID:[^:]+:([0-9A-F]+):/;

const PID_FILES = `${HOST_DIRECTORIES.runDir}/qemu-server`;
const PROCESS = new RegExp(`^${HOST_DIRECTORIES.procDir}/(\\d+)$`);
const DIRECTORY: FileStatus = { isDirectory: true, isFile: false, mode: 0o755, ownerUid: 0, sizeBytes: 0, inode: 1, modifiedAtMs: 0 };

const CLUSTER_FILES = [".version", ".vmlist", "datacenter.cfg", "ha/resources.cfg"] as const;

export type HostFileTrouble = "unmounted" | "cut" | "denied" | "stale" | "wrong counter";

export class SimulatedHostFiles implements Pick<FileSystem, "readFile" | "list" | "status"> {
  /** Reads and listings so far. */
  reads = 0;
  readonly #node: Node;
  readonly #elsewhere: ReadonlyMap<number, { readonly node: string; readonly kind: "qemu" | "lxc" }>;
  /** Of a pmxcfs that was restarted: when, and what its counters are less than the node's. */
  #restarted: { readonly startTime: number; readonly vmlist: number; readonly guests: number } | undefined;
  #pidFilesSeen = { names: "", modifiedAtMs: 0 };
  #trouble: HostFileTrouble | undefined;
  /** Cluster files as they were when they went stale: never of different moments, as pmxcfs makes them all at once. */
  #frozen = new Map<string, string>();

  constructor(node: Node, elsewhere: ReadonlyMap<number, { readonly node: string; readonly kind: "qemu" | "lxc" }>) {
    this.#node = node;
    this.#elsewhere = elsewhere;
  }

  get trouble(): HostFileTrouble | undefined {
    return this.#trouble;
  }

  set trouble(trouble: HostFileTrouble | undefined) {
    this.#trouble = trouble;
    this.#frozen = new Map(trouble === "stale" ? CLUSTER_FILES.map((name) => [`${HOST_DIRECTORIES.pveDir}/${name}`, this.#clusterText(name) ?? ""]) : []);
  }

  /** pmxcfs comes up anew; its counters begin again. */
  restartPmxcfs(nowSeconds: number): void {
    const { version, ids } = this.#node.vmlist();
    // It takes longer than a second to come up.
    this.#restarted = { startTime: Math.max(nowSeconds, (this.#restarted?.startTime ?? 0) + 1), vmlist: version - 1, guests: Math.min(version, ...Object.values(ids).map((entry) => entry.version)) - 1 };
  }

  readFile(path: string): Result<Uint8Array> {
    this.reads++;
    const text = this.#text(path);
    if (text === undefined) return fault("file.not_found", `cannot read ${path}: no such file`);
    if (this.trouble === "denied" && path.startsWith(HOST_DIRECTORIES.pveDir)) return fault("file.denied", `cannot read ${path}: permission denied`);
    const current = this.#frozen.get(path) ?? text;
    return ok(new TextEncoder().encode(this.trouble === "cut" && path.startsWith(HOST_DIRECTORIES.pveDir) ? current.slice(0, current.length / 2) : current));
  }

  list(directory: string): Result<readonly string[]> {
    this.reads++;
    const running = this.#node.runningGuests();
    switch (directory) {
      case HOST_DIRECTORIES.procDir:
        return ok([...this.#processes()]);
      case `${HOST_DIRECTORIES.cgroupDir}/lxc`:
        return ok(running.filter(({ kind }) => kind === "lxc").map(({ vmid }) => String(vmid)));
      case PID_FILES:
        return ok(this.#pidFiles());
      default:
        return fault("file.not_found", `cannot list ${directory}: no such directory`);
    }
  }

  status(path: string): Result<FileStatus> {
    const [, pid] = PROCESS.exec(path) ?? [];
    if (pid !== undefined) return this.#processes().has(pid) ? ok(DIRECTORY) : fault("file.not_found", `cannot look at ${path}: no such directory`);
    if (path === PID_FILES) return ok({ ...DIRECTORY, modifiedAtMs: this.#pidFilesModified() });
    const text = this.#text(path);
    if (text === undefined) return fault("file.not_found", `cannot look at ${path}: no such file`);
    return ok({ isDirectory: false, isFile: true, mode: 0o640, ownerUid: 0, sizeBytes: text.length, inode: 1, modifiedAtMs: 0 });
  }

  #text(path: string): string | undefined {
    const { pveDir, runDir, taskDir } = HOST_DIRECTORIES;
    if (path.startsWith(pveDir)) return this.trouble === "unmounted" ? undefined : this.#clusterText(path.slice(pveDir.length + 1));
    if (path === `${taskDir}/active`) return this.#node.activeTasks().map((line) => `${line}\n`).join("");
    const vmid = new RegExp(`^${runDir}/qemu-server/(\\d+)\\.pid$`).exec(path)?.[1];
    return vmid === undefined ? undefined : `${MACHINE_PID_BASE + Number(vmid)}\n`;
  }

  #clusterText(name: string): string | undefined {
    switch (name) {
      case ".version":
        return `${JSON.stringify(this.#version())}\n`;
      case ".vmlist":
        return this.#vmlist();
      case "datacenter.cfg":
        return this.#node.datacenterConfig();
      case "ha/resources.cfg":
        return this.#node.haResources();
      default:
        return undefined;
    }
  }

  #version(): Readonly<Record<string, unknown>> {
    const version = this.#node.clusterVersion();
    const restarted = this.#restarted ?? { startTime: version["starttime"], vmlist: 0 };
    const wrong = this.#trouble === "wrong counter" ? this.reads : 0;
    return { ...version, starttime: restarted.startTime, vmlist: this.#node.vmlist().version - restarted.vmlist + wrong };
  }

  #vmlist(): string {
    const { version, ids } = this.#node.vmlist();
    const less = this.#restarted ?? { vmlist: 0, guests: 0 };
    const here = Object.entries(ids).map(([vmid, entry]) => [vmid, { ...entry, version: entry.version - less.guests }] as const);
    const there = [...this.#elsewhere].map(([vmid, { node, kind }]) => [String(vmid), { node, type: kind, version: 1 }] as const);
    return `${JSON.stringify({ version: version - less.vmlist, ids: Object.fromEntries([...here, ...there]) })}\n`;
  }

  #pidFiles(): readonly string[] {
    return this.#node.runningGuests().filter(({ kind }) => kind === "qemu").map(({ vmid }) => `${vmid}.pid`);
  }

  #processes(): ReadonlySet<string> {
    const machines = this.#node.runningGuests().filter(({ kind }) => kind === "qemu").map(({ vmid }) => String(MACHINE_PID_BASE + vmid));
    return new Set(["1", ...machines, ...this.#workerPids()]);
  }

  /** Moves when a pid file came or went since it was looked at last. */
  #pidFilesModified(): number {
    const names = this.#pidFiles().join();
    if (names !== this.#pidFilesSeen.names) this.#pidFilesSeen = { names, modifiedAtMs: this.#pidFilesSeen.modifiedAtMs + 1 };
    return this.#pidFilesSeen.modifiedAtMs;
  }

  /** Processes of workers that are at work. */
  #workerPids(): readonly string[] {
    return this.#node.activeTasks().flatMap((line) => {
      const pid = line.endsWith(" 0") ? UPID_PID.exec(line)?.[1] : undefined;
      return pid === undefined ? [] : [String(Number.parseInt(pid, 16))];
    });
  }
}
