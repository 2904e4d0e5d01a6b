import equal from "fast-deep-equal";
import diff from "microdiff";
import { atLeast, contest, ratioTo, rowOf, type BenchSettings, type Results, type Row, type Table } from "./contest.ts";
import { nanosecondsOf } from "../src/bench/processor.ts";
import { HOST_SIZES } from "../src/bench/suite.ts";
import { planInputOf, syntheticHost } from "../src/bench/synthetic-host.ts";
import { PlanCache } from "../src/plan/plan-cache.ts";
import { planGuest } from "../src/plan/plan-guest.ts";

/**
 * What planning a host costs beside generic differences of two configs (microdiff lists them,
 * fast-deep-equal only says whether there are any) and beside parsing them, which nobody can avoid.
 * The rivals compare what was read with what was read before; they know nothing of what a value means.
 */
const OURS = "planner";
const PARSE = "JSON.parse of the configs";
const MICRODIFF = "microdiff";
const DEEP_EQUAL = "fast-deep-equal";
/** The measures of old: a plan costs a few times what parsing costs, and nearly nothing when nothing changed. */
const ANEW_GOAL = 1 / 8;
const UNCHANGED_GOAL = 1 / 0.3;
const GOAL_GUESTS = 10_000;

export async function run({ isQuick }: BenchSettings): Promise<Results> {
  const [budgetMs, rounds] = isQuick ? [5, 5] : [150, 9];
  const anew: Row[] = [];
  const unchanged: Row[] = [];
  for (const guests of HOST_SIZES) {
    const works = worksFor(guests);
    const contenders = (mine: () => unknown) =>
      Object.entries({ [OURS]: mine, ...works.rivals }).map(([name, work]) => ({ name, sample: async () => ({ value: (await nanosecondsOf(work, budgetMs)) / 1_000 / guests }) }));
    anew.push(...(await contest(settingOf(guests), contenders(works.anew), rounds)));
    unchanged.push(...(await contest(settingOf(guests), contenders(works.unchanged), rounds)));
  }
  const tables: readonly [Table, Table] = [
    { title: "Every guest planned anew", ours: OURS, unit: "µs/guest", better: "lower", rows: anew },
    { title: "Every guest read again, none changed", ours: OURS, unit: "µs/guest", better: "lower", rows: unchanged },
  ];
  const toParsing = (table: Table): number => ratioTo(table, rowOf(table, PARSE, settingOf(GOAL_GUESTS)));
  return {
    name: "plan", title: "Planner", tables,
    goals: [
      atLeast(`${settingOf(GOAL_GUESTS)} planned anew at ${ANEW_GOAL} of the speed of JSON.parse or more`, toParsing(tables[0]), ANEW_GOAL),
      atLeast(`${settingOf(GOAL_GUESTS)}, none changed, at ${UNCHANGED_GOAL.toFixed(1)} × the speed of JSON.parse or more`, toParsing(tables[1]), UNCHANGED_GOAL),
    ],
    notes: ["The rivals compare two configs key by key as texts. The planner merges what is declared into what is, compares normal forms and says why; what is unchanged it knows by digest."],
  };
}

function settingOf(guests: number): string {
  return `${guests.toLocaleString("en")} guests`;
}

function worksFor(guests: number) {
  const host = syntheticHost(guests);
  const [inputs, again] = [host.map(planInputOf), host.map(planInputOf)];
  const cache = new PlanCache();
  for (const input of inputs) cache.plan(input);
  const pairs = inputs.map((input, index) => ({ before: configOf(input), now: configOf(again[index]) }));
  return {
    anew: () => inputs.map((input) => planGuest(input)),
    unchanged: () => again.map((input) => cache.plan(input)),
    rivals: {
      [PARSE]: () => host.map(({ json }) => JSON.parse(json) as unknown),
      [MICRODIFF]: () => pairs.map(({ before, now }) => diff(before, now)),
      [DEEP_EQUAL]: () => pairs.map(({ before, now }) => equal(before, now)),
    },
  };
}

function configOf(input: ReturnType<typeof planInputOf> | undefined): Record<string, unknown> {
  return { ...input?.observed?.config.running };
}
