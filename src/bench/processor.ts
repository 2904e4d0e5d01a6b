import { do_not_optimize, measure } from "mitata";

const NANOSECONDS_PER_MS = 1e6;
/** Work of some microseconds is timed in batches of this many; more, and one field would take seconds. */
const BATCH_SAMPLES = 512;
const SAMPLES_MIN = 3;

/**
 * What one call of `work` takes, in nanoseconds: mitata's median over calls (or over batches of calls,
 * where one is too short to be timed), measured for `budgetMs` of running time.
 */
export async function nanosecondsOf(work: () => unknown, budgetMs: number): Promise<number> {
  // Handed on, so that mitata waits where it is a promise.
  const observed = (): unknown => {
    const result = work();
    do_not_optimize(result);
    return result;
  };
  const stats = await measure(observed, { min_cpu_time: budgetMs * NANOSECONDS_PER_MS, min_samples: SAMPLES_MIN, batch_samples: BATCH_SAMPLES });
  return stats.p50;
}
