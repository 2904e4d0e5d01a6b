import { fault, ok, type Result } from "../ports/errors.ts";
import type { QueueState } from "../schedule/queue-types.ts";
import { GuestRunner } from "./guest-runner.ts";
import { HostConditions } from "./host-conditions.ts";
import type { HostSnapshot } from "./host-snapshot.ts";
import { HostView } from "./host-view.ts";
import { Passes } from "./passes.ts";
import type { Pause } from "./pauses.ts";
import type { RestartReport, RestartRequest } from "./restart-request.ts";
import { RevisionGate } from "./revision.ts";
import type { SelftestReport } from "./selftest.ts";
import type { EngineDeps, EngineSettings, GuestView } from "./types.ts";
import { traceOf } from "./unexpected.ts";

/**
 * The engine: one loop that looks at the host and asks for guests; a queue says which is next, and
 * guest-job.ts does the rest in its lane. Level-triggered: the queue holds only vmids. It promises that
 * one guest's trouble never delays another's, that nothing is sent before the first full read, and that
 * a failed pass is just a failed pass. Health, metrics and the command line read it; they never reach in.
 */

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
  readonly #host: HostView;
  readonly #passes: Passes;
  readonly #stopActing = new AbortController();
  readonly #stopWaiting = new AbortController();
  #wake: (() => void) | undefined;
  #lastProgressMs: number;
  #loop: Promise<void> | undefined;

  constructor(deps: EngineDeps, settings: EngineSettings) {
    this.#deps = deps;
    this.#settings = settings;
    this.#revision = deps.revision ?? new RevisionGate(deps.journal);
    this.#conditions = new HostConditions(deps.tracker, deps.clock, () => this.generation());
    this.#lastProgressMs = deps.clock.monotonic();
    this.#host = new HostView(deps, this.#conditions);
    this.#runner = new GuestRunner(deps, settings, {
      revision: this.#revision,
      conditions: this.#conditions,
      stopActing: this.#stopActing.signal,
      stopWaiting: this.#stopWaiting.signal,
      snapshot: () => this.#host.snapshot,
      facts: () => this.#host.facts,
      isFirstReadDone: () => this.#passes.isFirstReadDone,
      isHostAway: () => this.#passes.isHostAway,
      progressed: () => this.#progressed(),
      hostFailed: () => this.#passes.wantResync(),
      moment: () => ({ nowMs: deps.clock.now(), generation: this.generation() }),
    });
    this.#passes = new Passes(deps, settings, {
      revision: this.#revision, conditions: this.#conditions, host: this.#host, runner: this.#runner, progressed: () => this.#progressed(),
    });
  }

  /** Starts the loop: a pass every poll interval, a full one every resync interval. */
  start(): void {
    this.#deps.desired.watch(() => {
      this.#passes.wantDesired();
      this.#wake?.();
    });
    this.#loop = this.#run();
  }

  /** No new acts from now on; waits for running ones at most `timeoutMs`, journals their outcomes. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopActing.abort();
    void this.#runner.drain();
    this.#wake?.();
    this.#deps.desired.close();
    const cancel = this.#deps.clock.schedule(timeoutMs, () => this.#stopWaiting.abort());
    // A pass may hang on requests that each have their own timeout; it reads only, so it is not waited for longer.
    await Promise.race([this.#loop, aborted(this.#stopWaiting.signal)]);
    while (this.#runner.actsRunning() > 0 && !this.#stopWaiting.signal.aborted) await this.#deps.clock.sleep(STOP_RECHECK_MS, this.#stopWaiting.signal);
    cancel();
    this.#stopWaiting.abort();
    // What is still under way only reads: nothing is lost with it.
    void this.#runner.drain();
  }

  /** One full pass and everything it starts, for `run --once`; waits for what only needs time until `deadlineMs`. */
  async runOnce(deadlineMs: number, onProgress: () => void = () => {}): Promise<void> {
    this.#runner.memory.forgetFailures();
    for (;;) {
      this.requestResync();
      await this.#passes.run();
      await this.#untilIdle(onProgress);
      if (this.#isOnceOver(deadlineMs)) return;
      await this.#deps.clock.sleep(ONCE_RECHECK_MS, this.#stopActing.signal);
      // What waited for its time may have been done meanwhile.
      await this.#untilIdle(onProgress);
      if (this.#isOnceOver(deadlineMs)) return;
    }
  }

  async #untilIdle(onProgress: () => void): Promise<void> {
    while (this.#runner.busyCount() + this.#deps.lanes.depth() > 0 && !this.#stopWaiting.signal.aborted) {
      await this.#deps.clock.sleep(ONCE_PROGRESS_MS, this.#stopWaiting.signal);
      onProgress();
    }
  }

  #isOnceOver(deadlineMs: number): boolean {
    // A corrupt journal takes no outcome: what is open stays open, however long it is waited for.
    if (this.#deps.journal.health().state === "corrupt") return true;
    return this.#deps.clock.monotonic() >= deadlineMs || this.#stopActing.signal.aborted || !this.#runner.memory.records.hasUnfinished();
  }

  /** A round trip on one guest because a person asked; reads the host first where no loop does. */
  async selftest(vmid: number): Promise<Result<SelftestReport>> {
    if (this.#settings.isDryRun) return fault("control.refused", "expected an agent that may send, found dryRun in force; nothing was sent. Set dryRun: false for the selftest");
    if (this.#loop !== undefined && !this.#passes.isFirstReadDone) return fault("reconcile.not_ready", "expected an agent that has read every guest once, found the first full read under way; try again in a moment");
    const looked = this.#loop === undefined ? await this.#lookOnce() : ok(undefined);
    return looked.ok ? this.#runner.selftests.selftest(vmid) : looked;
  }

  /** A restart that a person asked for; without a loop it reads the host and the desired state first. */
  async restart(request: RestartRequest): Promise<Result<RestartReport>> {
    if (this.#settings.isDryRun) return fault("control.refused", "expected an agent that may send, found dryRun in force; nothing was sent");
    if (this.#loop !== undefined && !this.#passes.isFirstReadDone) return fault("reconcile.not_ready", "expected an agent that has read every guest once, found the first full read under way; nothing was sent, try again in a moment");
    if (this.#loop === undefined) {
      await this.#passes.loadDesired();
      const looked = await this.#lookOnce();
      if (!looked.ok) return looked;
    }
    if (!(await this.#passes.judgeRestored())) return fault("reconcile.not_ready", "whether the journal knows all that was done cannot be told yet: Proxmox's task list cannot be read, or the journal is not healthy; nothing was sent");
    return this.#runner.restarts.restart(request);
  }

  async #lookOnce(): Promise<Result<void>> {
    const looked = await this.#host.lookOnce();
    this.#runner.memory.situations.refresh();
    return looked;
  }

  /** Asks for a full pass now. */
  requestResync(): void {
    this.#passes.wantResync();
    this.#passes.wantDesired();
    this.#wake?.();
  }

  /** Something a person said (pause, resume, resolve) changed what may happen to one guest, or to all. */
  refresh(target: number | "all" = "all"): void {
    this.#runner.memory.situations.refresh();
    const vmids = target === "all" ? (this.#revision.newest()?.guests.keys() ?? []) : [target];
    for (const vmid of vmids) this.#runner.wake(vmid, "wish");
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
    return this.#passes.isUnderWay;
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
    return this.#runner.memory.situations.pauses();
  }

  /** Every declared guest that was reconciled, by vmid. */
  guests(): readonly GuestView[] {
    return this.#runner.views();
  }

  /** The host's guests as last polled; undefined before the first poll. */
  snapshot(): HostSnapshot | undefined {
    return this.#host.snapshot;
  }

  backoffCount(): number {
    return this.#runner.backoffCount();
  }

  /** Config keys that Proxmox refused and that are set aside. */
  refusedKeyCount(): number {
    return this.#runner.memory.refusals.keyCount();
  }

  /** True while the host's own files tell what changed; false where the API is asked. */
  isToldOfChanges(): boolean {
    return this.#deps.source.announcesConfigChanges;
  }

  /** Which guests are next, as it is this moment. */
  queueState(): QueueState {
    return this.#runner.queueState();
  }

  /** Guests that are being worked on or are next. */
  busyGuestCount(): number {
    return this.#runner.busyCount();
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#deps;
    while (!this.#stopActing.signal.aborted) {
      const nap = new AbortController();
      this.#wake = () => nap.abort();
      try {
        await this.#passes.run();
      } catch (error) {
        // A defect in a pass must not end the loop: the next pass reads everything anew.
        log.error("a pass failed unexpectedly", { error: traceOf(error) });
        this.#passes.wantResync();
      }
      this.#progressed();
      await clock.sleep(Math.min(this.#settings.pollIntervalMs, this.#deps.source.pollIntervalMaxMs), AbortSignal.any([nap.signal, this.#stopActing.signal]));
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
