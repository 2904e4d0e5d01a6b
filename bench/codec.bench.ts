import { createHash } from "node:crypto";
import { atMost, contest, rowOf, type BenchSettings, type Results, type Table } from "./contest.ts";
import { createEncoder, decodeOne, RECORD_BODY, RECORD_LINE } from "../src/bench/journal-load.ts";
import { nanosecondsOf } from "../src/bench/processor.ts";

/**
 * A record on its way to the disk and back, without the disk, beside what one would write in ten
 * lines: JSON and a SHA-256 chain by node:crypto. The goal is a share of what the fastest disk takes.
 */
const OURS = "journal";
const PLAIN = "JSON + node:crypto chain";
const JSON_ONLY = "JSON alone, nothing checked";
const ENCODE = "encode + check + chain";
const DECODE = "check + decode";
const GOAL_US = 3;

const RECORD: unknown = JSON.parse(RECORD_BODY);

export async function run({ isQuick }: BenchSettings): Promise<Results> {
  const [budgetMs, rounds] = isQuick ? [30, 5] : [300, 9];
  const contender = (name: string, work: () => unknown) => ({ name, sample: async () => ({ value: (await nanosecondsOf(work, budgetMs)) / 1_000 }) });
  const rows = [
    ...(await contest(ENCODE, [contender(OURS, createEncoder()), contender(PLAIN, createPlainEncoder()), contender(JSON_ONLY, () => JSON.stringify(RECORD))], rounds)),
    ...(await contest(DECODE, [contender(OURS, decodeOne), contender(PLAIN, decodePlain), contender(JSON_ONLY, () => JSON.parse(RECORD_BODY))], rounds)),
  ];
  const table: Table = { title: "One record, without the disk", ours: OURS, unit: "µs", better: "lower", rows };
  return {
    name: "codec", title: "Journal records", tables: [table],
    goals: [atMost(`${ENCODE} at most ${GOAL_US} µs a record`, rowOf(table, OURS, ENCODE).value, GOAL_US, "µs")],
    notes: [`A record has ${RECORD_LINE.length} bytes with its frame. The journal's decoding also validates its form; the plain design's does not.`],
  };
}

/** A line with its hash, which covers the one before. */
function createPlainEncoder(): () => string {
  let link = "0".repeat(64);
  return () => {
    const text = `${link} ${JSON.stringify(RECORD)}`;
    link = createHash("sha256").update(text).digest("hex");
    return `${link} ${text}\n`;
  };
}

const PLAIN_LINE = Buffer.from(createPlainEncoder()());
const HASH_CHARS = 64;

function decodePlain(): unknown {
  const line = PLAIN_LINE.toString("utf8");
  const text = line.slice(HASH_CHARS + 1, -1);
  if (createHash("sha256").update(text).digest("hex") !== line.slice(0, HASH_CHARS)) throw new Error("a line that was just written does not verify");
  return JSON.parse(text.slice(HASH_CHARS + 1));
}
