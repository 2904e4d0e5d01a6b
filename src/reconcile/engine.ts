import type { DesiredState } from "../desired/model.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import { GuestRunner } from "./guest-runner.ts";
import { HostConditions } from "./host-conditions.ts";
import type { HostFacts, HostSnapshot } from "./host-snapshot.ts";
import type { Pause } from "./pauses.ts";
import { ReadCycle } from "./read-cycle.ts";
import { judgeRestored } from "./restored.ts";
import { RevisionGate } from "./revision.ts";
import { RevisionJudge } from "./revision-judge.ts";
import type { SelftestReport } from "./selftest.ts";
import type { EngineDeps, EngineSettings, GuestView } from "./types.ts";

/**
 * The engine: one loop that looks at the host and wakes guests; guest-job.ts does the rest in each
 * guest's lane. Level-triggered: a wake-up carries only a vmid. It promises that one guest's trouble
 * never delays another's, that nothing is sent before the first full read, and that a failed pass is
 * just a failed pass. Health, metrics and the command line read it; they never reach in.
 */

/** A journal that cannot be written is tried again, and a healthy one looks at its disk, this often. */
const JOURNAL_RETRY_MS = 3_000;

/** How often `run --once` looks whether what only needs time is over. */
const ONCE_RECHECK_MS = 1_000;

/** How often `run --once` looks whether the lanes are empty, and a person sees it move. */
const ONCE_PROGRESS_MS = 10;

/** How often a stop looks whether the running acts have ended. */
const STOP_RECHECK_MS = 20;

export class Engine {
  readonly #deps: EngineDeps;
  readonly #settings: EngineSettings;
  readonly #revision: RevisionGate;
  readonly #conditions: HostConditions;
  readonly #runner: GuestRunner;
  readonly #judge: RevisionJudge;
  readonly #cycle: ReadCycle;
  readonly #stopActing = new AbortController();
  readonly #stopWaiting = new AbortController();
  #wake: (() => void) | undefined;
  #snapshot: HostSnapshot | undefined;
  #facts: HostFacts | undefined;
  #isFirstReadDone = false;
  #isRestoreJudged = false;
  #isDesiredDue = true;
  #isResyncDue = true;
  #lastResyncMs = Number.NEGATIVE_INFINITY;
  #lastJournalTryMs = Number.NEGATIVE_INFINITY;
  #lastProgressMs: number;
  #loop: Promise<void> | undefined;
  /** Passes never overlap, whoever asks for one. */
  #passing: Promise<void> = Promise.resolve();
  #isPassing = false;

  constructor(deps: EngineDeps, settings: EngineSettings) {
    this.#deps = deps;
    this.#settings = settings;
    this.#revision = deps.revision ?? new RevisionGate(deps.journal);
    this.#conditions = new HostConditions(deps.tracker, deps.clock, () => this.generation());
    this.#lastProgressMs = deps.clock.monotonic();
    this.#runner = new GuestRunner(deps, settings, {
      revision: this.#revision,
      conditions: this.#conditions,
      stopActing: this.#stopActing.signal,
      stopWaiting: this.#stopWaiting.signal,
      snapshot: () => this.#snapshot,
      facts: () => this.#facts,
      isFirstReadDone: () => this.#isFirstReadDone,
      progressed: () => this.#progressed(),
      hostFailed: () => {
        this.#isResyncDue = true;
      },
    });
    this.#judge = new RevisionJudge(this.#revision, settings, deps.log, (desired) => this.#runner.survey(desired));
    this.#cycle = new ReadCycle(deps.clock, (seconds) => deps.observer.cycled(seconds));
  }

  /** Starts the loop: a pass every poll interval, a full one every resync interval. */
  start(): void {
    this.#deps.desired.watch(() => {
      this.#isDesiredDue = true;
      this.#wake?.();
    });
    this.#loop = this.#run();
  }

  /** No new acts from now on; waits for running ones at most `timeoutMs`, journals their outcomes. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopActing.abort();
    this.#wake?.();
    this.#deps.desired.close();
    const cancel = this.#deps.clock.schedule(timeoutMs, () => this.#stopWaiting.abort());
    // A pass may hang on requests that each have their own timeout; it reads only, so it is not waited for longer.
    await Promise.race([this.#loop, aborted(this.#stopWaiting.signal)]);
    while (this.#runner.actsRunning() > 0 && !this.#stopWaiting.signal.aborted) await this.#deps.clock.sleep(STOP_RECHECK_MS, this.#stopWaiting.signal);
    cancel();
    this.#stopWaiting.abort();
  }

  /** One full pass and everything it starts, for `run --once`; waits for what only needs time until `deadlineMs`. */
  async runOnce(deadlineMs: number, onProgress: () => void = () => {}): Promise<void> {
    this.#runner.forgetBackoffs();
    for (;;) {
      this.requestResync();
      await this.#pass();
      while (this.#deps.lanes.depth() > 0 && !this.#stopWaiting.signal.aborted) {
        await this.#deps.clock.sleep(ONCE_PROGRESS_MS, this.#stopWaiting.signal);
        onProgress();
      }
      // A corrupt journal takes no outcome: what is open stays open, however long it is waited for.
      if (this.#deps.journal.health().state === "corrupt") return;
      const isOver = this.#deps.clock.monotonic() >= deadlineMs || this.#stopActing.signal.aborted;
      if (isOver || !this.#runner.hasUnfinished()) return;
      await this.#deps.clock.sleep(ONCE_RECHECK_MS, this.#stopActing.signal);
    }
  }

  /** A round trip on one guest because a person asked; reads the host first where no loop does. */
  async selftest(vmid: number): Promise<Result<SelftestReport>> {
    if (this.#settings.isDryRun) return fault("control.refused", "expected an agent that may send, found dryRun in force; nothing was sent. Set dryRun: false for the selftest");
    if (this.#loop !== undefined && !this.#isFirstReadDone) return fault("reconcile.not_ready", "expected an agent that has read every guest once, found the first full read under way; try again in a moment");
    const looked = this.#loop === undefined ? await this.#lookOnce() : ok(undefined);
    return looked.ok ? this.#runner.selftest(vmid) : looked;
  }

  async #lookOnce(): Promise<Result<void>> {
    const snapshot = await this.#deps.source.look();
    if (!snapshot.ok) return snapshot;
    const facts = await this.#deps.source.facts();
    if (!facts.ok) return facts;
    this.#snapshot = snapshot.value;
    this.#facts = facts.value;
    this.#runner.situations.refresh();
    return ok(undefined);
  }

  /** Asks for a full pass now. */
  requestResync(): void {
    this.#isResyncDue = true;
    this.#isDesiredDue = true;
    this.#wake?.();
  }

  /** Something a person said (pause, resume, resolve) changed what may happen. */
  refresh(): void {
    this.#runner.situations.refresh();
    for (const vmid of this.#revision.newest()?.guests.keys() ?? []) this.#runner.wake(vmid);
    this.#wake?.();
  }

  /** Accepts the newest revision if `revision` names it (RevisionGate.acceptNamed). */
  async accept(revision: string): Promise<Result<string>> {
    const accepted = await this.#revision.acceptNamed(revision);
    // In force even when the journal could not keep it; the answer says that it could not.
    if (this.#revision.standing() === "accepted") {
      this.#conditions.revisionInForce();
      this.refresh();
    }
    return accepted;
  }

  /** Milliseconds since the loop last got anywhere; a failed pass counts as progress. */
  stalledMs(): number {
    return this.#deps.clock.monotonic() - this.#lastProgressMs;
  }

  /** True while a pass is under way: memory is being used, not kept. */
  isWorking(): boolean {
    return this.#isPassing;
  }

  /** The newest revision; empty before the first load. */
  generation(): string {
    return this.#revision.newest()?.revision ?? "";
  }

  revisionHeld(): { readonly revision: string; readonly message: string } | undefined {
    const newest = this.#revision.newest();
    if (newest === undefined || this.#revision.standing() !== "held") return undefined;
    return { revision: newest.revision, message: this.#revision.heldMessage() };
  }

  pauses(): readonly Pause[] {
    return this.#runner.situations.pauses();
  }

  /** Every declared guest that was reconciled, by vmid. */
  guests(): readonly GuestView[] {
    return this.#runner.views();
  }

  /** The host's guests as last polled; undefined before the first poll. */
  snapshot(): HostSnapshot | undefined {
    return this.#snapshot;
  }

  backoffCount(): number {
    return this.#runner.backoffCount();
  }

  /** Config keys that Proxmox refused and that are set aside. */
  refusedKeyCount(): number {
    return this.#runner.refusedKeyCount();
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#deps;
    while (!this.#stopActing.signal.aborted) {
      const nap = new AbortController();
      this.#wake = () => nap.abort();
      try {
        await this.#pass();
      } catch (error) {
        // A defect in a pass must not end the loop: the next pass reads everything anew.
        log.error("a pass failed unexpectedly", { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
        this.#isResyncDue = true;
      }
      this.#progressed();
      await clock.sleep(this.#settings.pollIntervalMs, AbortSignal.any([nap.signal, this.#stopActing.signal]));
    }
  }

  #pass(): Promise<void> {
    const pass = this.#passing.then(async () => {
      this.#isPassing = true;
      await this.#passNow().finally(() => {
        this.#isPassing = false;
      });
    });
    this.#passing = pass.catch(() => {});
    return pass;
  }

  async #passNow(): Promise<void> {
    await this.#healJournal();
    const isTime = this.#deps.clock.monotonic() - this.#lastResyncMs >= this.#settings.resyncIntervalMs;
    if (this.#isDesiredDue || this.#isResyncDue || isTime) await this.#loadDesired();
    this.#runner.situations.refresh();
    // Taken before anything is read: what is asked for meanwhile is a wish for the next pass.
    const isDue = this.#isResyncDue || isTime;
    this.#isResyncDue = false;
    const poll = await this.#deps.source.poll();
    this.#progressed();
    if (!poll.ok) {
      this.#isResyncDue ||= isDue;
      return this.#conditions.unreachable(poll.error);
    }
    const isResync = isDue || poll.value.mustResync;
    if (!(await this.#refreshFacts(isResync))) {
      // The source has told what changed and will not tell again.
      this.#isResyncDue = true;
      return;
    }
    this.#snapshot = await this.#withLocations(poll.value.snapshot, isResync);
    if (isResync || this.#deps.source.asksProxmox) this.#conditions.reachable();
    await this.#attend(isResync, poll.value.changed);
  }

  async #attend(isResync: boolean, changed: ReadonlySet<number>): Promise<void> {
    const state = this.#revision.newest();
    this.#retainDeclared(state);
    if (state === undefined && this.#deps.desired.kind !== "empty") return;
    // Proxmox went away meanwhile: that was no full read, and no judgement can rest on it.
    const isJudged = state === undefined || (await this.#judgeRevision(state, isResync));
    if (!isJudged && !this.#isFirstReadDone) {
      this.#isResyncDue = true;
      return;
    }
    this.#isFirstReadDone = true;
    this.#conditions.firstReadDone();
    if (isResync) await this.#judgeRestored();
    if (isResync) this.#runner.resyncBegins();
    if (state !== undefined) this.#wakeGuests([...state.guests.keys()], isResync, changed);
    this.#wakeOpenOperations(isResync, changed);
    if (isResync) this.#runner.restoreSelftests();
    if (isResync) this.#resynced();
  }

  /** Before anything is done that rests on the journal's knowing all. */
  async #judgeRestored(): Promise<void> {
    if (this.#isRestoreJudged) return;
    const { api, journal, tokenUser, log } = this.#deps;
    this.#isRestoreJudged = await judgeRestored({ api, journal, tokenUser: tokenUser(), log });
  }

  #resynced(): void {
    this.#lastResyncMs = this.#deps.clock.monotonic();
    this.#deps.observer.resynced(this.#deps.clock.now());
  }

  async #loadDesired(): Promise<void> {
    this.#isDesiredDue = false;
    const report = await this.#deps.desired.load();
    const before = this.#revision.newest();
    if (report.state !== undefined && report.state !== before) {
      this.#revision.offer(report.state);
      if (report.state.revision !== before?.revision) this.#isResyncDue = true;
    }
    this.#conditions.desired(this.#deps.desired.kind, report);
  }

  async #healJournal(): Promise<void> {
    const { journal, clock } = this.#deps;
    if (clock.monotonic() - this.#lastJournalTryMs >= JOURNAL_RETRY_MS) {
      this.#lastJournalTryMs = clock.monotonic();
      await journal.reopen();
    }
    this.#conditions.journal(journal.health());
    this.#conditions.clock(journal.lastRecordedAtMs());
  }

  /** True when the rarely changing facts are known. */
  async #refreshFacts(isResync: boolean): Promise<boolean> {
    if (!isResync && this.#facts !== undefined) return true;
    const facts = await this.#deps.source.facts();
    if (!facts.ok) {
      this.#conditions.unreachable(facts.error);
      return false;
    }
    const quorum = await this.#deps.api.hasQuorum();
    if (quorum.ok) this.#conditions.quorum(quorum.value);
    this.#facts = facts.value;
    return true;
  }

  /** Declared guests that are not here may be on another node: asked when one went missing and at a resync. */
  async #withLocations(snapshot: HostSnapshot, isResync: boolean): Promise<HostSnapshot> {
    const declared = this.#revision.newest()?.guests;
    if (declared === undefined || snapshot.elsewhere.size > 0) return snapshot;
    const absent = [...declared.keys()].filter((vmid) => !snapshot.guests.has(vmid));
    const before = this.#snapshot;
    const hasNews = absent.some((vmid) => before === undefined || before.guests.has(vmid));
    if (absent.length === 0) return snapshot;
    if (!isResync && !hasNews) return { ...snapshot, elsewhere: before?.elsewhere ?? snapshot.elsewhere };
    const located = await this.#deps.source.locate(absent);
    return { ...snapshot, elsewhere: located.ok ? located.value : (before?.elsewhere ?? snapshot.elsewhere) };
  }

  #retainDeclared(state: DesiredState | undefined): void {
    const conflicts = state?.conflicts ?? [];
    const contested = new Set(conflicts.map(({ vmid }) => vmid));
    this.#runner.retain((vmid) => state?.guests.has(vmid) === true || contested.has(vmid));
    for (const conflict of conflicts) this.#runner.noteConflict(conflict);
  }

  /** False: Proxmox itself could not be reached, so nothing is judged yet. */
  async #judgeRevision(state: DesiredState, isResync: boolean): Promise<boolean> {
    const pass = { isFirstRead: !this.#isFirstReadDone, isResync, hostGuestCount: this.#snapshot?.guests.size ?? 0 };
    const isJudged = await this.#judge.judge(state, pass);
    if (isJudged) this.#conditions.revision(this.#revision);
    return isJudged;
  }

  #wakeGuests(vmids: readonly number[], isResync: boolean, changed: ReadonlySet<number>): void {
    for (const vmid of vmids) if (isResync || changed.has(vmid) || this.#runner.isDue(vmid)) this.#runner.wake(vmid);
    if (isResync) return this.#cycle.begin();
    if (this.#deps.source.announcesConfigChanges) return;
    for (const vmid of this.#cycle.next(vmids)) if (!this.#runner.isBackedOff(vmid)) this.#runner.wake(vmid);
  }

  /** What waits for a person is looked at again when something changed, not at every poll. */
  #wakeOpenOperations(isResync: boolean, changed: ReadonlySet<number>): void {
    for (const { state, guest } of this.#deps.journal.openOperations()) {
      if (state !== "unknown" || isResync || changed.has(guest.vmid)) this.#runner.wake(guest.vmid);
    }
  }

  #progressed(): void {
    this.#lastProgressMs = this.#deps.clock.monotonic();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
