import type { Clock } from "../../ports/clock.ts";
import { Died } from "./died.ts";

/**
 * Tasks: workers with a UPID, a log and an end. The list moves as on a real host: running ones apart,
 * ended ones in an index that is rotated by size, so that old tasks are forgotten.
 */

/** A task index file is rotated when it passes this size; one rotated file is kept (docs/proxmox.md section 2). */
const INDEX_BYTES_MAX = 50_000;
/** A worker begins its work this long after the request that forked it was answered. */
const FORK_DURATION_MS = 5;
/** Ended tasks that `/var/log/pve/tasks/active` still lists. */
const ACTIVE_FILE_ENDED_MAX = 25;

export interface TaskOwner {
  readonly user: string;
  readonly tokenId: string | undefined;
}

/** What a worker may do besides its work. */
export interface TaskContext {
  readonly upid: string;
  readonly signal: AbortSignal;
  /** Adds a line to the log. */
  readonly print: (line: string) => void;
  /** Adds a warning to the log; a task with warnings that succeeds ends as "WARNINGS: n". */
  readonly warn: (text: string) => void;
  /** Lets time pass; dies when the task is stopped meanwhile. */
  readonly sleep: (durationMs: number) => Promise<void>;
}

export type Worker = (task: TaskContext) => Promise<void>;

/** One task, running or ended. */
export class Task implements TaskOwner {
  readonly upid: string;
  readonly node: string;
  readonly pid: number;
  readonly pstart: number;
  readonly startedAt: number;
  readonly type: string;
  readonly id: string;
  readonly user: string;
  readonly tokenId: string | undefined;
  readonly log: string[] = [];
  warnings = 0;
  readonly stopper = new AbortController();
  /** Seconds since the epoch, once ended. */
  endedAt: number | undefined;
  exit: string | undefined;
  /** Resolves when the task has ended. */
  readonly ended: Promise<void>;
  #tellEnded: () => void = () => undefined;

  constructor(facts: { node: string; pid: number; pstart: number; startedAt: number; type: string; id: string; owner: TaskOwner }) {
    const { owner } = facts;
    this.node = facts.node;
    this.pid = facts.pid;
    this.pstart = facts.pstart;
    this.startedAt = facts.startedAt;
    this.type = facts.type;
    this.id = facts.id;
    this.user = owner.user;
    this.tokenId = owner.tokenId;
    const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, "0");
    this.upid = `UPID:${this.node}:${hex(this.pid)}:${hex(this.pstart)}:${hex(this.startedAt)}:${this.type}:${this.id}:${this.fullUser}:`;
    this.ended = new Promise((resolve) => {
      this.#tellEnded = resolve;
    });
  }

  /** "root@pam!agent": as UPIDs and active rows write it. */
  get fullUser(): string {
    return this.tokenId === undefined ? this.user : `${this.user}!${this.tokenId}`;
  }

  get isRunning(): boolean {
    return this.endedAt === undefined;
  }

  end(exit: string, now: number): void {
    this.exit = exit;
    this.endedAt = now;
    this.#tellEnded();
  }
}

export interface TaskHost {
  readonly name: string;
  readonly clock: Clock;
  /** Aborted when the simulation ends. */
  readonly stopped: AbortSignal;
  nextPid(): number;
  /** Hundredths of a second since the host booted. */
  ticks(): number;
  /** Called when the list moved. */
  tasksChanged(): void;
  /** A fault's word on a new task: wait for the promise, then die with the text if there is one. */
  taskFault(type: string, id: string): Promise<string | undefined> | undefined;
}

/** A signal as a promise that says nothing. */
function whenAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

/** The host's tasks. */
export class TaskTable {
  readonly #host: TaskHost;
  readonly #running = new Set<Task>();
  /** Ended tasks, oldest first: the current index and the rotated one. */
  #index: Task[] = [];
  #rotated: Task[] = [];
  #indexBytes = 0;

  constructor(host: TaskHost) {
    this.#host = host;
  }

  /** Starts a worker and gives its task at once; the work begins when the caller has let go. */
  start(type: string, id: string, owner: TaskOwner, work: Worker): Task {
    const { clock, name } = this.#host;
    const task = new Task({ node: name, pid: this.#host.nextPid(), pstart: this.#host.ticks(), startedAt: Math.floor(clock.now() / 1000), type, id, owner });
    this.#running.add(task);
    this.#host.tasksChanged();
    const fault = this.#host.taskFault(type, id);
    void this.#run(task, work, fault);
    return task;
  }

  running(): readonly Task[] {
    return [...this.#running];
  }

  /** Ended tasks that are still known, latest end first. */
  ended(): readonly Task[] {
    return [...this.#rotated, ...this.#index].reverse();
  }

  find(upid: string): Task | undefined {
    return [...this.#running].find((task) => task.upid === upid) ?? this.ended().find((task) => task.upid === upid);
  }

  /** Lines of /var/log/pve/tasks/active. */
  activeFile(): readonly string[] {
    const ended = this.ended().slice(0, ACTIVE_FILE_ENDED_MAX);
    return [
      ...[...this.#running].map((task) => `${task.upid} 0`),
      ...ended.map((task) => `${task.upid} 1 ${(task.endedAt ?? 0).toString(16).toUpperCase().padStart(8, "0")} ${task.exit ?? ""}`),
    ];
  }

  /** The worker process dies without a word: nobody writes its end into its log. */
  kill(upid: string): void {
    const task = [...this.#running].find((candidate) => candidate.upid === upid);
    if (task === undefined) return;
    this.#record(task, "unexpected status");
    task.stopper.abort();
  }

  async #run(task: Task, work: Worker, fault: Promise<string | undefined> | undefined): Promise<void> {
    const context = this.#context(task);
    try {
      const failure = fault === undefined ? undefined : await Promise.race([fault, whenAborted(context.signal)]);
      if (this.#host.stopped.aborted) return;
      if (failure !== undefined) throw Died.because(failure);
      await context.sleep(FORK_DURATION_MS);
      await work(context);
      this.#finish(task, task.warnings === 0 ? "OK" : `WARNINGS: ${task.warnings}`);
    } catch (error) {
      if (this.#host.stopped.aborted) return;
      if (!(error instanceof Died)) throw error;
      this.#finish(task, error.taskText());
    }
  }

  #context(task: Task): TaskContext {
    const signal = AbortSignal.any([task.stopper.signal, this.#host.stopped]);
    return {
      upid: task.upid,
      signal,
      print: (line) => {
        task.log.push(line);
      },
      warn: (text) => {
        task.log.push(`WARN: ${text}`);
        task.warnings++;
      },
      sleep: async (durationMs) => {
        await this.#host.clock.sleep(durationMs, signal);
        this.#dieIfStopped(task);
      },
    };
  }

  #dieIfStopped(task: Task): void {
    if (task.stopper.signal.aborted || this.#host.stopped.aborted) throw Died.because("received interrupt");
  }

  #finish(task: Task, exit: string): void {
    if (!task.isRunning) return;
    task.log.push(exit === "OK" || exit === `WARNINGS: ${task.warnings}` ? `TASK ${exit}` : `TASK ERROR: ${exit}`);
    this.#record(task, exit);
  }

  #record(task: Task, exit: string): void {
    task.end(exit, Math.floor(this.#host.clock.now() / 1000));
    this.#running.delete(task);
    this.#index.push(task);
    this.#indexBytes += task.upid.length + exit.length + " 00000000 \n".length;
    if (this.#indexBytes > INDEX_BYTES_MAX) {
      this.#rotated = this.#index;
      this.#index = [];
      this.#indexBytes = 0;
    }
    this.#host.tasksChanged();
  }
}
