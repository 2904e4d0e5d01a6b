import { join } from "node:path";
import { measureAppends, type Sample } from "./rounds.ts";
import type { FileKind } from "./raw-disk.ts";
import { decodeFrame, encodeFrame, NO_LINK } from "../journal/frame.ts";
import { openJournal, type JournalOptions } from "../journal/journal.ts";
import { decodeRecord, encodeRecord } from "../journal/record.ts";
import type { Journal } from "../journal/types.ts";
import type { Clock } from "../ports/clock.ts";
import type { Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";

/** What the agent's own parts need of the world. */
export interface BenchWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly fileSystem: FileSystem;
}

/** What is appended: about as long as the records of an act. */
const VALUE = "x".repeat(80);
const RECORD = { kind: "fact", at: "2026-01-01T00:00:00.000Z", namespace: "bench", key: "k0", value: VALUE } as const;
const SALT = "00".repeat(16);
/** Facts are kept in memory; the latest of each is enough here. */
const FACT_KEYS = 100;
/** Segments that are full are removed again: the disk is not to be filled. */
const RETAIN_BYTES = 32 * 1_048_576;

/** Nobody reads the log of a benchmark; what fails is thrown. */
const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** One record as a rival would have to write it, as text. */
export const RECORD_BODY: string = encodeRecord(RECORD);
/** One record as the journal writes it. */
export const RECORD_LINE: Uint8Array = Buffer.from(encodeFrame(SALT, 1_000, 1_000, NO_LINK, RECORD_BODY).line);

/** Opens a journal in `directory`, whose parent must exist; throws when it is not healthy. */
export async function openBenchJournal(directory: string, { clock, random, fileSystem }: BenchWorld, limits: JournalOptions["limits"] = {}): Promise<Journal> {
  const journal = valueOf(await openJournal({ directory, node: "bench", machineId: "bench", version: "bench", fileSystem, clock, random, log: SILENT, limits }));
  const { state, message } = journal.health();
  if (state === "healthy") return journal;
  await journal.close();
  throw new Error(message);
}

/** The value, or the fault thrown: in a benchmark nothing may fail. */
export function valueOf<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

export interface JournalLoad {
  /** An empty directory's path, which must not exist. */
  readonly directory: string;
  readonly appenders: number;
  readonly durationMs: number;
  readonly interrupted?: AbortSignal;
  /** Told what kind of file this journal writes. */
  readonly onKind?: (kind: FileKind) => void;
}

/** Appends records to a fresh journal: records a second, and how long one waited for its place on the disk. */
export async function measureJournal(world: BenchWorld, { directory, appenders, durationMs, interrupted, onKind }: JournalLoad): Promise<Sample> {
  const journal = await openBenchJournal(directory, world, { retainBytes: RETAIN_BYTES });
  try {
    let count = 0;
    const append = async (): Promise<void> => {
      valueOf(await journal.putFact("bench", `k${count++ % FACT_KEYS}`, VALUE));
    };
    await append();
    const sample = await measureAppends({ clock: world.clock, appenders, durationMs, append, ...(interrupted === undefined ? {} : { interrupted }) });
    onKind?.(await fileKindOf(world.fileSystem, directory, journal, append));
    return sample;
  } finally {
    await journal.close();
  }
}

/** Looked at rather than known: whether one more record makes the segment longer. */
async function fileKindOf(fileSystem: FileSystem, directory: string, journal: Journal, append: () => Promise<void>): Promise<FileKind> {
  // A rotation in between would compare two files: then the second look decides.
  for (;;) {
    const { segment } = journal.head();
    const before = valueOf(fileSystem.status(join(directory, segment))).sizeBytes;
    await append();
    if (journal.head().segment === segment) return valueOf(fileSystem.status(join(directory, segment))).sizeBytes === before ? "filled" : "growing";
  }
}

/** Encodes one record after the other, each with its check and its link to the one before. */
export function createEncoder(): () => string {
  let [link, sequence] = [NO_LINK, 1];
  return () => {
    const { line, hash } = encodeFrame(SALT, sequence, sequence, link, encodeRecord(RECORD));
    sequence += 1;
    link = hash;
    return line;
  };
}

/** Reads and checks one record. */
export function decodeOne(): void {
  const frame = decodeFrame(SALT, RECORD_LINE.subarray(0, -1));
  if (frame === undefined) throw new Error("a frame that was just written does not verify");
  valueOf(decodeRecord(frame.body));
}
