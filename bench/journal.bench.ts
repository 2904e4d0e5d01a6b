import { Database } from "bun:sqlite";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeFrame, NO_LINK } from "../src/journal/frame.ts";
import { openJournal } from "../src/journal/journal.ts";
import { encodeRecord } from "../src/journal/record.ts";
import { createFileSystem } from "../src/runtime/file-system.ts";
import type { Clock } from "../src/ports/clock.ts";

/**
 * The journal against its rivals, in one run on one disk, at the same number of concurrent appenders:
 * a mutex with write + fdatasync per record; bun:sqlite (WAL, synchronous=FULL), one insert a
 * transaction and one transaction for all that wait; and the disk's own limit, a loop of the same
 * bytes written and synced synchronously, one batch of that many records a sync.
 */
interface JournalBenchRow {
  readonly rival: string;
  readonly appenders: number;
  readonly recordsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const APPENDERS = [1, 8, 64, 512] as const;
const RUN_MS = 700;
const FACT = { kind: "fact", at: "2026-01-01T00:00:00.000Z", namespace: "bench", key: "k", value: "x".repeat(80) } as const;
const LINE = Buffer.from(encodeFrame("00".repeat(16), 1_000, 1_000, NO_LINK, encodeRecord(FACT)).line);

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (durationMs) => Bun.sleep(durationMs),
  schedule: () => () => undefined,
};

/** Runs every rival and prints rows, then ratios; `directory` is where the disk is measured (default: the temporary one). */
export async function run(print: (line: string) => void = printLine, directory: string = tmpdir()): Promise<readonly JournalBenchRow[]> {
  const base = fs.mkdtempSync(join(directory, "steward-bench-"));
  try {
    const rows: JournalBenchRow[] = [];
    for (const appenders of APPENDERS) {
      rows.push(await benchRaw(base, appenders), await benchJournal(base, appenders), await benchPlain(base, appenders));
      rows.push(await benchSqlite(base, appenders, "each"), await benchSqlite(base, appenders, "batched"));
    }
    print(`${"rival".padEnd(22)} ${"appenders".padStart(9)} ${"records/s".padStart(10)} ${"p50 ms".padStart(8)} ${"p99 ms".padStart(8)} ${"journal is".padStart(10)}`);
    for (const row of rows) print(formatRow(row, rows));
    print(`encode + check + chain: ${measureEncoding().toFixed(2)} µs a record`);
    return rows;
  } finally {
    fs.rmSync(base, { recursive: true, force: true });
  }
}

function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

function formatRow(row: JournalBenchRow, rows: readonly JournalBenchRow[]): string {
  const journal = rows.find(({ rival, appenders }) => rival === "journal" && appenders === row.appenders);
  const ratio = journal === undefined || row === journal ? "" : `${(journal.recordsPerSecond / row.recordsPerSecond).toFixed(2)}×`;
  const numbers = [row.appenders.toString().padStart(9), row.recordsPerSecond.toFixed(0).padStart(10), row.p50Ms.toFixed(3).padStart(8), row.p99Ms.toFixed(3).padStart(8)];
  return `${row.rival.padEnd(22)} ${numbers.join(" ")} ${ratio.padStart(10)}`;
}

/** Keeps `appenders` appends under way for RUN_MS and times each. */
async function measure(rival: string, appenders: number, append: () => Promise<void>): Promise<JournalBenchRow> {
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: appenders }, async () => {
    while (performance.now() - startedAt < RUN_MS) {
      const begunAt = performance.now();
      await append();
      latenciesMs.push(performance.now() - begunAt);
    }
  }));
  return rowOf(rival, appenders, latenciesMs, performance.now() - startedAt);
}

function rowOf(rival: string, appenders: number, latenciesMs: number[], tookMs: number): JournalBenchRow {
  const sorted = latenciesMs.toSorted((left, right) => left - right);
  const quantile = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { rival, appenders, recordsPerSecond: (sorted.length / tookMs) * 1000, p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
}

async function benchJournal(base: string, appenders: number): Promise<JournalBenchRow> {
  const opened = await openJournal({
    directory: join(base, `journal-${appenders}`), node: "bench", machineId: "bench", version: "bench",
    fileSystem: createFileSystem(), clock,
    random: { fraction: () => 0.5, bytes: (sizeBytes) => crypto.getRandomValues(new Uint8Array(sizeBytes)) },
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  });
  if (!opened.ok) throw new Error(opened.error.message);
  let count = 0;
  const row = await measure("journal", appenders, async () => {
    const put = await opened.value.putFact("bench", `k${count++ % 100}`, FACT.value);
    if (!put.ok) throw new Error(put.error.message);
  });
  await opened.value.close();
  return row;
}

function ignore(): void {
  // The bench measures the journal, not the log.
}

/** The disk's limit: what no journal can beat, on a file that grows as the journal's does. */
async function benchRaw(base: string, appenders: number): Promise<JournalBenchRow> {
  const descriptor = fs.openSync(join(base, `raw-${appenders}`), "a", 0o600);
  const batch = Buffer.concat(Array.from({ length: appenders }, () => LINE));
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  while (performance.now() - startedAt < RUN_MS) {
    const begunAt = performance.now();
    fs.writeSync(descriptor, batch);
    fs.fdatasyncSync(descriptor);
    const tookMs = performance.now() - begunAt;
    for (let record = 0; record < appenders; record++) latenciesMs.push(tookMs);
  }
  const tookMs = performance.now() - startedAt;
  fs.closeSync(descriptor);
  return rowOf("raw disk, one sync each", appenders, latenciesMs, tookMs);
}

/** The plain design: whoever holds the mutex writes and syncs one record. */
async function benchPlain(base: string, appenders: number): Promise<JournalBenchRow> {
  const descriptor = fs.openSync(join(base, `plain-${appenders}`), "a", 0o600);
  let tail: Promise<void> = Promise.resolve();
  const row = await measure("write+fdatasync each", appenders, () => {
    tail = tail.then(() => new Promise<void>((resolve, reject) => {
      fs.writeSync(descriptor, LINE);
      fs.fdatasync(descriptor, (error) => (error ? reject(error) : resolve()));
    }));
    return tail;
  });
  fs.closeSync(descriptor);
  return row;
}

async function benchSqlite(base: string, appenders: number, how: "each" | "batched"): Promise<JournalBenchRow> {
  const database = new Database(join(base, `sqlite-${how}-${appenders}.db`), { create: true });
  database.run("PRAGMA journal_mode = WAL");
  database.run("PRAGMA synchronous = FULL");
  database.run("CREATE TABLE record (id INTEGER PRIMARY KEY, body TEXT)");
  const insert = database.query("INSERT INTO record (body) VALUES (?)");
  const body = encodeRecord(FACT);
  const waiting: (() => void)[] = [];
  const flush = (): void => {
    const batch = waiting.splice(0);
    database.transaction(() => batch.forEach(() => insert.run(body)))();
    for (const resolve of batch) resolve();
  };
  const append = how === "each"
    ? async (): Promise<void> => { insert.run(body); }
    : (): Promise<void> => new Promise((resolve) => {
        if (waiting.push(resolve) === 1) setImmediate(flush);
      });
  const row = await measure(`sqlite WAL FULL, ${how}`, appenders, append);
  database.close();
  return row;
}

/** Microseconds to encode one record, hash it and link it. */
function measureEncoding(): number {
  const count = 100_000;
  let link = NO_LINK;
  const startedAt = performance.now();
  for (let sequence = 1; sequence <= count; sequence++) link = encodeFrame("00".repeat(16), sequence, sequence, link, encodeRecord(FACT)).hash;
  return ((performance.now() - startedAt) * 1000) / count;
}

if (import.meta.main) await run(printLine, process.argv[2]);
