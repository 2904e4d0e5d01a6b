import type { DesiredGuest } from "../desired/model.ts";
import type { Release } from "../lanes/limiter.ts";
import type { Lanes } from "../lanes/lanes.ts";
import { fail, fault, ok, type Result } from "../ports/errors.ts";
import type { GuestJobContext } from "./guest-job.ts";
import { finishLeftover } from "./restart-finish.ts";
import { restartMarkedGuests } from "./restart-mark.ts";
import { complaintAboutRequest, type RestartReport, type RestartRequest } from "./restart-request.ts";
import { runRestart, type RestartContext } from "./restart.ts";
import { messageOf, traceOf } from "./unexpected.ts";

/** What is left of a restart is looked at again after this long. */
const LEFTOVER_INTERVAL_MS = 30_000;

export interface RestartJobsDeps {
  readonly lanes: Lanes;
  jobContext(): GuestJobContext;
  declared(vmid: number): DesiredGuest | undefined;
  /** A place among the running acts and starts; undefined when the agent is stopping. */
  acquire(): Promise<Release | undefined>;
  wake(vmid: number): void;
}

/** Puts restarts into their guests' lanes, and takes up again what earlier ones left. */
export class RestartJobs {
  readonly #deps: RestartJobsDeps;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: RestartJobsDeps) {
    this.#deps = deps;
  }

  /** Resolves with the outcome, or with "running" after `waitMs`; then it goes on, and the same key asks for it again. */
  async restart(request: RestartRequest): Promise<Result<RestartReport>> {
    const complaint = complaintAboutRequest(request);
    if (complaint !== undefined) return fail(complaint);
    const submitted = this.#deps.lanes.submit(request.vmid, () => this.#run(request));
    if (!submitted.ok) return fault("reconcile.held", submitted.error.message, submitted.error);
    const patience = new AbortController();
    const { clock } = this.#deps.jobContext();
    const outcome = await Promise.race([submitted.value.done, clock.sleep(request.waitMs, patience.signal)]);
    patience.abort();
    if (outcome === undefined) return ok(this.#stillRunning(request));
    if (outcome.ok) return outcome.value;
    return fault("reconcile.held", `the restart ended unexpectedly: ${messageOf(outcome.error)}; ask again with the same key`, outcome.error);
  }

  /** Starts what was shut down for a restart and is not up again; called at every pass, and does something now and then. */
  finishLeftovers(): void {
    const { clock, journal, log } = this.#deps.jobContext();
    const vmids = restartMarkedGuests(journal);
    if (vmids.length === 0 || clock.monotonic() - this.#lookedAtMs < LEFTOVER_INTERVAL_MS) return;
    this.#lookedAtMs = clock.monotonic();
    for (const vmid of vmids) {
      const submitted = this.#deps.lanes.submit(vmid, () => this.#finish(vmid), { collapse: "restart" });
      if (!submitted.ok) continue;
      void submitted.value.done.then((outcome) => {
        if (!outcome.ok) log.error("finishing a restart failed unexpectedly", { vmid, error: traceOf(outcome.error) });
      });
    }
  }

  async #run(request: RestartRequest): Promise<Result<RestartReport>> {
    const release = await this.#deps.acquire();
    if (release === undefined) return fault("reconcile.held", "the agent is stopping; nothing was sent");
    try {
      return await runRestart(this.#context(), request);
    } finally {
      release();
      this.#deps.wake(request.vmid);
    }
  }

  async #finish(vmid: number): Promise<void> {
    const release = await this.#deps.acquire();
    if (release === undefined) return;
    const context = this.#context();
    const done = await finishLeftover(context, vmid).finally(release);
    if (done !== undefined) context.log.info("an interrupted restart", { vmid, now: done.kind, detail: done.message });
    this.#deps.wake(vmid);
  }

  #context(): RestartContext {
    return { ...this.#deps.jobContext(), declared: (vmid) => this.#deps.declared(vmid) };
  }

  #stillRunning({ vmid, key, waitMs }: RestartRequest): RestartReport {
    const { journal } = this.#deps.jobContext();
    const holder = journal.keyHolder(key);
    const message = holder === undefined ? "it waits for its turn in the guest's lane" : `operation ${holder.id} is ${holder.state}`;
    return {
      version: 1, kind: holder?.guest.kind ?? "", vmid, name: "", key, state: "running", isRepeat: false, operation: holder?.id ?? "", keyExpiresAt: holder?.keyExpiresAt ?? "",
      message: `after ${Math.round(waitMs / 1000)} s ${message}. It goes on; ask again with the same key`, applied: [], stillPending: [],
    };
  }
}
