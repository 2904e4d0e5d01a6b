import type { Clock } from "../../ports/clock.ts";
import { Died } from "./died.ts";

/**
 * A guest's lock file: one holder, the others wait in order and give up after their time. Every change
 * of a guest's configuration or power state goes through it, as on a real host.
 */
export class FileLock {
  readonly #path: string;
  readonly #clock: Clock;
  #isHeld = false;
  readonly #waiting: (() => void)[] = [];

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /**
   * Takes the lock, waiting up to `timeoutMs`; dies when it does not get it. `onWait` is told once that
   * the lock is not free. The returned function gives it back.
   */
  async acquire(timeoutMs: number, signal?: AbortSignal, onWait?: () => void): Promise<() => void> {
    if (this.#isHeld) {
      onWait?.();
      const outcome = await this.#wait(timeoutMs, signal);
      if (outcome !== "got") throw Died.because(`can't lock file '${this.#path}' - ${outcome}`);
    }
    this.#isHeld = true;
    let isReleased = false;
    return () => {
      if (!isReleased) this.#release();
      isReleased = true;
    };
  }

  #wait(timeoutMs: number, signal: AbortSignal | undefined): Promise<"got" | "got timeout" | "received interrupt"> {
    return new Promise((resolve) => {
      const finish = (outcome: "got" | "got timeout" | "received interrupt"): void => {
        cancelTimer();
        signal?.removeEventListener("abort", onAbort);
        const place = this.#waiting.indexOf(onTurn);
        if (place >= 0) this.#waiting.splice(place, 1);
        resolve(outcome);
      };
      const onTurn = (): void => finish("got");
      const onAbort = (): void => finish("received interrupt");
      const cancelTimer = this.#clock.schedule(timeoutMs, () => finish("got timeout"));
      this.#waiting.push(onTurn);
      signal?.addEventListener("abort", onAbort, { once: true });
      if (signal?.aborted === true) onAbort();
    });
  }

  /** Hands the lock to the next in line without ever leaving it free in between. */
  #release(): void {
    const next = this.#waiting[0];
    if (next === undefined) this.#isHeld = false;
    else next();
  }
}
