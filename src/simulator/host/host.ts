import type { Clock } from "../../ports/clock.ts";
import type { Random } from "../../ports/random.ts";
import type { GuestKind } from "../../guest/key.ts";
import type { HostChange, HostFault, NodeOptions, StartState, VmList } from "../api.ts";
import { DatacenterConfig } from "./datacenter.ts";
import { Died } from "./died.ts";
import { renderConfig, type GuestConfigFile } from "./config-file.ts";
import { Faults } from "./faults.ts";
import { FileLock } from "./file-lock.ts";
import { Guest } from "./guest.ts";
import { isLxcVolume, isQemuDrive } from "./schema.ts";
import { Storages } from "./storage.ts";
import { TaskTable, type TaskHost } from "./tasks.ts";

/**
 * The state of one simulated Proxmox host: guests, storages, tasks, cluster files, and what is wrong
 * with it. Promises that every change of a guest's file goes through `writeConfig`, which counts
 * versions and refuses when there is no quorum. Leaves what a request means to the modules around it.
 */

/** What of the machine matters to guests; the defaults are a middling server. */
export interface HostTraits {
  /** Logical CPUs; a VM with more vcpus does not start. */
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly bridges: readonly string[];
  /** Name of the cluster it is a member of; "": it is alone. */
  readonly cluster: string;
  /** false: changing a running container's memory fails, as it did on the recorded host, which had no cgroup limits. */
  readonly hasContainerCgroups: boolean;
  /** Whether the guest's system obeys a shutdown request; by default all but ostype "other" do. */
  readonly honoursShutdown: (guest: Guest) => boolean;
  /** How long a guest that obeys takes to shut down. */
  readonly shutdownDurationMs: number;
}

export type HostOptions = NodeOptions & { readonly traits?: Partial<HostTraits> };

const DEFAULT_TRAITS: HostTraits = {
  cpuCount: 16,
  memoryBytes: 64 * 1024 ** 3,
  bridges: ["vmbr0"],
  cluster: "",
  hasContainerCgroups: true,
  honoursShutdown: (guest) => guest.kind === "lxc" || (guest.option("ostype") ?? "other") !== "other",
  shutdownDurationMs: 1_000,
};

/** The recorded host had been up this long; nobody depends on it. */
const UPTIME_AT_START_MS = 2_640_000;
const GUEST_PATH = /\/nodes\/([^/]+)\/(qemu-server|lxc)\/(\d+)\.conf$/;

/** One host; made from files, changed through its methods only. */
export class Host implements TaskHost {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly fingerprint: string;
  readonly traits: HostTraits;
  readonly storages: Storages;
  readonly tasks: TaskTable;
  readonly datacenter: DatacenterConfig;
  #haConfig: string;
  readonly bootedAtMs: number;
  readonly #guests = new Map<number, Guest>();
  readonly #faults = new Faults();
  readonly #listeners = new Set<(change: HostChange) => void>();
  readonly #samplers = new Set<() => void>();
  readonly #stopper = new AbortController();
  readonly #counters = new Map<string, number>();
  #pid = 400;
  #vmlistVersion: number;
  #guestVersion: number;

  constructor(options: HostOptions) {
    const { startState } = options;
    this.name = options.name;
    this.clock = options.clock;
    this.random = options.random;
    this.fingerprint = options.fingerprint;
    this.traits = { ...DEFAULT_TRAITS, ...options.traits };
    this.bootedAtMs = this.clock.now() - UPTIME_AT_START_MS;
    this.storages = new Storages(startState.files["/etc/pve/storage.cfg"] ?? "");
    this.datacenter = new DatacenterConfig(startState.files["/etc/pve/datacenter.cfg"] ?? "");
    this.#haConfig = startState.files["/etc/pve/ha/resources.cfg"] ?? "";
    this.#vmlistVersion = startState.vmlist?.version ?? 1;
    this.#guestVersion = Math.max(1, ...Object.values(startState.vmlist?.ids ?? {}).map((entry) => entry.version));
    this.tasks = new TaskTable(this);
    this.#loadGuests(startState);
  }

  #loadGuests(startState: StartState): void {
    for (const [path, text] of Object.entries(startState.files)) {
      const [, node, folder, id] = GUEST_PATH.exec(path) ?? [];
      if (node !== this.name) continue;
      const vmid = Number(id);
      const version = startState.vmlist?.ids[String(vmid)]?.version ?? ++this.#guestVersion;
      const guest = this.#makeGuest(folder === "lxc" ? "lxc" : "qemu", vmid, text, version);
      this.#guests.set(vmid, guest);
      this.#adoptVolumes(guest);
    }
  }

  #adoptVolumes(guest: Guest): void {
    const now = this.nowSeconds();
    for (const section of [guest.view().main, guest.view().pending, ...guest.view().snapshots.values()]) {
      for (const [key, value] of section) {
        const isVolume = guest.kind === "qemu" ? isQemuDrive(key) : isLxcVolume(key);
        if (isVolume || key.startsWith("unused")) this.storages.adopt(guest.kind, guest.vmid, key, value ?? "", now);
      }
    }
  }

  #makeGuest(kind: GuestKind, vmid: number, text: string, version: number): Guest {
    const path = kind === "qemu" ? `/var/lock/qemu-server/lock-${vmid}.conf` : `/run/lock/lxc/pve-config-${vmid}.lock`;
    return new Guest(kind, vmid, text, version, new FileLock(path, this.clock));
  }

  nowSeconds(): number {
    return Math.floor(this.clock.now() / 1000);
  }

  uptimeSeconds(): number {
    return Math.floor((this.clock.now() - this.bootedAtMs) / 1000);
  }

  guests(kind?: GuestKind): readonly Guest[] {
    return [...this.#guests.values()].filter((guest) => kind === undefined || guest.kind === kind);
  }

  findGuest(vmid: number): Guest | undefined {
    return this.#guests.get(vmid);
  }

  /** The guest of this kind, or the death Proxmox dies when its file is missing (docs/proxmox.md section 2). */
  needGuest(kind: GuestKind, vmid: number): Guest {
    const guest = this.#guests.get(vmid);
    if (guest?.kind !== kind) throw Died.because(`Configuration file '${this.configPath(kind, vmid)}' does not exist`);
    return guest;
  }

  configPath(kind: GuestKind, vmid: number): string {
    return `nodes/${this.name}/${kind === "qemu" ? "qemu-server" : "lxc"}/${vmid}.conf`;
  }

  /** Writes the file and leaves `file` as a fresh read would find it. */
  writeConfig(guest: Guest, file: GuestConfigFile): void {
    this.#assertWritable(guest.kind, guest.vmid);
    const text = renderConfig(guest.kind, file);
    this.putText(guest, text);
  }

  /** Puts a text in place of the guest's file, counting the write. */
  putText(guest: Guest, text: string): void {
    this.beforeChange();
    guest.text = text;
    guest.version = ++this.#guestVersion;
    this.#vmlistVersion++;
    this.tell({ kind: "config", vmid: guest.vmid });
  }

  addGuest(kind: GuestKind, vmid: number, text: string): Guest {
    this.#assertWritable(kind, vmid);
    this.beforeChange();
    const guest = this.#makeGuest(kind, vmid, text, ++this.#guestVersion);
    this.#guests.set(vmid, guest);
    this.#vmlistVersion++;
    this.tell({ kind: "config", vmid });
    return guest;
  }

  /** A guest arrives with its file and its volumes, as a migration brings it. */
  receiveGuest(kind: GuestKind, vmid: number, text: string): void {
    this.#adoptVolumes(this.addGuest(kind, vmid, text));
  }

  removeGuest(guest: Guest): void {
    this.#assertWritable(guest.kind, guest.vmid);
    this.dropGuest(guest);
  }

  /** Removes a guest without asking. */
  dropGuest(guest: Guest): void {
    this.beforeChange();
    this.#guests.delete(guest.vmid);
    this.#vmlistVersion++;
    this.tell({ kind: "config", vmid: guest.vmid });
  }

  setDatacenterConfig(text: string): void {
    this.assertQuorum();
    this.datacenter.text = text;
    this.#clusterFileChanged("datacenter.cfg");
  }

  /** ha/resources.cfg. */
  get haConfig(): string {
    return this.#haConfig;
  }

  setHaConfig(text: string): void {
    this.assertQuorum();
    this.#haConfig = text;
    this.#clusterFileChanged("ha/resources.cfg");
  }

  #clusterFileChanged(name: string): void {
    this.#count(name);
    this.tell({ kind: "cluster" });
  }

  #count(name: string): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 1) + 1);
  }

  #assertWritable(kind: GuestKind, vmid: number): void {
    if (!this.isReadOnly) return;
    throw Died.because(`unable to open file '/etc/pve/${this.configPath(kind, vmid)}.tmp.${this.nextPid()}' - Permission denied`);
  }

  /** What Proxmox asks before it forks a start. */
  assertQuorum(): void {
    if (this.isReadOnly) throw Died.because("cluster not ready - no quorum?");
  }

  get isReadOnly(): boolean {
    return this.#faults.isReadOnly;
  }

  addFault(fault: HostFault): () => void {
    return this.#faults.add(fault);
  }

  taskFault(type: string, id: string): Promise<string | undefined> | undefined {
    return this.#faults.ofTask(type, id);
  }

  nextPid(): number {
    this.#pid += 1 + Math.floor(this.random.fraction() * 15);
    return this.#pid;
  }

  ticks(): number {
    return Math.floor((this.clock.now() - this.bootedAtMs) / 10);
  }

  tasksChanged(): void {
    this.#count("tasklist");
    this.tell({ kind: "tasks" });
  }

  tell(change: HostChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  onChange(callback: (change: HostChange) => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  /** Calls back before anything about a guest changes, for what is sampled at intervals. */
  onBeforeChange(callback: () => void): void {
    this.#samplers.add(callback);
  }

  /** To be called before a guest's file or process changes. */
  beforeChange(): void {
    for (const sampler of this.#samplers) sampler();
  }

  vmlist(): VmList {
    const rows = this.guests().map((guest) => [String(guest.vmid), { node: this.name, type: guest.kind, version: guest.version }] as const);
    return { version: this.#vmlistVersion, ids: Object.fromEntries(rows) };
  }

  clusterVersion(): Readonly<Record<string, unknown>> {
    const count = (name: string): number => this.#counters.get(name) ?? 1;
    return {
      starttime: Math.floor(this.bootedAtMs / 1000),
      clinfo: 1,
      vmlist: this.#vmlistVersion,
      "storage.cfg": 1,
      "user.cfg": 1,
      "datacenter.cfg": count("datacenter.cfg"),
      "ha/resources.cfg": count("ha/resources.cfg"),
      "ha/groups.cfg": 1,
      "ha/manager_status": 1,
      kvstore: { [this.name]: { tasklist: count("tasklist") } },
    };
  }

  /** Aborted when the simulation ends: whatever waits, stops waiting. */
  get stopped(): AbortSignal {
    return this.#stopper.signal;
  }

  stop(): void {
    this.#stopper.abort();
  }

  /** Calls back after `delayMs`, unless the simulation ends before. */
  after(delayMs: number, callback: () => void): void {
    if (this.stopped.aborted) return;
    const forget = (): void => this.stopped.removeEventListener("abort", cancel);
    const cancel = this.clock.schedule(delayMs, () => {
      forget();
      callback();
    });
    this.stopped.addEventListener("abort", cancel, { once: true });
  }

  /** A random version-4 UUID. */
  uuid(): string {
    const bytes = Buffer.from(this.random.bytes(16));
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    const hex = bytes.toString("hex");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  }

  /** A hardware address with Proxmox's prefix (docs/proxmox.md row 22). */
  hardwareAddress(): string {
    const prefix = this.datacenter.setting("mac_prefix") ?? "BC:24:11";
    const random = [...this.random.bytes(6)].map((byte) => byte.toString(16).toUpperCase().padStart(2, "0"));
    return [...prefix.toUpperCase().split(":"), ...random].slice(0, 6).join(":");
  }

  /** The given items in random order, as Perl's hashes come. */
  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let last = result.length - 1; last > 0; last--) {
      const other = Math.floor(this.random.fraction() * (last + 1));
      const [left, right] = [result[last], result[other]];
      if (left === undefined || right === undefined) continue;
      result[last] = right;
      result[other] = left;
    }
    return result;
  }
}
