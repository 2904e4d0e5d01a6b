import fastq from "fastq";
import PQueue from "p-queue";
import { atLeast, contest, ratioTo, rowOf, type BenchSettings, type Results, type Row, type Table } from "./contest.ts";
import { realWorld } from "./world.ts";
import { Backoff } from "../src/schedule/backoff.ts";
import { PRIORITIES } from "../src/schedule/queue-types.ts";
import { Workers } from "../src/schedule/workers.ts";
import { WorkQueue } from "../src/schedule/work-queue.ts";

/**
 * The queue of guests against two queues of jobs, with what a host does to them: 10,000 guests asked for
 * three times each before anybody gets to them, in three priorities. The rivals know neither keys nor
 * duplicates, so they are given the set of waiting keys that a user of them would keep beside them.
 */
const KEYS = 10_000;
const ASKINGS = 3;
const WORKERS = 64;
const OURS = "queue of guests";
const P_QUEUE = "p-queue and a set";
const FASTQ = "fastq and a set (no priorities)";
const SETTING = "add ×3, take, finish";
const GOAL = 1;

type Rival = () => Promise<void>;

const contenders: Readonly<Record<string, Rival>> = {
  [OURS]: () => {
    const { clock, random } = realWorld;
    const queue = new WorkQueue({ clock, backoff: new Backoff(clock, random) });
    askForAll((key, rank) => queue.add(key, PRIORITIES[rank] ?? "resync"));
    new Workers({ queue, count: WORKERS, run: () => Promise.resolve({ kind: "done" }), onDefect: () => {} }).start();
    return queue.drain();
  },
  [P_QUEUE]: () => {
    const queue = new PQueue({ concurrency: WORKERS, autoStart: false });
    const waiting = new Set<number>();
    askForAll((key, rank) => {
      if (waiting.has(key)) return;
      waiting.add(key);
      void queue.add(async () => void waiting.delete(key), { priority: -rank });
    });
    queue.start();
    return queue.onIdle();
  },
  [FASTQ]: async () => {
    const waiting = new Set<number>();
    const queue = fastq.promise(async (key: number) => void waiting.delete(key), WORKERS);
    queue.pause();
    askForAll((key) => {
      if (waiting.has(key)) return;
      waiting.add(key);
      void queue.push(key);
    });
    queue.resume();
    await queue.drained();
  },
};

export async function run(_: BenchSettings): Promise<Results> {
  const rows: Row[] = [...(await contest(SETTING, Object.entries(contenders).map(([name, rival]) => ({ name, sample: async () => ({ value: await rateOf(rival) }) }))))];
  const table: Table = { title: `${KEYS.toLocaleString("en")} keys, each asked for ${ASKINGS} times and worked on once`, ours: OURS, unit: "keys/s", better: "higher", rows };
  return {
    name: "schedule", title: "The queue of guests", tables: [table],
    goals: [atLeast(`at least ${GOAL} × p-queue`, ratioTo(table, rowOf(table, P_QUEUE, SETTING)), GOAL)],
    notes: ["The work itself is nothing: on a host it is a request of 2 ms, beside which any of them is free."],
  };
}

async function rateOf(rival: Rival): Promise<number> {
  const startedMs = performance.now();
  await rival();
  return (KEYS * 1000) / (performance.now() - startedMs);
}

/** As a resync, then events, then a person would: the last asking of a tenth raises its priority. */
function askForAll(ask: (key: number, rank: number) => void): void {
  for (let asking = 0; asking < ASKINGS; asking++) {
    for (let key = 0; key < KEYS; key++) ask(key, key % 10 === 0 ? 2 - asking : 2);
  }
}
