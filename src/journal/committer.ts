import type { HealthHolder } from "./health.ts";
import { HEADROOM_BYTES, OUTCOME_RESERVE_BYTES, type JournalLimits } from "./limits.ts";
import type { SpareFile } from "./reserve.ts";
import type { SegmentWriter, WriteFailure, WriteOutcome } from "./segment-writer.ts";
import type { Clock } from "../ports/clock.ts";
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
  /** Called between batches: the segment's turn to be followed by a new one. Undefined: it is not time. */
  readonly afterBatch: () => Promise<void> | undefined;
  readonly clock: Clock;
  readonly onSync: (seconds: number) => void;
}

/** Frames carry about this much beside their body. */
const FRAME_OVERHEAD_BYTES = 120;

/**
 * How long submissions may be committed one after the other without a turn of the event loop,
 * milliseconds: a disk that answers in place must not keep the process from everything else, and what
 * comes from many corners of the loop is to share a sync.
 */
const TURN_MS_MAX = 2;

const ADMITTED = ok(undefined);

/** Stands for a batch that is committed without waiting for anything. */
const IN_PLACE = Promise.resolve();

/** What waits for the disk when the disk does not answer at once. */
type Eventually = void | Promise<void>;

/**
 * Group commit. A lone submission waits for nobody: it is written and synced on the spot. Others that
 * come in the same moment gather and share a sync, and while one batch is being synced the next one
 * gathers. Waiters are told before the next batch is taken, and the batch is taken when all that they
 * do at once has been submitted: taking it sooner splits a steady load into two half-sized cohorts.
 */
export class Committer {
  readonly #parts: CommitterParts;
  #writer: SegmentWriter | undefined;
  #queue: Submission[] = [];
  #queuedRecords = 0;
  #queuedBytes = 0;
  #running: Promise<void> | undefined;
  /** A submission was committed in this very moment: whoever comes now comes in company. */
  #hasCompany = false;
  /** What syncs that were waited for in place have taken since the last turn of the event loop that is known of. */
  #turnMs = 0;

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

  /** May this be submitted now? Else `journal.queue_full`, or what state the journal is in. */
  admit({ bodies, sizeBytes, isOutcome }: Submission): Result<void> {
    const { health, limits } = this.#parts;
    const mayWrite = health.state === "healthy" || (health.state === "full" && isOutcome);
    if (!mayWrite || this.#writer === undefined) return fail(health.fault());
    if (this.#queuedRecords + bodies.length > limits.queueRecords || this.#queuedBytes + sizeBytes > limits.queueBytes) {
      return fault("journal.queue_full", `${this.#queuedRecords} records wait for the disk, ${limits.queueRecords} may: the disk is too slow or hangs`);
    }
    return ADMITTED;
  }

  /** Takes what was admitted just now; on a fast disk it is settled when this returns. */
  submit(submission: Submission): void {
    if (this.#running === undefined && !this.#hasCompany && this.#turnMs < TURN_MS_MAX) return this.#submitAlone(submission);
    this.#queue.push(submission);
    this.#queuedRecords += submission.bodies.length;
    this.#queuedBytes += submission.sizeBytes;
    this.#running ??= this.#run();
  }

  /** Who submits while this one is being settled gathers, as with any other batch. */
  #submitAlone(submission: Submission): void {
    this.#running = IN_PLACE;
    let rest: Promise<void> | undefined;
    try {
      rest = this.#commitAtOnce(submission);
    } finally {
      this.#running = rest ?? (this.#queue.length > 0 ? this.#run() : undefined);
    }
  }

  /** Undefined: it is done. */
  #commitAtOnce(submission: Submission): Promise<void> | undefined {
    this.#hasCompany = true;
    queueMicrotask(this.#endCompany);
    const committing = this.#commit([submission]) ?? this.#afterBatch();
    return committing === undefined ? undefined : this.#goOnAfter(committing);
  }

  readonly #endCompany = (): void => {
    this.#hasCompany = false;
  };

  async #goOnAfter(committing: Promise<void>): Promise<void> {
    await committing;
    await this.#afterBatch();
    await this.#run();
  }

  /** Resolves when nothing is being written and nothing waits. */
  async drain(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    await this.#allSubmitted();
    while (this.#queue.length > 0) {
      await this.#commit(this.#takeAll());
      await this.#allSubmitted();
      await this.#afterBatch();
    }
    this.#running = undefined;
  }

  #afterBatch(): Promise<void> | undefined {
    return this.#parts.health.state === "healthy" ? this.#parts.afterBatch() : undefined;
  }

  /** Resolves when every promise continuation that is ready now has run; with a turn of the event loop only when one is due. */
  #allSubmitted(): Promise<void> {
    if (this.#turnMs < TURN_MS_MAX) return new Promise((resolve) => process.nextTick(resolve));
    this.#turnMs = 0;
    return this.#parts.clock.sleep(0);
  }

  #takeAll(): readonly Submission[] {
    const batch = this.#queue;
    this.#queue = [];
    this.#queuedRecords = 0;
    this.#queuedBytes = 0;
    return batch;
  }

  #commit(batch: readonly Submission[]): Eventually {
    const writer = this.#writer;
    const { state } = this.#parts.health;
    if (state === "full" && writer !== undefined) return this.#commitOutcomes(writer, batch);
    // Gathered while the journal went bad: a segment that was given up must never get another frame.
    if (state !== "healthy" || writer === undefined) return settleAll(batch, fail(this.#parts.health.fault()));
    const room = this.#reserveRoom(writer, batch);
    if (!room.ok) return this.#becomeFull(writer, batch, room.error);
    const written = writer.write(bodiesOf(batch));
    return written instanceof Promise ? written.then((outcome) => this.#written(writer, batch, outcome)) : this.#written(writer, batch, written);
  }

  #written(writer: SegmentWriter, batch: readonly Submission[], written: WriteOutcome): Eventually {
    if (written.ok) return this.#sync(writer, batch);
    if (written.failure.isUndone && written.failure.error.code === "file.no_space") return this.#becomeFull(writer, batch, written.failure.error);
    this.#giveUp(batch, written.failure);
  }

  #reserveRoom(writer: SegmentWriter, batch: readonly Submission[]): Result<void> {
    let batchBytes = 0;
    for (const { sizeBytes, bodies } of batch) batchBytes += sizeBytes + bodies.length * FRAME_OVERHEAD_BYTES;
    const outcomeBytes = (this.#parts.openCount() + batch.length) * OUTCOME_RESERVE_BYTES;
    return writer.reserve(batchBytes + outcomeBytes, HEADROOM_BYTES);
  }

  #sync(writer: SegmentWriter, batch: readonly Submission[]): Eventually {
    const startedAt = this.#parts.clock.monotonic();
    const synced = writer.sync();
    if (synced instanceof Promise) return synced.then((result) => this.#synced(batch, startedAt, result));
    this.#turnMs += this.#parts.clock.monotonic() - startedAt;
    this.#synced(batch, startedAt, synced);
  }

  #synced(batch: readonly Submission[], startedAt: number, synced: Result<void>): void {
    this.#parts.onSync((this.#parts.clock.monotonic() - startedAt) / 1000);
    if (synced.ok) return settleAll(batch, synced);
    this.#poison(batch, `the disk failed to sync (${synced.error.message}): what it holds is uncertain until the journal is read again`);
  }

  /** Nothing new is taken from now on; what has started may still be recorded, in the space kept for it. */
  #becomeFull(writer: SegmentWriter, batch: readonly Submission[], error: Fault): Promise<void> {
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
  const [first] = batch;
  return batch.length === 1 && first !== undefined ? first.bodies : batch.flatMap((submission) => submission.bodies);
}

function settleAll(batch: readonly Submission[], result: Result<void>): void {
  for (const submission of batch) submission.settle(result);
}
