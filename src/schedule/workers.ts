import type { Priority, Taken } from "./queue-types.ts";
import type { WorkQueue } from "./work-queue.ts";
import type { WorkResult } from "./work-result.ts";

export interface WorkersOptions {
  readonly queue: WorkQueue;
  /** How many keys are worked on at once. */
  readonly count: number;
  /**
   * Works on one key. `yieldPlace`: from now on this key only waits (for its turn, for a task), so
   * another may be worked on in its place; it stays this worker's until the promise settles.
   */
  readonly run: (key: number, priority: Priority, yieldPlace: () => void) => Promise<WorkResult>;
  /** Told when `run` threw, which is a defect: the key is tried again after its backoff, the others go on. */
  readonly onDefect: (key: number, error: unknown) => void;
}

/** A fixed number of workers that take keys from a queue until it is shut down. */
export class Workers {
  readonly #options: WorkersOptions;
  #isStarted = false;

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** A second start is a defect: keys would be worked on twice as fast as anybody meant. */
  start(): void {
    if (this.#isStarted) throw new Error("expected workers that were not started yet");
    this.#isStarted = true;
    for (let index = 0; index < this.#options.count; index++) void this.#work();
  }

  async #work(): Promise<void> {
    const { queue } = this.#options;
    for (let taken = await queue.get(); taken !== undefined; taken = await queue.get()) {
      await this.#serve(taken);
    }
  }

  /** Resolves when the place is free again, which may be before the work is over. */
  #serve(taken: Taken): Promise<void> {
    return new Promise<void>((resolve) => {
      void this.#run(taken.key, taken.priority, resolve).then((result) => {
        taken.finish(result);
        resolve();
      });
    });
  }

  async #run(key: number, priority: Priority, yieldPlace: () => void): Promise<WorkResult> {
    try {
      return await this.#options.run(key, priority, yieldPlace);
    } catch (error) {
      this.#options.onDefect(key, error);
      return { kind: "error" };
    }
  }
}
