import type { ConditionMoment } from "../conditions/condition.ts";
import type { DesiredConflict, DesiredGuest } from "../desired/model.ts";
import type { ApprovedAction } from "../gate/types.ts";
import { formatGuestKey } from "../guest/key.ts";
import { Limiter, type Release } from "../lanes/limiter.ts";
import { countAffected } from "../plan/blast-radius.ts";
import { PlanCache } from "../plan/plan-cache.ts";
import { planConflict } from "../plan/plan-guest.ts";
import { fault, type Result } from "../ports/errors.ts";
import type { ProxmoxFault } from "../ports/proxmox-api.ts";
import { Backoff } from "../schedule/backoff.ts";
import { Restarts } from "../schedule/restarts.ts";
import type { ActResult } from "./act.ts";
import { ActLimits } from "./act-limits.ts";
import { recordConditions, recordDrift } from "./guest-conditions.ts";
import { reconcileGuest, type GuestJobContext, type GuestJobOutcome } from "./guest-job.ts";
import { Refusals } from "./refusals.ts";
import { GuestRecords } from "./guest-records.ts";
import type { HostConditions } from "./host-conditions.ts";
import type { HostFacts, HostSnapshot } from "./host-snapshot.ts";
import { lookAtGuest } from "./look.ts";
import { isDeclaredAlike, type RevisionGate } from "./revision.ts";
import type { Survey } from "./revision-judge.ts";
import { bareDeclaration, guestKeyOf } from "./settle.ts";
import { restoreLeftover, runSelftest, type SelftestContext, type SelftestReport } from "./selftest.ts";
import { markedGuests } from "./selftest-mark.ts";
import { observeForSettling } from "./settle-observation.ts";
import { StatusTurns } from "./status-turns.ts";
import { SettleWindows } from "./settle-windows.ts";
import { Situations } from "./situations.ts";
import { UnrecordedActs } from "./unrecorded-acts.ts";
import type { EngineDeps, EngineSettings, GuestView } from "./types.ts";

/** Guests read at the same time by a survey or a burst of wake-ups; the client bounds requests further. */
export const CONCURRENT_LOOKS_MAX = 64;

/**
 * Ends of a shutdown's task that say nothing about the guest: it was never asked (its file lock was
 * taken, as in test/recorded/07-power.txt; or it is locked), or somebody stopped the asking.
 */
const SHUTDOWN_NOT_ASKED = /can't lock file|is locked|received interrupt/;

/** What the runner needs of the engine's loop. */
export interface RunnerWorld {
  readonly revision: RevisionGate;
  readonly conditions: HostConditions;
  /** Aborted when no new act may start. */
  readonly stopActing: AbortSignal;
  /** Aborted when running acts are no longer waited for. */
  readonly stopWaiting: AbortSignal;
  snapshot(): HostSnapshot | undefined;
  facts(): HostFacts | undefined;
  /** Has every declared guest been looked at once? Nothing is done to any before. */
  isFirstReadDone(): boolean;
  progressed(): void;
  /** A guest could not be reached for a reason that is not the guest's. */
  hostFailed(): void;
}

/**
 * Runs guests: wakes them in their lanes, bounds how many read and act at once, remembers how each one
 * stands, and when a failed one may be tried again.
 */
export class GuestRunner {
  readonly #deps: EngineDeps;
  readonly #settings: EngineSettings;
  readonly #world: RunnerWorld;
  readonly #backoff: Backoff;
  readonly #restarts: Restarts;
  readonly #refusals: Refusals;
  readonly #statusTurns = new StatusTurns();
  readonly #cache = new PlanCache();
  readonly #looks = new Limiter(CONCURRENT_LOOKS_MAX);
  readonly #limits: ActLimits;
  readonly #records = new GuestRecords();
  readonly #windows: SettleWindows;
  readonly #unrecorded: UnrecordedActs;
  #hasRetained = false;
  readonly situations: Situations;

  constructor(deps: EngineDeps, settings: EngineSettings, world: RunnerWorld) {
    this.#deps = deps;
    this.#settings = settings;
    this.#world = world;
    this.#backoff = new Backoff(deps.clock, deps.random);
    this.#restarts = new Restarts(deps.clock);
    this.#refusals = new Refusals(deps.clock);
    this.#limits = new ActLimits({
      settings, journal: deps.journal, revision: world.revision, stopActing: world.stopActing,
      records: this.#records, backoff: this.#backoff, restarts: this.#restarts,
    });
    this.#windows = new SettleWindows(deps.clock, settings.requestTimeoutMs);
    this.#unrecorded = new UnrecordedActs(deps.clock, this.#windows.windowMs);
    this.situations = new Situations({
      journal: deps.journal, clock: deps.clock, maxConcurrentStarts: settings.maxConcurrentStarts,
      guests: {
        declared: () => world.revision.newest()?.guests ?? new Map(),
        isReadyToStart: (vmid) => this.#isReadyToStart(vmid),
      },
    });
  }

  /** Every guest that was reconciled, by vmid. */
  views(): readonly GuestView[] {
    return this.#records.views();
  }

  /** Guests that failed and wait, those with a refused key included. */
  backoffCount(): number {
    return this.#backoff.size() + this.#refusals.vmids().filter((vmid) => !this.#backoff.isKnown(vmid)).length;
  }

  /** Config keys that Proxmox refused and that are set aside, over all guests. */
  refusedKeyCount(): number {
    return this.#refusals.keyCount();
  }

  /** Acts that are being sent or awaited. */
  actsRunning(): number {
    return this.#limits.actsRunning();
  }

  /** Does this guest want another look although nothing announced a change? */
  isDue(vmid: number): boolean {
    const record = this.#records.get(vmid);
    return record === undefined || record.isWaiting || (record.isBackedOff && this.#backoff.isReady(vmid)) || this.#refusals.isDue(vmid);
  }

  isBackedOff(vmid: number): boolean {
    return !this.#backoff.isReady(vmid);
  }

  /** For `run --once`: is there a guest for which only time is missing? */
  hasUnfinished(): boolean {
    return this.#records.hasUnfinished();
  }

  /** Wakes one guest: at most one waiting reconcile per lane, further wake-ups join it. */
  wake(vmid: number): void {
    const submitted = this.#deps.lanes.submit(vmid, () => this.#reconcile(vmid), { collapse: "reconcile" });
    if (!submitted.ok) return;
    void submitted.value.done.then((outcome) => {
      if (outcome.ok || this.#world.stopActing.aborted) return;
      this.#deps.log.error("a reconcile failed unexpectedly", { vmid, error: textOf(outcome.error) });
      this.#failedUnexpectedly(vmid);
    });
  }

  /** A round trip on one guest, as a job in its lane; counts as an act, so that stopping waits for it. */
  async selftest(vmid: number): Promise<Result<SelftestReport>> {
    const submitted = this.#deps.lanes.submit(vmid, async (): Promise<Result<SelftestReport>> => {
      const release = await this.#limits.acquireAct();
      if (release === undefined) return fault("control.refused", "the agent is stopping; nothing was sent");
      return runSelftest(this.#selftestContext(), vmid).finally(release);
    });
    if (!submitted.ok) return submitted;
    const outcome = await submitted.value.done;
    return outcome.ok ? outcome.value : fault("control.refused", `the selftest ended unexpectedly: ${textOf(outcome.error)}`, outcome.error);
  }

  /** Puts back what selftests of an earlier process left, each in its guest's lane. */
  restoreSelftests(): void {
    if (this.#settings.isDryRun) return;
    for (const vmid of markedGuests(this.#deps.journal)) {
      if (this.situations.pausedReason(vmid) !== undefined) continue;
      const submitted = this.#deps.lanes.submit(vmid, () => this.#restoreSelftest(vmid), { collapse: "selftest" });
      if (!submitted.ok) continue;
      void submitted.value.done.then((outcome) => {
        if (!outcome.ok) this.#deps.log.error("putting back a selftest's description failed unexpectedly", { vmid, error: textOf(outcome.error) });
      });
    }
  }

  /** A resync begins: whose turn is it to be asked whether it really runs? */
  resyncBegins(): void {
    const guests = this.#world.snapshot()?.guests;
    const declared = [...(this.#world.revision.newest()?.guests.values() ?? [])];
    const running = declared.filter(({ vmid, kind, state }) => kind === "qemu" && state === "running" && guests?.get(vmid)?.runState === "running");
    this.#statusTurns.begin(running.map(({ vmid }) => vmid));
  }

  /** A person asked for everything to be tried now. */
  forgetBackoffs(): void {
    for (const vmid of this.#records.vmids()) this.#backoff.forget(vmid);
    for (const vmid of this.#refusals.vmids()) this.#refusals.forget(vmid);
  }

  /** Forgets guests that are not declared any more; the first time also those of an engine before this one. */
  retain(isKept: (vmid: number) => boolean): void {
    const known = this.#hasRetained ? this.#records.vmids() : this.#deps.tracker.guests().map(({ guest }) => guest.vmid);
    this.#hasRetained = true;
    for (const vmid of known) {
      if (isKept(vmid)) continue;
      this.#records.forget(vmid);
      this.#backoff.forget(vmid);
      this.#refusals.forget(vmid);
      this.#statusTurns.forget(vmid);
      this.situations.forget(vmid);
      this.#restarts.forget(vmid);
      this.#deps.tracker.forgetGuest(vmid);
    }
    this.#cache.retain({ has: isKept });
  }

  /** A vmid that is declared more than once is managed by nobody; it is shown as such. */
  noteConflict(conflict: DesiredConflict): void {
    const { vmid } = conflict;
    const kind = this.#world.snapshot()?.guests.get(vmid)?.kind ?? "qemu";
    const plan = planConflict({ kind, vmid }, undefined, conflict);
    const known = this.#records.get(vmid)?.view;
    if (known?.result === "conflict" && known.message === plan.message && known.guest.kind === kind) return;
    const pausedReason = this.situations.pausedReason(vmid);
    this.#conclude({ result: "conflict", message: plan.message, plan, desired: bareDeclaration({ kind, vmid }), observed: undefined, refused: [], retry: "none", fault: undefined, pausedReason }, 0);
  }

  /** Reads a guest and sends nothing: would it be changed? Unreadable counts as yes. */
  async survey(desired: DesiredGuest): Promise<Survey> {
    const release = await this.#looks.acquire(this.#world.stopActing);
    if (release === undefined) return { isAffected: true, isUnreadable: true, isHostTrouble: true };
    try {
      const snapshot = this.#snapshot();
      const look = await lookAtGuest({
        api: this.#deps.api, cache: this.#cache, desired, snapshot, facts: this.#facts(), situation: this.situations.of(desired, snapshot),
      });
      if (look.observed !== undefined) this.situations.noteObserved(look.observed);
      this.#world.progressed();
      const isHostTrouble = this.#noteFault(look.fault);
      const isUnreadable = look.plan.standing === "unreadable";
      return { isAffected: isUnreadable || countAffected([look.plan]) > 0, isUnreadable, isHostTrouble };
    } finally {
      release();
    }
  }

  async #reconcile(vmid: number): Promise<void> {
    if (!this.#world.isFirstReadDone() || this.#world.stopActing.aborted) return;
    const desired = this.#declared(vmid) ?? this.#undeclaredWithOpenAct(vmid);
    if (desired === undefined) return;
    const before = this.#records.get(vmid);
    // Somebody changed the declaration: what failed was another one.
    if (before !== undefined && !isDeclaredAlike(before.desired, desired)) {
      this.#backoff.forget(vmid);
      this.#refusals.forget(vmid);
    }
    const release = await this.#looks.acquire(this.#world.stopActing);
    if (release === undefined) return;
    const startedMs = this.#deps.clock.monotonic();
    try {
      const outcome = await reconcileGuest(this.#jobContext(release), desired);
      if (this.#declared(vmid) !== undefined) this.#conclude(outcome, (this.#deps.clock.monotonic() - startedMs) / 1000);
    } finally {
      release();
      this.#world.progressed();
    }
  }

  #declared(vmid: number): DesiredGuest | undefined {
    return this.#world.revision.newest()?.guests.get(vmid);
  }

  /** A defect in a job: shown like any failure, and tried again like one. */
  #failedUnexpectedly(vmid: number): void {
    const desired = this.#declared(vmid);
    if (desired === undefined) return;
    const message = "a defect in this program stopped the reconcile; the log has the details";
    this.#conclude({ result: "failed", message, retry: "backoff", fault: undefined, desired, plan: undefined, observed: undefined, refused: this.#refusals.of(vmid), pausedReason: this.situations.pausedReason(vmid) }, 0);
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

  #conclude(outcome: GuestJobOutcome, seconds: number): void {
    const { tracker, observer } = this.#deps;
    const { desired } = outcome;
    const isBackedOff = outcome.retry === "backoff" || outcome.retry === "later";
    if (outcome.retry === "backoff") this.#backoff.failed(desired.vmid);
    else if (outcome.retry === "none" || outcome.retry === "refused") this.#backoff.forget(desired.vmid);
    const isHostTrouble = this.#noteFault(outcome.fault);
    if (outcome.observed !== undefined) this.situations.noteObserved(outcome.observed);
    this.#records.set(desired.vmid, { view: this.#viewOf(outcome), desired, isWaiting: outcome.retry === "soon", isBackedOff, isHostTrouble });
    recordConditions(tracker, outcome, this.#at());
    observer.reconciled(outcome.result, seconds);
  }

  #at(): ConditionMoment {
    return { nowMs: this.#deps.clock.now(), generation: this.#world.revision.newest()?.revision ?? "" };
  }

  #viewOf(outcome: GuestJobOutcome): GuestView {
    const { vmid, kind } = outcome.desired;
    const known = this.#records.get(vmid)?.view.plan;
    const plan = outcome.plan === undefined || outcome.plan.standing === "unreadable" ? (known ?? outcome.plan) : outcome.plan;
    const listed = this.#world.snapshot()?.guests.get(vmid)?.runState;
    return {
      guest: { kind, vmid }, name: plan?.name, runState: outcome.observed?.runState ?? listed ?? "absent",
      result: outcome.result, plan, message: outcome.message, refused: outcome.refused,
    };
  }

  #jobContext(releaseLook: Release): GuestJobContext {
    const { api, journal, clock, log } = this.#deps;
    return {
      api, journal, clock, log,
      cache: this.#cache,
      refusals: this.#refusals,
      taskTimeoutMs: this.#settings.taskTimeoutMs,
      shutdownTimeoutMs: this.#settings.shutdownTimeoutMs,
      stop: this.#world.stopWaiting,
      onUpid: (upid) => this.situations.noteOwnTask(upid),
      onBegun: (operation) => this.#windows.begun(operation),
      onUnrecorded: (guest, sentAtMs, upid) => this.#unrecorded.note(guest, sentAtMs, upid),
      unrecordedWait: (vmid) => this.#unrecorded.waitOf(vmid, api),
      declaredNow: (guest) => this.#declared(guest.vmid) ?? bareDeclaration(guest),
      settle: {
        api, journal,
        facts: this.#facts(),
        tokenUser: this.#deps.tokenUser(),
        windowRemainingMs: (operation) => this.#windows.remainingMs(operation),
        observe: async (guest) => observeForSettling(api, this.#facts(), await this.#freshSnapshot(), guest),
      },
      snapshot: () => this.#snapshot(),
      facts: () => this.#facts(),
      freshSnapshot: () => this.#freshSnapshot(),
      situationOf: (desired, snapshot) => this.situations.of(desired, snapshot),
      openOperationsOf: (vmid) => journal.openOperations().filter((operation) => operation.guest.vmid === vmid),
      actBarrier: (desired, action) => this.#limits.barrierOf(desired, action),
      acquireSlot: (action) => {
        // Acts may take minutes; the place for reading is for those who read.
        releaseLook();
        return this.#limits.acquireFor(action);
      },
      wantsStatus: (vmid) => this.#statusTurns.wants(vmid),
      onStatus: (vmid, runState) => this.#statusTurns.note(vmid, runState),
      hadDeferred: (vmid) => (this.#records.get(vmid)?.view.plan?.deferred.length ?? 0) > 0,
      isStopping: () => this.#world.stopActing.aborted,
      onDrift: (plan) => recordDrift(this.#deps.tracker, plan, this.#at()),
      onActed: (action, result) => this.#acted(action, result),
    };
  }

  #selftestContext(): SelftestContext {
    const nonce = Buffer.from(this.#deps.random.bytes(4)).toString("hex");
    return { ...this.#jobContext(() => {}), hurry: this.#world.stopActing, settleWindowMs: this.#windows.windowMs, nonce };
  }

  async #restoreSelftest(vmid: number): Promise<void> {
    const release = await this.#limits.acquireAct();
    if (release === undefined) return;
    const restored = await restoreLeftover(this.#selftestContext(), vmid).finally(release);
    if (restored !== undefined) this.#deps.log.info("an interrupted selftest", { vmid, restored: restored.isRestored, detail: restored.detail });
  }

  #acted(action: ApprovedAction, result: ActResult): void {
    const { observer, log } = this.#deps;
    observer.acted(action, result);
    const keys = action.type === "set_config" ? { keys: action.changes.map((change) => change.key) } : {};
    const fields = { guest: formatGuestKey(action.guest), action: action.type, outcome: result.kind, ...keys };
    if (result.kind === "succeeded") log.info("acted", { ...fields, ...(result.note === "" ? {} : { note: result.note }) });
    else log.warn("an act did not succeed", { ...fields, ...("message" in result ? { message: result.message } : {}) });
    if (action.type === "start" && result.kind === "succeeded") this.#noteStarted(action.guest.vmid);
    if (action.type === "shutdown" && isIgnoredShutdown(result)) this.situations.noteShutdownFailed(action.guest.vmid);
  }

  #noteStarted(vmid: number): void {
    this.situations.noteStarted(vmid);
    this.#restarts.started(vmid);
  }

  /** Others wait for this guest's start only while it is really going to be started. */
  #isReadyToStart(vmid: number): boolean {
    const desired = this.#declared(vmid);
    if (desired === undefined || !this.#world.revision.isInForce(desired) || this.situations.pausedReason(vmid) !== undefined) return false;
    return this.#records.isStartable(vmid);
  }

  async #freshSnapshot(): Promise<HostSnapshot | ProxmoxFault> {
    const fresh = await this.#deps.source.look();
    if (!fresh.ok) return fresh.error;
    return { ...fresh.value, elsewhere: this.#world.snapshot()?.elsewhere ?? fresh.value.elsewhere };
  }

  #snapshot(): HostSnapshot {
    const snapshot = this.#world.snapshot();
    if (snapshot === undefined) throw new Error("no guest runs before the first poll");
    return snapshot;
  }

  #facts(): HostFacts {
    const facts = this.#world.facts();
    if (facts === undefined) throw new Error("no guest runs before the first poll");
    return facts;
  }
}

/** The task ran its course and the guest runs on. A refused request says nothing about the guest. */
function isIgnoredShutdown(result: ActResult): boolean {
  return result.kind === "failed" && result.fault === undefined && !SHUTDOWN_NOT_ASKED.test(result.message);
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
