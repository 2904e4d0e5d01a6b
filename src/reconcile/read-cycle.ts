import type { Clock } from "../ports/clock.ts";

/** Configs re-read in one poll where changes do not announce themselves. */
export const REREADS_PER_POLL_MAX = 50;

/**
 * Off the host nothing announces a config edit, so every declared guest is re-read in turn. This says
 * whose turn it is, and how long a whole round takes: so late may a change be seen.
 */
export class ReadCycle {
  readonly #clock: Clock;
  readonly #onCycle: (seconds: number) => void;
  #cursor = 0;
  #startedMs: number | undefined;

  /** @param onCycle told the seconds that each whole round took */
  constructor(clock: Clock, onCycle: (seconds: number) => void) {
    this.#clock = clock;
    this.#onCycle = onCycle;
  }

  /** Everything is read at this moment: a round begins, with the first guest, whatever the one before had come to. */
  begin(): void {
    this.#cursor = 0;
    this.#startedMs = this.#clock.monotonic();
  }

  /** Those of `vmids` whose turn it is in this poll. */
  next(vmids: readonly number[]): readonly number[] {
    const turn: number[] = [];
    for (let step = 0; step < Math.min(REREADS_PER_POLL_MAX, vmids.length); step++) {
      const vmid = vmids[this.#cursor];
      this.#cursor += 1;
      if (vmid !== undefined) turn.push(vmid);
      // Past the end when guests were removed meanwhile: the others were all read.
      if (this.#cursor >= vmids.length) this.#end();
    }
    return turn;
  }

  #end(): void {
    if (this.#startedMs !== undefined) this.#onCycle((this.#clock.monotonic() - this.#startedMs) / 1000);
    this.begin();
  }
}
