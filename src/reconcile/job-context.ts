import type { DesiredGuest } from "../desired/model.ts";
import type { ApprovedAction } from "../gate/types.ts";
import { formatGuestKey } from "../guest/key.ts";
import type { Release } from "../lanes/limiter.ts";
import type { ProxmoxFault } from "../ports/proxmox-api.ts";
import type { ActResult } from "./act.ts";
import type { ActLimits } from "./act-limits.ts";
import { recordDrift } from "./guest-conditions.ts";
import type { GuestJobContext } from "./guest-job.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { HostFacts, HostSnapshot } from "./host-snapshot.ts";
import { bareDeclaration } from "./settle.ts";
import { observeForSettling } from "./settle-observation.ts";
import type { EngineDeps, EngineSettings, RunnerWorld } from "./types.ts";

/**
 * Ends of a shutdown's task that say nothing about the guest: it was never asked (its file lock was
 * taken, as in test/recorded/07-power.txt; or it is locked), or somebody stopped the asking.
 */
const SHUTDOWN_NOT_ASKED = /can't lock file|is locked|received interrupt/;

/** Gives each job in a guest's lane what it needs of the engine. */
export class JobContexts {
  readonly #deps: EngineDeps;
  readonly #settings: EngineSettings;
  readonly #world: RunnerWorld;
  readonly #memory: GuestMemory;
  readonly #limits: ActLimits;

  constructor(deps: EngineDeps, settings: EngineSettings, world: RunnerWorld, memory: GuestMemory, limits: ActLimits) {
    this.#deps = deps;
    this.#settings = settings;
    this.#world = world;
    this.#memory = memory;
    this.#limits = limits;
  }

  /** @param onWaiting called when the job goes on to wait for its act's turn, which may take minutes */
  create(onWaiting: () => void = () => {}): GuestJobContext {
    const { api, journal, clock, log, tokenUser } = this.#deps;
    const { situations, records, statusTurns, windows, unrecorded } = this.#memory;
    return {
      api, journal, clock, log,
      cache: this.#memory.cache,
      refusals: this.#memory.refusals,
      taskTimeoutMs: this.#settings.taskTimeoutMs,
      shutdownTimeoutMs: this.#settings.shutdownTimeoutMs,
      stop: this.#world.stopWaiting,
      onUpid: (upid) => situations.noteOwnTask(upid),
      onBegun: (operation) => windows.begun(operation),
      onUnrecorded: (guest, sentAtMs, upid) => unrecorded.note(guest, sentAtMs, upid),
      unrecordedWait: (vmid) => unrecorded.waitOf(vmid, api),
      declaredNow: (guest) => this.declared(guest.vmid) ?? bareDeclaration(guest),
      settle: {
        api, journal,
        facts: this.facts(),
        tokenUser: tokenUser(),
        windowRemainingMs: (operation) => windows.remainingMs(operation),
        observe: async (guest) => observeForSettling(api, this.facts(), await this.#freshSnapshot(), guest),
      },
      snapshot: () => this.snapshot(),
      facts: () => this.facts(),
      freshSnapshot: () => this.#freshSnapshot(),
      situationOf: (desired, snapshot) => situations.of(desired, snapshot),
      openOperationsOf: (vmid) => journal.openOperations().filter((operation) => operation.guest.vmid === vmid),
      actBarrier: (desired, action) => this.#limits.barrierOf(desired, action),
      acquireSlot: (action): Promise<Release | undefined> => {
        onWaiting();
        return this.#limits.acquireFor(action);
      },
      wantsStatus: (vmid) => statusTurns.wants(vmid),
      onStatus: (vmid, runState) => statusTurns.note(vmid, runState),
      hadDeferred: (vmid) => (records.get(vmid)?.view.plan?.deferred.length ?? 0) > 0,
      isStopping: () => this.#world.stopActing.aborted,
      onDrift: (plan) => recordDrift(this.#deps.tracker, plan, this.#world.moment()),
      onActed: (action, result) => this.#acted(action, result),
    };
  }

  /** The guest as it is declared now. */
  declared(vmid: number): DesiredGuest | undefined {
    return this.#world.revision.newest()?.guests.get(vmid);
  }

  /** The host as it was polled last. */
  snapshot(): HostSnapshot {
    const snapshot = this.#world.snapshot();
    if (snapshot === undefined) throw new Error("no guest runs before the first poll");
    return snapshot;
  }

  facts(): HostFacts {
    const facts = this.#world.facts();
    if (facts === undefined) throw new Error("no guest runs before the first poll");
    return facts;
  }

  async #freshSnapshot(): Promise<HostSnapshot | ProxmoxFault> {
    const fresh = await this.#deps.source.look();
    if (!fresh.ok) return fresh.error;
    return { ...fresh.value, elsewhere: this.#world.snapshot()?.elsewhere ?? fresh.value.elsewhere };
  }

  #acted(action: ApprovedAction, result: ActResult): void {
    const { observer, log } = this.#deps;
    const { vmid } = action.guest;
    observer.acted(action, result);
    const keys = action.type === "set_config" ? { keys: action.changes.map((change) => change.key) } : {};
    const fields = { guest: formatGuestKey(action.guest), action: action.type, outcome: result.kind, ...keys };
    if (result.kind === "succeeded") log.info("acted", { ...fields, ...(result.note === "" ? {} : { note: result.note }) });
    else log.warn("an act did not succeed", { ...fields, ...("message" in result ? { message: result.message } : {}) });
    if (action.type === "start" && result.kind === "succeeded") this.#memory.noteStarted(vmid);
    if (action.type === "shutdown" && isIgnoredShutdown(result)) this.#memory.situations.noteShutdownFailed(vmid);
  }
}

/** The task ran its course and the guest runs on. A refused request says nothing about the guest. */
function isIgnoredShutdown(result: ActResult): boolean {
  return result.kind === "failed" && result.fault === undefined && !SHUTDOWN_NOT_ASKED.test(result.message);
}
