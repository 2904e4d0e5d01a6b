import { NO_LINK } from "./frame.ts";
import { listSegments, noJournalIn } from "./inspect.ts";
import { scanSegment, type JournalFinding, type JournalProblem, type SegmentScan } from "./scan.ts";
import { segmentName, type SegmentHeader } from "./segment.ts";
import type { JournalHead } from "./types.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";

/**
 * Proves that nothing in a journal was changed, dropped, reordered or inserted since its oldest segment
 * began, and tells apart what was done to it. No lock, no write; on the directory of a running agent or
 * on a copy. One segment is in memory at a time.
 */
export interface Verification {
  readonly outcome: "intact" | "torn" | "corrupt";
  /** Frames that verify and link, checkpoints included. */
  readonly records: number;
  /** The oldest record that is kept: what was before it has been removed by age or size. */
  readonly firstSequence: number;
  readonly head: JournalHead;
  /** The recorded head that was asked for, where it stands in the chain. */
  readonly from?: JournalHead;
  readonly problem?: JournalProblem;
}

export interface VerifyOptions {
  /** A head recorded earlier, 16 to 64 hex digits of its hash: it must be in the chain. */
  readonly from?: string;
}

/** `status` shows this much of a head: enough to be looked for. */
export const FROM_DIGITS_MIN = 16;

/** A running agent may be writing the last line, or removing an old segment, while it is read: look again this often. */
const LIVE_TRIES = 3;

/** Follows the chain through all segments. Fails when the directory cannot be read. */
export function verifyJournal(fileSystem: FileSystem, directory: string, options: VerifyOptions = {}): Result<Verification> {
  let verified = verifyOnce(fileSystem, directory, options.from);
  for (let attempt = 1; attempt < LIVE_TRIES && !(verified.ok && verified.value.outcome === "intact"); attempt++) {
    verified = verifyOnce(fileSystem, directory, options.from);
  }
  return verified;
}

function verifyOnce(fileSystem: FileSystem, directory: string, from: string | undefined): Result<Verification> {
  const names = listSegments(fileSystem, directory);
  if (!names.ok) return names;
  if (names.value.length === 0) return fault("journal.missing", noJournalIn(directory));
  const chain = new Chain(names.value, from?.toLowerCase());
  for (const name of names.value) {
    const bytes = fileSystem.readFile(`${directory}/${name}`);
    if (!bytes.ok) return bytes;
    if (!chain.add(scanSegment(name, bytes.value))) break;
  }
  return ok(chain.result());
}

type Break = readonly [JournalFinding, string];

/** Follows the chain from segment to segment. */
class Chain {
  readonly #names: readonly string[];
  readonly #from: string | undefined;
  #fromFound: JournalHead | undefined;
  #records = 0;
  #firstSequence = 0;
  #head: JournalHead = { segment: "", sequence: 0, hash: NO_LINK };
  /** Where the chain ends in its last segment. */
  #end = { line: 0, byte: 0 };
  #newest: SegmentHeader | undefined;
  #outcome: Verification["outcome"] = "intact";
  #problem: JournalProblem | undefined;
  /** A segment that does not belong here was passed over to see whether the next one fits without it. */
  #isPast = false;

  constructor(names: readonly string[], from: string | undefined) {
    this.#names = names;
    this.#from = from;
  }

  /** False when there is no point in reading on. */
  add(scan: SegmentScan): boolean {
    if (this.#isPast) return this.#judgeNext(scan);
    const broken = this.#breakBefore(scan);
    if (broken !== undefined) {
      this.#isPast = true;
      return this.#stop("corrupt", { finding: broken[0], segment: scan.name, line: 1, byte: 0, message: broken[1] });
    }
    this.#take(scan);
    if (scan.problem === undefined) return true;
    const isLast = scan.name === this.#names.at(-1);
    const message = isLast ? scan.problem.message : `${scan.problem.message}; a later segment exists, so this one had been synced`;
    this.#stop(isLast ? scan.outcome : "corrupt", { ...scan.problem, finding: isLast || scan.outcome !== "torn" ? scan.problem.finding : "damaged", message });
    return false;
  }

  result(): Verification {
    const isLost = this.#from !== undefined && this.#fromFound === undefined;
    if (this.#outcome === "intact" && isLost) this.#stop("corrupt", { finding: "head_missing", segment: this.#head.segment, ...this.#end, message: this.#missingHead() });
    return {
      outcome: this.#outcome,
      records: this.#records,
      firstSequence: this.#firstSequence,
      head: this.#head,
      ...(this.#fromFound === undefined ? {} : { from: this.#fromFound }),
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
    };
  }

  #missingHead(): string {
    const older = this.#firstSequence > 1 ? `, or it is older than record ${this.#firstSequence}, the first that is kept` : "";
    return `the recorded head ${this.#from ?? ""} is not in this chain, which ends here with record ${this.#head.sequence}: the end was cut off, this is an older copy or another journal${older}`;
  }

  #take(scan: SegmentScan): void {
    this.#newest = scan.header;
    this.#records += scan.frames.length;
    if (this.#firstSequence === 0) this.#firstSequence = scan.header?.firstSequence ?? 0;
    this.#findFrom(scan);
    this.#end = { line: scan.endLine, byte: scan.goodBytes };
    if (scan.frames.length > 0) this.#head = { segment: scan.name, sequence: scan.lastSequence, hash: scan.lastHash };
  }

  #findFrom(scan: SegmentScan): void {
    const from = this.#from;
    if (from === undefined || this.#fromFound !== undefined) return;
    const frame = scan.frames.find(({ hash }) => hash.startsWith(from));
    if (frame !== undefined) this.#fromFound = { segment: scan.name, sequence: frame.sequence, hash: frame.hash };
    // The last record of a segment that is not kept any more.
    else if (scan.header?.previousHead.startsWith(from) === true) this.#fromFound = { segment: "", sequence: scan.header.firstSequence - 1, hash: scan.header.previousHead };
  }

  #breakBefore({ name, header }: SegmentScan): Break | undefined {
    if (header === undefined) return undefined;
    const ownName = segmentName(header.firstSequence);
    if (ownName !== name) {
      return this.#names.includes(ownName)
        ? ["segment_repeated", `by its header this is a copy of ${ownName}, which is here too: move this one away`]
        : ["segment_renamed", `by its header this is ${ownName}: the file was renamed`];
    }
    // The oldest segment: what was before it has been removed by age or size, if it was not the first.
    if (this.#head.sequence === 0) return undefined;
    const due = this.#head.sequence + 1;
    if (header.previousHead === this.#head.hash && header.firstSequence === due) return undefined;
    if (header.firstSequence > due) return ["segment_missing", `the segment before this one ends with record ${due - 1}, this one begins with ${header.firstSequence}: the segment ${segmentName(due)} is missing, or the end of the one before was cut off`];
    return ["segment_foreign", `the header does not link to record ${due - 1}, with which the segment before this one ends: it ${this.#originOf(header)}`];
  }

  #originOf(header: SegmentHeader): string {
    const newest = this.#newest;
    const isElsewhere = newest !== undefined && (newest.node !== header.node || newest.machineId !== header.machineId);
    return isElsewhere ? `comes from another journal (node ${header.node}, made ${header.createdAt})` : `comes from another journal or an older copy of this one (made ${header.createdAt})`;
  }

  /** After a segment that does not belong here: whether the chain is whole without it. */
  #judgeNext({ header, name }: SegmentScan): boolean {
    const fits = header !== undefined && header.previousHead === this.#head.hash && header.firstSequence === this.#head.sequence + 1;
    if (!fits || this.#problem === undefined) return true;
    this.#problem = { ...this.#problem, message: `${this.#problem.message}; without this file the chain goes on in ${name}` };
    return false;
  }

  /** True: the next segment may still tell more. */
  #stop(outcome: Verification["outcome"], problem: JournalProblem): true {
    this.#outcome = outcome;
    this.#problem = problem;
    return true;
  }
}
