import { verifyJournal } from "../../src/journal/verify.ts";
import { isSegmentName } from "../../src/journal/segment.ts";
import type { Journal } from "../../src/journal/types.ts";
import { MemoryFileSystem, type MemoryFileSystemOptions } from "../support/memory-file-system.ts";
import { DiskModel, diskIn, FEW, type CrashState, type Effort } from "./crash-states.ts";
import { contentOf, DIRECTORY, codeOf, digestOf, openOrThrow, SeededRandom, startOf, valueOf } from "./journal-fixture.ts";

/**
 * Runs a workload on a simulated disk, crashes it after every prefix of what the disk recorded, and
 * opens the journal again. Oracle: what was acknowledged ⊆ what is recovered ⊆ what was submitted,
 * in order; nothing is called corrupt; no key can be used twice; opening twice gives the same; and
 * what is acknowledged after the recovery survives the next crash.
 */
export interface CampaignReport {
  readonly states: number;
  readonly recoveries: number;
  /** What the workload was: records acknowledged one by one or together, segments that followed another, asked for or not. */
  readonly appends: number;
  readonly rotations: number;
  readonly compactions: number;
  readonly violations: readonly string[];
}

/** One record: how many changes the disk had recorded when it was submitted and when acknowledged. */
interface Unit {
  readonly submittedAt: number;
  acknowledgedAt: number;
  readonly effect: (model: Model) => void;
}

interface Model {
  readonly operations: Map<string, string>;
  readonly facts: Map<string, string>;
}

const KEY_EXPIRES_AT = "2099-01-01T00:00:00Z";

class Workload {
  readonly units: Unit[] = [];
  readonly keys = new Map<string, string>();
  compactions = 0;
  readonly #fileSystem: MemoryFileSystem;
  readonly #journal: Journal;

  constructor(fileSystem: MemoryFileSystem, journal: Journal) {
    this.#fileSystem = fileSystem;
    this.#journal = journal;
  }

  /** Every few records a rotation, by the small segments; one compaction that is asked for, with appends beside it. */
  async run(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      if (round === Math.floor(rounds / 2)) await Promise.all([this.#fact("beside", round), this.#compact(), this.#fact("beside", round + 1)]);
      await this.#fact(`k${round % 7}`, round);
      const id = await this.#begin(100 + round, round % 3 === 0 ? `key-${round}` : undefined);
      // Several at once: batches of more than one record.
      await Promise.all([this.#fact("a", round), this.#fact("b", `text ${round}`), this.#event(id, "succeeded"), this.#fact("a", round + 1)]);
      if (round % 5 === 4) await this.#fact(`k${round % 7}`, null);
    }
  }

  digests(): readonly string[] {
    const model: Model = { operations: new Map(), facts: new Map() };
    const digest = (): string => [
      ...[...model.operations].map(([id, state]) => `${id}=${state}`).sort(),
      ...[...model.facts].map(([key, value]) => `${key}=${value}`).sort(),
    ].join(" ");
    const digests = [digest()];
    for (const unit of this.units) {
      unit.effect(model);
      digests.push(digest());
    }
    return digests;
  }

  #submit(effects: readonly ((model: Model) => void)[]): () => void {
    const units = effects.map((effect) => ({ submittedAt: this.#fileSystem.changes.length, acknowledgedAt: Number.POSITIVE_INFINITY, effect }));
    this.units.push(...units);
    return () => {
      for (const unit of units) unit.acknowledgedAt = this.#fileSystem.changes.length;
    };
  }

  async #fact(key: string, value: string | number | null): Promise<void> {
    const acknowledge = this.#submit([({ facts }) => (value === null ? facts.delete(key) : facts.set(key, JSON.stringify(value)))]);
    valueOf(await this.#journal.putFact("w", key, value));
    acknowledge();
  }

  async #compact(): Promise<void> {
    valueOf(await this.#journal.compact());
    this.compactions++;
  }

  async #begin(vmid: number, key: string | undefined): Promise<string> {
    let id = "";
    const acknowledge = this.#submit([({ operations }) => operations.set(id, "planned"), ({ operations }) => operations.set(id, "started")]);
    const begun = valueOf(await this.#journal.begin(startOf(vmid, key === undefined ? {} : { key, keyExpiresAt: KEY_EXPIRES_AT })));
    acknowledge();
    id = begun.id;
    if (key !== undefined) this.keys.set(id, key);
    return id;
  }

  async #event(id: string, state: "succeeded"): Promise<void> {
    const acknowledge = this.#submit([({ operations }) => operations.set(id, state)]);
    valueOf(await this.#journal.apply(id, { type: "succeed", by: "answer" }));
    acknowledge();
  }
}

export interface CampaignOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly effort: Effort;
  /** Of how many states the recovery is crashed too, and appended to. */
  readonly crashedRecoveries: number;
  readonly lies?: MemoryFileSystemOptions["lies"];
  /** Stop at the first violation (canaries). */
  readonly isCanary?: boolean;
}

export async function runCampaign({ seed, rounds, effort, crashedRecoveries, lies, isCanary }: CampaignOptions): Promise<CampaignReport> {
  const random = new SeededRandom(seed);
  const start = await tornStart(seed);
  const fileSystem = new MemoryFileSystem({ ...start, ...(lies === undefined ? {} : { lies }) });
  const journal = await openOrThrow(fileSystem, { random: new SeededRandom(seed + 1) });
  const workload = new Workload(fileSystem, journal);
  await workload.run(rounds);
  await journal.close();
  const oracle = new Oracle(workload, random, crashedRecoveries);
  const model = new DiskModel(start.directories, start.files);
  for (let prefix = 0; prefix <= fileSystem.changes.length; prefix++) {
    for (const state of model.states(random, effort)) {
      await oracle.judge(state, prefix);
      if (isCanary === true && oracle.violations.length > 0) break;
    }
    if (isCanary === true && oracle.violations.length > 0) break;
    const change = fileSystem.changes[prefix];
    if (change !== undefined) model.apply(change);
  }
  const rotations = fileSystem.changes.filter((change) => change.type === "rename" && isSegmentName(change.to.slice(DIRECTORY.length + 1))).length;
  return { states: oracle.states, recoveries: oracle.recoveries, violations: oracle.violations, appends: workload.units.length, rotations, compactions: workload.compactions };
}

/** A disk with a journal whose last write was torn: the workload begins with a repair. */
async function tornStart(seed: number): Promise<{ directories: readonly string[]; files: ReadonlyMap<string, Uint8Array> }> {
  const fileSystem = new MemoryFileSystem();
  const journal = await openOrThrow(fileSystem, { random: new SeededRandom(seed) });
  valueOf(await journal.putFact("x", "before", 1));
  const { segment } = journal.head();
  await journal.close();
  const files = fileSystem.snapshot();
  const path = `${DIRECTORY}/${segment}`;
  const bytes = contentOf(files.get(path));
  files.set(path, Buffer.concat([bytes, bytes.subarray(bytes.length - 150, bytes.length - 20)]));
  return { directories: fileSystem.directories, files };
}

class Oracle {
  states = 0;
  recoveries = 0;
  readonly violations: string[] = [];
  readonly #workload: Workload;
  readonly #digests: readonly string[];
  readonly #random: SeededRandom;
  readonly #crashedRecoveries: number;

  constructor(workload: Workload, random: SeededRandom, crashedRecoveries: number) {
    this.#crashedRecoveries = crashedRecoveries;
    this.#workload = workload;
    this.#digests = workload.digests();
    this.#random = random;
  }

  async judge(state: CrashState, prefix: number): Promise<void> {
    this.states++;
    const acknowledged = this.#workload.units.filter((unit) => unit.acknowledgedAt <= prefix).length;
    const submitted = this.#workload.units.filter((unit) => unit.submittedAt <= prefix).length;
    const where = `after change ${prefix} [${state.choice}]`;
    const disk = diskIn(state);
    const digest = await this.#recover(disk, acknowledged, submitted, where);
    if (digest === undefined || this.#random.fraction() > this.#crashedRecoveries) return;
    await this.#crashRecovery(state, disk, acknowledged, submitted, where);
    await this.#recover(disk, acknowledged, submitted, `${where}, opened again`, digest);
  }

  async #recover(disk: MemoryFileSystem, acknowledged: number, submitted: number, where: string, expected?: string): Promise<string | undefined> {
    this.recoveries++;
    const journal = await openOrThrow(disk, { random: new SeededRandom(this.recoveries) });
    const digest = digestOf(journal);
    const at = this.#digests.indexOf(digest, acknowledged);
    if (journal.health().state !== "healthy") this.violations.push(`${where}: ${journal.health().state}: ${journal.health().message}`);
    else if (at === -1 || at > submitted) this.violations.push(`${where}: acknowledged ${acknowledged}, submitted ${submitted}, recovered ${this.#digests.lastIndexOf(digest)}: ${digest.slice(-80)}`);
    else if (expected !== undefined && digest !== expected) this.violations.push(`${where}: opening twice differs`);
    await this.#checkKeys(journal, where);
    await journal.close();
    const verified = verifyJournal(disk, DIRECTORY);
    if (!verified.ok || verified.value.outcome !== "intact") this.violations.push(`${where}: not intact after recovery: ${JSON.stringify(verified)}`);
    return this.violations.length === 0 ? digest : undefined;
  }

  async #checkKeys(journal: Journal, where: string): Promise<void> {
    const keyed = [...journal.openOperations(), ...journal.recentOperations()].filter((operation) => this.#workload.keys.has(operation.id));
    for (const { id } of keyed) {
      const key = this.#workload.keys.get(id) ?? "";
      const again = await journal.begin(startOf(999, { key, keyExpiresAt: KEY_EXPIRES_AT }));
      if (codeOf(again) !== "journal.key_used") this.violations.push(`${where}: key ${key} can be used twice (${codeOf(again)})`);
    }
  }

  /** The recovery itself is crashed, at one of its own changes; and what is acknowledged after it must last. */
  async #crashRecovery(state: CrashState, disk: MemoryFileSystem, acknowledged: number, submitted: number, where: string): Promise<void> {
    const model = new DiskModel(state.directories, state.files);
    const until = this.#random.below(disk.changes.length + 1);
    for (const change of disk.changes.slice(0, until)) model.apply(change);
    for (const again of model.states(this.#random, FEW)) {
      const secondDisk = diskIn(again);
      const secondWhere = `${where}, recovery crashed after ${until} [${again.choice}]`;
      if ((await this.#recover(secondDisk, acknowledged, submitted, secondWhere)) !== undefined) await this.#appendAndLose(again, secondWhere);
    }
  }

  async #appendAndLose(state: CrashState, where: string): Promise<void> {
    const disk = diskIn(state);
    const journal = await openOrThrow(disk);
    valueOf(await journal.putFact("after", "recovery", true));
    const model = new DiskModel(state.directories, state.files);
    for (const change of disk.changes) model.apply(change);
    for (const lost of model.states(this.#random, FEW)) {
      const last = await openOrThrow(diskIn(lost));
      if (last.fact("after", "recovery") !== true) this.violations.push(`${where}: what was acknowledged after the recovery is lost [${lost.choice}]`);
    }
  }
}
