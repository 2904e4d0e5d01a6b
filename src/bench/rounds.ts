import type { Clock } from "../ports/clock.ts";

/** What one round of one contender came to. Latencies are of single operations, where there are any. */
export interface Sample {
  readonly value: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

/** The medians over all rounds, and between what the rounds lay. */
export interface Figure {
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly rounds: number;
}

/** Something that can be measured again and again. */
export interface Contender {
  readonly name: string;
  readonly sample: () => Promise<Sample>;
}

export interface RoundOptions {
  readonly rounds: number;
  /** For those who wait: what was measured by then must do. */
  readonly limit?: TimeLimit;
  /** Aborted: what is running is left alone, and `Interrupted` thrown. */
  readonly interrupted?: AbortSignal;
  readonly onSample?: (name: string, round: number) => void;
}

export interface TimeLimit {
  readonly clock: Clock;
  /** After this a contender that has a sample gets no more … */
  readonly enoughMs: number;
  /** … and after this one that has none gets none: it failed. */
  readonly latestMs: number;
}

/** Thrown when somebody does not want to wait any longer. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/**
 * Measures all contenders in turn, `rounds` times over, so that a slow moment of the machine hits all
 * of them alike. One that throws is out, its error is its outcome, and the others go on.
 */
export async function measureInRounds(contenders: readonly Contender[], options: RoundOptions): Promise<ReadonlyMap<string, Figure | Error>> {
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  const errors = new Map<string, Error>();
  const { limit } = options;
  const startedMs = limit?.clock.monotonic() ?? 0;
  for (let round = 1; round <= options.rounds; round++) {
    for (const { name, sample } of contenders) {
      const spentMs = limit === undefined ? 0 : limit.clock.monotonic() - startedMs;
      const isMeasured = (samples.get(name)?.length ?? 0) > 0;
      if (errors.has(name) || (limit !== undefined && isMeasured && spentMs > limit.enoughMs)) continue;
      if (limit !== undefined && spentMs > limit.latestMs) {
        errors.set(name, new Error(`not measured: what was measured before it took ${(spentMs / 1_000).toFixed(0)} s; measure it alone`));
        continue;
      }
      options.onSample?.(name, round);
      // What the one before has left behind is not this one's to collect.
      Bun.gc(true);
      const found = await unlessInterrupted(sample, options.interrupted);
      if (found instanceof Error) errors.set(name, found);
      else samples.get(name)?.push(found);
    }
  }
  return new Map(contenders.map(({ name }) => [name, errors.get(name) ?? figureOf(samples.get(name) ?? [])]));
}

async function unlessInterrupted(sample: () => Promise<Sample>, interrupted: AbortSignal | undefined): Promise<Sample | Error> {
  const running = sample().catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
  if (interrupted === undefined) return running;
  const found = await Promise.race([running, untilAborted(interrupted)]);
  if (interrupted.aborted || found === undefined) throw new Interrupted("interrupted");
  return found;
}

function untilAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

function figureOf(samples: readonly Sample[]): Figure {
  const values = samples.map(({ value }) => value);
  return {
    value: median(values) ?? 0,
    min: Math.min(...values),
    max: Math.max(...values),
    p50Ms: median(samples.flatMap(({ p50Ms }) => p50Ms ?? [])) ?? null,
    p99Ms: median(samples.flatMap(({ p99Ms }) => p99Ms ?? [])) ?? null,
    rounds: samples.length,
  };
}

/** The middle one; of an even number the lower of the two in the middle, so that it is one that was measured. */
function median(values: readonly number[]): number | undefined {
  return values.toSorted((left, right) => left - right)[Math.floor((values.length - 1) / 2)];
}

export interface AppendOptions {
  readonly clock: Clock;
  /** How many appends are kept under way at a time. */
  readonly appenders: number;
  readonly durationMs: number;
  readonly interrupted?: AbortSignal;
  readonly append: () => Promise<void>;
}

/** Keeps `appenders` appends under way for `durationMs` and times each: appends a second, and how long one took. */
export async function measureAppends({ clock, appenders, durationMs, interrupted, append }: AppendOptions): Promise<Sample> {
  const latenciesMs: number[] = [];
  const startedMs = clock.monotonic();
  await Promise.all(Array.from({ length: appenders }, async () => {
    let nowMs = clock.monotonic();
    while (nowMs - startedMs < durationMs && interrupted?.aborted !== true) {
      await append();
      const endedMs = clock.monotonic();
      latenciesMs.push(endedMs - nowMs);
      nowMs = endedMs;
    }
  }));
  return sampleOf(latenciesMs, clock.monotonic() - startedMs);
}

/** Operations a second and their latencies, of operations that took `tookMs` together. */
export function sampleOf(latenciesMs: readonly number[], tookMs: number): Required<Sample> {
  const sorted = Float64Array.from(latenciesMs).sort();
  const quantile = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { value: (sorted.length * 1000) / tookMs, p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
}
