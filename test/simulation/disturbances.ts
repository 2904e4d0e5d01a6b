import type { SeededRandom } from "../journal/journal-fixture.ts";
import type { Declared, SimulatedSite } from "../support/simulated-site.ts";
import type { HostFileTrouble } from "../support/simulated-host-files.ts";
import { drawDeclaration, drawGuest, drawKey, drawValue, pick } from "./population.ts";
import type { Watch } from "./watch.ts";
import type { FaultKind, Weather } from "./weather.ts";

/**
 * What people, disks, hosts and clocks do to a site, drawn from a seed. What lasts ends by itself after a
 * while, and all of it when `calmDown` is called.
 */

/** Longest time that anything lasting lasts in a run, milliseconds: one of these. */
const LASTING_MAX_MS = [3_000, 15_000, 40_000] as const;

/** Keys of one-shot restarts: few, so that they come again. */
const KEY_COUNT = 2;
const KEY_LIFE_MS = 300 * 86_400_000;
/** How long a person waits for a restart. */
const RESTART_WAIT_MS = 20_000;

export interface DisturbanceParts {
  readonly site: SimulatedSite;
  readonly random: SeededRandom;
  readonly weather: Weather;
  readonly watch: Watch;
  readonly vmids: readonly number[];
  /** Losing the disk's records and the process in one run excuses nearly everything: a seed does one of the two. */
  readonly mode: "crashes" | "disk";
  readonly isOnHost: boolean;
}

export class Disturbances {
  declared: Declared[];
  /** Guests whose system ignores a shutdown request. */
  readonly deaf = new Set<number>();
  readonly #parts: DisturbanceParts;
  readonly #ends = new Set<() => void>();
  readonly #kinds: readonly FaultKind[];
  readonly #lastingMaxMs: number;
  #generation = 0;
  /** Faults in force under which nothing below /etc/pve can be written, by nobody. */
  #readOnlyCount = 0;

  constructor(parts: DisturbanceParts, declared: readonly Declared[]) {
    this.#parts = parts;
    this.declared = [...declared];
    this.#kinds = this.#drawKinds();
    this.#lastingMaxMs = pick(parts.random, LASTING_MAX_MS);
  }

  /** One thing happens. */
  one(): void {
    const kind = pick(this.#parts.random, this.#kinds);
    this.#parts.weather.count(kind);
    this.#do(kind, pick(this.#parts.random, this.#parts.vmids));
  }

  /** Whatever lasts is over; nothing is locked, full, hung or off. */
  calmDown(): void {
    const { site, vmids } = this.#parts;
    for (const end of [...this.#ends]) end();
    this.deaf.clear();
    site.files.trouble = undefined;
    site.disk.fileSystem.heal();
    site.disk.fileSystem.capacityBytes = Number.POSITIVE_INFINITY;
    for (const vmid of vmids) {
      if (site.node.configFile(vmid) === undefined) continue;
      void site.lock(vmid, null);
      if (site.isGuestRunning(vmid)) void site.edit({ vmid, power: "resume" });
    }
  }

  /** A random half of everything, so that each seed is another story. */
  #drawKinds(): readonly FaultKind[] {
    const { mode, isOnHost, random } = this.#parts;
    const own: readonly FaultKind[] = mode === "crashes" ? ["crash", "power loss"] : ["disk fails", "disk full"];
    const all: readonly FaultKind[] = [
      ...own, "terminate", "outage", "edit", "edit", "edit", "edit", "edit", "edit", "config lock", "file lock", "power", "power", "power", "power", "task hangs", "task fails", "task warns", "task killed", "vmid reused", "migrated", "arrived", "no shutdown",
      "clock jump", ...(isOnHost ? (["files", "pmxcfs restart"] as const) : []), "no quorum", "pause", "resume", "redeclare", "redeclare", "redeclare", "resolve", "accept", "resync", "restart", "restart", "restart", "compact",
    ];
    const drawn = all.filter(() => random.below(2) === 0);
    return ["edit", ...own.filter(() => random.below(4) !== 0), ...drawn];
  }

  #do(kind: FaultKind, vmid: number): void {
    const { site, random, weather } = this.#parts;
    const { node } = site;
    switch (kind) {
      case "crash":
      case "power loss":
        return this.#crash(kind);
      case "terminate":
        return site.isUp() ? void site.stop() : undefined;
      case "outage":
        weather.beginOutage();
        return this.#lasting(() => weather.endOutage());
      case "edit":
        return this.#edit(vmid);
      case "config lock":
        void site.lock(vmid, pick(random, ["backup", "snapshot", "migrate"]));
        return this.#lasting(() => void (node.configFile(vmid) !== undefined && site.lock(vmid, null)));
      case "file lock":
        return this.#holdLock(vmid);
      case "power":
        return void site.edit({ vmid, power: pick(random, ["start", "stop", "pause", "resume"]) });
      case "task hangs":
        return this.#lasting(node.addFault({ kind: "task_hang", ...(random.below(2) === 0 ? { vmid } : {}) }));
      case "task fails":
        return this.#lasting(node.addFault({ kind: "task_fail", exit: pick(random, ["start failed: QEMU exited with code 1", "can't lock file '/var/lock/x' - got timeout", "unexpected status"]), vmid }));
      case "task warns":
        return this.#lasting(node.addFault({ kind: "task_fail", exit: "WARNINGS: 1", vmid }));
      case "task killed":
        for (const line of node.activeTasks()) if (line.endsWith(" 0") && line.includes(`:${vmid}:`)) node.killTask(line.slice(0, -2));
        return;
      case "no quorum":
        return this.#loseQuorum();
      case "no shutdown":
        this.deaf.add(vmid);
        return this.#lasting(() => this.deaf.delete(vmid));
      default:
        return this.#doRarer(kind, vmid);
    }
  }

  #doRarer(kind: FaultKind, vmid: number): void {
    const { site, random, watch } = this.#parts;
    switch (kind) {
      case "vmid reused":
        return this.#reuse(vmid);
      case "migrated":
        if (site.node.configFile(vmid) !== undefined) void site.migrateAway(vmid);
        return;
      case "arrived":
        if (site.node.configFile(vmid) === undefined && this.#readOnlyCount === 0) site.receive(this.#newGuest(vmid));
        return;
      case "clock jump":
        site.jumpClock(pick(random, [-1, 1]) * random.below(pick(random, [2_000, 100_000, 4_000_000])));
        return watch.noteJump();
      case "files":
        site.files.trouble = pick(random, ["unmounted", "cut", "denied", "stale", "wrong counter"] satisfies HostFileTrouble[]);
        return this.#lasting(() => (site.files.trouble = undefined));
      case "pmxcfs restart":
        return site.files.restartPmxcfs(Math.floor((site.time.startMs + site.time.elapsedMs()) / 1000));
      case "disk fails":
        site.disk.fileSystem.failAt(1 + random.below(8), { kind: pick(random, ["io", "interrupted", "short_write"] as const), lasts: pick(random, ["once", "for ever"] as const) });
        return this.#lasting(() => site.disk.fileSystem.heal());
      case "disk full":
        site.disk.fileSystem.capacityBytes = random.below(400_000);
        return this.#lasting(() => (site.disk.fileSystem.capacityBytes = Number.POSITIVE_INFINITY));
      default:
        return this.#operate(kind, vmid);
    }
  }

  /** What a person says to the agent; nothing where none is up to hear it. */
  #operate(kind: FaultKind, vmid: number): void {
    const { site, random, watch } = this.#parts;
    if (kind === "redeclare") return this.#redeclare(vmid);
    if (!site.isUp()) return;
    const target = random.below(5) === 0 ? "all" : vmid;
    switch (kind) {
      case "pause":
        void site.pause(target).then((isPaused) => (isPaused ? watch.notePaused(target, true) : undefined));
        return this.#lasting(() => this.#resume(target));
      case "resume":
        return this.#resume(target);
      case "restart":
        return void site.restart({ vmid, key: `key-${vmid}-${random.below(KEY_COUNT)}`, keyLifeMs: KEY_LIFE_MS, waitMs: RESTART_WAIT_MS });
      case "resolve":
        for (const { id, state } of site.journal.openOperations()) if (state === "unknown") void site.resolve(id, pick(random, ["succeeded", "failed"] as const));
        return;
      case "compact":
        return void site.journal.compact();
      case "accept":
        return void site.accept(site.desired.revision);
      default:
        return site.engine.requestResync();
    }
  }

  #resume(target: number | "all"): void {
    const { site, watch } = this.#parts;
    if (!site.isUp()) return;
    watch.notePaused(target, false);
    // A pause that was asked for just before may be acknowledged in between.
    void site.resume(target).then(() => watch.notePaused(target, false));
  }

  #crash(kind: "crash" | "power loss"): void {
    const { site, random } = this.#parts;
    if (site.hasProcess()) site.crash(kind === "crash" ? "process" : "power", random);
  }

  #edit(vmid: number): void {
    const { site, random } = this.#parts;
    if (site.node.configFile(vmid) === undefined) return;
    const key = drawKey(random);
    if (key === "description") return void site.edit({ vmid, delete: ["description"] });
    void site.edit(random.below(5) === 0 && key !== "memory" ? { vmid, delete: [key] } : { vmid, set: { [key]: drawValue(random, key) } });
  }

  #loseQuorum(): void {
    const regain = this.#parts.site.node.addFault({ kind: "read_only" });
    this.#readOnlyCount++;
    this.#lasting(() => {
      this.#readOnlyCount--;
      regain();
    });
  }

  #holdLock(vmid: number): void {
    const { site } = this.#parts;
    if (site.node.configFile(vmid) === undefined) return;
    void site.node.holdLock(vmid).then((release) => this.#lasting(release), () => {});
  }

  #reuse(vmid: number): void {
    const { site } = this.#parts;
    if (this.#readOnlyCount > 0) return;
    if (site.node.configFile(vmid) !== undefined) void site.edit({ vmid, destroy: true });
    site.receive(this.#newGuest(vmid));
  }

  #newGuest(vmid: number) {
    return drawGuest(this.#parts.random, vmid, ++this.#generation);
  }

  #redeclare(vmid: number): void {
    const { site, random, watch } = this.#parts;
    const others = this.declared.filter((guest) => guest.vmid !== vmid);
    // Before it is gone from the declaration it still counts.
    watch.noteDeclared();
    this.declared = random.below(8) === 0 ? others : [...others, drawDeclaration(random, vmid)];
    site.declare(this.declared);
    watch.noteDeclared();
  }

  /** Ends by itself after a while, and at the latest when all calms down. */
  #lasting(end: () => void): void {
    const { site, random } = this.#parts;
    const once = (): void => {
      if (this.#ends.delete(once)) end();
    };
    this.#ends.add(once);
    site.time.schedule(random.below(this.#lastingMaxMs), once);
  }
}
