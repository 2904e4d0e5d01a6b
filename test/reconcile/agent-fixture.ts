import { ConditionTracker } from "../../src/conditions/tracker.ts";
import type { TransitionEvent } from "../../src/conditions/condition.ts";
import type { DesiredGuest, DesiredProblem, DesiredReport, DesiredSource, DesiredState } from "../../src/desired/model.ts";
import { revisionOf } from "../../src/desired/revision.ts";
import { openJournal } from "../../src/journal/journal.ts";
import type { Journal, Operation } from "../../src/journal/types.ts";
import { Lanes } from "../../src/lanes/lanes.ts";
import type { ProxmoxApi } from "../../src/ports/proxmox-api.ts";
import { Engine } from "../../src/reconcile/engine.ts";
import { ApiHostSource, type HostSource } from "../../src/reconcile/host-source.ts";
import type { EngineSettings, GuestView } from "../../src/reconcile/types.ts";
import { recordingLog, SeededRandom } from "../journal/journal-fixture.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { AGENT_USER, FakeProxmox } from "../support/fake-proxmox.ts";
import { desiredGuest } from "../support/guests.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";

/** The engine with everything real but Proxmox, the disk and time; `restart` is a crash. */

const SETTINGS: EngineSettings = {
  pollIntervalMs: 1_000, resyncIntervalMs: 60_000, requestTimeoutMs: 30_000, taskTimeoutMs: 600_000, shutdownTimeoutMs: 60_000,
  maxConcurrentActs: 4, maxConcurrentStarts: 2, maxAffectedPercent: 100, isDryRun: false,
};

/** Request timeout + Proxmox's lock timeout + margin. */
export const WINDOW_MS = 45_000;

export type Declared = Partial<DesiredGuest> & { readonly vmid: number };

export function stateOf(guests: readonly Declared[], conflicts: DesiredState["conflicts"] = []): DesiredState {
  const full = guests.map((guest) => desiredGuest(guest));
  return { guests: new Map(full.map((guest) => [guest.vmid, guest])), conflicts, revision: revisionOf(full) };
}

/** A desired source whose content a test sets; like the directory's, a bad newest version keeps the last good one. */
class SettableSource implements DesiredSource {
  kind = "static";
  loads = 0;
  isClosed = false;
  #report: DesiredReport = { state: undefined, problems: [] };
  #changed: () => void = () => {};

  declare(guests: readonly Declared[], conflicts: DesiredState["conflicts"] = []): DesiredState {
    const state = stateOf(guests, conflicts);
    this.#report = { state, problems: [] };
    this.#changed();
    return state;
  }

  /** Problems without a state: the newest version is bad and the last good one stays. */
  break(...problems: readonly DesiredProblem[]): void {
    this.#report = { state: this.#report.state, problems };
    this.#changed();
  }

  load(): Promise<DesiredReport> {
    this.loads++;
    return Promise.resolve(this.#report);
  }

  watch(changed: () => void): void {
    this.#changed = changed;
  }

  close(): void {
    this.isClosed = true;
  }
}

/** One life of the process: what dies in a crash. */
interface Life {
  readonly journal: Journal;
  readonly engine: Engine;
  readonly lanes: Lanes;
  readonly kill: () => void;
}

export interface AgentOptions {
  readonly settings?: Partial<EngineSettings>;
  readonly clock?: FakeClock;
  readonly source?: (api: ProxmoxApi) => HostSource;
  readonly guests?: readonly Declared[];
}

export class TestAgent {
  readonly clock: FakeClock;
  readonly proxmox: FakeProxmox;
  readonly desired = new SettableSource();
  readonly settings: EngineSettings;
  readonly log = recordingLog();
  readonly events: TransitionEvent[] = [];
  readonly outcomes: string[] = [];
  readonly results: string[] = [];
  disk: MemoryFileSystem;
  tracker: ConditionTracker;
  tokenUser: string | undefined = AGENT_USER;
  readonly #options: AgentOptions;
  #life: Life | undefined;

  constructor(options: AgentOptions = {}) {
    this.#options = options;
    this.clock = options.clock ?? new FakeClock();
    this.settings = { ...SETTINGS, ...options.settings };
    this.proxmox = new FakeProxmox({ clock: this.clock, requestTimeoutMs: this.settings.requestTimeoutMs });
    this.disk = new MemoryFileSystem({ directories: ["/", "/state"], nowMs: () => this.clock.now() });
    this.tracker = this.#newTracker();
    this.desired.declare(options.guests ?? []);
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

  /** Opens the journal and builds the engine; `start` also starts its loop. */
  async open(settings: Partial<EngineSettings> = {}): Promise<this> {
    const { clock, disk, log } = this;
    const opened = await openJournal({
      directory: "/state/journal", node: "pve1", machineId: "machine-1", version: "0.1.0", fileSystem: disk, clock, random: new SeededRandom(1), log, limits: { reserveBytes: 64 },
    });
    if (!opened.ok) throw new Error(opened.error.message);
    const lanes = new Lanes({ clock });
    const { api, kill } = mortal(this.proxmox);
    const source = this.#options.source?.(api) ?? new ApiHostSource({ api, node: "pve1" });
    const engine = new Engine(
      {
        api, source, desired: this.desired, journal: opened.value, lanes, clock, random: new SeededRandom(2), log, tracker: this.tracker, tokenUser: () => this.tokenUser,
        observer: {
          reconciled: (result) => void this.results.push(result),
          acted: (action, outcome) => void this.outcomes.push(`${action.type} ${action.guest.vmid} ${outcome.kind}`),
          resynced: () => {},
          cycled: () => {},
        },
      },
      { ...this.settings, ...settings },
    );
    this.#life = { journal: opened.value, engine, lanes, kill };
    return this;
  }

  async start(settings: Partial<EngineSettings> = {}): Promise<this> {
    await this.open(settings);
    this.engine.start();
    return this.run(0);
  }

  /** Lets time pass. */
  async run(ms: number): Promise<this> {
    await this.clock.advance(ms);
    return this;
  }

  /** SIGKILL, then a new process on what the disk holds. `downMs`: how long nobody ran. */
  async restart(options: { readonly downMs?: number; readonly settings?: Partial<EngineSettings> } = {}): Promise<this> {
    this.crash();
    await this.run(options.downMs ?? 0);
    return this.start(options.settings);
  }

  /** The process is gone: nothing of it asks Proxmox or writes to the disk any more. */
  crash(): void {
    this.#alive().kill();
    this.#life = undefined;
    const now = this.disk;
    this.disk = new MemoryFileSystem({ directories: now.directories, files: now.snapshot(), nowMs: () => this.clock.now() });
    this.tracker = this.#newTracker();
  }

  acts(vmid?: number): readonly string[] {
    return this.proxmox.acts(vmid);
  }

  view(vmid: number): GuestView {
    const view = this.engine.guests().find((candidate) => candidate.guest.vmid === vmid);
    if (view === undefined) throw new Error(`guest ${vmid} was not reconciled yet`);
    return view;
  }

  /** "True InSync", or "" when there is no such condition. */
  condition(vmid: number, type: Parameters<ConditionTracker["guestCondition"]>[1]): string {
    const condition = this.tracker.guestCondition(vmid, type);
    return condition === undefined ? "" : `${condition.status} ${condition.reason}`;
  }

  host(type: Parameters<ConditionTracker["hostCondition"]>[0]): string {
    const condition = this.tracker.hostCondition(type);
    return condition === undefined ? "" : `${condition.status} ${condition.reason}`;
  }

  /** Every operation the journal knows: "start 101 succeeded". */
  operations(): readonly string[] {
    return this.allOperations().map((operation) => `${operation.action} ${operation.guest.vmid} ${operation.state}`);
  }

  allOperations(): readonly Operation[] {
    return [...this.journal.recentOperations(), ...this.journal.openOperations()];
  }

  #alive(): Life {
    if (this.#life === undefined) throw new Error("the agent is not running");
    return this.#life;
  }

  #newTracker(): ConditionTracker {
    return new ConditionTracker(this.clock.now(), (event) => void this.events.push(event));
  }
}

/** A client that dies with its process: after `kill` no request of it is sent and no answer arrives. */
function mortal(proxmox: FakeProxmox): { readonly api: ProxmoxApi; readonly kill: () => void } {
  let isDead = false;
  const never = new Promise<never>(() => {});
  const api = new Proxy(proxmox, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...rest: unknown[]): unknown => {
        if (isDead) return never;
        const answer: unknown = Reflect.apply(member, target, rest);
        return answer instanceof Promise ? answer.then((value: unknown) => (isDead ? never : value)) : answer;
      };
    },
  });
  return { api, kill: () => void (isDead = true) };
}

/** A started agent over these guests; declared as given, found as `found` puts them. */
export async function agentOver(guests: readonly Declared[], found: (proxmox: FakeProxmox) => void, options: AgentOptions = {}): Promise<TestAgent> {
  const agent = new TestAgent({ ...options, guests });
  found(agent.proxmox);
  return agent.start();
}
