import type { HealthHolder } from "./health.ts";
import { HEADROOM_BYTES, OUTCOME_RESERVE_BYTES, type JournalLimits } from "./limits.ts";
import type { SpareFile } from "./reserve.ts";
import type { SegmentWriter, WriteFailure } from "./segment-writer.ts";
import { fail, fault, ok, type Fault, type Result } from "../ports/errors.ts";

/** Records that become durable together or not at all. */
export interface Submission {
  readonly bodies: readonly string[];
  readonly sizeBytes: number;
  /** The outcome of something that has started: written even when the disk is full. */
  readonly isOutcome: boolean;
  /** Told once, when the records are durable or never will be. */
  readonly settle: (result: Result<void>) => void;
}

export interface CommitterParts {
  readonly limits: JournalLimits;
  readonly health: HealthHolder;
  readonly spare: SpareFile;
  /** Operations that have started and not ended: each may still need room for its outcome. */
  readonly openCount: () => number;
  /** Called between batches: the segment's turn to be followed by a new one. */
  readonly afterBatch: () => Promise<void>;
  readonly monotonic: () => number;
  readonly onSync: (seconds: number) => void;
}

/** Frames carry about this much beside their body. */
const FRAME_OVERHEAD_BYTES = 120;

/**
 * Group commit. While one batch is being synced the next one gathers; a lone submission waits for
 * nobody. Waiters are told before the next batch is taken, and the batch is taken when all that they
 * do at once has been submitted: taking it sooner splits a steady load into two half-sized cohorts.
 */
export class Committer {
  readonly #parts: CommitterParts;
  #writer: SegmentWriter | undefined;
  #queue: Submission[] = [];
  #queuedRecords = 0;
  #queuedBytes = 0;
  #running: Promise<void> | undefined;

  constructor(parts: CommitterParts) {
    this.#parts = parts;
  }

  get writer(): SegmentWriter | undefined {
    return this.#writer;
  }

  /** Puts a writer in place, or takes it away; only between batches. */
  use(writer: SegmentWriter | undefined): void {
    if (this.#writer !== writer) this.#writer?.close();
    this.#writer = writer;
  }

  /** Goes on in the segment that follows the one that was written to; only between batches. */
  follow(writer: SegmentWriter): void {
    this.#writer?.seal();
    this.#writer = writer;
  }

  /** Refuses at once (`journal.queue_full`, or the journal's state), or takes the records and settles later. */
  submit(submission: Submission): Result<void> {
    const { health, limits } = this.#parts;
    const mayWrite = health.state === "healthy" || (health.state === "full" && submission.isOutcome);
    if (!mayWrite || this.#writer === undefined) return fail(health.fault());
    const records = this.#queuedRecords + submission.bodies.length;
    const bytes = this.#queuedBytes + submission.sizeBytes;
    if (records > limits.queueRecords || bytes > limits.queueBytes) {
      return fault("journal.queue_full", `${this.#queuedRecords} records wait for the disk, ${limits.queueRecords} may: the disk is too slow or hangs`);
    }
    this.#queue.push(submission);
    this.#queuedRecords = records;
    this.#queuedBytes = bytes;
    this.#running ??= this.#run();
    return ok(undefined);
  }

  /** Resolves when nothing is being written and nothing waits. */
  async drain(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    await allSubmitted();
    while (this.#queue.length > 0) {
      await this.#commit(this.#takeAll());
      await allSubmitted();
      if (this.#parts.health.state === "healthy") await this.#parts.afterBatch();
    }
    this.#running = undefined;
  }

  #takeAll(): readonly Submission[] {
    const batch = this.#queue;
    this.#queue = [];
    this.#queuedRecords = 0;
    this.#queuedBytes = 0;
    return batch;
  }

  async #commit(batch: readonly Submission[]): Promise<void> {
    const writer = this.#writer;
    const { state } = this.#parts.health;
    if (state === "full" && writer !== undefined) return this.#commitOutcomes(writer, batch);
    // Gathered while the journal went bad: a segment that was given up must never get another frame.
    if (state !== "healthy" || writer === undefined) return settleAll(batch, fail(this.#parts.health.fault()));
    const room = this.#reserveRoom(writer, batch);
    if (!room.ok) return this.#becomeFull(writer, batch, room.error);
    const written = await writer.write(bodiesOf(batch));
    if (written.ok) return this.#sync(writer, batch);
    if (written.failure.isUndone && written.failure.error.code === "file.no_space") return this.#becomeFull(writer, batch, written.failure.error);
    this.#giveUp(batch, written.failure);
  }

  #reserveRoom(writer: SegmentWriter, batch: readonly Submission[]): Result<void> {
    const batchBytes = batch.reduce((sum, { sizeBytes, bodies }) => sum + sizeBytes + bodies.length * FRAME_OVERHEAD_BYTES, 0);
    const outcomeBytes = (this.#parts.openCount() + batch.length) * OUTCOME_RESERVE_BYTES;
    return writer.reserve(batchBytes + outcomeBytes, HEADROOM_BYTES);
  }

  async #sync(writer: SegmentWriter, batch: readonly Submission[]): Promise<void> {
    const startedAt = this.#parts.monotonic();
    const synced = await writer.sync();
    this.#parts.onSync((this.#parts.monotonic() - startedAt) / 1000);
    if (synced.ok) return settleAll(batch, synced);
    this.#poison(batch, `the disk failed to sync (${synced.error.message}): what it holds is uncertain until the journal is read again`);
  }

  /** Nothing new is taken from now on; what has started may still be recorded, in the space kept for it. */
  async #becomeFull(writer: SegmentWriter, batch: readonly Submission[], error: Fault): Promise<void> {
    this.#parts.health.set("full", `no space left for the journal (${error.message}): free some space; nothing new starts until then`);
    this.#parts.spare.release();
    return this.#commitOutcomes(writer, batch);
  }

  async #commitOutcomes(writer: SegmentWriter, batch: readonly Submission[]): Promise<void> {
    settleAll(batch.filter((submission) => !submission.isOutcome), fail(this.#parts.health.fault()));
    const outcomes = batch.filter((submission) => submission.isOutcome);
    if (outcomes.length === 0) return;
    const written = await writer.write(bodiesOf(outcomes));
    if (written.ok) return this.#sync(writer, outcomes);
    if (written.failure.isUndone && written.failure.error.code === "file.no_space") return settleAll(outcomes, fail(this.#parts.health.fault()));
    this.#giveUp(outcomes, written.failure);
  }

  #giveUp(batch: readonly Submission[], failure: WriteFailure): void {
    if (!failure.isUndone) {
      return this.#poison(batch, `a failed write could not be taken back (${failure.error.message}): the journal must be read again`);
    }
    this.#parts.health.set("unwritable", `cannot write the journal: ${failure.error.message}`);
    this.#refuseAll(batch);
  }

  #poison(batch: readonly Submission[], message: string): void {
    this.#parts.health.set("poisoned", message);
    this.#refuseAll(batch);
  }

  /** What was gathered meanwhile may build on what failed: it fails too. */
  #refuseAll(batch: readonly Submission[]): void {
    settleAll([...batch, ...this.#takeAll()], fail(this.#parts.health.fault()));
  }
}

function bodiesOf(batch: readonly Submission[]): readonly string[] {
  return batch.flatMap((submission) => submission.bodies);
}

function settleAll(batch: readonly Submission[], result: Result<void>): void {
  for (const submission of batch) submission.settle(result);
}

/** Resolves when every promise continuation that is ready now has run, without a turn of the event loop. */
function allSubmitted(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
