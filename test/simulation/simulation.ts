import type { EngineSettings } from "../../src/reconcile/types.ts";
import { SeededRandom } from "../journal/journal-fixture.ts";
import { SimulatedSite, type SiteEvent, type SiteOptions } from "../support/simulated-site.ts";
import { Disturbances } from "./disturbances.ts";
import { differencesOf, drawDeclaration, drawGuest, pick } from "./population.ts";
import { Watch } from "./watch.ts";
import { Weather, type FaultCounts } from "./weather.ts";

/**
 * One run of the simulation, everything from one seed: bad times in which anything may go wrong at any
 * event, then good times in which all must come to be as declared. A step is one event of the site (a
 * timer, a request that arrives, an answer, a sync of the disk) or one thing done to it.
 */

export interface SimulationOptions {
  readonly seed: number;
  readonly steps: number;
  /** Planted bugs. */
  readonly plant?: Pick<SiteOptions, "replace" | "diskLies" | "engineSettings">;
  /** Told of every event; for a look at one seed. */
  readonly trace?: (line: string) => void;
}

export interface SimulationReport {
  readonly seed: number;
  readonly steps: number;
  readonly violations: readonly string[];
  readonly faults: FaultCounts;
  readonly acts: number;
  readonly crashes: number;
  /** Of everything that happened, in order. */
  readonly hash: string;
  /** Virtual time that passed, milliseconds. */
  readonly elapsedMs: number;
  /** Longest wait from an edit in good times to the request that mends it, milliseconds; on the host only. */
  readonly slowestNoticeMs: number;
}

/** One step in so many is something that is done to the site. */
const DISTURBANCE_EVERY = 12;
/** Chance of a dead process to be started again, at every step. */
const BOOT_EVERY = 30;
/** Between two looks at what the agent keeps, in steps. */
const BOUNDS_EVERY = 100;
/** All that waits is over by then: backoff and restarts wait 5 minutes at most, an ignored shutdown 15; then a resync of a minute. */
const GOOD_TIMES_MAX_MS = 1_000_000;
/** Edits in good times, each of which must be noticed. */
const EDITS = 4;
/** From an outcome that is recorded as unknown to the condition that names it: the guest is read in between. */
const SHOWN_WITHIN_MS = 1_000;
/** Between two looks whether an edit was mended. */
const LOOK_INTERVAL_MS = 100;
/** From the edit to the request that mends it, on the host: what is promised. */
const NOTICE_MAX_MS = 1_000;

export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const run = new Simulation(options);
  await run.badTimes();
  if (run.isUnharmed()) await run.goodTimes();
  return run.report();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #random: SeededRandom;
  readonly #site: SimulatedSite;
  readonly #weather: Weather;
  readonly #watch: Watch;
  readonly #disturbances: Disturbances;
  readonly #hasher = new Bun.CryptoHasher("sha256");
  readonly #isOnHost: boolean;
  #steps = 0;
  /** Longest sync of the disk, milliseconds. */
  #syncMaxMs: number;
  #slowestNoticeMs = 0;

  constructor(options: SimulationOptions) {
    const { seed, plant = {} } = options;
    this.#options = options;
    this.#random = new SeededRandom(seed);
    const random = this.#random;
    this.#isOnHost = random.below(2) === 0;
    const vmids = [101, 102, 103, 201, 202].slice(random.below(3));
    const declared = vmids.map((vmid) => drawDeclaration(random, vmid));
    const settings = this.#drawSettings();
    this.#syncMaxMs = pick(random, [2, 2, 20, 400]);
    const latenessMaxMs = pick(random, [1, 1, 30]);
    this.#site = new SimulatedSite({
      host: this.#isOnHost ? "on" : "off", seed, declared, settings, guests: vmids.map((vmid) => drawGuest(random, vmid, 0)), ...plant,
      syncMs: () => random.below(this.#syncMaxMs), latenessMs: () => random.fraction() * latenessMaxMs,
      traits: { honoursShutdown: ({ vmid }) => !this.#disturbances.deaf.has(vmid) },
    });
    this.#site.onEvent = (event) => this.#note(event);
    this.#weather = new Weather(random, settings.requestTimeoutMs, {});
    this.#site.network.fateOf = (request) => this.#weather.fateOf(request);
    this.#watch = new Watch(this.#site);
    const mode = random.below(3) === 0 ? "disk" : "crashes";
    this.#disturbances = new Disturbances({ site: this.#site, random, weather: this.#weather, watch: this.#watch, vmids, mode, isOnHost: this.#isOnHost }, declared);
  }

  isUnharmed(): boolean {
    return this.#watch.violations.length === 0;
  }

  async badTimes(): Promise<void> {
    this.#site.boot();
    while (this.#steps < this.#options.steps && this.isUnharmed()) {
      this.#steps++;
      if (this.#random.below(DISTURBANCE_EVERY) === 0) this.#disturbances.one();
      else if (!this.#site.hasProcess() && this.#random.below(BOOT_EVERY) === 0) this.#site.boot();
      else await this.#site.time.step();
      if (this.#steps % BOUNDS_EVERY === 0) this.#watch.checkBounds();
    }
  }

  async goodTimes(): Promise<void> {
    const { settings } = this.#site;
    this.#weather.calmDown();
    this.#syncMaxMs = 2;
    this.#disturbances.calmDown();
    this.#note({ atMs: this.#site.time.elapsedMs(), kind: "site", text: "good times" });
    if (!this.#site.hasProcess()) this.#site.boot();
    const windowMs = settings.requestTimeoutMs + 15_000;
    await this.#advance(windowMs + settings.resyncIntervalMs);
    // A stop that was asked for in bad times may end only now.
    if (!this.#site.hasProcess()) this.#site.boot();
    await this.#advance(10_000);
    await this.#operatorTidiesUp();
    const deadlineMs = this.#site.time.elapsedMs() + GOOD_TIMES_MAX_MS;
    while (this.isUnharmed() && this.#unsettled().length > 0 && this.#site.time.elapsedMs() < deadlineMs) {
      await this.#advance(settings.resyncIntervalMs);
      await this.#resolveUnknown();
    }
    for (const problem of this.#unsettled()) this.#watch.expect(false, `in good times: ${problem}`);
    this.#watch.checkBounds();
    this.#watch.checkDisk();
    if (this.isUnharmed()) await this.#editAndWait();
    // What was going on beside the edits, a guest's start in its turn for one, ends.
    await this.#advance(settings.resyncIntervalMs + settings.taskTimeoutMs);
    for (const problem of this.#unsettled()) this.#watch.expect(false, `after edits in good times: ${problem}`);
  }

  report(): SimulationReport {
    const { counts } = this.#weather;
    return {
      seed: this.#options.seed, steps: this.#steps, violations: this.#watch.violations, faults: counts, acts: this.#watch.acts,
      crashes: (counts.crash ?? 0) + (counts["power loss"] ?? 0), hash: this.#hasher.digest("hex"), elapsedMs: this.#site.time.elapsedMs(), slowestNoticeMs: this.#slowestNoticeMs,
    };
  }

  /** Every pause ends, every unknown act is closed by what a person saw, a held revision is let through. */
  async #operatorTidiesUp(): Promise<void> {
    const site = this.#site;
    this.#watch.expect(site.isUp(), "the agent does not come up in good times");
    if (!site.isUp()) return;
    for (const target of ["all", ...site.desired.guests.keys()] as const) {
      this.#watch.notePaused(target, false);
      void site.resume(target);
    }
    if (site.engine.revisionHeld() !== undefined) void site.accept(site.desired.revision);
    await this.#resolveUnknown();
    await this.#advance(5_000);
  }

  /** What is unknown is named in the guest's conditions, and closed by a person who looked. */
  async #resolveUnknown(): Promise<void> {
    const site = this.#site;
    const unknown = site.journal.openOperations().filter(({ state }) => state === "unknown");
    // One that has become unknown just now is shown in a moment.
    await this.#advance(unknown.length > 0 ? SHOWN_WITHIN_MS : 0);
    for (const { id, guest: { vmid } } of unknown) {
      if (site.journal.operation(id)?.state !== "unknown") continue;
      const shown = site.condition(vmid, "OutcomeUnknown");
      this.#watch.expect(!site.desired.guests.has(vmid) || shown.startsWith("True"), `an unknown act of ${vmid} is shown as "${shown}"`);
      void site.resolve(id, "failed");
    }
  }

  /** What is neither as declared nor named as what keeps it from being so. */
  #unsettled(): readonly string[] {
    const site = this.#site;
    if (!site.isUp()) return ["the agent is not up"];
    const open = site.journal.openOperations().map(({ action, guest, state }) => `${action} ${guest.vmid} is ${state}`);
    const differing = [...site.desired.guests.values()].flatMap((declared) => {
      const { vmid, mode } = declared;
      const text = site.node.configFile(vmid);
      if (mode !== "enforce" || text === undefined) return [];
      const differences = differencesOf(declared, text, site.isGuestRunning(vmid));
      const view = site.view(vmid);
      const isShown = site.condition(vmid, "Synced").startsWith("True");
      if (differences.length === 0 && !isShown) return [`${vmid} is as declared and shown as ${site.condition(vmid, "Synced")} (${view?.message})`];
      return differences.map((difference) => `${vmid} ${difference} (${view?.result}: ${view?.message})`);
    });
    return [...open, ...differing];
  }

  /** Somebody edits; on the host that is mended at once, off the host by the next round of reads. */
  async #editAndWait(): Promise<void> {
    const site = this.#site;
    for (let edit = 0; edit < EDITS && this.isUnharmed(); edit++) {
      const editable = [...site.desired.guests.values()].filter(({ vmid, mode, config }) => mode === "enforce" && site.node.configFile(vmid) !== undefined && Object.hasOwn(config, "onboot"));
      if (editable.length === 0) return;
      const { vmid, config } = pick(this.#random, editable);
      await this.#advance(this.#random.below(3_000));
      const sentBefore = site.mutations.length;
      const editedMs = site.time.elapsedMs();
      // A key that a running guest takes at once: nothing of it is ever pending.
      await site.edit({ vmid, set: { onboot: config["onboot"] === "1" ? "0" : "1" } });
      const latestMs = editedMs + (this.#isOnHost ? NOTICE_MAX_MS : site.settings.resyncIntervalMs + NOTICE_MAX_MS);
      const isMended = (): boolean => site.mutations.slice(sentBefore).some((sent) => sent.vmid === vmid);
      while (!isMended() && site.time.elapsedMs() < latestMs) await this.#advance(Math.min(LOOK_INTERVAL_MS, latestMs - site.time.elapsedMs()));
      const mended = site.mutations.slice(sentBefore).find((sent) => sent.vmid === vmid);
      if (this.#isOnHost && mended !== undefined) this.#slowestNoticeMs = Math.max(this.#slowestNoticeMs, mended.atMs - editedMs);
      this.#watch.expect(mended !== undefined, `an edit of ${vmid} was not noticed in ${Math.round(site.time.elapsedMs() - editedMs)} ms (${site.view(vmid)?.result})`);
      await this.#advance(2_000);
    }
  }

  async #advance(ms: number): Promise<void> {
    const endMs = this.#site.time.elapsedMs() + ms;
    while (this.isUnharmed() && this.#site.time.elapsedMs() < endMs) await this.#site.time.advance(Math.min(1_000, endMs - this.#site.time.elapsedMs()));
  }

  #drawSettings(): EngineSettings {
    const random = this.#random;
    return {
      pollIntervalMs: this.#isOnHost ? 250 : pick(random, [1_000, 4_000]), resyncIntervalMs: pick(random, [10_000, 30_000, 60_000]), requestTimeoutMs: pick(random, [2_000, 5_000, 10_000]),
      taskTimeoutMs: pick(random, [5_000, 30_000]), shutdownTimeoutMs: pick(random, [5_000, 20_000]), maxConcurrentActs: pick(random, [1, 4]), maxConcurrentStarts: pick(random, [1, 2]),
      maxAffectedPercent: pick(random, [20, 100, 100]), isDryRun: false,
    };
  }

  #note({ atMs, kind, text }: SiteEvent): void {
    const line = `${atMs.toFixed(2)} ${kind} ${text}`;
    this.#hasher.update(`${line}\n`);
    this.#options.trace?.(line);
  }
}
