import { readFile } from "node:fs/promises";
import type { Clock } from "../ports/clock.ts";

/** Reading a file of a healthy pmxcfs takes a tenth of a millisecond. A busy machine may need a thousand times that, and is not to be taken for a hanging one. */
export const FILE_ANSWER_TIMEOUT_MS = 2_000;

/**
 * Whether a file can be read at all, found out without waiting for it for ever: a file system in user
 * space that hangs blocks whoever reads from it, and with a synchronous read the whole process. One
 * read at a time: while one hangs no other is begun.
 */
export class FileProbe {
  readonly #path: string;
  readonly #clock: Clock;
  #isReading = false;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** True when there was an answer in time, whatever it says: a file that is missing is one. */
  answers(): Promise<boolean> {
    if (this.#isReading) return Promise.resolve(false);
    this.#isReading = true;
    return new Promise((resolve) => {
      const cancel = this.#clock.schedule(FILE_ANSWER_TIMEOUT_MS, () => resolve(false));
      const settle = (): void => {
        this.#isReading = false;
        cancel();
        resolve(true);
      };
      readFile(this.#path).then(settle, settle);
    });
  }
}
