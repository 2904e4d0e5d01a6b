/**
 * Work that can be interrupted: each step ends with the work it did, in units of about a microsecond, so that
 * whoever drives it can let everything else have its turn, and a test can count instead of measure.
 */
export type Steps<T> = Generator<number, T>;

/** Work after which a step ends: about ten milliseconds, up to ten times that when everything in it is wrong. */
export const STEP_WORK = 8_192;

/** Characters of one value. Proxmox takes 8 KiB at most (a description). */
export const VALUE_LENGTH_MAX = 65_536;

/** Characters that cost about as much as a token. */
const CHARACTERS_A_UNIT = 16;

/** The work a piece of text makes: one for being a token, and some for its length. */
export function workOf(source: string): number {
  return 1 + Math.floor(Math.min(source.length, VALUE_LENGTH_MAX) / CHARACTERS_A_UNIT);
}

/** Does all of it at once. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
