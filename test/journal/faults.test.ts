import { expect, test } from "bun:test";
import { verifyJournal } from "../../src/journal/verify.ts";
import { openJournal } from "../../src/journal/journal.ts";
import type { Journal } from "../../src/journal/types.ts";
import { MemoryFileSystem, type FaultKind } from "../support/memory-file-system.ts";
import { DiskModel, diskIn, FEW } from "./crash-states.ts";
import { DIRECTORY, journalOptions, openOrThrow, SeededRandom, startOf } from "./journal-fixture.ts";

const KINDS: readonly FaultKind[] = ["io", "no_space", "interrupted", "read_only", "short_write"];
/** More calls than the workload makes. */
const CALLS_MAX = 2_000;

interface Submitted {
  /** The values that may be found for a fact: the last acknowledged one, and those submitted since. */
  readonly facts: Map<string, Set<number>>;
  readonly started: Set<string>;
  readonly succeeded: Set<string>;
}

/** Writes a little of everything, whatever fails, and keeps count of what was acknowledged. */
async function work(journal: Journal, done: Submitted, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const key = `k${round % 3}`;
    const maybe = done.facts.get(key) ?? new Set<number>();
    maybe.add(round);
    done.facts.set(key, maybe);
    if ((await journal.putFact("w", key, round)).ok) done.facts.set(key, new Set([round]));
    if (round === 7) await journal.compact();
    const begun = await journal.begin(startOf(100 + round));
    if (!begun.ok) continue;
    done.started.add(begun.value.id);
    const finished = await journal.apply(begun.value.id, { type: "succeed", by: "answer" });
    if (finished.ok) done.succeeded.add(begun.value.id);
  }
}

function violations(journal: Journal, done: Submitted): string[] {
  const found: string[] = [];
  for (const [key, values] of done.facts) {
    const value = journal.fact("w", key);
    if (typeof value === "number" ? !values.has(value) : values.size === 1) found.push(`fact ${key} is ${JSON.stringify(value)}, not one of ${[...values].join()}`);
  }
  for (const id of done.started) if (journal.operation(id) === undefined) found.push(`operation ${id} is gone`);
  for (const id of done.succeeded) if (journal.operation(id)?.state !== "succeeded") found.push(`operation ${id} is ${journal.operation(id)?.state}`);
  return found;
}

async function strike(kind: FaultKind, lasts: "once" | "for ever", k: number): Promise<{ hasFailed: boolean; found: string[] }> {
  const fileSystem = new MemoryFileSystem();
  fileSystem.failAt(k, { kind, lasts });
  const done: Submitted = { facts: new Map(), started: new Set(), succeeded: new Set() };
  const opened = await openJournal(journalOptions(fileSystem));
  if (!opened.ok) return { hasFailed: true, found: [`opening failed: ${opened.error.message}`] };
  const journal = opened.value;
  await work(journal, done, 14);
  const { hasFailed } = fileSystem;
  fileSystem.heal();
  const found: string[] = [];
  const health = await journal.reopen();
  if (health.state !== "healthy") found.push(`not healed: ${health.state}: ${health.message}`);
  found.push(...violations(journal, done));
  await work(journal, done, 3);
  if (done.succeeded.size < 3) found.push("nothing can be written after healing");
  found.push(...violations(journal, done));
  await journal.close();
  const again = await openOrThrow(fileSystem);
  found.push(...violations(again, done));
  await again.close();
  const verified = verifyJournal(fileSystem, DIRECTORY);
  if (!verified.ok || verified.value.outcome !== "intact") found.push(`verify: ${JSON.stringify(verified)}`);
  found.push(...(await afterCrash(fileSystem, done)));
  return { hasFailed, found: found.map((text) => `${kind} ${lasts} at call ${k}: ${text}`) };
}

/** The power goes: what was not synced is gone, and so is what a failed sync pretended to hold. */
async function afterCrash(fileSystem: MemoryFileSystem, done: Submitted): Promise<string[]> {
  const model = new DiskModel(["/state"]);
  for (const change of fileSystem.changes) model.apply(change);
  const found: string[] = [];
  for (const state of model.states(new SeededRandom(1), FEW)) {
    const journal = await openOrThrow(diskIn(state));
    found.push(...[journal.health().message, ...violations(journal, done)].filter((text) => text !== "").map((text) => `after a crash: ${text}`));
    await journal.close();
  }
  return found;
}

for (const kind of KINDS) {
  for (const lasts of ["once", "for ever"] as const) {
    test(`${kind}, ${lasts}, at every call: nothing acknowledged is lost and the journal heals`, async () => {
      for (let k = 1; k < CALLS_MAX; k++) {
        const { hasFailed, found } = await strike(kind, lasts, k);
        expect(found).toEqual([]);
        if (hasFailed) continue;
        process.stdout.write(`faults: ${kind} ${lasts}, struck ${k - 1} times, every call once; no seed, nothing is random\n`);
        return expect(k).toBeGreaterThan(50);
      }
      throw new Error(`the workload makes more than ${CALLS_MAX} calls`);
    }, 60_000);
  }
}
