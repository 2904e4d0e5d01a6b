import type { Committer } from "./committer.ts";
import type { JournalContext } from "./context.ts";
import type { JournalDirectory } from "./directory.ts";
import type { HealthHolder } from "./health.ts";
import type { LiveTable } from "./live-table.ts";
import type { SegmentWriter } from "./segment-writer.ts";
import { removeOldSegments, startSegment } from "./start-segment.ts";
import type { Compaction, JournalHead } from "./types.ts";
import { fail, ok, type Result } from "../ports/errors.ts";

interface RotationParts {
  readonly context: JournalContext;
  readonly health: HealthHolder;
  readonly committer: Committer;
  readonly directory: JournalDirectory;
  /** The live state: the next segment begins with it. */
  readonly table: () => LiveTable;
  /** Told where the chain ends after a rotation. */
  readonly onHead: (head: JournalHead) => void;
}

/**
 * When a segment is followed by the next one: between two batches, because it has grown, or because a
 * compaction was asked for.
 */
export class Rotation {
  readonly #parts: RotationParts;
  #rotateAtBytes: number;
  /** Told what the compaction that is asked for did. */
  #onCompacted: ((result: Result<Compaction>) => void) | undefined;

  constructor(parts: RotationParts) {
    this.#parts = parts;
    this.#rotateAtBytes = parts.context.limits.segmentBytes;
  }

  /** Rotates now; one at a time. Fails when the journal cannot be written, or goes on in its old segment. */
  async compact(): Promise<Result<Compaction>> {
    const { committer, health } = this.#parts;
    const compacted = new Promise<Result<Compaction>>((resolve) => {
      this.#onCompacted = resolve;
    });
    // A turn between two batches, for the price of a sync: nothing is written for it.
    const turn = await submitNothing(committer);
    // Without a turn, or when the journal went bad before it, nobody will tell.
    const result = turn.ok ? await Promise.race([compacted, committer.drain().then(() => fail(health.fault()))]) : turn;
    this.#onCompacted = undefined;
    return result;
  }

  /** The segment's turn to be followed by a new one. Undefined: it is not time. */
  betweenBatches(): Promise<void> | undefined {
    const onCompacted = this.#onCompacted;
    this.#onCompacted = undefined;
    const { writer } = this.#parts.committer;
    // A checkpoint as large as what follows it: rewriting the live state stays cheap however large it is.
    const isDue = writer !== undefined && writer.appendedBytes >= Math.max(this.#rotateAtBytes, writer.checkpointBytes);
    return writer === undefined || !(isDue || onCompacted !== undefined) ? undefined : this.#rotateFor(writer, onCompacted);
  }

  async #rotateFor(writer: SegmentWriter, onCompacted: ((result: Result<Compaction>) => void) | undefined): Promise<void> {
    const before = this.#parts.directory.segments();
    const rotated = await this.#rotate(writer);
    onCompacted?.(rotated.ok ? ok(this.#compactionInto(before, rotated.value)) : rotated);
  }

  async #rotate(writer: SegmentWriter): Promise<Result<SegmentWriter>> {
    const { context, committer, health, table, onHead } = this.#parts;
    const { segmentBytes } = context.limits;
    const created = await startSegment(context, table(), writer.head.sequence, writer.head.hash);
    if (created.ok) {
      committer.follow(created.writer);
      onHead(created.writer.head);
      this.#rotateAtBytes = segmentBytes;
      await removeOldSegments(context, created.writer.name);
      return ok(created.writer);
    }
    if (created.isNamed) {
      // The new segment may or may not be there after a crash: neither file may be written to.
      health.set("poisoned", `a new journal segment could not be made durable: ${created.error.message}`);
      return fail(health.fault());
    }
    this.#rotateAtBytes = writer.appendedBytes + segmentBytes / 4;
    context.log.warn("the journal goes on in its old segment", { error: created.error.message });
    return fail(created.error);
  }

  #compactionInto(before: readonly string[], { name, head, checkpointBytes }: SegmentWriter): Compaction {
    const after = this.#parts.directory.segments();
    return {
      segment: name, records: head.sequence - Number.parseInt(name, 10), sizeBytes: checkpointBytes,
      removed: before.filter((old) => !after.includes(old)), kept: after.filter((old) => old !== name),
    };
  }
}

function submitNothing(committer: Committer): Promise<Result<void>> {
  return new Promise((settle) => {
    const nothing = { bodies: [], sizeBytes: 0, isOutcome: false, settle };
    const admitted = committer.admit(nothing);
    if (admitted.ok) committer.submit(nothing);
    else settle(admitted);
  });
}
