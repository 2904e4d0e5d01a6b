import { decodeFrame, findFrames, type Frame } from "./frame.ts";
import { decodeRecord, type JournalRecord } from "./record.ts";
import { decodeHeader, isNewerFormat, type SegmentHeader } from "./segment.ts";

/**
 * Reads one segment's bytes and says what they are worth. Pure. The rule that tells a torn write from
 * corruption: batch b+1 is written only after batch b was synced. So when frame s+1 is damaged and any
 * frame behind it verifies and belongs to a batch that began after s+1, then s+1 had been synced, and
 * what is damaged had been acknowledged. A segment's first batch (its checkpoint) was synced before
 * the segment got its name: damage in it is always corruption.
 */
export interface ScannedFrame extends Frame {
  readonly record: JournalRecord;
  /** Counts from 1; the header is line 1. */
  readonly line: number;
  readonly offset: number;
  /** It belongs to the checkpoint the segment begins with. */
  readonly isSnapshot: boolean;
}

/** What kind of thing is wrong, as programs read it. */
export type JournalFinding =
  /** Damage in the last batch: a write that was cut short, or bit rot just there. */
  | "torn_tail"
  /** Bytes changed in what had been synced. */
  | "damaged"
  /** A frame that verifies is not the one that belongs here. */
  | "removed" | "moved" | "repeated" | "replaced"
  /** The same of whole segments. */
  | "segment_missing" | "segment_foreign" | "segment_renamed" | "segment_repeated"
  /** A head recorded elsewhere is not in the chain. */
  | "head_missing"
  | "newer_format"
  | "unreadable";

/** Where something is wrong. `line` counts from 1, `byte` from 0 in the segment. */
export interface JournalProblem {
  readonly finding: JournalFinding;
  readonly segment: string;
  readonly line: number;
  readonly byte: number;
  readonly message: string;
}

export interface SegmentScan {
  readonly name: string;
  readonly header: SegmentHeader | undefined;
  /** The unbroken chain from the header on. */
  readonly frames: readonly ScannedFrame[];
  /** Frames behind damage that verify by themselves: readable, not to be trusted for acting. */
  readonly stray: readonly ScannedFrame[];
  /** Sequence and hash the next frame must follow. */
  readonly lastSequence: number;
  readonly lastHash: string;
  /** Where the last good frame (or the header) ends; what follows is damage or empty space. */
  readonly goodBytes: number;
  /** The line that begins there; counts from 1. */
  readonly endLine: number;
  readonly outcome: "intact" | "torn" | "corrupt";
  readonly problem?: JournalProblem;
}

const LF = 0x0a;
const NUL = 0x00;

/** Scans `bytes`, the whole content of segment `name`. */
export function scanSegment(name: string, bytes: Uint8Array): SegmentScan {
  const headerEnd = bytes.indexOf(LF);
  const headerLine = Buffer.from(bytes.subarray(0, headerEnd === -1 ? bytes.length : headerEnd)).toString("utf8");
  const decoded = decodeHeader(headerLine);
  if (headerEnd === -1 || !decoded.ok) return withoutHeader(name, decoded.ok ? "the header line has no end" : decoded.error.message, headerLine);
  return new Scanner(name, bytes, decoded.value.header, decoded.value.hash, headerEnd + 1).run();
}

function withoutHeader(name: string, message: string, headerLine: string): SegmentScan {
  const problem = { finding: isNewerFormat(headerLine) ? "newer_format" : "damaged", segment: name, line: 1, byte: 0, message } as const;
  return { name, header: undefined, frames: [], stray: [], lastSequence: 0, lastHash: "", goodBytes: 0, endLine: 1, outcome: "corrupt", problem };
}

class Scanner {
  readonly #name: string;
  readonly #bytes: Uint8Array;
  readonly #header: SegmentHeader;
  readonly #frames: ScannedFrame[] = [];
  #position: number;
  #line = 2;
  #lastSequence: number;
  #lastHash: string;
  /** Sequence of the checkpoint's last frame; until the first frame is read, of that one. */
  #snapshotEnd: number;

  constructor(name: string, bytes: Uint8Array, header: SegmentHeader, headerHash: string, headerEnd: number) {
    this.#name = name;
    this.#bytes = bytes;
    this.#header = header;
    this.#position = headerEnd;
    this.#lastSequence = header.firstSequence - 1;
    this.#lastHash = headerHash;
    this.#snapshotEnd = header.firstSequence;
  }

  run(): SegmentScan {
    while (this.#position < this.#bytes.length) {
      const lineEnd = this.#bytes.indexOf(LF, this.#position);
      const line = this.#bytes.subarray(this.#position, lineEnd === -1 ? this.#bytes.length : lineEnd);
      const frame = lineEnd === -1 ? undefined : decodeFrame(this.#header.salt, line);
      if (frame === undefined) return this.#end();
      if (frame.sequence !== this.#lastSequence + 1) return this.#outOfOrder(frame);
      const broken = this.#contradictionOf(frame);
      if (broken !== undefined) return this.#stop("replaced", broken);
      const record = decodeRecord(frame.body);
      if (!record.ok) return this.#stop("newer_format", record.error.message);
      const misplaced = this.#take(frame, record.value, lineEnd + 1);
      if (misplaced !== undefined) return this.#stop("replaced", misplaced);
    }
    return this.#end();
  }

  /** A whole frame of this segment with another number than the one that is due. */
  #outOfOrder(frame: Frame): SegmentScan {
    const expected = this.#lastSequence + 1;
    const found = `expected record ${expected}, found record ${frame.sequence}`;
    const stray = this.#strayFrames();
    if (frame.sequence < expected) {
      const before = this.#frames.find(({ sequence }) => sequence === frame.sequence);
      return this.#result("corrupt", stray, "repeated", `${found}, which stands in line ${before?.line ?? 1} already: a line was repeated`);
    }
    const due = stray.find(({ sequence }) => sequence === expected);
    if (due !== undefined) return this.#result("corrupt", stray, "moved", `${found}; record ${expected} stands in line ${due.line}: lines were swapped or moved`);
    const missing = frame.sequence - 1 === expected ? `record ${expected} is` : `records ${expected} to ${frame.sequence - 1} are`;
    return this.#result("corrupt", stray, "removed", `${found}; ${missing} nowhere in this segment: ${frame.sequence - 1 === expected ? "a line was" : "lines were"} removed`);
  }

  /** A frame that verifies and has the right number but is not the one that belongs here. */
  #contradictionOf(frame: Frame): string | undefined {
    if (frame.link !== this.#lastHash) return `record ${frame.sequence} does not link to the record before it: one of the two was replaced`;
    const previousBatch = this.#frames.at(-1)?.batch;
    const continues = frame.batch === previousBatch || frame.batch === frame.sequence;
    return continues ? undefined : `record ${frame.sequence} claims batch ${frame.batch}, which is neither the running nor a new one`;
  }

  #take(frame: Frame, record: JournalRecord, nextPosition: number): string | undefined {
    const isFirst = frame.sequence === this.#header.firstSequence;
    if (isFirst !== (record.kind === "checkpoint")) {
      return isFirst ? "the segment does not begin with a checkpoint" : "a checkpoint in the middle of a segment";
    }
    if (record.kind === "checkpoint") this.#snapshotEnd = frame.sequence + record.records;
    const isSnapshot = frame.sequence <= this.#snapshotEnd;
    this.#frames.push({ ...frame, record, line: this.#line, offset: this.#position, isSnapshot });
    this.#lastSequence = frame.sequence;
    this.#lastHash = frame.hash;
    this.#position = nextPosition;
    this.#line++;
    return undefined;
  }

  /** What follows the last good frame is not a frame: empty space, a torn write, or corruption. */
  #end(): SegmentScan {
    if (this.#lastSequence < this.#snapshotEnd) {
      return this.#stop("damaged", `damaged within the checkpoint (record ${this.#lastSequence + 1}), which was synced before this file got its name`);
    }
    const sizeBytes = endOfContent(this.#bytes, this.#position) - this.#position;
    if (sizeBytes === 0) return this.#result("intact", []);
    const stray = this.#strayFrames();
    const later = stray.find((frame) => frame.batch > this.#lastSequence + 1);
    if (later === undefined) {
      return this.#result("torn", stray, "torn_tail", `record ${this.#lastSequence + 1} is incomplete: a write that was cut short (${sizeBytes} bytes)`);
    }
    const message = `record ${this.#lastSequence + 1} is damaged, and record ${later.sequence} of a later batch behind it is whole: data that had been acknowledged was changed`;
    return this.#result("corrupt", stray, "damaged", message);
  }

  #stop(finding: JournalFinding, message: string): SegmentScan {
    return this.#result("corrupt", this.#strayFrames(), finding, message);
  }

  #strayFrames(): ScannedFrame[] {
    return findFrames(this.#header.salt, this.#bytes.subarray(this.#position)).flatMap(({ frame, offset }) => {
      const record = decodeRecord(frame.body);
      const position = this.#position + offset;
      const line = this.#line + countLineFeeds(this.#bytes, this.#position, position);
      const isSnapshot = frame.sequence <= this.#snapshotEnd;
      return record.ok ? [{ ...frame, record: record.value, line, offset: position, isSnapshot }] : [];
    });
  }

  #result(outcome: "intact" | "torn" | "corrupt", stray: readonly ScannedFrame[], finding?: JournalFinding, message = ""): SegmentScan {
    const problem = finding === undefined ? {} : { problem: { finding, segment: this.#name, line: this.#line, byte: this.#position, message } };
    return {
      name: this.#name,
      header: this.#header,
      frames: this.#frames,
      stray,
      lastSequence: this.#lastSequence,
      lastHash: this.#lastHash,
      goodBytes: this.#position,
      endLine: this.#line,
      outcome,
      ...problem,
    };
  }
}

/** Where `bytes` end when the empty space behind them, LFs and NULs, is left out; not before `from`. */
export function endOfContent(bytes: Uint8Array, from: number): number {
  let end = bytes.length;
  while (end > from && (bytes[end - 1] === LF || bytes[end - 1] === NUL)) end--;
  return end;
}

function countLineFeeds(bytes: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let position = bytes.indexOf(LF, from); position !== -1 && position < to; position = bytes.indexOf(LF, position + 1)) count++;
  return count;
}

/** "0000000000000001.journal line 12 (byte 3456): …" */
export function formatProblem(problem: JournalProblem): string {
  return `${problem.segment} line ${problem.line} (byte ${problem.byte}): ${problem.message}`;
}
