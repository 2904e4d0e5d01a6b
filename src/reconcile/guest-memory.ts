import { PlanCache } from "../plan/plan-cache.ts";
import { Backoff } from "../schedule/backoff.ts";
import { Restarts } from "../schedule/restarts.ts";
import { GuestRecords } from "./guest-records.ts";
import { Refusals } from "./refusals.ts";
import type { RevisionGate } from "./revision.ts";
import { SettleWindows } from "./settle-windows.ts";
import { Situations } from "./situations.ts";
import { StatusTurns } from "./status-turns.ts";
import type { EngineDeps, EngineSettings, RunnerWorld } from "./types.ts";
import { UnrecordedActs } from "./unrecorded-acts.ts";

/**
 * What is remembered of guests from one job to the next, and dies with the process: how each stood,
 * what failed, what was started, what a read cannot tell. What must outlive it is in the journal.
 */
export class GuestMemory {
  readonly records = new GuestRecords();
  readonly backoff: Backoff;
  /** Guests that were started and did not stay up. */
  readonly starts: Restarts;
  readonly refusals: Refusals;
  readonly statusTurns = new StatusTurns();
  readonly cache = new PlanCache();
  readonly windows: SettleWindows;
  readonly unrecorded: UnrecordedActs;
  readonly situations: Situations;
  readonly #revision: RevisionGate;

  constructor({ clock, random, journal }: EngineDeps, settings: EngineSettings, { revision, conditions }: Pick<RunnerWorld, "revision" | "conditions">) {
    this.#revision = revision;
    this.backoff = new Backoff(clock, random);
    this.starts = new Restarts(clock);
    this.refusals = new Refusals(clock);
    this.windows = new SettleWindows(clock, settings.requestTimeoutMs);
    this.unrecorded = new UnrecordedActs(clock, this.windows.windowMs);
    this.situations = new Situations({
      journal, clock, maxConcurrentStarts: settings.maxConcurrentStarts,
      guests: {
        declared: () => revision.newest()?.guests ?? new Map(),
        isReadyToStart: (vmid) => this.#isReadyToStart(vmid),
        mayHaveQuorum: () => conditions.mayHaveQuorum(),
      },
    });
  }

  /** The guest is no longer declared. */
  forget(vmid: number): void {
    this.records.forget(vmid);
    this.backoff.forget(vmid);
    this.refusals.forget(vmid);
    this.statusTurns.forget(vmid);
    this.situations.forget(vmid);
    this.starts.forget(vmid);
  }

  /** Failures of before do not count any more: of one guest, or of all. */
  forgetFailures(vmids: readonly number[] = [...this.records.vmids(), ...this.refusals.vmids()]): void {
    for (const vmid of vmids) {
      this.backoff.forget(vmid);
      this.refusals.forget(vmid);
    }
  }

  /** A start succeeded. */
  noteStarted(vmid: number): void {
    this.situations.noteStarted(vmid);
    this.starts.started(vmid);
  }

  /** Others wait for this guest's start only while it is really going to be started. */
  #isReadyToStart(vmid: number): boolean {
    const desired = this.#revision.newest()?.guests.get(vmid);
    if (desired === undefined || !this.#revision.isInForce(desired) || this.situations.pausedReason(vmid) !== undefined) return false;
    return this.records.isStartable(vmid);
  }
}
