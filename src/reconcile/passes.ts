import type { DesiredState } from "../desired/model.ts";
import type { JournalHealth } from "../journal/types.ts";
import type { GuestRunner } from "./guest-runner.ts";
import type { HostConditions } from "./host-conditions.ts";
import type { HostView } from "./host-view.ts";
import { judgeRestored } from "./restored.ts";
import { JOURNAL_RETRY_MS } from "./retries.ts";
import type { RevisionGate } from "./revision.ts";
import { RevisionJudge } from "./revision-judge.ts";
import type { EngineDeps, EngineSettings } from "./types.ts";
import { WakeUps } from "./wake-ups.ts";

/** What a pass works on; the engine owns it. */
export interface PassParts {
  readonly revision: RevisionGate;
  readonly conditions: HostConditions;
  readonly host: HostView;
  readonly runner: GuestRunner;
  progressed(): void;
}

/**
 * A pass: the journal's health, the desired state where it may have changed, one poll of the host, and
 * from these the guests that are asked for. A full one also reads what changes rarely, judges a new
 * revision, and asks for every declared guest.
 */
export class Passes {
  readonly #deps: EngineDeps;
  readonly #settings: EngineSettings;
  readonly #parts: PassParts;
  readonly #judge: RevisionJudge;
  readonly #wakeUps: WakeUps;
  #isFirstReadDone = false;
  #isRestoreJudged = false;
  #isDesiredDue = true;
  #isResyncDue = true;
  #lastResyncMs = Number.NEGATIVE_INFINITY;
  #lastJournalTryMs = Number.NEGATIVE_INFINITY;
  #journalState: JournalHealth["state"] | undefined;
  #retained: DesiredState | undefined;
  #passing: Promise<void> = Promise.resolve();
  #isUnderWay = false;
  #isHostAway = false;

  constructor(deps: EngineDeps, settings: EngineSettings, parts: PassParts) {
    this.#deps = deps;
    this.#settings = settings;
    this.#parts = parts;
    this.#judge = new RevisionJudge(parts.revision, settings, deps.log, (desired) => parts.runner.survey(desired));
    this.#wakeUps = new WakeUps(deps, parts.runner);
  }

  /** Has every declared guest been looked at once? */
  get isFirstReadDone(): boolean {
    return this.#isFirstReadDone;
  }

  /** Did the last pass not reach Proxmox? */
  get isHostAway(): boolean {
    return this.#isHostAway;
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** The next pass is a full one. */
  wantResync(): void {
    this.#isResyncDue = true;
  }

  /** The next pass loads the desired state. */
  wantDesired(): void {
    this.#isDesiredDue = true;
  }

  /** One pass; passes never overlap, whoever asks for one. Rejects only for a defect. */
  run(): Promise<void> {
    const pass = this.#passing.then(async () => {
      this.#isUnderWay = true;
      await this.#passNow().finally(() => {
        this.#isUnderWay = false;
      });
    });
    this.#passing = pass.catch(() => {});
    return pass;
  }

  async #passNow(): Promise<void> {
    await this.#healJournal();
    const isTime = this.#deps.clock.monotonic() - this.#lastResyncMs >= this.#settings.resyncIntervalMs;
    if (this.#isDesiredDue || this.#isResyncDue || isTime) await this.loadDesired();
    this.#parts.runner.memory.situations.refresh();
    // Taken before anything is read: what is asked for meanwhile is a wish for the next pass.
    const isDue = this.#isResyncDue || isTime;
    this.#isResyncDue = false;
    const poll = await this.#deps.source.poll();
    this.#parts.progressed();
    if (!poll.ok) {
      this.#isHostAway = true;
      this.#isResyncDue ||= isDue;
      return this.#parts.conditions.unreachable(poll.error);
    }
    const isResync = isDue || poll.value.mustResync || (await this.#parts.host.hasQuorumReturned());
    this.#isHostAway = !(await this.#parts.host.refreshFacts(isResync));
    if (this.#isHostAway) {
      // The source has told what changed and will not tell again.
      this.#isResyncDue = true;
      return;
    }
    await this.#parts.host.take(poll.value, this.#parts.revision.newest()?.guests, isResync);
    if (isResync || this.#deps.source.asksProxmox) this.#parts.conditions.reachable();
    await this.#attend(isResync, poll.value.changed);
  }

  async #attend(isResync: boolean, changed: ReadonlySet<number>): Promise<void> {
    const state = this.#parts.revision.newest();
    if (isResync || state !== this.#retained) this.#retainDeclared(state);
    if (state === undefined && this.#deps.desired.kind !== "empty") return this.#noteFullPass(isResync);
    // Proxmox went away meanwhile: that was no full read, and no judgement can rest on it.
    const isJudged = state === undefined || (await this.#judgeRevision(state, isResync));
    if (!isJudged && !this.#isFirstReadDone) {
      this.#isResyncDue = true;
      return;
    }
    this.#isFirstReadDone = true;
    this.#parts.conditions.firstReadDone();
    if (isResync) await this.judgeRestored();
    if (isResync) this.#parts.runner.resyncBegins();
    const { snapshot } = this.#parts.host;
    if (snapshot !== undefined) this.#wakeUps.pass({ state, snapshot, isResync, changed, released: this.#parts.revision.takeReleased() });
    this.#parts.runner.begin();
    if (isResync && !this.#settings.isDryRun) this.#parts.runner.selftests.restoreLeftovers();
    if (!this.#settings.isDryRun) this.#parts.runner.restarts.finishLeftovers();
    if (isResync) this.#deps.observer.resynced(this.#deps.clock.now());
    this.#noteFullPass(isResync);
  }

  /** Before anything is done that rests on the journal's knowing all: does it? True once that was told. */
  async judgeRestored(): Promise<boolean> {
    const { api, journal, tokenUser, log } = this.#deps;
    this.#isRestoreJudged ||= await judgeRestored({ api, journal, tokenUser: tokenUser(), log });
    return this.#isRestoreJudged;
  }

  /** The next one is due after the resync interval, also when there is nothing to resync yet. */
  #noteFullPass(isResync: boolean): void {
    if (isResync) this.#lastResyncMs = this.#deps.clock.monotonic();
  }

  /** Loads the desired state; the first one asks for a full pass, a later one only for what it declares anew. */
  async loadDesired(): Promise<void> {
    this.#isDesiredDue = false;
    const report = await this.#deps.desired.load();
    const before = this.#parts.revision.newest();
    if (report.state !== undefined && report.state !== before) {
      this.#parts.revision.offer(report.state);
      if (before === undefined) this.#isResyncDue = true;
    }
    this.#parts.conditions.desired(this.#deps.desired.kind, report);
  }

  async #healJournal(): Promise<void> {
    const { journal, clock } = this.#deps;
    if (clock.monotonic() - this.#lastJournalTryMs >= JOURNAL_RETRY_MS) {
      this.#lastJournalTryMs = clock.monotonic();
      await journal.reopen();
    }
    const health = journal.health();
    this.#parts.conditions.journal(health);
    if (this.#journalState !== undefined && this.#journalState !== health.state) this.#wakeUps.journalChanged();
    this.#journalState = health.state;
    this.#parts.conditions.clock(journal.lastRecordedAtMs());
  }

  #retainDeclared(state: DesiredState | undefined): void {
    this.#retained = state;
    const conflicts = state?.conflicts ?? [];
    const contested = new Set(conflicts.map(({ vmid }) => vmid));
    this.#parts.runner.retain((vmid) => state?.guests.has(vmid) === true || contested.has(vmid));
    for (const conflict of conflicts) this.#parts.runner.noteConflict(conflict);
  }

  /** False: Proxmox itself could not be reached, so nothing is judged yet. */
  async #judgeRevision(state: DesiredState, isResync: boolean): Promise<boolean> {
    const pass = { isFirstRead: !this.#isFirstReadDone, isResync, hostGuestCount: this.#parts.host.snapshot?.guests.size ?? 0 };
    const isJudged = await this.#judge.judge(state, pass);
    if (isJudged) this.#parts.conditions.revision(this.#parts.revision);
    return isJudged;
  }
}
