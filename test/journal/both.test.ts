import { expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readRecords } from "../../src/journal/inspect.ts";
import { openJournal, type JournalOptions } from "../../src/journal/journal.ts";
import type { Journal } from "../../src/journal/types.ts";
import { verifyJournal } from "../../src/journal/verify.ts";
import type { FileSystem } from "../../src/ports/file-system.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { DiskModel, diskIn, type CrashState } from "./crash-states.ts";
import { DIRECTORY, digestOf, recordingLog, SeededRandom, startOf, valueOf } from "./journal-fixture.ts";

/**
 * The simulated disk is only worth something when the real one behaves alike: the same work gives the same
 * records on both, and a journal that a crash left behind is mended alike.
 */
const SEED = Number(process.env["STEWARD_CRASH_SEED"] ?? 20_260_101);
const STATES = process.env["STEWARD_CRASH_EFFORT"] === "long" ? 2_000 : 150;
const LIMITS = { segmentBytes: 3_000, reserveBytes: 64, retainBytes: 9_000 };

function optionsFor(fileSystem: FileSystem, directory: string, seed: number): JournalOptions {
  return { directory, node: "pve1", machineId: "m", version: "0.1.0", fileSystem, clock: new FakeClock(), random: new SeededRandom(seed), log: recordingLog(), limits: LIMITS };
}

async function open(fileSystem: FileSystem, directory: string, seed = SEED): Promise<Journal> {
  return valueOf(await openJournal(optionsFor(fileSystem, directory, seed)));
}

/** A little of everything: rotations, removals, a compaction, a restart. */
async function work(fileSystem: FileSystem, directory: string): Promise<Journal> {
  let journal = await open(fileSystem, directory);
  for (let round = 0; round < 25; round++) {
    valueOf(await journal.putFact("w", `k${round % 5}`, round));
    const { id } = valueOf(await journal.begin(startOf(100 + round)));
    await Promise.all([journal.putFact("w", "together", round), journal.apply(id, { type: "succeed", by: "answer" })]);
    if (round === 12) valueOf(await journal.compact());
    if (round !== 18) continue;
    await journal.close();
    journal = await open(fileSystem, directory, SEED + 1);
  }
  return journal;
}

/** Every record by its place: what may differ between two disks is in the headers. */
function told(fileSystem: FileSystem, directory: string): readonly string[] {
  return [...readRecords(fileSystem, directory)].map(({ segment, line, sequence, record }) => `${segment}:${line} ${sequence} ${JSON.stringify(record)}`);
}

test("the same work gives the same records on the simulated and on the real disk", async () => {
  const directory = join(temporaryDirectory(), "journal");
  const [real, simulated] = [createFileSystem(), new MemoryFileSystem()];
  const journals = [await work(real, directory), await work(simulated, DIRECTORY)] as const;
  expect(digestOf(journals[0])).toBe(digestOf(journals[1]));
  expect(told(real, directory)).toEqual(told(simulated, DIRECTORY));
  for (const journal of journals) await journal.close();
  const [onReal, inMemory] = [valueOf(verifyJournal(real, directory)), valueOf(verifyJournal(simulated, DIRECTORY))];
  expect([onReal.outcome, onReal.records, onReal.firstSequence]).toEqual(["intact", inMemory.records, inMemory.firstSequence]);
  expect(onReal.firstSequence).toBeGreaterThan(1);
});

/** Crash states of that work, spread over all of it. */
async function crashStates(): Promise<readonly CrashState[]> {
  const fileSystem = new MemoryFileSystem();
  await (await work(fileSystem, DIRECTORY)).close();
  const random = new SeededRandom(SEED);
  const model = new DiskModel(["/state"]);
  const states: CrashState[] = [];
  for (const change of fileSystem.changes) {
    model.apply(change);
    states.push(...model.states(random, { exhaustiveUpTo: 0, samples: 2, cutsOfLast: 2, cutsOfOthers: 1 }));
  }
  const step = Math.max(1, Math.floor(states.length / STATES));
  return states.filter((_, index) => index % step === 0).slice(0, STATES);
}

/** Puts a crash state on the real disk. */
function realise(state: CrashState, root: string): string {
  for (const directory of state.directories) mkdirSync(join(root, directory), { recursive: true, mode: 0o700 });
  for (const [path, bytes] of state.files) {
    mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o700 });
    writeFileSync(join(root, path), bytes, { mode: 0o600 });
  }
  return join(root, DIRECTORY);
}

test("what a crash left behind is mended alike on both", async () => {
  const states = await crashStates();
  const fileSystem = createFileSystem();
  let torn = 0;
  for (const state of states) {
    const root = temporaryDirectory();
    const directory = realise(state, root);
    const journals = [await open(fileSystem, directory, SEED + 2), await open(diskIn(state), DIRECTORY, SEED + 2)] as const;
    expect([state.choice, journals[0].health().state, digestOf(journals[0])]).toEqual([state.choice, "healthy", digestOf(journals[1])]);
    expect(journals[0].repairedCount()).toBe(journals[1].repairedCount());
    torn += journals[0].repairedCount();
    valueOf(await journals[0].putFact("w", "after", 1));
    for (const journal of journals) await journal.close();
    expect([state.choice, valueOf(verifyJournal(fileSystem, directory)).outcome]).toEqual([state.choice, "intact"]);
    rmSync(root, { recursive: true, force: true });
  }
  process.stdout.write(`crash states on the real disk: ${states.length}, torn tails repaired: ${torn}, as on the simulated one; seed ${SEED}\n`);
  expect(torn).toBeGreaterThan(5);
}, 600_000);
