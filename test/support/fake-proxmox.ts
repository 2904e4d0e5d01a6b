import type { TagStyle } from "../../src/guest/host-facts.ts";
import type { GuestKey, GuestKind } from "../../src/guest/key.ts";
import type { DriveChange, GuestConfig, RawConfig, RawValue, RunState } from "../../src/guest/observed.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type {
  GuestListEntry, GuestStatus, HaResource, LocatedGuest, MutatingRequest, MutationAnswer, ProxmoxApi, ProxmoxFault, ProxmoxResult, TaskQuery,
  TaskRecord, TaskState, Upid,
} from "../../src/ports/proxmox-api.ts";
import { judgeExit } from "../../src/proxmox/tasks.ts";
import { applyPending, configDigest, lockOf, merged, newGuest, writeKey, type FakeGuest, type NewGuest } from "./fake-guest.ts";
import { faults } from "./proxmox-faults.ts";

/**
 * A Proxmox node in memory, behind the same interface as the real client; time is the clock's. No
 * kinder than the real one: a digest is checked when a write is applied, not when it is sent; the
 * guest's file lock is held by its tasks and kept for 10 s of waiting; what a running guest does not
 * take at once becomes pending; tags are sorted, addresses drawn, descriptions trimmed; `shutdown` of
 * a guest that ignores it fails after its timeout; the task list and the guest list are live.
 *
 * Faults it can inject: `failReads` and `failNext` (any call by name and guest, once or for ever),
 * `loseAnswer` (the request happens before, after or long after the client gave up, or never),
 * `hangTasks` (a task never ends), `endTask` (it does, as one says), `slowTasks`, `beforeMutate` (an
 * out-of-band edit between read and write), `isDown` (nothing answers), and edits by hand: `edit`,
 * `power`, `lock`, `remove`, `runTask`.
 *
 * It keeps what a test must not have to trust: `mutations`, in order, and `violations`: acts of one
 * guest that overlap, acts on a guest whose last read failed, keys that nobody may write.
 */
export const AGENT_USER = "root@pam!agent";

/** How long Proxmox waits for a guest's file lock. */
const LOCK_TIMEOUT_MS = 10_000;

/** A request that changed something, or tried to. */
export interface Mutation {
  readonly request: MutatingRequest;
  readonly atMs: number;
  /** When nothing of it can happen any more (answer, end of its task, late application); undefined while it can. */
  endedAtMs: number | undefined;
  upid: Upid | undefined;
}

interface FakeTask {
  record: TaskRecord;
  readonly onEnd: (exit: string) => void;
  cancel: () => void;
}

type MethodName = Exclude<keyof ProxmoxApi, "close">;

interface PlannedFailure {
  readonly method: MethodName | "any";
  readonly vmid: number | undefined;
  readonly fault: ProxmoxFault;
  readonly isOnce: boolean;
}

export interface LostAnswer {
  /** "never": the request is lost; "before": it happened at once; "late": after `lateMs` (may be after the client gave up). */
  readonly happens: "never" | "before" | "late";
  readonly lateMs?: number;
}

export interface FakeProxmoxOptions {
  readonly clock: Clock;
  readonly node?: string;
  readonly requestTimeoutMs?: number;
}

export class FakeProxmox implements ProxmoxApi {
  readonly node: string;
  readonly calls: { readonly method: MethodName; readonly vmid: number | undefined; readonly atMs: number }[] = [];
  readonly mutations: Mutation[] = [];
  readonly violations: string[] = [];
  /** Called when a mutating request arrives, before anything of it happens. */
  onMutate: (request: MutatingRequest) => void = () => {};
  /** Awaited before a write is looked at: somebody else is faster. */
  beforeMutate: (request: MutatingRequest) => void | Promise<void> = () => {};
  /** Set by `beforeMutate`: what this write is refused with. */
  refuseNow: ProxmoxFault | undefined;
  /** How long a task takes, milliseconds; Infinity: until `endTask`. */
  taskMs: (request: MutatingRequest) => number = () => 200;
  /** How long the host itself takes to start a VM that was rebooted; Infinity: until `endTask`. */
  hostStartMs = 300;
  /** How long a config write takes. */
  writeMs = 5;
  /** How long every read takes. */
  readMs = 0;
  tagStyleSeen: TagStyle | null = null;
  haResourcesSeen: readonly HaResource[] | null = null;
  quorum: boolean | null = true;
  /** What the cloud-init drives do not hold yet, by vmid. */
  readonly driveChanges = new Map<number, readonly DriveChange[]>();
  isDown: ProxmoxFault | undefined;
  readonly #clock: Clock;
  readonly #requestTimeoutMs: number;
  readonly #guests = new Map<number, FakeGuest>();
  readonly #tasks = new Map<Upid, FakeTask>();
  readonly #lostUpids = new Set<Upid>();
  #failures: PlannedFailure[] = [];
  #lost: { readonly vmid: number; readonly how: LostAnswer }[] = [];
  readonly #unreadable = new Set<number>();
  #nextPid = 0x1000;
  #nextMac = 1;

  constructor(options: FakeProxmoxOptions) {
    this.#clock = options.clock;
    this.node = options.node ?? "pve1";
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 30_000;
  }

  // --- what a test does by hand -------------------------------------------------------------------

  /** Puts a guest on the node; a stopped VM unless said otherwise. */
  add(vmid: number, guest: NewGuest = {}): FakeGuest {
    const made = newGuest(vmid, this.node, guest);
    this.#guests.set(vmid, made);
    return made;
  }

  guest(vmid: number): FakeGuest {
    const guest = this.#guests.get(vmid);
    if (guest === undefined) throw new Error(`the fake node has no guest ${vmid}`);
    return guest;
  }

  guests(): readonly FakeGuest[] {
    return [...this.#guests.values()];
  }

  /** Somebody edits the config, as through Proxmox: what a running guest does not take at once becomes pending. */
  edit(vmid: number, changes: Readonly<Record<string, RawValue | null>>): void {
    const guest = this.guest(vmid);
    for (const [key, value] of Object.entries(changes)) writeKey(guest, key, value === null ? undefined : String(value), () => this.#drawAddress());
  }

  /** Somebody starts or stops it hard; pending values are applied. */
  power(vmid: number, runState: RunState): void {
    const guest = this.guest(vmid);
    if (runState !== guest.runState) applyPending(guest);
    guest.runState = runState;
  }

  lock(vmid: number, lock: string | undefined): void {
    const { running } = this.guest(vmid);
    if (lock === undefined) delete running["lock"];
    else running["lock"] = lock;
  }

  remove(vmid: number): void {
    this.#guests.delete(vmid);
  }

  /** The merged view, as an operator sees it. */
  config(vmid: number): RawConfig {
    return merged(this.guest(vmid));
  }

  /** A task of somebody else (or of an earlier life of this agent). */
  runTask(task: { readonly type: string; readonly vmid?: number; readonly user?: string; readonly startedAtMs?: number }): Upid {
    return this.#startTask({ type: task.type, id: task.vmid === undefined ? "" : String(task.vmid), user: task.user ?? "root@pam", startedAtMs: task.startedAtMs, durationMs: Number.POSITIVE_INFINITY, onEnd: () => {} });
  }

  /** Ends a running task now. */
  endTask(upid: Upid, exit = "OK"): void {
    const task = this.#tasks.get(upid);
    if (task === undefined || !task.record.isRunning) throw new Error(`no running task ${upid}`);
    task.cancel();
    this.#finishTask(upid, exit);
  }

  /** Proxmox forgets the task: its index was rotated away. */
  forgetTask(upid: Upid): void {
    this.#tasks.delete(upid);
  }

  tasks(): readonly TaskRecord[] {
    return [...this.#tasks.values()].map((task) => task.record);
  }

  /** Makes calls fail: the next one, or every one until `heal`. */
  failNext(method: MethodName | "any", fault: ProxmoxFault, vmid?: number): void {
    this.#failures.push({ method, vmid, fault, isOnce: true });
  }

  failEvery(method: MethodName | "any", fault: ProxmoxFault, vmid?: number): void {
    this.#failures.push({ method, vmid, fault, isOnce: false });
  }

  heal(): void {
    this.#failures = [];
    this.isDown = undefined;
  }

  /** The answer of this guest's next mutation never comes; what happens to the request is `how`. */
  loseAnswer(vmid: number, how: LostAnswer): void {
    this.#lost.push({ vmid, how });
  }

  /** A task whose UPID the client never learned is in the list all the same; this drops it from there (its list lags). */
  hideTask(upid: Upid): void {
    this.#lostUpids.add(upid);
  }

  // --- what a test looks at ------------------------------------------------------------------------

  /** Mutations as text, in order: "set_config 101 cores=2 -tags", "start 101". */
  acts(vmid?: number): readonly string[] {
    return this.mutations.filter(({ request }) => vmid === undefined || request.guest.vmid === vmid).map(({ request }) => describe(request));
  }

  callCount(method?: MethodName, vmid?: number): number {
    return this.calls.filter((call) => (method === undefined || call.method === method) && (vmid === undefined || call.vmid === vmid)).length;
  }

  /** Most mutations of which something could still happen at one moment. */
  mostAtOnce(type?: MutatingRequest["type"]): number {
    const relevant = this.mutations.filter(({ request }) => type === undefined || request.type === type);
    return Math.max(0, ...relevant.map(({ atMs }) => relevant.filter((other) => other.atMs <= atMs && (other.endedAtMs ?? Number.POSITIVE_INFINITY) > atMs).length));
  }

  // --- ProxmoxApi ----------------------------------------------------------------------------------

  version(): Promise<ProxmoxResult<{ major: number; minor: number; patch: number }>> {
    return this.#read("version", undefined, () => ({ major: 9, minor: 2, patch: 11 }));
  }

  listGuests(kind: GuestKind): Promise<ProxmoxResult<readonly GuestListEntry[]>> {
    return this.#read("listGuests", undefined, () =>
      this.guests().filter((guest) => guest.kind === kind && guest.node === this.node).map((guest) => ({
        kind, vmid: guest.vmid, name: undefined, runState: guest.runState === "paused" ? "running" : guest.runState,
        isTemplate: Number(guest.running["template"] ?? 0) === 1, lock: lockOf(guest),
      })));
  }

  async readConfig(key: GuestKey): Promise<ProxmoxResult<GuestConfig>> {
    const result = await this.#readGuest("readConfig", key, (guest): GuestConfig => ({
      running: { ...guest.running }, merged: merged(guest), pending: guest.pending.toSorted((a, b) => (a.key < b.key ? -1 : 1)), digest: configDigest(guest),
    }));
    if (result.ok) this.#unreadable.delete(key.vmid);
    else this.#unreadable.add(key.vmid);
    return result;
  }

  /** What a test put into `driveChanges`, as it stands. */
  readCloudInitDrive(key: GuestKey): Promise<ProxmoxResult<readonly DriveChange[]>> {
    return this.#readGuest("readCloudInitDrive", key, () => this.driveChanges.get(key.vmid) ?? []);
  }

  readStatus(key: GuestKey): Promise<ProxmoxResult<GuestStatus>> {
    return this.#readGuest("readStatus", key, (guest) => ({
      runState: guest.runState, lock: lockOf(guest), ha: guest.ha ?? { isManaged: false }, isTemplate: Number(guest.running["template"] ?? 0) === 1,
    }));
  }

  listTasks(query: TaskQuery): Promise<ProxmoxResult<readonly TaskRecord[]>> {
    return this.#read("listTasks", query.vmid, () =>
      [...this.#tasks.values()]
        .map((task) => task.record)
        .filter((task) => !this.#lostUpids.has(task.upid) && (query.vmid === undefined || task.id === String(query.vmid)) && (query.source !== "active" || task.isRunning))
        .toReversed()
        .slice(0, query.limit));
  }

  taskState(upid: Upid): Promise<ProxmoxResult<TaskState>> {
    const task = this.#tasks.get(upid);
    return this.#read("taskState", task === undefined ? undefined : Number(task.record.id), () => {
      if (task === undefined) return faults.noSuchTask();
      return task.record.isRunning ? { isRunning: true as const } : judgeExit(task.record.exit ?? "");
    });
  }

  taskLogTail(): Promise<ProxmoxResult<readonly string[]>> {
    return this.#read("taskLogTail", undefined, () => []);
  }

  tagStyle(): Promise<ProxmoxResult<TagStyle | null>> {
    return this.#read("tagStyle", undefined, () => this.tagStyleSeen);
  }

  haResources(): Promise<ProxmoxResult<readonly HaResource[] | null>> {
    return this.#read("haResources", undefined, () => this.haResourcesSeen);
  }

  locateGuests(): Promise<ProxmoxResult<readonly LocatedGuest[]>> {
    return this.#read("locateGuests", undefined, () => this.guests().map(({ kind, vmid, node }) => ({ kind, vmid, node })));
  }

  hasQuorum(): Promise<ProxmoxResult<boolean | null>> {
    return this.#read("hasQuorum", undefined, () => this.quorum);
  }

  async mutate(request: MutatingRequest): Promise<ProxmoxResult<MutationAnswer>> {
    this.#note("mutate", request.guest.vmid);
    this.onMutate(request);
    this.#checkRules(request);
    const mutation: Mutation = { request, atMs: this.#clock.monotonic(), endedAtMs: undefined, upid: undefined };
    this.mutations.push(mutation);
    const planned = this.isDown ?? this.#takeFailure("mutate", request.guest.vmid);
    if (planned !== undefined) return this.#ended(mutation, { ok: false, error: planned });
    await this.beforeMutate(request);
    const refused = this.refuseNow;
    this.refuseNow = undefined;
    if (refused !== undefined) return this.#ended(mutation, { ok: false, error: refused });
    const lost = this.#takeLost(request.guest.vmid);
    if (lost !== undefined) return this.#lose(mutation, lost);
    const answer = await this.#perform(mutation);
    return answer;
  }

  close(): void {
    // Nothing is pooled.
  }

  // --- inside --------------------------------------------------------------------------------------

  #note(method: MethodName, vmid: number | undefined): void {
    this.calls.push({ method, vmid, atMs: this.#clock.monotonic() });
  }

  async #read<T>(method: MethodName, vmid: number | undefined, answer: () => T | ProxmoxFault): Promise<ProxmoxResult<T>> {
    this.#note(method, vmid);
    if (this.readMs > 0) await this.#clock.sleep(this.readMs);
    const failure = this.isDown ?? this.#takeFailure(method, vmid);
    if (failure !== undefined) return { ok: false, error: failure };
    const value = answer();
    return isFault(value) ? { ok: false, error: value } : { ok: true, value };
  }

  #readGuest<T>(method: MethodName, key: GuestKey, answer: (guest: FakeGuest) => T): Promise<ProxmoxResult<T>> {
    return this.#read(method, key.vmid, () => {
      const guest = this.#guests.get(key.vmid);
      return guest === undefined || guest.kind !== key.kind || guest.node !== this.node ? faults.missing(key) : answer(guest);
    });
  }

  #takeFailure(method: MethodName, vmid: number | undefined): ProxmoxFault | undefined {
    const index = this.#failures.findIndex((failure) => (failure.method === "any" || failure.method === method) && (failure.vmid === undefined || failure.vmid === vmid));
    const found = this.#failures[index];
    if (found?.isOnce === true) this.#failures.splice(index, 1);
    return found?.fault;
  }

  #takeLost(vmid: number): LostAnswer | undefined {
    const index = this.#lost.findIndex((lost) => lost.vmid === vmid);
    return index < 0 ? undefined : this.#lost.splice(index, 1)[0]?.how;
  }

  #checkRules(request: MutatingRequest): void {
    const { vmid } = request.guest;
    const open = this.mutations.find((other) => other.request.guest.vmid === vmid && other.endedAtMs === undefined);
    if (open !== undefined) this.violations.push(`${describe(request)} while ${describe(open.request)} may still happen`);
    if (this.#unreadable.has(vmid)) this.violations.push(`${describe(request)} on a guest that could not be read`);
    if (request.type !== "set_config") return;
    for (const key of [...Object.keys(request.set), ...request.delete]) {
      if (/^(?:(?:scsi|ide|sata|virtio|unused|mp)\d+|rootfs|efidisk0|tpmstate0|args|hookscript|template|lock|digest)$/.test(key)) this.violations.push(`${describe(request)}: ${key} may not be written`);
    }
  }

  #ended<T>(mutation: Mutation, result: T): T {
    mutation.endedAtMs = this.#clock.monotonic();
    return result;
  }

  async #lose(mutation: Mutation, how: LostAnswer): Promise<ProxmoxResult<MutationAnswer>> {
    if (how.happens === "never") mutation.endedAtMs = this.#clock.monotonic();
    else if (how.happens === "before") void this.#perform(mutation);
    else this.#clock.schedule(how.lateMs ?? this.#requestTimeoutMs + 6_000, () => void this.#perform(mutation));
    await this.#clock.sleep(this.#requestTimeoutMs);
    return { ok: false, error: faults.noAnswer() };
  }

  #perform(mutation: Mutation): Promise<ProxmoxResult<MutationAnswer>> {
    const { request } = mutation;
    return request.type === "set_config" ? this.#performWrite(mutation, request) : Promise.resolve(this.#performPower(mutation, request));
  }

  async #performWrite(mutation: Mutation, request: Extract<MutatingRequest, { type: "set_config" }>): Promise<ProxmoxResult<MutationAnswer>> {
    const guest = this.#guests.get(request.guest.vmid);
    if (guest === undefined) return this.#ended(mutation, { ok: false, error: faults.missing(request.guest) });
    const waitMs = guest.lockedUntilMs - this.#clock.monotonic();
    await this.#clock.sleep(waitMs > 0 ? Math.min(waitMs, LOCK_TIMEOUT_MS) : this.writeMs);
    if (waitMs > LOCK_TIMEOUT_MS) return this.#ended(mutation, { ok: false, error: faults.lockTimeout(request.guest) });
    return this.#ended(mutation, this.#applyWrite(guest, request));
  }

  #applyWrite(guest: FakeGuest, request: Extract<MutatingRequest, { type: "set_config" }>): ProxmoxResult<MutationAnswer> {
    if (this.#guests.get(guest.vmid) !== guest) return { ok: false, error: faults.missing(request.guest) };
    const lock = lockOf(guest);
    if (lock !== undefined) return { ok: false, error: faults.locked(guest, lock) };
    if (request.digest !== "" && request.digest !== configDigest(guest)) return { ok: false, error: faults.digestConflict() };
    for (const key of request.delete) writeKey(guest, key, undefined, () => this.#drawAddress());
    for (const [key, value] of Object.entries(request.set)) writeKey(guest, key, value, () => this.#drawAddress());
    return { ok: true, value: { upid: null } };
  }

  #drawAddress(): string {
    return `BC:24:11:00:00:${(this.#nextMac++).toString(16).toUpperCase().padStart(2, "0")}`;
  }

  #performPower(mutation: Mutation, request: Exclude<MutatingRequest, { type: "set_config" }>): ProxmoxResult<MutationAnswer> {
    const guest = this.#guests.get(request.guest.vmid);
    const refusal = refusePower(request, guest);
    if (refusal !== undefined) return this.#ended(mutation, { ok: false, error: refusal });
    const { durationMs, exit } = this.#powerTask(request, guest);
    const upid = this.#startTask({
      type: `${request.guest.kind === "qemu" ? "qm" : "vz"}${request.type}`, id: String(request.guest.vmid), user: AGENT_USER, durationMs, exit,
      onEnd: (ended) => {
        mutation.endedAtMs = this.#clock.monotonic();
        if (guest !== undefined) guest.lockedUntilMs = 0;
        if (ended !== "OK" || guest === undefined || this.#guests.get(guest.vmid) !== guest) return;
        this.power(guest.vmid, request.type === "start" ? "running" : "stopped");
        if (request.type === "reboot") this.#startByHost(guest);
      },
    });
    mutation.upid = upid;
    if (guest !== undefined) guest.lockedUntilMs = this.#clock.monotonic() + durationMs;
    return { ok: true, value: { upid } };
  }

  /** What Proxmox does itself once a VM that is rebooted has stopped, by a task of root's. */
  #startByHost(guest: FakeGuest): void {
    const exit = lockOf(guest) === undefined ? (guest.startError ?? "OK") : `VM is locked (${lockOf(guest)})`;
    this.#startTask({
      type: "qmstart", id: String(guest.vmid), user: "root@pam", durationMs: this.hostStartMs, exit,
      onEnd: (ended) => {
        if (ended === "OK" && this.#guests.get(guest.vmid) === guest) this.power(guest.vmid, "running");
      },
    });
  }

  #powerTask(request: Exclude<MutatingRequest, { type: "set_config" }>, guest: FakeGuest | undefined): { durationMs: number; exit: string } {
    const durationMs = this.taskMs(request);
    if (guest === undefined) return { durationMs: 10, exit: `Configuration file 'nodes/${this.node}/qemu-server/${request.guest.vmid}.conf' does not exist` };
    const lock = lockOf(guest);
    if (request.type === "start") {
      if (lock !== undefined) return { durationMs: 10, exit: `VM is locked (${lock})` };
      if (guest.runState !== "stopped") return { durationMs: 10, exit: `VM ${guest.vmid} already running` };
      return guest.startError === undefined ? { durationMs, exit: "OK" } : { durationMs, exit: guest.startError };
    }
    if (guest.runState === "stopped") return { durationMs: 10, exit: "OK" };
    if (!guest.ignoresShutdown) return { durationMs, exit: "OK" };
    return { durationMs: (request.timeoutSeconds ?? 60) * 1000, exit: "VM quit/powerdown failed - got timeout" };
  }

  #startTask(task: { type: string; id: string; user: string; startedAtMs?: number | undefined; durationMs: number; exit?: string; onEnd: (exit: string) => void }): Upid {
    const startedAt = Math.floor((task.startedAtMs ?? this.#clock.now()) / 1000);
    const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, "0");
    const upid = `UPID:${this.node}:${hex(this.#nextPid++)}:00059E91:${hex(startedAt)}:${task.type}:${task.id}:${task.user}:`;
    const record: TaskRecord = { upid, node: this.node, type: task.type, id: task.id, user: task.user, startedAt, isRunning: true, exit: undefined };
    const cancel = Number.isFinite(task.durationMs) ? this.#clock.schedule(task.durationMs, () => this.#finishTask(upid, task.exit ?? "OK")) : () => {};
    this.#tasks.set(upid, { record, onEnd: task.onEnd, cancel });
    return upid;
  }

  #finishTask(upid: Upid, exit: string): void {
    const task = this.#tasks.get(upid);
    if (task === undefined || !task.record.isRunning) return;
    task.record = { ...task.record, isRunning: false, exit };
    task.onEnd(exit);
  }
}

function refusePower(request: Exclude<MutatingRequest, { type: "set_config" }>, guest: FakeGuest | undefined): ProxmoxFault | undefined {
  if (request.type === "reboot" && guest?.runState === "stopped") return faults.other(`VM ${guest.vmid} not running`);
  if (request.type !== "start" && guest?.runState === "paused") return faults.other("VM is paused - cannot shutdown");
  if (request.guest.kind === "qemu") return undefined;
  if (guest === undefined) return faults.missing(request.guest);
  const lock = lockOf(guest);
  if (lock !== undefined) return faults.locked(guest, lock);
  if (request.type === "start" && guest.runState !== "stopped") return faults.other(`CT ${guest.vmid} already running`);
  if (request.type === "shutdown" && guest.runState === "stopped") return faults.other(`CT ${guest.vmid} not running`);
  return undefined;
}

function describe(request: MutatingRequest): string {
  if (request.type !== "set_config") return `${request.type} ${request.guest.vmid}`;
  const parts = [...Object.entries(request.set).map(([key, value]) => `${key}=${value}`), ...request.delete.map((key) => `-${key}`)];
  return `set_config ${request.guest.vmid} ${parts.join(" ")}`;
}

function isFault(value: unknown): value is ProxmoxFault {
  return typeof value === "object" && value !== null && "delivery" in value;
}
