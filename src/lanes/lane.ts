/** What became of a job. `error` is what it threw or rejected with, or the fault it was dropped with. */
export type JobOutcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: unknown };

/** A job in a lane, linked to the one submitted after it. */
export interface Job {
  readonly run: () => unknown;
  readonly collapse: string | undefined;
  /** Monotonic. */
  readonly submittedAtMs: number;
  readonly done: Promise<JobOutcome<unknown>>;
  readonly settle: (outcome: JobOutcome<unknown>) => void;
  next: Job | undefined;
}

/**
 * One guest's queue: bookkeeping only, no scheduling. A linked list, because a lane mostly holds one
 * job and is thrown away when it runs empty: an array per lane costs more than the jobs in it.
 */
export class Lane {
  readonly vmid: number;
  isRunning = false;
  waitingCount = 0;
  #first: Job | undefined;
  #last: Job | undefined;
  /** Waiting jobs by collapse key; made only when a key is used. */
  #byCollapse: Map<string, Job> | undefined;

  constructor(vmid: number) {
    this.vmid = vmid;
  }

  /** Waiting and running jobs. */
  get depth(): number {
    return this.waitingCount + (this.isRunning ? 1 : 0);
  }

  /** The waiting job under a collapse key. */
  waitingWith(collapse: string | undefined): Job | undefined {
    return collapse === undefined ? undefined : this.#byCollapse?.get(collapse);
  }

  /** When the oldest waiting job was submitted (monotonic); undefined when none waits. */
  oldestWaitingSinceMs(): number | undefined {
    return this.#first?.submittedAtMs;
  }

  /** Appends a job and returns the promise of its outcome. */
  push<T>(run: () => Promise<T> | T, collapse: string | undefined, submittedAtMs: number): Promise<JobOutcome<T>> {
    let settle: (outcome: JobOutcome<unknown>) => void = unsettled;
    const done = new Promise<JobOutcome<unknown>>((resolve) => {
      settle = resolve;
    });
    this.#append({ run, collapse, submittedAtMs, done, settle, next: undefined });
    // The outcome's value is what `run` gives, and `run` gives a T.
    return done as Promise<JobOutcome<T>>;
  }

  #append(job: Job): void {
    if (this.#last === undefined) this.#first = job;
    else this.#last.next = job;
    this.#last = job;
    this.waitingCount++;
    if (job.collapse === undefined) return;
    this.#byCollapse ??= new Map();
    this.#byCollapse.set(job.collapse, job);
  }

  /** Takes the oldest waiting job and marks the lane running; undefined when none waits. */
  startNext(): Job | undefined {
    if (this.isRunning) throw new Error(`lane ${this.vmid}: a second job was started while one runs`);
    const job = this.#first;
    if (job === undefined) return undefined;
    this.#first = job.next;
    if (this.#first === undefined) this.#last = undefined;
    this.waitingCount--;
    if (job.collapse !== undefined) this.#byCollapse?.delete(job.collapse);
    this.isRunning = true;
    return job;
  }

  /** The running job has ended. */
  finishRunning(): void {
    this.isRunning = false;
  }

  /** Empties the queue; the running job is not touched. */
  takeWaiting(): readonly Job[] {
    const taken: Job[] = [];
    for (let job = this.#first; job !== undefined; job = job.next) taken.push(job);
    this.#first = this.#last = undefined;
    this.waitingCount = 0;
    this.#byCollapse = undefined;
    return taken;
  }
}

function unsettled(): never {
  throw new Error("a promise's executor did not run");
}
