import type { DesiredGuest } from "../desired/model.ts";
import type { ApprovedAction } from "../gate/types.ts";
import type { Journal } from "../journal/types.ts";
import { Limiter, type Release } from "../lanes/limiter.ts";
import type { Backoff } from "../schedule/backoff.ts";
import type { Restarts } from "../schedule/restarts.ts";
import type { ActBarrier } from "./guest-job.ts";
import type { GuestRecords } from "./guest-records.ts";
import type { RevisionGate } from "./revision.ts";
import type { EngineSettings } from "./types.ts";

/** What decides when an approved act may be sent. */
export interface ActLimitsDeps {
  readonly settings: EngineSettings;
  readonly journal: Journal;
  readonly revision: RevisionGate;
  readonly records: GuestRecords;
  readonly backoff: Backoff;
  readonly restarts: Restarts;
  /** Aborted when no new act may start. */
  readonly stopActing: AbortSignal;
}

/**
 * When an act that the gate approved may really be sent: what stands in the way of it now, and the
 * places among the running ones (`maxConcurrentActs`, `maxConcurrentStarts`).
 */
export class ActLimits {
  readonly #deps: ActLimitsDeps;
  readonly #acts: Limiter;
  readonly #starts: Limiter;

  constructor(deps: ActLimitsDeps) {
    this.#deps = deps;
    this.#acts = new Limiter(deps.settings.maxConcurrentActs);
    this.#starts = new Limiter(deps.settings.maxConcurrentStarts);
  }

  /** Acts that are being sent or awaited. */
  actsRunning(): number {
    return this.#acts.inUse;
  }

  /** Why nothing may be sent for this guest now; undefined when it may. */
  barrierOf(desired: DesiredGuest, action: ApprovedAction): ActBarrier | undefined {
    const { settings, journal, revision, stopActing } = this.#deps;
    if (stopActing.aborted) return { result: "stopping", message: "", retry: "none" };
    if (settings.isDryRun) return { result: "dry_run", message: "", retry: "none" };
    if (!revision.isInForce(desired)) return { result: "revision_held", message: revision.heldMessage(), retry: "none" };
    const { state, message } = journal.health();
    if (state === "corrupt" || state === "full" || state === "poisoned" || state === "closed") return { result: "journal_unavailable", message, retry: "soon" };
    return this.#failureWait(desired.vmid) ?? (action.type === "start" ? this.#restartWait(desired.vmid) : undefined);
  }

  /** A place among the running acts; undefined when the agent is stopping. */
  acquireAct(): Promise<Release | undefined> {
    return this.#acts.acquire(this.#deps.stopActing);
  }

  /** A place among the running acts, for a start also among the starts; undefined when the agent is stopping. */
  acquireFor(action: ApprovedAction): Promise<Release | undefined> {
    return action.type === "start" ? this.acquireStart() : this.acquireAct();
  }

  /** A place among the starts and among the running acts. */
  async acquireStart(): Promise<Release | undefined> {
    const start = await this.#starts.acquire(this.#deps.stopActing);
    if (start === undefined) return undefined;
    const place = await this.acquireAct();
    if (place === undefined) {
      start();
      return undefined;
    }
    return () => {
      place();
      start();
    };
  }

  /** A guest whose act failed may be looked at any time, and is acted on again when its backoff is over. */
  #failureWait(vmid: number): ActBarrier | undefined {
    const view = this.#deps.records.get(vmid)?.view;
    if (view?.result !== "failed" || this.#deps.backoff.isReady(vmid)) return undefined;
    return { result: "failed", message: view.message, retry: "later" };
  }

  /** A guest that does not stay up is not started again and again at every poll. */
  #restartWait(vmid: number): ActBarrier | undefined {
    const { remainingMs, startsInARow } = this.#deps.restarts.wait(vmid);
    if (remainingMs === 0) return undefined;
    const message = `was started ${startsInARow} times in a row and stopped again each time; the next start is tried in ${Math.ceil(remainingMs / 1000)} s`;
    return { result: "failed", message, retry: "soon" };
  }
}
