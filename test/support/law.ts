import fc from "fast-check";

/**
 * Laws hold for every guest. Each is tried on so many generated ones; which, follows from the seed.
 *
 * - `bun test` tries 10,000 from a seed that is always the same, so that a build says the same twice;
 * - `bun run laws` tries ten times as many, from a new seed each time;
 * - STEWARD_LAW_RUNS and STEWARD_LAW_SEED say otherwise: the seed that a failed law printed makes it fail again.
 */
const RUNS = 10_000;
const LONG_RUNS = 10 * RUNS;
const FIXED_SEED = 20_260_101;
const SEED_MAX = 0x7fff_ffff;

const IS_LONG = process.env["STEWARD_LAW_EFFORT"] === "long";
const SEED = numberFrom("STEWARD_LAW_SEED") ?? (IS_LONG ? Math.floor(Math.random() * SEED_MAX) : FIXED_SEED);

function numberFrom(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === "") return undefined;
  if (!/^-?\d{1,10}$/.test(text)) throw new Error(`${name}: expected a whole number, found ${JSON.stringify(text)}`);
  return Number(text);
}

/** How many generated guests each law is tried on. */
const LAW_RUNS = numberFrom("STEWARD_LAW_RUNS") ?? (IS_LONG ? LONG_RUNS : RUNS);

/** No test's own time limit may cut a long run short. */
export const LAW_TIMEOUT_MS = 60_000 + LAW_RUNS * 20;

interface LawOptions {
  /** Guests that one drawn value holds; the count is of guests. */
  readonly guestsPerRun?: number;
  /** What was seen on the way, printed behind the count. */
  readonly remark?: () => string;
}

/** Tries laws that hold for the same guests; prints of each how often and with which seed, and throws with the shrunk counterexample where one does not hold. */
export async function law<T>(names: readonly string[], values: fc.Arbitrary<T>, holds: (value: T) => void | Promise<void>, options: LawOptions = {}): Promise<void> {
  const guests = options.guestsPerRun ?? 1;
  const numRuns = Math.ceil(LAW_RUNS / guests);
  for (const name of names) process.stdout.write(`law: ${name}: ${numRuns * guests} guests, seed ${SEED}\n`);
  await fc.assert(fc.asyncProperty(values, async (value) => holds(value)), { numRuns, seed: SEED });
  if (options.remark !== undefined) process.stdout.write(`law: (${options.remark()})\n`);
}
