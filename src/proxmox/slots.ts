/**
 * Callers that may wait for a slot at once. More than the guests of one host (10,000), so that a resync which asks
 * for all of them at once fits; a bound all the same, so that a stuck Proxmox cannot fill the memory.
 */
export const WAITING_REQUESTS_MAX = 16_384;

interface Waiter {
  readonly start: () => void;
  isGone: boolean;
}

/** Bounded concurrency with a bounded, first-come-first-served queue. */
export class Slots {
  #free: number;
  #waiters: Waiter[] = [];
  #head = 0;
  #waiting = 0;

  constructor(count: number) {
    if (!Number.isInteger(count) || count < 1) throw new Error(`maxConcurrentRequests must be a positive integer, found ${count}`);
    this.#free = count;
  }

  /** Waits for a slot: "acquired" (then `release` it), "aborted" by `signal`, or "full" at once. */
  acquire(signal: AbortSignal): Promise<"acquired" | "aborted" | "full"> {
    if (signal.aborted) return Promise.resolve("aborted");
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve("acquired");
    }
    if (this.#waiting >= WAITING_REQUESTS_MAX) return Promise.resolve("full");
    return new Promise((resolve) => {
      const giveUp = (): void => {
        waiter.isGone = true;
        this.#waiting--;
        resolve("aborted");
      };
      const waiter: Waiter = {
        isGone: false,
        start: () => {
          signal.removeEventListener("abort", giveUp);
          this.#waiting--;
          resolve("acquired");
        },
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiters.push(waiter);
      this.#waiting++;
    });
  }

  /** Hands the slot to whoever has waited longest. */
  release(): void {
    const next = this.#shift();
    if (next === undefined) this.#free++;
    else next.start();
  }

  #shift(): Waiter | undefined {
    while (this.#head < this.#waiters.length) {
      const waiter = this.#waiters[this.#head++];
      if (waiter !== undefined && !waiter.isGone) {
        this.#compact();
        return waiter;
      }
    }
    this.#waiters = [];
    this.#head = 0;
    return undefined;
  }

  /** Drops what was served once it is the larger half: constant cost a request. */
  #compact(): void {
    if (this.#head * 2 <= this.#waiters.length) return;
    this.#waiters = this.#waiters.slice(this.#head);
    this.#head = 0;
  }
}
