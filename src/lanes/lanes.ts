import type { Clock } from "../ports/clock.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import { Lane, type Job, type JobOutcome } from "./lane.ts";

/**
 * Lanes: the single choke point for everything that changes a guest, whoever asks. One guest does
 * strictly one job at a time in the order of submission; different guests go in parallel. A job that
 * fails or throws never stalls its lane, and submitting never waits. How many acts run at once over
 * all lanes is limiter.ts's matter; what a job does, and whether it may, is its submitter's.
 */

export type { JobOutcome } from "./lane.ts";

/**
 * Waiting jobs a lane takes unless told otherwise. A guest's triggers collapse into one waiting job,
 * so only a runaway submitter ever gets near it; it bounds memory (≈ 150 bytes a job) without ever
 * refusing honest work.
 */
export const QUEUED_PER_LANE_MAX = 10_000;

/**
 * Milliseconds of uninterrupted job starts after which timers and sockets get their turn. Jobs that
 * finish at once chain through microtasks, which would otherwise starve the health probe.
 */
const BUSY_MAX_MS = 8;

/** Starts between two looks at the clock: a look costs about as much as starting an empty job. */
const STARTS_PER_LOOK = 64;

export interface LanesOptions {
  readonly clock: Clock;
  /** Jobs that may wait in one lane, the running one not counted. */
  readonly maxQueuedPerLane?: number;
  /** Told how long each job waited before it started, in seconds. Must not throw. */
  readonly onWait?: (waitSeconds: number) => void;
}

export interface SubmitOptions {
  /**
   * At most one job with this key waits in a lane. A further one is not queued: its submitter gets
   * the waiting job's outcome. So the key must name the whole of what the job does, result type
   * included. A job that already runs is not joined, because it may have read the state too early.
   */
  readonly collapse?: string;
}

/** A job that was taken. `done` settles after it ran, or was dropped by `close`; it never rejects. */
export interface Submission<T> {
  readonly done: Promise<JobOutcome<T>>;
}

/** What a lane still held when `close` gave up waiting. */
export interface LaneRemainder {
  readonly vmid: number;
  /** Jobs that were dropped without having started; their outcome is `lane.closed`. */
  readonly dropped: number;
  /** A job that goes on by itself; nobody waits for it any more. */
  readonly isRunning: boolean;
}

export class Lanes {
  readonly #clock: Clock;
  readonly #maxQueuedPerLane: number;
  readonly #onWait: ((waitSeconds: number) => void) | undefined;
  readonly #lanes = new Map<number, Lane>();
  /** Lanes with a job that may start now, in the order they became so: this round's and the next one's. */
  #round: Lane[] = [];
  #roundPosition = 0;
  #nextRound: Lane[] = [];
  #isPumpDue = false;
  #busyMs = 0;
  #depth = 0;
  #isClosed = false;
  #onIdle = new Set<() => void>();

  constructor(options: LanesOptions) {
    this.#clock = options.clock;
    this.#maxQueuedPerLane = options.maxQueuedPerLane ?? QUEUED_PER_LANE_MAX;
    this.#onWait = options.onWait;
  }

  /**
   * Puts `job` at the end of the guest's lane and returns at once; the job never starts before
   * `submit` has returned. Whatever it throws or rejects with becomes the outcome's `error`. A job must
   * not wait for another job of its own lane: that one starts only after it.
   *
   * Faults: `lane.full` (the ceiling of waiting jobs is reached), `lane.closed` (after `close`).
   */
  submit<T>(vmid: number, job: () => Promise<T> | T, options?: SubmitOptions): Result<Submission<T>> {
    if (this.#isClosed) return fault("lane.closed", closedMessage(vmid));
    const lane = this.#lane(vmid);
    const joined = lane.waitingWith(options?.collapse);
    // A collapse key names the whole job, so a job found under it gives the same type.
    if (joined !== undefined) return ok({ done: joined.done as Promise<JobOutcome<T>> });
    if (lane.waitingCount >= this.#maxQueuedPerLane) return fault("lane.full", fullMessage(vmid, this.#maxQueuedPerLane));
    const done = this.#enqueue(lane, job, options?.collapse);
    return ok({ done });
  }

  /** Jobs waiting and running: of one guest, or of all. */
  depth(vmid?: number): number {
    return vmid === undefined ? this.#depth : (this.#lanes.get(vmid)?.depth ?? 0);
  }

  /** Lanes that hold a job. A lane that runs empty is gone. */
  activeLanes(): number {
    return this.#lanes.size;
  }

  /** How long the job that has waited longest has waited so far, in seconds; 0 when none waits. */
  longestWaitSeconds(): number {
    const nowMs = this.#clock.monotonic();
    let longestMs = 0;
    for (const lane of this.#lanes.values()) {
      const sinceMs = lane.oldestWaitingSinceMs();
      if (sinceMs !== undefined) longestMs = Math.max(longestMs, nowMs - sinceMs);
    }
    return longestMs / 1000;
  }

  /**
   * Refuses new jobs and lets those already taken finish, for at most `timeoutMs`. Then drops what
   * still waits and returns what was left; empty when everything finished. A second call with a shorter
   * time forces the first one's hand: what it drops stays dropped.
   */
  async close(options: { readonly timeoutMs: number }): Promise<readonly LaneRemainder[]> {
    this.#isClosed = true;
    if (await this.#isIdleWithin(options.timeoutMs)) return [];
    const left: LaneRemainder[] = [];
    for (const lane of this.#lanes.values()) left.push(this.#dropWaiting(lane));
    return left.sort((a, b) => a.vmid - b.vmid);
  }

  #lane(vmid: number): Lane {
    let lane = this.#lanes.get(vmid);
    if (lane === undefined) this.#lanes.set(vmid, (lane = new Lane(vmid)));
    return lane;
  }

  #enqueue<T>(lane: Lane, run: () => Promise<T> | T, collapse: string | undefined): Promise<JobOutcome<T>> {
    this.#depth++;
    const done = lane.push(run, collapse, this.#clock.monotonic());
    if (lane.depth === 1) this.#makeReady(lane);
    return done;
  }

  #makeReady(lane: Lane): void {
    this.#nextRound.push(lane);
    if (this.#isPumpDue) return;
    this.#isPumpDue = true;
    queueMicrotask(this.#pump);
  }

  /** Starts jobs of ready lanes, one a lane and turn, until none is ready or others need the thread. */
  readonly #pump = (): void => {
    let lookedAtMs = this.#clock.monotonic();
    let starts = 0;
    for (let lane = this.#takeReady(); lane !== undefined; lane = this.#takeReady()) {
      this.#start(lane);
      if (++starts % STARTS_PER_LOOK !== 0) continue;
      const nowMs = this.#clock.monotonic();
      this.#busyMs += nowMs - lookedAtMs;
      lookedAtMs = nowMs;
      if (this.#busyMs >= BUSY_MAX_MS) return this.#pumpLater();
    }
    this.#busyMs += this.#clock.monotonic() - lookedAtMs;
    if (this.#busyMs >= BUSY_MAX_MS) return this.#pumpLater();
    this.#isPumpDue = false;
  };

  #pumpLater(): void {
    this.#busyMs = 0;
    this.#clock.schedule(0, this.#pump);
  }

  #takeReady(): Lane | undefined {
    if (this.#roundPosition === this.#round.length) {
      const spent = this.#round;
      this.#round = this.#nextRound;
      this.#roundPosition = 0;
      spent.length = 0;
      this.#nextRound = spent;
    }
    const lane = this.#round[this.#roundPosition];
    if (lane !== undefined) this.#roundPosition++;
    return lane;
  }

  #start(lane: Lane): void {
    const job = lane.startNext();
    // `close` dropped its only job after the lane became ready.
    if (job === undefined) return;
    try {
      this.#reportWait(job);
      const answer = job.run();
      if (isThenable(answer)) this.#finishLater(lane, job, answer);
      else this.#finish(lane, job, { ok: true, value: answer });
    } catch (error) {
      this.#finish(lane, job, { ok: false, error });
    }
  }

  #finishLater(lane: Lane, job: Job, answer: PromiseLike<unknown>): void {
    Promise.resolve(answer).then(
      (value) => this.#finish(lane, job, { ok: true, value }),
      (error: unknown) => this.#finish(lane, job, { ok: false, error }),
    );
  }

  #reportWait(job: Job): void {
    if (this.#onWait === undefined) return;
    this.#onWait(Math.max(0, this.#clock.monotonic() - job.submittedAtMs) / 1000);
  }

  #finish(lane: Lane, job: Job, outcome: JobOutcome<unknown>): void {
    lane.finishRunning();
    this.#depth--;
    job.settle(outcome);
    if (lane.waitingCount > 0) this.#makeReady(lane);
    else this.#forgetIfEmpty(lane);
  }

  #forgetIfEmpty(lane: Lane): void {
    if (lane.depth > 0) return;
    this.#lanes.delete(lane.vmid);
    if (this.#depth === 0) for (const notify of this.#onIdle) notify();
  }

  #dropWaiting(lane: Lane): LaneRemainder {
    const dropped = lane.takeWaiting();
    this.#depth -= dropped.length;
    const { error } = fault("lane.closed", closedMessage(lane.vmid));
    for (const job of dropped) job.settle({ ok: false, error });
    const remainder = { vmid: lane.vmid, dropped: dropped.length, isRunning: lane.isRunning };
    this.#forgetIfEmpty(lane);
    return remainder;
  }

  #isIdleWithin(timeoutMs: number): Promise<boolean> {
    if (this.#depth === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const conclude = (isIdle: boolean): void => {
        cancel();
        this.#onIdle.delete(onIdle);
        resolve(isIdle);
      };
      const onIdle = (): void => conclude(true);
      const cancel = this.#clock.schedule(timeoutMs, () => conclude(false));
      this.#onIdle.add(onIdle);
    });
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function closedMessage(vmid: number): string {
  return `expected an agent that takes work, found one that is shutting down: the job for guest ${vmid} was not run; submit it again after the restart`;
}

function fullMessage(vmid: number, maxQueued: number): string {
  return `expected at most ${maxQueued} jobs waiting for guest ${vmid}, found the lane full: its running job may hang; see the status of the guest, then try again`;
}
