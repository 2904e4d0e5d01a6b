import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";

/** Crockford's base 32: sorts as the numbers do, no letters that look alike. */
const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
/** 50 bits of milliseconds: enough until the year 37,000. */
const TIME_DIGITS = 10;
const RANDOM_DIGITS = 13;
const RANDOM_BYTES = 8;

/**
 * Operation ids: milliseconds, then 64 random bits, both in base 32. Ids of one source sort in the
 * order they were made, also when the clock stands still or is set back.
 */
export class OperationIds {
  readonly #clock: Clock;
  readonly #random: Random;
  #lastMs = 0;
  #lastRandom = 0n;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  next(): string {
    const nowMs = this.#clock.now();
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs;
      this.#lastRandom = Buffer.from(this.#random.bytes(RANDOM_BYTES)).readBigUInt64BE();
    } else {
      this.#lastRandom++;
    }
    return digits(BigInt(this.#lastMs), TIME_DIGITS) + digits(this.#lastRandom, RANDOM_DIGITS);
  }
}

function digits(value: bigint, count: number): string {
  let text = "";
  for (let rest = value; text.length < count; rest >>= 5n) text = (DIGITS[Number(rest & 31n)] ?? "0") + text;
  return text;
}
