import { decodeFrame } from "./frame.ts";
import { entryOf, listSegments, type JournalEntry } from "./inspect.ts";
import { decodeRecord } from "./record.ts";
import { endOfContent, formatProblem, scanSegment, type ScannedFrame } from "./scan.ts";
import { decodeHeader } from "./segment.ts";
import type { FileSystem, OpenFile } from "../ports/file-system.ts";

/**
 * Follows a journal that somebody else writes, as `tail -f` follows a log: over rotations, compactions
 * and removed segments, without a lock. Holds a chunk in memory and where it stands. Frames are shown
 * when they verify; one whose write fails afterwards may be shown and taken back, which is then told.
 */

/** What is read at a time: more than the largest record (limits.ts) takes. */
const CHUNK_BYTES = 1_048_576;
const LF = 0x0a;

/** The segment that is followed, and how far it was read. */
interface Place {
  readonly name: string;
  readonly salt: string;
  position: number;
  line: number;
  /** Sequence of the checkpoint's last frame. */
  snapshotEnd: number;
}

export class JournalTail {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #onNotice: (message: string) => void;
  #place: Place | undefined;
  /** Where to begin, then the segment that was read last. */
  #name: string;
  /** The newest record that was given. */
  #sequence: number;
  #lastNotice = "";

  /** Begins behind record `sequence` of `segment`; at the journal's beginning when that is "". `onNotice`: what a person should know. */
  constructor(fileSystem: FileSystem, directory: string, from: { readonly segment: string; readonly sequence: number }, onNotice: (message: string) => void) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#onNotice = onNotice;
    this.#name = from.segment;
    this.#sequence = from.sequence;
  }

  /** What has come since the last call, oldest first; ends when there is no more for now. */
  *poll(): Generator<JournalEntry> {
    for (;;) {
      yield* this.#readOn();
      const names = listSegments(this.#fileSystem, this.#directory);
      if (!names.ok) return this.#notice(names.error.message);
      const isThere = this.#place !== undefined && names.value.includes(this.#place.name);
      const next = isThere ? names.value.find((name) => name > this.#name) : names.value.find((name) => name >= this.#name);
      if (next === undefined) return;
      // What was appended before the next segment was made must not be passed over.
      if (isThere) yield* this.#readOn();
      if (!this.#enter(next)) return;
    }
  }

  /** Opens a segment's header. False: not readable yet. */
  #enter(name: string): boolean {
    const opened = this.#fileSystem.open(`${this.#directory}/${name}`, "read");
    // Gone since it was listed, or not ours to read: the next look lists again.
    if (!opened.ok) return opened.error.code === "file.not_found" ? false : this.#refuse(opened.error.message);
    const bytes = opened.value.read(0, CHUNK_BYTES);
    opened.value.close();
    if (!bytes.ok) return this.#refuse(bytes.error.message);
    const end = bytes.value.indexOf(LF);
    const decoded = decodeHeader(Buffer.from(bytes.value.subarray(0, Math.max(0, end))).toString("utf8"));
    if (!decoded.ok) return this.#refuse(`${name} line 1 (byte 0): ${decoded.error.message}`);
    const { salt, firstSequence } = decoded.value.header;
    if (this.#sequence > 0 && firstSequence > this.#sequence + 1) this.#notice(`records ${this.#sequence + 1} to ${firstSequence - 1} were removed before they could be shown`);
    this.#place = { name, salt, position: end + 1, line: 2, snapshotEnd: firstSequence };
    this.#name = name;
    return true;
  }

  *#readOn(): Generator<JournalEntry> {
    const place = this.#place;
    if (place === undefined) return;
    const opened = this.#fileSystem.open(`${this.#directory}/${place.name}`, "read");
    if (!opened.ok) return;
    try {
      while (yield* this.#readChunk(place, opened.value));
    } finally {
      opened.value.close();
    }
  }

  /** True: there is more to read. */
  *#readChunk(place: Place, file: OpenFile): Generator<JournalEntry, boolean> {
    const size = file.sizeBytes();
    const chunk = file.read(place.position, CHUNK_BYTES);
    if (!size.ok || !chunk.ok) return false;
    if (size.value < place.position) return yield* this.#readAnew(place, file, size.value);
    let at = 0;
    for (let end = chunk.value.indexOf(LF); end !== -1; end = chunk.value.indexOf(LF, at)) {
      const entry = this.#entryIn(place, chunk.value.subarray(at, end));
      if (entry === undefined) break;
      at = end + 1;
      place.position += entry.sizeBytes;
      place.line++;
      if (entry.entry !== undefined) yield entry.entry;
    }
    // What follows is empty space, a line that is being written, or damage.
    if (at > 0) return true;
    return endOfContent(chunk.value, 0) > 0 ? yield* this.#readAnew(place, file, size.value) : false;
  }

  #entryIn(place: Place, line: Uint8Array): { readonly entry?: JournalEntry; readonly sizeBytes: number } | undefined {
    const frame = decodeFrame(place.salt, line);
    const record = frame === undefined ? undefined : decodeRecord(frame.body);
    if (frame === undefined || record?.ok !== true) return undefined;
    if (record.value.kind === "checkpoint") place.snapshotEnd = frame.sequence + record.value.records;
    const sizeBytes = line.length + 1;
    if (frame.sequence <= this.#sequence) return { sizeBytes };
    this.#sequence = frame.sequence;
    return { sizeBytes, entry: entryOf(place.name, { ...frame, record: record.value, line: place.line, isSnapshot: frame.sequence <= place.snapshotEnd }) };
  }

  /** Something is odd: the whole segment tells what. A line that is being written is looked at again next time. */
  *#readAnew(place: Place, file: OpenFile, sizeBytes: number): Generator<JournalEntry, false> {
    const bytes = file.read(0, sizeBytes);
    if (!bytes.ok) return false;
    const scan = scanSegment(place.name, bytes.value);
    if (scan.outcome !== "corrupt" && scan.lastSequence < this.#sequence && scan.header !== undefined) {
      this.#notice(`records ${scan.lastSequence + 1} to ${this.#sequence} were taken back: their write failed`);
      this.#sequence = scan.lastSequence;
    }
    yield* this.#newer(place.name, scan.frames);
    place.position = scan.goodBytes;
    place.line = scan.endLine;
    if (scan.outcome !== "corrupt") return false;
    if (scan.problem !== undefined) this.#notice(`damaged: ${formatProblem(scan.problem)}`);
    yield* this.#newer(place.name, scan.stray);
    place.position = endOfContent(bytes.value, 0) + 1;
    return false;
  }

  *#newer(name: string, frames: readonly ScannedFrame[]): Generator<JournalEntry> {
    for (const frame of frames) {
      if (frame.sequence <= this.#sequence) continue;
      this.#sequence = frame.sequence;
      yield entryOf(name, frame);
    }
  }

  #refuse(message: string): false {
    this.#notice(message);
    return false;
  }

  /** Looked at several times a second: the same trouble is told once. */
  #notice(message: string): void {
    if (message !== this.#lastNotice) this.#onNotice(message);
    this.#lastNotice = message;
  }
}
