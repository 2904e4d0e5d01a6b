import { ConditionTracker } from "../../src/conditions/tracker.ts";
import { pause, resolveOperation, resume } from "../../src/control/operator.ts";
import type { DesiredGuest, DesiredProblem, DesiredReport, DesiredSource, DesiredState } from "../../src/desired/model.ts";
import { revisionOf } from "../../src/desired/revision.ts";
import { openJournal } from "../../src/journal/journal.ts";
import type { JournalLimits } from "../../src/journal/limits.ts";
import type { Journal, Operation } from "../../src/journal/types.ts";
import { Lanes } from "../../src/lanes/lanes.ts";
import { ok, type Result } from "../../src/ports/errors.ts";
import type { Log } from "../../src/ports/log.ts";
import type { ProxmoxApi } from "../../src/ports/proxmox-api.ts";
import { createProxmoxClient } from "../../src/proxmox/client.ts";
import { createHostWatcher } from "../../src/proxmox/host-watcher.ts";
import { Engine } from "../../src/reconcile/engine.ts";
import { FileHostSource } from "../../src/reconcile/host-file-source.ts";
import { ApiHostSource, type HostSource } from "../../src/reconcile/host-source.ts";
import type { RestartRequest } from "../../src/reconcile/restart-request.ts";
import type { EngineSettings, GuestView } from "../../src/reconcile/types.ts";
import type { HostEdit } from "../../src/simulator/api.ts";
import type { HostTraits } from "../../src/simulator/host/host.ts";
import { createNode, type Node } from "../../src/simulator/host/node.ts";
import { SeededRandom } from "../journal/journal-fixture.ts";
import { desiredGuest } from "./guests.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { HOST_DIRECTORIES, SimulatedHostFiles } from "./simulated-host-files.ts";
import { SimulatedNetwork, TOKEN_USER, type ForeignGuest, type Sent } from "./simulated-network.ts";
import { configText, journalText, requestText, transitionText } from "./simulated-text.ts";
import { SimulatedClock, SimulatedTime } from "./simulated-time.ts";

/**
 * A whole site on virtual time: the real engine, journal, lanes, conditions and Proxmox client of one
 * agent, a simulated host that answers as a recorded one did, a simulated disk and network, and the
 * people around it. Nothing of it waits; nothing of it is left to chance that was not given a seed.
 */

const NODE = "pve1";
const STORAGES = "dir: local\n\tpath /var/lib/vz\n\tcontent images,iso,vztmpl,backup,rootdir,snippets,import\n\n";
const TOKEN = `${TOKEN_USER}=11111111-2222-3333-4444-555555555555`;
const MAX_CONCURRENT_REQUESTS = 8;
/** Small enough to be followed by new ones in a short simulation. */
const JOURNAL_LIMITS: Partial<JournalLimits> = { segmentBytes: 16_000, retainBytes: 40_000, reserveBytes: 64, recentOperations: 64 };

const SITE_SETTINGS: EngineSettings = {
  pollIntervalMs: 1_000, resyncIntervalMs: 60_000, requestTimeoutMs: 30_000, taskTimeoutMs: 600_000, shutdownTimeoutMs: 60_000,
  maxConcurrentActs: 4, maxConcurrentStarts: 2, maxAffectedPercent: 100, isDryRun: false,
};
/** How often the host's files are looked at. */
const FILE_POLL_INTERVAL_MS = 250;

export type Declared = Partial<DesiredGuest> & { readonly vmid: number };

/** A guest as it is on the host at the start; its config file's lines by key. */
export interface HostGuest {
  readonly vmid: number;
  readonly kind: "qemu" | "lxc";
  readonly config: Readonly<Record<string, string>>;
  readonly isRunning?: boolean;
}

export interface SiteOptions {
  /** Does the agent read the host's own files ("on") or ask the API ("off")? */
  readonly host?: "on" | "off";
  readonly guests?: readonly HostGuest[];
  readonly declared?: readonly Declared[];
  readonly settings?: Partial<EngineSettings>;
  readonly traits?: Partial<HostTraits>;
  /** More files of the host: "/etc/pve/ha/resources.cfg". */
  readonly files?: Readonly<Record<string, string>>;
  /** Order of what is due at once, ids, jitter. Left out: in order, always the same. */
  readonly seed?: number;
  readonly diskLies?: "dataSync";
  /** How long a sync of the disk takes, milliseconds. */
  readonly syncMs?: () => number;
  /** How late timers of the agent fire, milliseconds. */
  readonly latenessMs?: () => number;
  /** Parts put in the place of the real ones: planted bugs. */
  readonly replace?: Replacements;
  /** What the engine believes of the settings, where that is not what the rest goes by: a planted bug. */
  readonly engineSettings?: Partial<EngineSettings>;
}

export interface Replacements {
  readonly api?: (api: ProxmoxApi) => ProxmoxApi;
  readonly source?: (source: HostSource) => HostSource;
  readonly lanes?: (clock: SimulatedClock) => Lanes;
}

/** One line of what happened. */
export interface SiteEvent {
  readonly atMs: number;
  readonly kind: "send" | "answer" | "journal" | "condition" | "log" | "site";
  readonly text: string;
  /** Of a condition: what a person reads. */
  readonly message?: string;
}

/** One process of the agent: alive until it crashes or ends. */
interface Process {
  readonly number: number;
  readonly clock: SimulatedClock;
  isAlive: boolean;
  /** Undefined until the journal is open. */
  life: Life | undefined;
}

/** What a process consists of once it is up. */
interface Life {
  readonly journal: Journal;
  readonly engine: Engine;
  readonly lanes: Lanes;
  readonly tracker: ConditionTracker;
}

export class SimulatedSite {
  readonly time: SimulatedTime;
  readonly node: Node;
  readonly network: SimulatedNetwork;
  readonly disk: SimulatedDisk;
  readonly files: SimulatedHostFiles;
  readonly settings: EngineSettings;
  /** Guests of other nodes, by vmid. */
  readonly elsewhere = new Map<number, ForeignGuest>();
  /** Told of everything that happens. */
  onEvent: (event: SiteEvent) => void = () => {};
  /** Told when something is asked of the journal, before it is written: "begin", "apply", … */
  onJournal: (call: string, parameters: readonly unknown[]) => void = () => {};
  /** Every mutating request that was sent, oldest first. */
  readonly mutations: Sent[] = [];
  /** When the newest process came up, in virtual milliseconds. */
  upAtMs = 0;
  /** Requests of every kind that were sent. */
  requestCount = 0;
  readonly #options: SiteOptions;
  readonly #random: SeededRandom;
  #wallOffsetMs = 0;
  #desired: DesiredState;
  #problems: readonly DesiredProblem[] = [];
  #desiredChanged: () => void = () => {};
  #lives = 0;
  #process: Process | undefined;

  constructor(options: SiteOptions = {}) {
    this.#options = options;
    const seed = options.seed ?? 1;
    this.#random = new SeededRandom(seed);
    this.time = new SimulatedTime(options.seed === undefined ? undefined : new SeededRandom(seed + 1));
    this.settings = { ...SITE_SETTINGS, ...(options.host === "on" ? { pollIntervalMs: FILE_POLL_INTERVAL_MS } : {}), ...options.settings };
    this.node = this.#makeNode(seed);
    this.files = new SimulatedHostFiles(this.node, this.elsewhere);
    this.disk = new SimulatedDisk({ nowMs: () => this.time.startMs + this.time.elapsedMs(), ...(options.diskLies === undefined ? {} : { lies: options.diskLies }) });
    this.network = new SimulatedNetwork({ time: this.time, node: this.node, elsewhere: this.elsewhere });
    this.#desired = stateOf(options.declared ?? []);
    this.#listen();
  }

  /** Starts the agent's process on what the disk holds, and gives it the moment it takes without delays. */
  async start(): Promise<this> {
    this.boot();
    await this.time.advance(0);
    return this;
  }

  /** Starts the agent's process; time must pass for it to come up. */
  boot(): void {
    if (this.#process !== undefined) throw new Error("the agent runs already");
    const { latenessMs } = this.#options;
    const clock = new SimulatedClock(this.time, { offsetMs: () => this.#wallOffsetMs, ...(latenessMs === undefined ? {} : { latenessMs }) });
    this.#process = { number: ++this.#lives, clock, isAlive: true, life: undefined };
    void this.#open(this.#process);
  }

  /** Is there a process? It may still be opening its journal. */
  hasProcess(): boolean {
    return this.#process !== undefined;
  }

  /** Is there a process that is up? */
  isUp(): boolean {
    return this.#process?.life !== undefined;
  }

  get journal(): Journal {
    return this.#alive().journal;
  }

  get engine(): Engine {
    return this.#alive().engine;
  }

  get lanes(): Lanes {
    return this.#alive().lanes;
  }

  get tracker(): ConditionTracker {
    return this.#alive().tracker;
  }

  /** Of the agent's process. */
  get clock(): SimulatedClock {
    if (this.#process === undefined) throw new Error("the agent is not running");
    return this.#process.clock;
  }

  /** Lives of the agent so far. */
  get lives(): number {
    return this.#lives;
  }

  /** Lets virtual time pass. */
  advance(ms: number): Promise<void> {
    return this.time.advance(ms);
  }

  /** What the desired state is from now on. */
  declare(guests: readonly Declared[]): DesiredState {
    return this.offer({ state: stateOf(guests), problems: [] });
  }

  /** What the source of the desired state tells from now on; with problems the last good state stays. */
  offer({ state, problems }: DesiredReport): DesiredState {
    if (problems.length === 0 && state !== undefined) this.#desired = state;
    this.#problems = problems;
    this.#say("site", problems.length === 0 ? `declared ${[...this.#desired.guests.keys()].join(" ")}` : "a declaration that cannot be read");
    this.#desiredChanged();
    return this.#desired;
  }

  get desired(): DesiredState {
    return this.#desired;
  }

  /** Somebody does something at the host: an editor on a file, a power button, a destroyed guest. */
  async edit(edit: HostEdit): Promise<void> {
    const done = await this.node.edit(edit);
    this.#say("site", `edit ${JSON.stringify(edit)}: ${done.ok ? "done" : done.message}`);
  }

  /** Sets a guest's config lock ("backup"); null takes it away. */
  lock(vmid: number, lock: string | null): Promise<void> {
    return this.edit({ vmid, lock });
  }

  /** A guest goes to another node, its file with it. */
  async migrateAway(vmid: number, to = "pve2"): Promise<string> {
    const text = this.node.configFile(vmid);
    if (text === undefined) throw new Error(`there is no guest ${vmid}`);
    const kind = this.node.vmlist().ids[String(vmid)]?.type ?? "qemu";
    // At once: who looks in between would find it nowhere, or twice.
    this.elsewhere.set(vmid, { node: to, kind });
    await this.edit({ vmid, destroy: true });
    return text;
  }

  /** A guest arrives, from another node or newly made, stopped. */
  receive(guest: HostGuest): void {
    this.arrive(guest, configText(guest.config));
  }

  /** A guest arrives with this file. */
  arrive({ kind, vmid }: Pick<HostGuest, "kind" | "vmid">, text: string): void {
    this.elsewhere.delete(vmid);
    this.#say("site", `${vmid} arrives`);
    this.node.receiveGuest(kind, vmid, text);
  }

  /** The agent's wall clock is set. */
  jumpClock(byMs: number): void {
    this.#wallOffsetMs += byMs;
    this.#say("site", `the clock jumps ${byMs} ms`);
  }

  /**
   * The process is gone at this instant. "process": what it wrote is there (kill -9). "power": what was
   * synced is certain; with `random` anything else a disk may have kept.
   */
  crash(what: "process" | "power" = "power", random?: SeededRandom): void {
    this.#end();
    if (what === "process") this.disk.keepAll();
    else this.disk.crash(random);
    this.#say("site", `crash (${what})`);
  }

  /** SIGTERM: as `agent run` stops. Resolves when the process has ended; time must pass meanwhile. */
  async stop(): Promise<void> {
    const process = this.#process;
    const { engine, lanes, journal } = this.#alive();
    await engine.stop(this.settings.shutdownTimeoutMs);
    await lanes.close({ timeoutMs: 1_000 });
    await journal.close();
    if (this.#process !== process) return;
    this.#end();
    this.#say("site", "stopped");
  }

  async pause(target: number | "all", forMs?: number): Promise<boolean> {
    const paused = await pause(this.#operatorDeps(), { target, reason: "", ...(forMs === undefined ? {} : { forMs }) });
    this.#say("site", `pause ${target}: ${paused.ok ? "done" : paused.error.message}`);
    if (paused.ok) this.#process?.life?.engine.refresh();
    return paused.ok;
  }

  async resume(target: number | "all"): Promise<boolean> {
    const resumed = await resume(this.#operatorDeps(), target);
    this.#say("site", `resume ${target}: ${resumed.ok ? "done" : resumed.error.message}`);
    if (resumed.ok) this.#process?.life?.engine.refresh();
    return resumed.ok;
  }

  async accept(revision: string): Promise<boolean> {
    const accepted = await this.engine.accept(revision);
    this.#say("site", `accept ${revision.slice(0, 8)}: ${accepted.ok ? "done" : accepted.error.message}`);
    return accepted.ok;
  }

  /** `agent restart`: a one-shot act, at most once a key. */
  async restart(request: RestartRequest): Promise<string> {
    const restarted = await this.engine.restart(request);
    const outcome = restarted.ok ? `${restarted.value.state}${restarted.value.isRepeat ? " (repeated)" : ""}` : restarted.error.message;
    this.#say("site", `restart ${request.vmid} ${request.key}: ${outcome}`);
    return outcome;
  }

  async resolve(id: string, outcome: "succeeded" | "failed"): Promise<boolean> {
    const resolved = await resolveOperation(this.#operatorDeps(), id, outcome, "seen");
    this.#say("site", `resolve ${outcome}: ${resolved.ok ? "done" : resolved.error.message}`);
    if (resolved.ok) this.#process?.life?.engine.refresh();
    return resolved.ok;
  }

  /** "True InSync", or "" when there is no such condition. */
  condition(vmid: number, type: Parameters<ConditionTracker["guestCondition"]>[1]): string {
    const condition = this.tracker.guestCondition(vmid, type);
    return condition === undefined ? "" : `${condition.status} ${condition.reason}`;
  }

  hostCondition(type: Parameters<ConditionTracker["hostCondition"]>[0]): string {
    const condition = this.tracker.hostCondition(type);
    return condition === undefined ? "" : `${condition.status} ${condition.reason}`;
  }

  view(vmid: number): GuestView | undefined {
    return this.engine.guests().find((view) => view.guest.vmid === vmid);
  }

  /** Settled ones that are still remembered, and open ones. */
  operations(): readonly Operation[] {
    return [...this.journal.recentOperations(), ...this.journal.openOperations()];
  }

  isGuestRunning(vmid: number): boolean {
    return this.node.runningGuests().some((guest) => guest.vmid === vmid);
  }

  #end(): void {
    const process = this.#process;
    if (process === undefined) return;
    process.isAlive = false;
    process.clock.stop();
    this.#process = undefined;
    this.#desiredChanged = () => {};
  }

  async #open(process: Process): Promise<void> {
    const { clock } = process;
    const isAlive = (): boolean => process.isAlive;
    const { replace = {}, syncMs } = this.#options;
    this.disk.fileSystem.beforeSync = () => (isAlive() ? clock.sleep(syncMs?.() ?? 0) : new Promise(() => {}));
    const random = new SeededRandom(this.#random.below(2 ** 31));
    const opened = await openJournal({
      directory: "/state/journal", node: NODE, machineId: "machine-1", version: "0.1.0", fileSystem: this.disk.fileSystem, clock, random, log: this.#log(), limits: JOURNAL_LIMITS,
    });
    if (!isAlive()) return;
    if (!opened.ok) throw new Error(opened.error.message);
    const journal = this.#recorded(opened.value);
    const tracker = new ConditionTracker(clock.now(), (event) => this.#say("condition", transitionText(event), event.message));
    const lanes = replace.lanes?.(clock) ?? new Lanes({ clock });
    const client = createProxmoxClient({
      url: "https://127.0.0.1:8006", node: NODE, tls: "auto", pveDir: HOST_DIRECTORIES.pveDir, files: this.files,
      readToken: () => ok(TOKEN), requestTimeoutMs: this.settings.requestTimeoutMs, maxConcurrentRequests: MAX_CONCURRENT_REQUESTS,
      clock, random, log: this.#log(), version: "0.1.0", exchange: this.network.exchangeOf(process.number, isAlive),
    });
    const api = replace.api?.(client) ?? client;
    const source = this.#sourceOf(api);
    const engine = new Engine(
      {
        api, source: replace.source?.(source) ?? source, desired: this.#desiredSource(isAlive), journal, lanes, clock, random, log: this.#log(), tracker, tokenUser: () => TOKEN_USER,
        observer: { reconciled: () => {}, acted: () => {}, resynced: () => this.#say("site", "resynced"), cycled: () => {} },
      },
      { ...this.settings, ...this.#options.engineSettings },
    );
    process.life = { journal, engine, lanes, tracker };
    this.upAtMs = this.time.elapsedMs();
    this.#say("site", `started (${journal.health().state})`);
    engine.start();
  }

  #sourceOf(api: ProxmoxApi): HostSource {
    if (this.#options.host !== "on") return new ApiHostSource({ api, node: NODE });
    const watcher = createHostWatcher({ ...HOST_DIRECTORIES, node: NODE, files: this.files, clock: this.clock });
    return new FileHostSource({ watcher, api, log: this.#log(), node: NODE });
  }

  #desiredSource(isAlive: () => boolean): DesiredSource {
    return {
      kind: "static",
      load: (): Promise<DesiredReport> => Promise.resolve({ state: this.#desired, problems: this.#problems }),
      watch: (changed) => {
        this.#desiredChanged = () => {
          if (isAlive()) changed();
        };
      },
      close: () => {},
    };
  }

  /** The journal, with a line for everything that is asked of it and one for the answer. */
  #recorded(journal: Journal): Journal {
    const told = new Set(["begin", "plan", "apply", "putFact"]);
    return new Proxy(journal, {
      get: (target, name): unknown => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function") return member;
        return (...rest: unknown[]): unknown => {
          this.onJournal(String(name), rest);
          const answer: unknown = Reflect.apply(member, target, rest);
          if (!told.has(String(name)) || !(answer instanceof Promise)) return answer;
          const text = `${String(name)} ${journalText(String(name), rest)}`;
          return answer.then((result: Result<unknown>) => {
            this.#say("journal", `${text}: ${result.ok ? "durable" : result.error.code}`);
            return result;
          });
        };
      },
    });
  }

  #makeNode(seed: number): Node {
    const { guests = [], traits, files: more = {} } = this.#options;
    const random = new SeededRandom(seed + 2);
    const path = ({ kind, vmid }: HostGuest): string => `/etc/pve/nodes/${NODE}/${kind === "lxc" ? "lxc" : "qemu-server"}/${vmid}.conf`;
    const files = { "/etc/pve/storage.cfg": STORAGES, "/etc/pve/datacenter.cfg": "", ...more, ...Object.fromEntries(guests.map((guest) => [path(guest), configText(guest.config)])) };
    const clock = new SimulatedClock(this.time);
    const node = createNode({ name: NODE, clock, random, startState: { files }, fingerprint: "AA:BB", ...(traits === undefined ? {} : { traits }) });
    for (const { vmid, isRunning } of guests) if (isRunning === true) void node.edit({ vmid, power: "start" });
    return node;
  }

  #listen(): void {
    this.network.observe({
      sent: (sent) => {
        this.requestCount++;
        if (sent.method === "GET") return;
        this.mutations.push(sent);
        this.#say("send", requestText(sent));
      },
      heard: (sent, status) => {
        if (sent.method !== "GET") this.#say("answer", `${requestText(sent)}: ${status === 0 ? "no answer" : status}`);
      },
    });
  }

  #log(): Log {
    const keep = (level: string) => (message: string): void => this.#say("log", `${level} ${message}`);
    return { debug: keep("debug"), info: keep("info"), warn: keep("warn"), error: keep("error") };
  }

  #operatorDeps() {
    return { journal: this.journal, clock: this.clock };
  }

  #say(kind: SiteEvent["kind"], text: string, message?: string): void {
    this.onEvent({ atMs: this.time.elapsedMs(), kind, text, ...(message === undefined ? {} : { message }) });
  }

  #alive(): Life {
    const life = this.#process?.life;
    if (life === undefined) throw new Error("the agent is not running");
    return life;
  }
}

function stateOf(guests: readonly Declared[]): DesiredState {
  const full = guests.map((guest) => desiredGuest(guest));
  return { guests: new Map(full.map((guest) => [guest.vmid, guest])), conflicts: [], revision: revisionOf(full) };
}
