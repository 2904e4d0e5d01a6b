import { Database } from "bun:sqlite";
import fs from "node:fs";
import { join } from "node:path";
import { atLeast, contest, ratioTo, rowOf, type BenchSettings, type Goal, type Results, type Row, type Table } from "./contest.ts";
import { measureJournal, RECORD_BODY, RECORD_LINE } from "../src/bench/journal-load.ts";
import { inScratch, measureRawSyncs, type FileKind } from "../src/bench/raw-disk.ts";
import { measureAppends, type Sample } from "../src/bench/rounds.ts";
import { APPENDERS } from "../src/bench/suite.ts";
import { realWorld } from "./world.ts";

/**
 * The journal against its rivals, in turns on one disk, at the same number of appenders: one write and
 * fdatasync a record behind a mutex, on the thread pool and in place; bun:sqlite (WAL,
 * synchronous=FULL), one transaction a record and one for all that wait; and the disk's own limit, a
 * loop that writes and syncs as many records at once as there are appenders, on both kinds of files.
 */
const JOURNAL = "journal";
const PLAIN = "write + fdatasync each, thread pool";
const PLAIN_IN_PLACE = "write + fdatasync each, in place";
const SQLITE = "SQLite, WAL FULL, each";
const SQLITE_BATCHED = "SQLite, WAL FULL, batched";

const ALONE_GOAL = 0.9;
const PLAIN_GOAL = 20;
const PLAIN_APPENDERS = 64;

/** "64 appenders". */
function settingOf(appenders: number): string {
  return appenders === 1 ? "1 appender" : `${appenders} appenders`;
}

function rawName(kind: FileKind): string {
  return `disk limit, ${kind} file`;
}

export async function run({ isQuick, directory }: BenchSettings): Promise<Results> {
  const load = { durationMs: isQuick ? 100 : 300, rounds: isQuick ? 5 : 15 };
  const rows: Row[] = [];
  const seen: { kind?: FileKind } = {};
  await inScratch(directory, async (base) => {
    for (const appenders of APPENDERS) {
      const contenders = contendersFor(base, appenders, load.durationMs, (kind) => (seen.kind = kind));
      rows.push(...(await contest(settingOf(appenders), contenders, load.rounds)));
    }
  });
  const limit = rawName(seen.kind ?? "growing");
  const table: Table = { title: "Records appended and durable", ours: JOURNAL, unit: "records/s", better: "higher", rows };
  return {
    name: "journal", title: "Journal", tables: [table], goals: goalsOf(table, limit),
    notes: [
      `The journal's own limit is "${limit}": the kind of file it was seen to write.`,
      `A record has ${RECORD_LINE.length} bytes as the journal writes it, ${RECORD_BODY.length} as SQLite gets it: no check, no link.`,
    ],
  };
}

function goalsOf(table: Table, limit: string): readonly Goal[] {
  const ratio = (contender: string, appenders: number): number => ratioTo(table, rowOf(table, contender, settingOf(appenders)));
  const sqlite = APPENDERS.flatMap((appenders) => [SQLITE, SQLITE_BATCHED].map((name) => ratio(name, appenders)));
  return [
    atLeast(`alone at least ${ALONE_GOAL} of the disk's limit, on the same kind of file`, ratio(limit, 1), ALONE_GOAL),
    atLeast(`${PLAIN_APPENDERS} appenders at least ${PLAIN_GOAL} × one write + fdatasync a record, whichever way is faster`, Math.min(ratio(PLAIN, PLAIN_APPENDERS), ratio(PLAIN_IN_PLACE, PLAIN_APPENDERS)), PLAIN_GOAL),
    atLeast("never behind SQLite at the same number of appenders; the closest", Math.min(...sqlite), 1),
  ];
}

function contendersFor(base: string, appenders: number, durationMs: number, onKind: (kind: FileKind) => void) {
  const batch = Buffer.concat(Array.from({ length: appenders }, () => RECORD_LINE));
  const raw = (kind: FileKind) => ({ name: rawName(kind), sample: () => sampleRaw(base, kind, batch, appenders, durationMs) });
  const fresh = (sample: (directory: string) => Promise<Sample>) => () => inScratch(base, sample);
  return [
    raw("growing"),
    raw("filled"),
    { name: JOURNAL, sample: fresh((path) => measureJournal(realWorld, { directory: join(path, "journal"), appenders, durationMs, onKind })) },
    { name: PLAIN, sample: fresh((path) => samplePlain(path, appenders, durationMs, syncByThread)) },
    { name: PLAIN_IN_PLACE, sample: fresh((path) => samplePlain(path, appenders, durationMs, syncInPlace)) },
    { name: SQLITE, sample: fresh((path) => sampleSqlite(path, appenders, durationMs, false)) },
    { name: SQLITE_BATCHED, sample: fresh((path) => sampleSqlite(path, appenders, durationMs, true)) },
  ];
}

async function sampleRaw(directory: string, kind: FileKind, bytes: Uint8Array, appenders: number, durationMs: number): Promise<Sample> {
  const { value, p50Ms, p99Ms } = await measureRawSyncs({ clock: realWorld.clock, directory, kind, bytes, durationMs });
  return { value: value * appenders, p50Ms, p99Ms };
}

function syncByThread(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(descriptor, (error) => (error ? reject(error) : resolve()));
  });
}

async function syncInPlace(descriptor: number): Promise<void> {
  fs.fdatasyncSync(descriptor);
}

/** The plain design: whoever holds the mutex writes and syncs one record. */
async function samplePlain(directory: string, appenders: number, durationMs: number, sync: (descriptor: number) => Promise<void>): Promise<Sample> {
  const descriptor = fs.openSync(join(directory, "plain"), "a", 0o600);
  const append = oneAtATime(async () => {
    fs.writeSync(descriptor, RECORD_LINE);
    await sync(descriptor);
  });
  const sample = await measureAppends({ clock: realWorld.clock, appenders, durationMs, append });
  fs.closeSync(descriptor);
  return sample;
}

/** A mutex: each turn begins when the one before has ended, and waiting counts. */
function oneAtATime(turn: () => Promise<void>): () => Promise<void> {
  let tail: Promise<void> = Promise.resolve();
  return () => (tail = tail.then(turn));
}

async function sampleSqlite(directory: string, appenders: number, durationMs: number, isBatched: boolean): Promise<Sample> {
  const database = new Database(join(directory, "records.db"), { create: true });
  database.run("PRAGMA journal_mode = WAL");
  database.run("PRAGMA synchronous = FULL");
  database.run("CREATE TABLE record (id INTEGER PRIMARY KEY, body TEXT)");
  const insert = database.query("INSERT INTO record (body) VALUES (?)");
  const each = oneAtATime(async () => void insert.run(RECORD_BODY));
  const append = isBatched ? batched(database.transaction((count: number) => {
    for (let record = 0; record < count; record++) insert.run(RECORD_BODY);
  })) : each;
  const sample = await measureAppends({ clock: realWorld.clock, appenders, durationMs, append });
  database.close();
  return sample;
}

/** All that wait share a transaction: the group commit that SQLite leaves to its user. */
function batched(commit: (count: number) => void): () => Promise<void> {
  const waiting: (() => void)[] = [];
  const flush = (): void => {
    const batch = waiting.splice(0);
    commit(batch.length);
    for (const resolve of batch) resolve();
  };
  return () => new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(flush);
  });
}
