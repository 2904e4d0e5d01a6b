import fastq from "fastq";
import PQueue from "p-queue";
import { atLeast, contest, ratioTo, rowOf, type BenchSettings, type Results, type Row, type Table } from "./contest.ts";
import { realWorld } from "./world.ts";
import { fillLanes, LANE_COUNT, submitToLanes, type Job, type Submit } from "../src/bench/lane-load.ts";

/**
 * Lanes against the two usual ways to serialize by key: one p-queue, or one fastq, a guest. The same
 * jobs that do nothing in the same order, every outcome awaited.
 */
const OURS = "lanes";
const FASTQ = "fastq a key";
const P_QUEUE = "p-queue a key";
const GOAL = 5;

const contenders: Readonly<Record<string, () => Submit>> = {
  [OURS]: () => submitToLanes(realWorld.clock),
  [FASTQ]: () => {
    const queues = Array.from({ length: LANE_COUNT }, () => fastq.promise(async (job: Job) => job(), 1));
    return (key, job) => at(queues, key).push(job);
  },
  [P_QUEUE]: () => {
    const queues = Array.from({ length: LANE_COUNT }, () => new PQueue({ concurrency: 1 }));
    return (key, job) => at(queues, key).add(async () => job());
  },
};

const jobs: Readonly<Record<string, Job>> = {
  "synchronous jobs": () => undefined,
  "asynchronous jobs": async () => undefined,
};

export async function run({ isQuick }: BenchSettings): Promise<Results> {
  const jobsPerLane = isQuick ? 5 : 100;
  const rows: Row[] = [];
  for (const [setting, job] of Object.entries(jobs)) {
    rows.push(...(await contest(setting, Object.entries(contenders).map(([name, queues]) => ({ name, sample: async () => ({ value: await rateOf(queues, job, jobsPerLane) }) })))));
  }
  const table: Table = { title: `Jobs that do nothing, ${jobsPerLane} in each of ${LANE_COUNT.toLocaleString("en")} lanes`, ours: OURS, unit: "jobs/s", better: "higher", rows };
  const slowest = Math.min(...Object.keys(jobs).map((setting) => ratioTo(table, rowOf(table, P_QUEUE, setting))));
  return { name: "lanes", title: "Lanes", tables: [table], goals: [atLeast(`at least ${GOAL} × p-queue`, slowest, GOAL)], notes: ["Making the queues counts: guests come and go."] };
}

async function rateOf(queues: () => Submit, job: Job, jobsPerLane: number): Promise<number> {
  const startedMs = performance.now();
  await fillLanes(queues(), jobsPerLane, job);
  return (LANE_COUNT * jobsPerLane * 1000) / (performance.now() - startedMs);
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`no item ${index}`);
  return item;
}
