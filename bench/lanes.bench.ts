import fastq from "fastq";
import PQueue from "p-queue";
import { Lanes } from "../src/lanes/lanes.ts";
import { SystemClock } from "../src/runtime/clock.ts";

/**
 * Lanes against the two usual ways to serialize by key: one p-queue, or one fastq, per guest. The same
 * no-op jobs in the same order, every outcome awaited; each contender gets `ROUNDS` rounds in turn, so
 * that a slow moment of the machine hits all of them, and its best round counts.
 */

const LANE_COUNT = 10_000;
const JOBS_PER_LANE = 100;
const ROUNDS = 2;
/** The measure this benchmark exists for. */
const EXPECTED_RATIO = 5;

type Job = () => Promise<void> | void;
/** Makes the queues and gives the function that submits one job to one of them. */
type Contender = () => (key: number, job: Job) => PromiseLike<unknown>;

const contenders: Readonly<Record<string, Contender>> = {
  lanes: () => {
    const lanes = new Lanes({ clock: new SystemClock() });
    return (vmid, job) => {
      const submitted = lanes.submit(vmid, job);
      if (!submitted.ok) throw new Error(submitted.error.message);
      return submitted.value.done;
    };
  },
  "fastq per key": () => {
    const queues = Array.from({ length: LANE_COUNT }, () => fastq.promise(async (job: Job) => job(), 1));
    return (key, job) => at(queues, key).push(job);
  },
  "p-queue per key": () => {
    const queues = Array.from({ length: LANE_COUNT }, () => new PQueue({ concurrency: 1 }));
    return (key, job) => at(queues, key).add(async () => job());
  },
};

const jobs: Readonly<Record<string, Job>> = {
  "synchronous no-op": () => undefined,
  "asynchronous no-op": async () => undefined,
};

/** Runs every contender on every kind of job and prints rates and ratios. */
export async function run(): Promise<void> {
  for (const [jobName, job] of Object.entries(jobs)) {
    const best = await bestRates(job);
    const lanes = best.get("lanes") ?? 0;
    console.log(`lanes: ${LANE_COUNT * JOBS_PER_LANE} jobs (${jobName}) over ${LANE_COUNT} lanes, best of ${ROUNDS}`);
    for (const [name, rate] of best) {
      console.log(`  ${name.padEnd(16)} ${Math.round(rate).toLocaleString("en").padStart(12)} jobs/s   lanes are ${(lanes / rate).toFixed(2)} × as fast`);
    }
    const ratio = lanes / (best.get("p-queue per key") ?? Infinity);
    console.log(`  ratio lanes : p-queue = ${ratio.toFixed(2)} (expected ≥ ${EXPECTED_RATIO}) ${ratio >= EXPECTED_RATIO ? "ok" : "MISSED"}`);
  }
}

async function bestRates(job: Job): Promise<Map<string, number>> {
  const best = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, contender] of Object.entries(contenders)) {
      Bun.gc(true);
      best.set(name, Math.max(best.get(name) ?? 0, await rateOf(contender, job)));
    }
  }
  return best;
}

async function rateOf(contender: Contender, job: Job): Promise<number> {
  const startedAtMs = performance.now();
  const submit = contender();
  const outcomes: PromiseLike<unknown>[] = [];
  for (let turn = 0; turn < JOBS_PER_LANE; turn++) {
    for (let key = 0; key < LANE_COUNT; key++) outcomes.push(submit(key, job));
  }
  await Promise.all(outcomes);
  return (LANE_COUNT * JOBS_PER_LANE * 1000) / (performance.now() - startedAtMs);
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`no item ${index}`);
  return item;
}
