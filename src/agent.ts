import { formatTransition, type TransitionEvent } from "./conditions/condition.ts";
import { ConditionTracker } from "./conditions/tracker.ts";
import type { LoadedConfig } from "./config/load.ts";
import type { AgentConfig } from "./config/types.ts";
import { createControlApp, type ControlTarget } from "./control/app.ts";
import { pause, resolveOperation, resume, type PauseRequest } from "./control/operator.ts";
import { guestReport, remainingReport, type ChangeReport, type OnceReport, type StatusReport } from "./control/report.ts";
import { listenOnSocket, type ControlSocket } from "./control/socket.ts";
import { openJournal } from "./journal/journal.ts";
import type { Compaction, Journal, Operation } from "./journal/types.ts";
import { Lanes } from "./lanes/lanes.ts";
import { createParts, describeDesired, type Parts, type World } from "./parts.ts";
import { ok, type Result } from "./ports/errors.ts";
import type { FileSystem } from "./ports/file-system.ts";
import { Engine } from "./reconcile/engine.ts";
import { onceExit, problemsOf, remainingOf } from "./reconcile/once.ts";
import type { Pause } from "./reconcile/pauses.ts";
import { RevisionGate } from "./reconcile/revision.ts";
import type { RestartReport, RestartRequest } from "./reconcile/restart-request.ts";
import type { SelftestReport } from "./reconcile/selftest.ts";
import type { EngineObserver, EngineSettings } from "./reconcile/types.ts";
import { COMMIT, VERSION } from "./version.ts";

/**
 * The composition root: builds one running agent from a config. It alone knows all parts. The journal,
 * the lanes, the socket and the server live as long as the process; what a config shapes (client,
 * sources, engine) is replaced when the config changes, after running acts have been waited for.
 */

/** Where a Linux host keeps its machine id. */
const MACHINE_ID_FILE = "/etc/machine-id";

/** Lanes are empty once the engine has stopped; this only bounds what a defect could leave there. */
const CLOSE_TIMEOUT_MS = 1_000;

/** Everything one process keeps, whatever its config says. */
export interface AgentOptions {
  readonly config: AgentConfig;
  /** Reads the config again, for SIGHUP and file changes. */
  readonly reload: () => Result<LoadedConfig>;
  readonly world: World;
  readonly processId: number;
  readonly observer: EngineObserver & {
    requested(measure: { readonly method: string; readonly code: string; readonly seconds: number }): void;
    synced(seconds: number): void;
    waited(seconds: number): void;
  };
  /** Called when a new config is in force. */
  readonly onConfig?: (config: AgentConfig) => void;
}

type ActRecord = OnceReport["actions"][number];

/** The engine's share of the config. */
export function engineSettings(config: AgentConfig): EngineSettings {
  return {
    pollIntervalMs: config.pollIntervalMs,
    resyncIntervalMs: config.resyncIntervalMs,
    requestTimeoutMs: config.proxmox.requestTimeoutMs,
    taskTimeoutMs: config.taskTimeoutMs,
    shutdownTimeoutMs: config.shutdownTimeoutMs,
    maxConcurrentActs: config.maxConcurrentActs,
    maxConcurrentStarts: config.maxConcurrentStarts,
    maxAffectedPercent: config.maxAffectedPercent,
    isDryRun: config.dryRun,
  };
}

/** One agent: holds the journal's writer lock from `open` to `stop`. */
export class Agent implements ControlTarget {
  readonly #options: AgentOptions;
  readonly #journal: Journal;
  readonly #lanes: Lanes;
  readonly #revision: RevisionGate;
  readonly tracker: ConditionTracker;
  readonly #startedAtMs: number;
  #config: AgentConfig;
  #parts: Parts;
  #engine: Engine;
  #socket: ControlSocket | undefined;
  #configProblem = "";
  #reloading: Promise<Result<void>> | undefined;
  /** One list for each `run --once` under way. */
  readonly #actLists = new Set<ActRecord[]>();
  #isStopping = false;
  #reconcileCount = 0;

  private constructor(options: AgentOptions, journal: Journal) {
    const { clock, log } = options.world;
    this.#options = options;
    this.#journal = journal;
    this.#config = options.config;
    this.#startedAtMs = clock.now();
    this.#revision = new RevisionGate(journal);
    this.#lanes = new Lanes({ clock, onWait: (seconds) => options.observer.waited(seconds) });
    this.tracker = new ConditionTracker(clock.now(), (event) => log[isAlarming(event) ? "warn" : "info"](formatTransition(event), { condition: event.type, status: event.to }));
    this.#parts = createParts(this.#config, options.world, (measure) => options.observer.requested(measure));
    this.#engine = this.#createEngine();
  }

  /** Takes the writer lock and opens the journal. `journal.locked` is the one failure. */
  static async open(options: AgentOptions): Promise<Result<Agent>> {
    const journal = await openAgentJournal(options.config, options.world, (seconds) => options.observer.synced(seconds));
    return journal.ok ? ok(new Agent(options, journal.value)) : journal;
  }

  /** Starts reconciling. */
  start(): void {
    this.#engine.start();
  }

  /** Listens on the control socket. */
  async listen(): Promise<Result<void>> {
    const socket = await listenOnSocket(this.#config.socket, createControlApp(this));
    if (!socket.ok) return socket;
    this.#socket = socket.value;
    return ok(undefined);
  }

  /** No new acts; running ones get `shutdownTimeout`; then everything is closed. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#reloading;
    await this.#engine.stop(this.#config.shutdownTimeoutMs);
    await this.#lanes.close({ timeoutMs: CLOSE_TIMEOUT_MS });
    await this.#socket?.close();
    this.#parts.close();
    await this.#journal.close();
  }

  get config(): AgentConfig {
    return this.#config;
  }

  get journal(): Journal {
    return this.#journal;
  }

  get lanes(): Lanes {
    return this.#lanes;
  }

  /** Reconciles since the start. */
  reconcileCount(): number {
    return this.#reconcileCount;
  }

  get engine(): Engine {
    return this.#engine;
  }

  status(): StatusReport {
    const { clock } = this.#options.world;
    const held = this.#engine.revisionHeld();
    return {
      version: 1,
      agent: {
        version: VERSION, commit: COMMIT, node: this.#config.node, pid: this.#options.processId,
        startedAt: new Date(this.#startedAtMs).toISOString(), isDryRun: this.#config.dryRun, proxmoxUrl: this.#config.proxmox.url, desired: describeDesired(this.#config.desired), configProblem: this.#configProblem,
      },
      now: new Date(clock.now()).toISOString(),
      revision: { id: this.#engine.generation(), isHeld: held !== undefined, message: held?.message ?? "", declaredGuests: this.#revision.newest()?.guests.size ?? 0 },
      journal: { ...this.#journal.health(), head: this.#journal.head() },
      conditions: this.tracker.host(),
      guests: this.#engine.guests().map((view) => guestReport(view, this.tracker.guest(view.guest.vmid))),
      pauses: this.#engine.pauses(),
      openOperations: this.#journal.openOperations(),
      events: this.tracker.events(),
      eventCount: this.tracker.eventCount(),
    };
  }

  change(): ChangeReport {
    const seen = [this.#startedAtMs, this.tracker.eventCount(), this.#reconcileCount, this.#journal.appendedCount(), this.#journal.health().state, this.#engine.generation(), this.#configProblem];
    return { version: 1, change: Bun.hash(JSON.stringify(seen)).toString(36), activeGuests: this.#lanes.activeLanes() };
  }

  operations(): readonly Operation[] {
    const open = this.#journal.openOperations();
    return [...this.#journal.recentOperations().filter((recent) => !open.includes(recent)), ...open];
  }

  /** The answer tells a mistyped vmid, too: a pause of what nobody declared protects nothing. */
  async pause(request: PauseRequest): Promise<Result<Pause & { readonly isDeclared: boolean }>> {
    const paused = await pause(this.#operatorDeps(), request);
    if (!paused.ok) return paused;
    this.#engine.refresh(request.target);
    return ok({ ...paused.value, isDeclared: request.target === "all" || this.#revision.newest()?.guests.has(request.target) === true });
  }

  async resume(target: number | "all"): Promise<Result<void>> {
    const resumed = await resume(this.#operatorDeps(), target);
    if (resumed.ok) this.#engine.refresh(target);
    return resumed;
  }

  accept(revision: string): Promise<Result<string>> {
    return this.#engine.accept(revision);
  }

  async resolve(id: string, outcome: "succeeded" | "failed", reason: string): Promise<Result<Operation>> {
    const resolved = await resolveOperation(this.#operatorDeps(), id, outcome, reason);
    if (resolved.ok) this.#engine.refresh(resolved.value.guest.vmid);
    return resolved;
  }

  selftest(vmid: number): Promise<Result<SelftestReport>> {
    return this.#engine.selftest(vmid);
  }

  restart(request: RestartRequest): Promise<Result<RestartReport>> {
    return this.#engine.restart(request);
  }

  compactJournal(): Promise<Result<Compaction>> {
    return this.#journal.compact();
  }

  async runOnce(): Promise<OnceReport> {
    const { clock } = this.#options.world;
    const actions: ActRecord[] = [];
    this.#actLists.add(actions);
    await this.#engine.runOnce(clock.monotonic() + this.#config.taskTimeoutMs);
    this.#actLists.delete(actions);
    const remaining = remainingOf(this.#engine.guests());
    const problems = problemsOf(this.tracker.host());
    const isRead = this.tracker.hostCondition("FirstFullReadDone")?.status === "True";
    return {
      version: 1,
      exitCode: onceExit(remaining, problems, isRead, this.#journal.health().state === "corrupt"),
      actions,
      remaining: remaining.map((view) => remainingReport(view, this.tracker.guest(view.guest.vmid))),
      problems,
    };
  }

  /** Reads the config again and puts it in force; the old one stays when the new one is unusable. */
  reload(): Promise<Result<void>> {
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined;
    });
    return this.#reloading;
  }

  async #reload(): Promise<Result<void>> {
    const { log } = this.#options.world;
    const loaded = this.#options.reload();
    if (!loaded.ok) {
      this.#configProblem = loaded.error.message;
      log.error("the new config is unusable; the old one stays in force", { error: loaded.error.message });
      return loaded;
    }
    const read = loaded.value.config;
    this.#configProblem = "";
    for (const name of fixedDifferences(this.#config, read)) log.warn(`${name} takes effect after a restart of the agent`);
    const next = { ...read, stateDir: this.#config.stateDir, socket: this.#config.socket, server: this.#config.server };
    if (Bun.deepEquals(next, this.#config, true) || this.#isStopping) return ok(undefined);
    await this.#engine.stop(this.#config.shutdownTimeoutMs);
    this.#parts.close();
    this.#config = next;
    this.#parts = createParts(this.#config, this.#options.world, (measure) => this.#options.observer.requested(measure));
    this.#revision.reconsider();
    this.#engine = this.#createEngine();
    this.#engine.start();
    this.#options.onConfig?.(this.#config);
    log.info("a new config is in force");
    return ok(undefined);
  }

  #createEngine(): Engine {
    const { clock, random, log } = this.#options.world;
    const { observer } = this.#options;
    return new Engine(
      {
        api: this.#parts.api, source: this.#parts.source, desired: this.#parts.desired, tokenUser: this.#parts.tokenUser,
        journal: this.#journal, lanes: this.#lanes, tracker: this.tracker, revision: this.#revision, clock, random, log,
        observer: {
          reconciled: (result, seconds) => {
            this.#reconcileCount += 1;
            observer.reconciled(result, seconds);
          },
          acted: (action, outcome) => {
            observer.acted(action, outcome);
            this.#noteAct({ kind: action.guest.kind, vmid: action.guest.vmid, action: action.type, outcome: outcome.kind, keys: action.type === "set_config" ? action.changes.map((change) => change.key) : [] });
          },
          resynced: (atMs) => observer.resynced(atMs),
          cycled: (seconds) => observer.cycled(seconds),
          ...(observer.queue === undefined ? {} : { queue: observer.queue }),
        },
      },
      engineSettings(this.#config),
    );
  }

  #noteAct(act: ActRecord): void {
    for (const list of this.#actLists) list.push(act);
  }

  #operatorDeps() {
    return { journal: this.#journal, clock: this.#options.world.clock };
  }
}

/** Opens the journal of a config for writing; the state directory is created with it. */
export function openAgentJournal(config: AgentConfig, world: World, onSync: (seconds: number) => void = () => {}): Promise<Result<Journal>> {
  const { fileSystem, clock, random, log } = world;
  return openJournal({ directory: `${config.stateDir}/journal`, node: config.node, machineId: machineIdOf(fileSystem), version: VERSION, fileSystem, clock, random, log, onSync });
}

/** Empty where there is none, as in a container: then a moved journal is told by its directory alone. */
function machineIdOf(fileSystem: FileSystem): string {
  const read = fileSystem.readFile(MACHINE_ID_FILE);
  return read.ok ? new TextDecoder().decode(read.value).trim() : "";
}

/** Whether a person should find it among the warnings: the host is not as it must be, or a person is asked. Guests come and go. */
function isAlarming({ guest, type, to }: TransitionEvent): boolean {
  if (type === "OutcomeUnknown" || type === "RevisionHeld") return to === "True";
  return guest === undefined && to === "False";
}

/** Settings that a running process cannot change. */
function fixedDifferences(before: AgentConfig, after: AgentConfig): readonly string[] {
  const fixed = ["stateDir", "socket", "server"] as const;
  return fixed.filter((name) => !Bun.deepEquals(before[name], after[name]));
}
