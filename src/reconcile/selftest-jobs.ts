import type { Release } from "../lanes/limiter.ts";
import type { Lanes } from "../lanes/lanes.ts";
import { fault, type Result } from "../ports/errors.ts";
import type { Random } from "../ports/random.ts";
import type { GuestJobContext } from "./guest-job.ts";
import { restoreLeftover, runSelftest, type SelftestContext, type SelftestReport } from "./selftest.ts";
import { markedGuests } from "./selftest-mark.ts";
import { messageOf, traceOf } from "./unexpected.ts";

export interface SelftestJobsDeps {
  readonly lanes: Lanes;
  readonly random: Random;
  readonly settleWindowMs: number;
  /** Aborted when no new act may start. */
  readonly stopActing: AbortSignal;
  jobContext(): GuestJobContext;
  /** A place among the running acts; undefined when the agent is stopping. */
  acquire(): Promise<Release | undefined>;
  isPaused(vmid: number): boolean;
  wake(vmid: number): void;
}

/** Puts selftests into their guests' lanes, and puts back what earlier ones left. */
export class SelftestJobs {
  readonly #deps: SelftestJobsDeps;

  constructor(deps: SelftestJobsDeps) {
    this.#deps = deps;
  }

  /** A round trip on one guest, as a job in its lane; counts as an act, so that stopping waits for it. */
  async selftest(vmid: number): Promise<Result<SelftestReport>> {
    const submitted = this.#deps.lanes.submit(vmid, async (): Promise<Result<SelftestReport>> => {
      const release = await this.#deps.acquire();
      if (release === undefined) return fault("control.refused", "the agent is stopping; nothing was sent");
      return runSelftest(this.#context(), vmid).finally(release);
    });
    if (!submitted.ok) return submitted;
    const outcome = await submitted.value.done;
    // What it left open is the guest's next job to settle.
    this.#deps.wake(vmid);
    return outcome.ok ? outcome.value : fault("control.refused", `the selftest ended unexpectedly: ${messageOf(outcome.error)}`, outcome.error);
  }

  /** Puts back what selftests of an earlier process left, each in its guest's lane. */
  restoreLeftovers(): void {
    const { lanes } = this.#deps;
    const { journal, log } = this.#deps.jobContext();
    for (const vmid of markedGuests(journal)) {
      if (this.#deps.isPaused(vmid)) continue;
      const submitted = lanes.submit(vmid, () => this.#restore(vmid), { collapse: "selftest" });
      if (!submitted.ok) continue;
      void submitted.value.done.then((outcome) => {
        if (!outcome.ok) log.error("putting back a selftest's description failed unexpectedly", { vmid, error: traceOf(outcome.error) });
        this.#deps.wake(vmid);
      });
    }
  }

  async #restore(vmid: number): Promise<void> {
    const release = await this.#deps.acquire();
    if (release === undefined) return;
    const context = this.#context();
    const restored = await restoreLeftover(context, vmid).finally(release);
    if (restored !== undefined) context.log.info("an interrupted selftest", { vmid, restored: restored.isRestored, detail: restored.detail });
  }

  #context(): SelftestContext {
    const { random, stopActing, settleWindowMs } = this.#deps;
    const nonce = Buffer.from(random.bytes(4)).toString("hex");
    return { ...this.#deps.jobContext(), hurry: stopActing, settleWindowMs, nonce };
  }
}
