import fs from "node:fs";
import { join } from "node:path";
import { atLeast, atMost, contest, ratioTo, rowOf, type BenchSettings, type Results, type Row, type Table } from "./contest.ts";
import { realWorld } from "./world.ts";
import { openBenchJournal, valueOf } from "../src/bench/journal-load.ts";
import { inScratch } from "../src/bench/raw-disk.ts";
import { readRecords } from "../src/journal/inspect.ts";
import { DEFAULT_LIMITS } from "../src/journal/limits.ts";
import type { Journal } from "../src/journal/types.ts";

/**
 * How long opening takes after a long history, against the plain design: reading everything that is kept.
 * The history is acts as the agent records them (planned, started, succeeded) of a few at a time; opening
 * is measured right behind it, where the last segment is as full as chance has it, with a last segment
 * that is as full as it gets, and after a compaction.
 */
const RECORDS = 1_000_000;
const QUICK_RECORDS = 60_000;
const RECORDS_PER_ACT = 3;
/** Acts under way at the same time. */
const APPENDERS = 64;
const ROUNDS = 15;
/** Reading everything takes seconds. */
const REPLAY_ROUNDS = 5;
const GOAL_MS = 50;

const OURS = "opening";
const REPLAY = "reading all that is kept";
const SETTINGS = { history: "after the history", full: "last segment full", compacted: "after a compaction" } as const;

export async function run({ isQuick, directory, print }: BenchSettings): Promise<Results> {
  const records = isQuick ? QUICK_RECORDS : RECORDS;
  return inScratch(directory, async (base) => {
    const path = join(base, "journal");
    await writeHistory(path, records);
    const kept = keptText(path);
    print(`${records.toLocaleString("en")} records written; ${kept}`);
    const opening = { name: OURS, sample: () => timed(() => withJournal(path, async () => {}), path) };
    const rows: Row[] = [...(await contest(SETTINGS.history, [opening, { name: REPLAY, sample: () => timed(async () => readAll(path), path) }], REPLAY_ROUNDS))];
    await fillLastSegment(path);
    rows.push(...(await contest(SETTINGS.full, [opening], ROUNDS)));
    await withJournal(path, (journal) => journal.compact());
    rows.push(...(await contest(SETTINGS.compacted, [opening], ROUNDS)));
    const table: Table = { title: `Opening after ${records.toLocaleString("en")} records`, ours: OURS, unit: "ms", better: "lower", rows };
    return {
      name: "journal-open", title: "Opening the journal", tables: [table],
      goals: [
        ...Object.values(SETTINGS).map((setting) => atMost(`${setting}: at most ${GOAL_MS} ms`, rowOf(table, OURS, setting).value, GOAL_MS, "ms")),
        atLeast("faster than reading all that is kept", ratioTo(table, rowOf(table, REPLAY, SETTINGS.history)), 1),
      ],
      notes: [`What is kept of the history (retention: 256 MiB): ${kept}. Opening includes taking the lock, checking the last segment, and closing again.`],
    };
  });
}

async function timed(work: () => Promise<unknown>, path: string): Promise<{ readonly value: number }> {
  if (!fs.existsSync(path)) throw new Error(`${path} is gone`);
  const startedMs = performance.now();
  await work();
  return { value: performance.now() - startedMs };
}

async function withJournal<T>(directory: string, work: (journal: Journal) => Promise<T>): Promise<T> {
  const journal = await openBenchJournal(directory, realWorld);
  const result = await work(journal);
  await journal.close();
  return result;
}

function readAll(path: string): void {
  const entries = readRecords(realWorld.fileSystem, path);
  while (entries.next().done !== true) continue;
}

async function writeHistory(directory: string, records: number): Promise<void> {
  let left = Math.ceil(records / RECORDS_PER_ACT);
  await withJournal(directory, async (journal) => {
    await Promise.all(Array.from({ length: APPENDERS }, async (_, appender) => {
      while (left-- > 0) await act(journal, 100 + appender);
    }));
  });
}

async function act(journal: Journal, vmid: number): Promise<void> {
  const guest = { kind: "qemu", vmid, identity: { smbiosUuid: "11111111-2222-4333-8444-555555555101", createdAt: "1768175503" } };
  const { id } = valueOf(await journal.begin({ guest, action: "set_config", params: { set: { cores: 4, description: "as declared" }, digest: "0123456789" }, provenance: "desired" }));
  valueOf(await journal.apply(id, { type: "succeed", by: "answer" }));
}

/** Appends until little more would begin a new segment. */
async function fillLastSegment(directory: string): Promise<void> {
  await withJournal(directory, async (journal) => {
    // Just behind a rotation, then almost as much as fits before the next.
    valueOf(await journal.compact());
    const { segment, sequence } = journal.head();
    const perRecord = await bytesPerRecord(journal);
    const limit = sequence + Math.floor((0.98 * DEFAULT_LIMITS.segmentBytes) / perRecord);
    while (journal.head().segment === segment && journal.head().sequence < limit) {
      await Promise.all(Array.from({ length: 16 }, (_, index) => act(journal, 100 + index)));
    }
    if (journal.head().segment !== segment) throw new Error("the segment was followed by a new one before it was full");
  });

  /** By the records themselves: a segment that is filled ahead has its full size from the start. */
  async function bytesPerRecord(journal: Journal): Promise<number> {
    const { segment } = journal.head();
    const contentBytes = (): number => fs.readFileSync(join(directory, segment), "utf8").replace(/[\n\0]+$/, "\n").length;
    const [bytes, first] = [contentBytes(), journal.head().sequence];
    for (let index = 0; index < 16; index++) await act(journal, 100 + index);
    return (contentBytes() - bytes) / (journal.head().sequence - first);
  }
}

function keptText(directory: string): string {
  const segments = fs.readdirSync(directory).filter((name) => name.endsWith(".journal"));
  const bytes = segments.reduce((sum, name) => sum + fs.statSync(join(directory, name)).size, 0);
  return `${(bytes / 1_048_576).toFixed(0)} MiB in ${segments.length} segments`;
}
