import { encodeFrame } from "./frame.ts";
import { FILE_MODE } from "./limits.ts";
import { encodeHeader, segmentName, TEMPORARY_SUFFIX, type SegmentHeader } from "./segment.ts";
import type { JournalHead } from "./types.ts";
import { fail, ok, type Fault, type Result } from "../ports/errors.ts";
import type { FileSystem, OpenFile } from "../ports/file-system.ts";

/** Why a write failed, and whether the file is again as it was before. */
export interface WriteFailure {
  readonly error: Fault;
  readonly isUndone: boolean;
}

export type WriteOutcome = { readonly ok: true } | { readonly ok: false; readonly failure: WriteFailure };

/** A segment that was made. `isNamed`: its name may be on the disk although making it durable failed. */
export type Creation =
  | { readonly ok: true; readonly writer: SegmentWriter }
  | { readonly ok: false; readonly error: Fault; readonly isNamed: boolean };

interface End {
  readonly sequence: number;
  readonly hash: string;
  readonly sizeBytes: number;
}

const WRITTEN: WriteOutcome = { ok: true };

/**
 * The segment that is written to. Knows the chain's end as written and as synced. One batch at a
 * time: `write`, then `sync`, before the next one.
 */
export class SegmentWriter {
  readonly name: string;
  /** Size of header and checkpoint: what was appended since is counted from here. */
  readonly #checkpointBytes: number;
  readonly #file: OpenFile;
  readonly #salt: string;
  #written: End;
  #syncedBytes: number;
  #head: JournalHead;
  #allocatedBytes = 0;
  #canAllocate = true;
  /** A write that was taken back must be gone from the disk too before another takes its place. */
  #mustSyncFirst = false;

  private constructor(name: string, file: OpenFile, salt: string, end: End, checkpointBytes: number) {
    this.name = name;
    this.#file = file;
    this.#salt = salt;
    this.#written = end;
    this.#syncedBytes = end.sizeBytes;
    this.#head = { segment: name, sequence: end.sequence, hash: end.hash };
    this.#checkpointBytes = checkpointBytes;
  }

  /** Goes on in a segment that was scanned and synced, whose good bytes end at `end`. */
  static adopt(name: string, file: OpenFile, salt: string, end: End, checkpointBytes: number): SegmentWriter {
    return new SegmentWriter(name, file, salt, end, checkpointBytes);
  }

  /**
   * Makes a segment that begins with `bodies` as one batch: written and synced under a temporary name,
   * renamed, the directory synced. Until the last step succeeded, nothing may be appended to it.
   */
  static async create(fileSystem: FileSystem, directory: string, header: SegmentHeader, bodies: readonly string[]): Promise<Creation> {
    const name = segmentName(header.firstSequence);
    const temporaryPath = `${directory}/${name}${TEMPORARY_SUFFIX}`;
    // Left behind by a crash: never had its name, so nothing in it was promised.
    fileSystem.remove(temporaryPath);
    const opened = fileSystem.open(temporaryPath, "createNew", FILE_MODE);
    if (!opened.ok) return { ok: false, error: opened.error, isNamed: false };
    const file = opened.value;
    const made = await fill(file, header, bodies);
    if (!made.ok) return discard(fileSystem, file, temporaryPath, made.error);
    const named = fileSystem.rename(temporaryPath, `${directory}/${name}`);
    if (!named.ok) return discard(fileSystem, file, temporaryPath, named.error);
    const durable = await fileSystem.syncDirectory(directory);
    if (durable.ok) return { ok: true, writer: new SegmentWriter(name, file, header.salt, made.value, made.value.sizeBytes) };
    file.close();
    return { ok: false, error: durable.error, isNamed: true };
  }

  /** The end of what is durable. */
  get head(): JournalHead {
    return this.#head;
  }

  get appendedBytes(): number {
    return this.#syncedBytes - this.#checkpointBytes;
  }

  get checkpointBytes(): number {
    return this.#checkpointBytes;
  }

  get sizeBytes(): number {
    return this.#syncedBytes;
  }

  /**
   * Sees to it that `sizeBytes` more can be written whatever others do on this disk; asks for
   * `spareBytes` on top, so that it need not ask often. Where the file system cannot reserve, it is
   * never asked again (the spare file of reserve.ts stands in).
   */
  reserve(sizeBytes: number, spareBytes: number): Result<void> {
    if (!this.#canAllocate || this.#written.sizeBytes + sizeBytes <= this.#allocatedBytes) return ok(undefined);
    const needed = this.#written.sizeBytes + sizeBytes;
    const allocated = this.#allocate(needed + spareBytes);
    return allocated.ok ? allocated : this.#allocate(needed);
  }

  #allocate(upTo: number): Result<void> {
    const allocated = this.#file.allocate(upTo);
    if (allocated.ok) this.#allocatedBytes = upTo;
    else if (allocated.error.code === "file.no_space") return fail(this.#named(allocated.error));
    else this.#canAllocate = false;
    return ok(undefined);
  }

  /** The file was opened under its temporary name; a person must read the one it has now. */
  #named(error: Fault): Fault {
    return { ...error, message: error.message.replaceAll(`${this.name}${TEMPORARY_SUFFIX}`, this.name) };
  }

  /** Writes one batch; a failed or short write is taken back, once. A promise only after one was. */
  write(bodies: readonly string[]): WriteOutcome | Promise<WriteOutcome> {
    return this.#mustSyncFirst ? this.#writeAfterSync(bodies) : this.#write(bodies);
  }

  async #writeAfterSync(bodies: readonly string[]): Promise<WriteOutcome> {
    const synced = await this.#file.dataSync();
    if (!synced.ok) return { ok: false, failure: { error: this.#named(synced.error), isUndone: false } };
    this.#mustSyncFirst = false;
    return this.#write(bodies);
  }

  #write(bodies: readonly string[]): WriteOutcome {
    const before = this.#written;
    const batch = encodeBatch(this.#salt, before, bodies);
    const written = this.#file.write(batch.bytes);
    if (written.ok) {
      this.#written = batch.end;
      return WRITTEN;
    }
    const undone = this.#file.truncate(before.sizeBytes);
    this.#mustSyncFirst = true;
    // Truncating gives reserved blocks back.
    this.#allocatedBytes = 0;
    return { ok: false, failure: { error: this.#named(written.error), isUndone: undone.ok } };
  }

  /** Makes what was written durable; a promise when the disk takes its time. After a failure nothing may be written here any more. */
  sync(): Result<void> | Promise<Result<void>> {
    const end = this.#written;
    const synced = this.#file.dataSync();
    return synced instanceof Promise ? synced.then((result) => this.#noteSynced(end, result)) : this.#noteSynced(end, synced);
  }

  #noteSynced(end: End, synced: Result<void>): Result<void> {
    if (!synced.ok) return fail(this.#named(synced.error));
    this.#syncedBytes = end.sizeBytes;
    this.#head = { segment: this.name, sequence: end.sequence, hash: end.hash };
    return synced;
  }

  close(): void {
    this.#file.close();
  }

  /** Closes a segment that was followed by another: what was reserved past its end goes back to the disk. */
  seal(): void {
    // Best effort: blocks that stay reserved cost space and nothing else.
    if (this.#allocatedBytes > this.#written.sizeBytes) this.#file.truncate(this.#written.sizeBytes);
    this.close();
  }
}

function discard(fileSystem: FileSystem, file: OpenFile, path: string, error: Fault): Creation {
  file.close();
  fileSystem.remove(path);
  return { ok: false, error, isNamed: false };
}

async function fill(file: OpenFile, header: SegmentHeader, bodies: readonly string[]): Promise<Result<End>> {
  const { line, hash } = encodeHeader(header);
  const headerBytes = Buffer.from(line, "utf8");
  const batch = encodeBatch(header.salt, { sequence: header.firstSequence - 1, hash, sizeBytes: headerBytes.length }, bodies);
  const written = file.write(Buffer.concat([headerBytes, batch.bytes]));
  const synced = written.ok ? await file.dataSync() : written;
  return synced.ok ? ok(batch.end) : synced;
}

/** The frames of one batch, in order, and where the chain then ends. */
function encodeBatch(salt: string, after: End, bodies: readonly string[]): { readonly bytes: Uint8Array; readonly end: End } {
  const batch = after.sequence + 1;
  let { sequence, hash } = after;
  let text = "";
  for (const body of bodies) {
    sequence++;
    const frame = encodeFrame(salt, sequence, batch, hash, body);
    hash = frame.hash;
    text += frame.line;
  }
  const bytes = Buffer.from(text, "utf8");
  return { bytes, end: { sequence, hash, sizeBytes: after.sizeBytes + bytes.length } };
}
