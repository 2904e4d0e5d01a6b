import { NO_LINK } from "./frame.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { LiveTable } from "./live-table.ts";
import type { JournalRecord } from "./record.ts";
import { scanSegment, type JournalProblem, type ScannedFrame, type SegmentScan } from "./scan.ts";
import { segmentName, segmentNames } from "./segment.ts";
import type { JournalHead, Operation } from "./types.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";

/**
 * Looking at a journal without opening it: no lock, no write; on the directory of a running agent, or
 * on a copy. One segment is in memory at a time.
 */
export interface Verification {
  readonly outcome: "intact" | "torn" | "corrupt";
  /** Frames that verify and link, checkpoints included. */
  readonly records: number;
  readonly head: JournalHead;
  readonly problem?: JournalProblem;
}

/** A record and where it stands. `isSnapshot`: it repeats live state at the head of a segment, nothing happened then. */
export interface JournalEntry {
  readonly record: JournalRecord;
  readonly segment: string;
  readonly line: number;
  readonly sequence: number;
  readonly hash: string;
  readonly isSnapshot: boolean;
}

/** A running agent may be writing the last line, or removing an old segment, while it is read: look again this often. */
const LIVE_TRIES = 3;

/**
 * Proves that nothing in the journal was changed, dropped, reordered or inserted since its oldest
 * segment began. `from` is a head recorded earlier: it must be in the chain, which also finds what no
 * chain can show from inside, that the end was cut off. Fails when the directory cannot be read.
 */
export function verifyJournal(fileSystem: FileSystem, directory: string, options: { readonly from?: string } = {}): Result<Verification> {
  let verified = verifyOnce(fileSystem, directory, options.from);
  for (let attempt = 1; attempt < LIVE_TRIES && !(verified.ok && verified.value.outcome === "intact"); attempt++) {
    verified = verifyOnce(fileSystem, directory, options.from);
  }
  return verified;
}

function verifyOnce(fileSystem: FileSystem, directory: string, from: string | undefined): Result<Verification> {
  const names = listSegments(fileSystem, directory);
  if (!names.ok) return names;
  const chain = new Chain(from);
  for (const [index, name] of names.value.entries()) {
    const bytes = fileSystem.readFile(`${directory}/${name}`);
    if (!bytes.ok) return bytes;
    if (!chain.add(scanSegment(name, bytes.value), index === names.value.length - 1)) break;
  }
  return ok(chain.result());
}

function listSegments(fileSystem: FileSystem, directory: string): Result<readonly string[]> {
  const listed = fileSystem.list(directory);
  if (!listed.ok) return listed;
  const names = segmentNames(listed.value);
  return names.length > 0 ? ok(names) : fault("journal.missing", `${directory} holds no journal: expected files like ${segmentName(1)}`);
}

/** Follows the chain from segment to segment. */
class Chain {
  readonly #from: string | undefined;
  #hasFrom: boolean;
  #records = 0;
  #head: JournalHead = { segment: "", sequence: 0, hash: NO_LINK };
  #outcome: Verification["outcome"] = "intact";
  #problem: JournalProblem | undefined;

  constructor(from: string | undefined) {
    this.#from = from?.toLowerCase();
    this.#hasFrom = from === undefined;
  }

  /** False when there is no point in reading on. */
  add(scan: SegmentScan, isLast: boolean): boolean {
    const broken = this.#breakBefore(scan);
    if (broken !== undefined) return this.#stop("corrupt", { segment: scan.name, line: 1, byte: 0, message: broken });
    this.#records += scan.frames.length;
    this.#hasFrom ||= scan.header?.previousHead === this.#from || scan.frames.some((frame) => frame.hash === this.#from);
    if (scan.frames.length > 0) this.#head = { segment: scan.name, sequence: scan.lastSequence, hash: scan.lastHash };
    if (scan.problem === undefined) return true;
    const message = isLast ? scan.problem.message : `${scan.problem.message}; a later segment exists, so this one had been synced`;
    return this.#stop(isLast ? scan.outcome : "corrupt", { ...scan.problem, message });
  }

  result(): Verification {
    if (this.#outcome === "intact" && !this.#hasFrom) {
      const message = `the recorded head ${this.#from} is not in this journal: its end was cut off, it is an older copy or another journal, or that head is older than what is kept`;
      this.#stop("corrupt", { segment: this.#head.segment, line: 0, byte: 0, message });
    }
    const problem = this.#problem === undefined ? {} : { problem: this.#problem };
    return { outcome: this.#outcome, records: this.#records, head: this.#head, ...problem };
  }

  #breakBefore({ name, header }: SegmentScan): string | undefined {
    if (header === undefined) return undefined;
    if (segmentName(header.firstSequence) !== name) return `the header says ${segmentName(header.firstSequence)}: the file was renamed`;
    // The oldest segment: what was before it has been removed by age or size, if it was not the first.
    if (this.#head.sequence === 0) return undefined;
    if (header.firstSequence !== this.#head.sequence + 1) return `expected record ${this.#head.sequence + 1} to begin this segment: a segment is missing`;
    return header.previousHead === this.#head.hash ? undefined : "the header does not link to the segment before it";
  }

  #stop(outcome: Verification["outcome"], problem: JournalProblem): false {
    this.#outcome = outcome;
    this.#problem = problem;
    return false;
  }
}

/**
 * Every record that can be read, oldest first, damaged places skipped and told to `onDamage` (a
 * segment that was removed meanwhile, too). Check with `verifyJournal` whether they can be trusted.
 */
export function* readRecords(fileSystem: FileSystem, directory: string, onDamage: (problem: JournalProblem) => void = () => undefined): Generator<JournalEntry> {
  const names = listSegments(fileSystem, directory);
  if (!names.ok) return onDamage({ segment: "", line: 0, byte: 0, message: names.error.message });
  for (const name of names.value) {
    const bytes = fileSystem.readFile(`${directory}/${name}`);
    if (!bytes.ok) {
      onDamage({ segment: name, line: 0, byte: 0, message: bytes.error.message });
      continue;
    }
    const scan = scanSegment(name, bytes.value);
    if (scan.problem !== undefined) onDamage(scan.problem);
    for (const frame of [...scan.frames, ...scan.stray]) yield entryOf(name, frame);
  }
}

function entryOf(segment: string, { record, line, sequence, hash, isSnapshot }: ScannedFrame): JournalEntry {
  return { record, segment, line, sequence, hash, isSnapshot };
}

/** All operations the records speak of, by id, as they stand after the last one. Pure. */
export function foldOperations(records: Iterable<JournalRecord>): ReadonlyMap<string, Operation> {
  const table = new LiveTable({ ...DEFAULT_LIMITS, recentOperations: Number.MAX_SAFE_INTEGER });
  for (const record of records) table.apply(record);
  const operations = [...table.recentOperations(), ...table.openOperations()];
  return new Map(operations.sort((left, right) => (left.id < right.id ? -1 : 1)).map((operation) => [operation.id, operation]));
}
