import { DEFAULT_LIMITS } from "./limits.ts";
import { LiveTable } from "./live-table.ts";
import type { JournalRecord } from "./record.ts";
import { scanSegment, type JournalProblem, type ScannedFrame, type SegmentScan } from "./scan.ts";
import { segmentName, segmentNames } from "./segment.ts";
import type { Operation } from "./types.ts";
import { ok, type Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";

/**
 * Reading a journal's records without opening it: no lock, no write; on the directory of a running
 * agent, or on a copy. One segment is in memory at a time. Whether they can be trusted: verify.ts.
 */

/** A record and where it stands. `isSnapshot`: it repeats live state at the head of a segment, nothing happened then. */
export interface JournalEntry {
  readonly record: JournalRecord;
  readonly segment: string;
  /** Counts from 1; the header is line 1. */
  readonly line: number;
  readonly sequence: number;
  readonly hash: string;
  readonly isSnapshot: boolean;
}

/** One segment as far as it can be read. */
export interface SegmentEntries {
  readonly entries: readonly JournalEntry[];
  /** RFC 3339 UTC; absent when the header is damaged. */
  readonly createdAt?: string;
  readonly problem?: JournalProblem;
}

/** A running agent may be writing the last line while it is read: look again this often. */
const LIVE_TRIES = 3;

/** Segment names in `directory`, oldest first. */
export function listSegments(fileSystem: FileSystem, directory: string): Result<readonly string[]> {
  const listed = fileSystem.list(directory);
  return listed.ok ? ok(segmentNames(listed.value)) : listed;
}

/**
 * Every record of one segment that can be read, in the file's order, damaged places skipped and told.
 * `mustHold`: a segment without this text is not looked at any closer (looking for one operation).
 */
export function readSegment(fileSystem: FileSystem, directory: string, name: string, isLast: boolean, mustHold?: string): SegmentEntries {
  for (let attempt = 1; ; attempt++) {
    const bytes = fileSystem.readFile(`${directory}/${name}`);
    if (!bytes.ok) return { entries: [], problem: unreadable(name, bytes.error.message) };
    if (mustHold !== undefined && !Buffer.from(bytes.value.buffer, bytes.value.byteOffset, bytes.value.length).includes(mustHold)) return { entries: [] };
    const scan = scanSegment(name, bytes.value);
    if (scan.outcome === "torn" && isLast && attempt < LIVE_TRIES) continue;
    return entriesOf(scan, isLast);
  }
}

/** What is said of a directory without segments. */
export function noJournalIn(directory: string): string {
  return `${directory} holds no journal: expected files like ${segmentName(1)}`;
}

function unreadable(segment: string, message: string): JournalProblem {
  return { finding: "unreadable", segment, line: 0, byte: 0, message };
}

function entriesOf(scan: SegmentScan, isLast: boolean): SegmentEntries {
  const problem = scan.problem === undefined || isLast || scan.problem.finding !== "torn_tail" ? scan.problem : { ...scan.problem, finding: "damaged" as const };
  return {
    entries: [...scan.frames, ...scan.stray].map((frame) => entryOf(scan.name, frame)),
    ...(scan.header === undefined ? {} : { createdAt: scan.header.createdAt }),
    ...(problem === undefined ? {} : { problem }),
  };
}

/**
 * Every record that can be read, oldest first; damaged places and a segment that was removed meanwhile
 * are told to `onDamage`.
 */
export function* readRecords(fileSystem: FileSystem, directory: string, onDamage: (problem: JournalProblem) => void = () => undefined, mustHold?: string): Generator<JournalEntry> {
  const names = listSegments(fileSystem, directory);
  if (!names.ok) return onDamage(unreadable("", names.error.message));
  if (names.value.length === 0) return onDamage(unreadable("", noJournalIn(directory)));
  for (const name of names.value) {
    const { entries, problem } = readSegment(fileSystem, directory, name, name === names.value.at(-1), mustHold);
    if (problem !== undefined) onDamage(problem);
    yield* entries;
  }
}

/** A frame as an entry of `segment`. */
export function entryOf(segment: string, { record, line, sequence, hash, isSnapshot }: Omit<ScannedFrame, "offset" | "batch" | "link" | "body">): JournalEntry {
  return { record, segment, line, sequence, hash, isSnapshot };
}

/** All operations the records speak of, by id, as they stand after the last one. Pure. */
export function foldOperations(records: Iterable<JournalRecord>): ReadonlyMap<string, Operation> {
  const table = new LiveTable({ ...DEFAULT_LIMITS, recentOperations: Number.MAX_SAFE_INTEGER });
  for (const record of records) table.apply(record);
  const operations = [...table.recentOperations(), ...table.openOperations()];
  return new Map(operations.sort((left, right) => (left.id < right.id ? -1 : 1)).map((operation) => [operation.id, operation]));
}
