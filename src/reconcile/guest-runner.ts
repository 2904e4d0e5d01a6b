import type { DesiredConflict, DesiredGuest } from "../desired/model.ts";
import { Limiter } from "../lanes/limiter.ts";
import { countAffected } from "../plan/blast-radius.ts";
import { planConflict } from "../plan/plan-guest.ts";
import type { ProxmoxFault } from "../ports/proxmox-api.ts";
import type { Priority, QueueState } from "../schedule/queue-types.ts";
import type { WorkResult } from "../schedule/work-result.ts";
import { WorkQueue } from "../schedule/work-queue.ts";
import { Workers } from "../schedule/workers.ts";
import { ActLimits } from "./act-limits.ts";
import { recordConditions } from "./guest-conditions.ts";
import { reconcileGuest, type GuestJobOutcome } from "./guest-job.ts";
import { GuestMemory } from "./guest-memory.ts";
import { JobContexts } from "./job-context.ts";
import { lookAtGuest } from "./look.ts";
import { RestartJobs } from "./restart-jobs.ts";
import { Retries } from "./retries.ts";
import { isDeclaredAlike } from "./revision.ts";
import type { Survey } from "./revision-judge.ts";
import { SelftestJobs } from "./selftest-jobs.ts";
import { bareDeclaration, guestKeyOf } from "./settle.ts";
import type { EngineDeps, EngineSettings, GuestView, RunnerWorld } from "./types.ts";
import { traceOf } from "./unexpected.ts";

/** Guests read at the same time by the workers, and by a survey; the client bounds requests further. */
export const CONCURRENT_LOOKS_MAX = 64;

/** While Proxmox cannot be reached, guests that are due are put off by this. */
const UNREACHABLE_LOOK_MS = 1_000;

/**
 * Runs guests: a queue says which is next, a fixed number of workers bring one each to its declaration,
 * in its lane. Remembers how each one stands, and when it is looked at again.
 */
export class GuestRunner {
  readonly #deps: EngineDeps;
  readonly #world: RunnerWorld;
  readonly #surveys = new Limiter(CONCURRENT_LOOKS_MAX);
  readonly #limits: ActLimits;
  readonly #contexts: JobContexts;
  readonly #queue: WorkQueue;
  readonly #workers: Workers;
  readonly #retries: Retries;
  #hasRetained = false;
  #hasSaidFull = false;
  readonly memory: GuestMemory;
  /** Restarts that persons ask for. */
  readonly restarts: RestartJobs;
  readonly selftests: SelftestJobs;

  constructor(deps: EngineDeps, settings: EngineSettings, world: RunnerWorld) {
    const { clock, random, journal, lanes } = deps;
    const { revision, stopActing } = world;
    this.#deps = deps;
    this.#world = world;
    this.memory = new GuestMemory(deps, settings, world);
    const { records, backoff, starts, windows } = this.memory;
    this.#limits = new ActLimits({ settings, journal, revision, stopActing, records, backoff, restarts: starts });
    this.#contexts = new JobContexts(deps, settings, world, this.memory, this.#limits);
    this.#retries = new Retries({ clock, random, journal, memory: this.memory });
    this.#queue = new WorkQueue({ clock, backoff, ...(deps.observer.queue === undefined ? {} : { observer: deps.observer.queue }) });
    this.#workers = new Workers({
      queue: this.#queue, count: CONCURRENT_LOOKS_MAX,
      run: (vmid, _, yieldPlace) => this.#runInLane(vmid, yieldPlace),
      onDefect: (vmid, error) => this.#logDefect(vmid, error),
    });
    const jobs = { lanes, jobContext: () => this.#contexts.create(), wake: (vmid: number) => this.wake(vmid, "wish") };
    this.restarts = new RestartJobs({ ...jobs, declared: (vmid) => this.#contexts.declared(vmid), acquire: () => this.#limits.acquireStart() });
    this.selftests = new SelftestJobs({
      ...jobs, random, stopActing, settleWindowMs: windows.windowMs,
      acquire: () => this.#limits.acquireAct(), isPaused: (vmid) => this.memory.situations.pausedReason(vmid) !== undefined,
    });
  }

  /** Every guest that was reconciled, by vmid. */
  views(): readonly GuestView[] {
    return this.memory.records.views();
  }

  /** Guests that failed and wait, those with a refused key included. */
  backoffCount(): number {
    const { backoff, refusals } = this.memory;
    return backoff.size() + refusals.vmids().filter((vmid) => !backoff.isKnown(vmid)).length;
  }

  /** Acts that are being sent or awaited. */
  actsRunning(): number {
    return this.#limits.actsRunning();
  }

  /** Guests are worked on from now on: everything was read once. Further calls do nothing. */
  begin(): void {
    if (!this.#workers.isStarted) this.#workers.start();
  }

  /** Asks for one guest; whatever asks, it is one job. */
  wake(vmid: number, priority: Priority): void {
    if (this.#queue.add(vmid, priority) || this.#hasSaidFull || this.#world.stopActing.aborted) return;
    this.#hasSaidFull = true;
    this.#deps.log.error("more guests wait than the queue holds; those that did not fit are found by the next full read", { vmid });
  }

  /** Is somebody about to look at this guest, or will at a set time? */
  isAwaited(vmid: number): boolean {
    return this.#queue.has(vmid);
  }

  isWorkedOn(vmid: number): boolean {
    return this.#queue.isRunning(vmid);
  }

  /** Guests that wait for a worker or have one; those that wait for their time do not count. */
  busyCount(): number {
    return this.#workers.isStarted ? this.#queue.busy() : 0;
  }

  queueState(): QueueState {
    return this.#queue.state();
  }

  /** Takes no more guests; resolves when those that have a worker are done. A second call waits no longer. */
  drain(): Promise<void> {
    return this.#queue.drain();
  }

  /** A resync begins: whose turn is it to be asked whether it really runs? */
  resyncBegins(): void {
    const guests = this.#world.snapshot()?.guests;
    const declared = [...(this.#world.revision.newest()?.guests.values() ?? [])];
    const running = declared.filter(({ vmid, kind, state }) => kind === "qemu" && state === "running" && guests?.get(vmid)?.runState === "running");
    this.memory.statusTurns.begin(running.map(({ vmid }) => vmid));
  }

  /** Forgets guests that are not declared any more; the first time also those of an engine before this one. */
  retain(isKept: (vmid: number) => boolean): void {
    const known = this.#hasRetained ? this.memory.records.vmids() : this.#deps.tracker.guests().map(({ guest }) => guest.vmid);
    this.#hasRetained = true;
    for (const vmid of known) {
      if (isKept(vmid)) continue;
      this.memory.forget(vmid);
      this.#retries.forget(vmid);
      this.#queue.forget(vmid);
      this.#deps.tracker.forgetGuest(vmid);
    }
    this.memory.cache.retain({ has: isKept });
  }

  /** A vmid that is declared more than once is managed by nobody; it is shown as such. */
  noteConflict(conflict: DesiredConflict): void {
    const { vmid } = conflict;
    const kind = this.#world.snapshot()?.guests.get(vmid)?.kind ?? "qemu";
    const plan = planConflict({ kind, vmid }, undefined, conflict);
    const known = this.memory.records.get(vmid)?.view;
    if (known?.result === "conflict" && known.message === plan.message && known.guest.kind === kind) return;
    this.#queue.forget(vmid);
    const pausedReason = this.memory.situations.pausedReason(vmid);
    this.#conclude({ result: "conflict", message: plan.message, plan, desired: bareDeclaration({ kind, vmid }), observed: undefined, refused: [], retry: "none", fault: undefined, pausedReason }, 0);
  }

  /** Reads a guest and sends nothing: would it be changed? Unreadable counts as yes. */
  async survey(desired: DesiredGuest): Promise<Survey> {
    const release = await this.#surveys.acquire(this.#world.stopActing);
    if (release === undefined) return { isAffected: true, isUnreadable: true, isHostTrouble: true };
    try {
      const { situations, cache } = this.memory;
      const snapshot = this.#contexts.snapshot();
      const look = await lookAtGuest({
        api: this.#deps.api, cache, desired, snapshot, facts: this.#contexts.facts(), situation: situations.of(desired, snapshot),
      });
      if (look.observed !== undefined) situations.noteObserved(look.observed);
      this.#world.progressed();
      const isHostTrouble = this.#noteFault(look.fault);
      const isUnreadable = look.plan.standing === "unreadable";
      return { isAffected: isUnreadable || countAffected([look.plan]) > 0, isUnreadable, isHostTrouble };
    } finally {
      release();
    }
  }

  async #runInLane(vmid: number, yieldPlace: () => void): Promise<WorkResult> {
    const { lanes } = this.#deps;
    // The loop asks whether Proxmox is back; until then no guest adds to its troubles, nor to its own failures.
    if (this.#world.isHostAway()) return { kind: "requeueAfter", delayMs: UNREACHABLE_LOOK_MS, keepsFailures: true };
    // Somebody else's job is there (a restart, a selftest), and may take minutes.
    if (lanes.depth(vmid) > 0) yieldPlace();
    const submitted = lanes.submit(vmid, () => this.#reconcile(vmid, yieldPlace));
    if (!submitted.ok) return submitted.error.code === "lane.closed" ? { kind: "done" } : { kind: "requeue" };
    const outcome = await submitted.value.done;
    if (outcome.ok) return outcome.value;
    if (this.#world.stopActing.aborted) return { kind: "done" };
    this.#logDefect(vmid, outcome.error);
    return this.#failedUnexpectedly(vmid);
  }

  async #reconcile(vmid: number, onWaiting: () => void): Promise<WorkResult> {
    if (!this.#world.isFirstReadDone() || this.#world.stopActing.aborted) return { kind: "done" };
    const desired = this.#contexts.declared(vmid) ?? this.#undeclaredWithOpenAct(vmid);
    if (desired === undefined) return { kind: "done" };
    const before = this.memory.records.get(vmid);
    // Somebody changed the declaration: what failed was another one.
    if (before !== undefined && !isDeclaredAlike(before.desired, desired)) this.memory.forgetFailures([vmid]);
    const startedMs = this.#deps.clock.monotonic();
    try {
      const outcome = await reconcileGuest(this.#contexts.create(onWaiting), desired);
      const isDeclared = this.#contexts.declared(vmid) !== undefined;
      return isDeclared ? this.#conclude(outcome, (this.#deps.clock.monotonic() - startedMs) / 1000) : this.#retries.resultOf(outcome);
    } finally {
      this.#world.progressed();
    }
  }

  /** A defect in a job: shown like any failure, and tried again like one. */
  #failedUnexpectedly(vmid: number): WorkResult {
    const desired = this.#contexts.declared(vmid);
    if (desired === undefined) return { kind: "error" };
    const { refusals, situations } = this.memory;
    const message = "a defect in this program stopped the reconcile; the log has the details";
    return this.#conclude({ result: "failed", message, retry: "backoff", fault: undefined, desired, plan: undefined, observed: undefined, refused: refusals.of(vmid), pausedReason: situations.pausedReason(vmid) }, 0);
  }

  #logDefect(vmid: number, error: unknown): void {
    this.#deps.log.error("a reconcile failed unexpectedly", { vmid, error: traceOf(error) });
  }

  /** True when the fault is the host's. */
  #noteFault(fault: ProxmoxFault | undefined): boolean {
    if (fault === undefined || !this.#world.conditions.guestFault(fault)) return false;
    this.#world.hostFailed();
    return true;
  }

  /** An act of earlier is settled even when its guest is no longer declared; nothing else is done to it. */
  #undeclaredWithOpenAct(vmid: number): DesiredGuest | undefined {
    const operation = this.#deps.journal.openOperations().find((open) => open.guest.vmid === vmid);
    const key = operation === undefined ? undefined : guestKeyOf(operation);
    return key === undefined ? undefined : bareDeclaration(key);
  }

  /** Remembers and shows how a guest stands; says when it is looked at again. */
  #conclude(outcome: GuestJobOutcome, seconds: number): WorkResult {
    const { tracker, observer } = this.#deps;
    const { desired } = outcome;
    const isHostTrouble = this.#noteFault(outcome.fault);
    if (outcome.observed !== undefined) this.memory.situations.noteObserved(outcome.observed);
    this.memory.records.set(desired.vmid, { view: this.#viewOf(outcome), desired, isHostTrouble });
    recordConditions(tracker, outcome, this.#world.moment());
    observer.reconciled(outcome.result, seconds);
    return this.#retries.resultOf(outcome);
  }

  #viewOf(outcome: GuestJobOutcome): GuestView {
    const { vmid, kind } = outcome.desired;
    const known = this.memory.records.get(vmid)?.view.plan;
    const plan = outcome.plan === undefined || outcome.plan.standing === "unreadable" ? (known ?? outcome.plan) : outcome.plan;
    const listed = this.#world.snapshot()?.guests.get(vmid)?.runState;
    return {
      guest: { kind, vmid }, name: plan?.name, runState: outcome.observed?.runState ?? listed ?? "absent",
      result: outcome.result, plan, message: outcome.message, refused: outcome.refused,
    };
  }
}
