/**
 * A fair semaphore: bounds how many of something run at once over all lanes (acts, starts), in the
 * order they asked. Used inside a job, so a waiting lane keeps its place and its guest stays its own.
 */

/** Gives the place back; further calls do nothing. */
export type Release = () => void;

interface Waiter {
  readonly admit: () => void;
}

export class Limiter {
  #limit: number;
  #inUse = 0;
  /** In order of asking; a Set so that giving up from the middle is cheap. */
  readonly #waiters = new Set<Waiter>();

  /** `limit`: how many may hold a place at once, a whole number from 1. */
  constructor(limit: number) {
    this.#limit = checkedLimit(limit);
  }

  /** Places held. May exceed the limit for a while after it was lowered. */
  get inUse(): number {
    return this.#inUse;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Changes the limit. Raising admits waiters at once; lowering takes no place away, it only fills up slower. */
  resize(limit: number): void {
    this.#limit = checkedLimit(limit);
    this.#admitWaiters();
  }

  /**
   * Waits for a place, first come first served, and gives the function that returns it. Undefined when
   * `signal` aborted first: then there is no place and nothing to give back. Never rejects.
   */
  acquire(signal?: AbortSignal): Promise<Release | undefined> {
    if (signal?.aborted === true) return Promise.resolve(undefined);
    if (this.#inUse < this.#limit && this.#waiters.size === 0) return Promise.resolve(this.#take());
    return new Promise((resolve) => {
      const waiter: Waiter = {
        admit: () => {
          signal?.removeEventListener("abort", giveUp);
          resolve(this.#take());
        },
      };
      const giveUp = (): void => {
        this.#waiters.delete(waiter);
        resolve(undefined);
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#waiters.add(waiter);
    });
  }

  #take(): Release {
    this.#inUse++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#inUse--;
      this.#admitWaiters();
    };
  }

  #admitWaiters(): void {
    for (const waiter of this.#waiters) {
      if (this.#inUse >= this.#limit) return;
      this.#waiters.delete(waiter);
      waiter.admit();
    }
  }
}

function checkedLimit(limit: number): number {
  if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`expected a limit that is a whole number from 1, found ${limit}`);
  return limit;
}
