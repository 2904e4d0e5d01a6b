import { join } from "node:path";
import { FIELD_SAMPLES, fieldName, isDrift } from "./field-samples.ts";
import { createEncoder, decodeOne, measureJournal, RECORD_LINE, type BenchWorld } from "./journal-load.ts";
import { fillLanes, LANE_COUNT, submitToLanes } from "./lane-load.ts";
import { nanosecondsOf } from "./processor.ts";
import { inScratch, measureRawSyncs, type FileKind } from "./raw-disk.ts";
import type { Sample } from "./rounds.ts";
import { planInputOf, syntheticHost } from "./synthetic-host.ts";
import { PlanCache } from "../plan/plan-cache.ts";
import { planGuest } from "../plan/plan-guest.ts";

/** What is measured, as `agent bench` lists it. Groups that share a stage are measured in turns. */

export const GROUPS = ["disk", "journal", "lanes", "plan", "normalize", "codec"] as const;
export type Group = (typeof GROUPS)[number];

/** What a benchmark may use. */
export interface BenchStage {
  readonly world: BenchWorld;
  /** An empty directory on the disk in question; only for those that use the disk. */
  readonly directory: string;
  /** How long one round of one benchmark takes, about. */
  readonly durationMs: number;
  readonly interrupted: AbortSignal;
  /** Told what kind of file the journal writes. */
  readonly onKind: (kind: FileKind) => void;
}

export interface Benchmark {
  readonly name: string;
  readonly group: Group;
  readonly unit: "syncs/s" | "records/s" | "jobs/s" | "µs/guest" | "ns" | "µs/record";
  readonly better: "higher" | "lower";
  readonly sample: (stage: BenchStage) => Promise<Sample>;
}

/** Appenders at a time: one act alone, a busy host, and what nobody needs but shows where the limit is. */
export const APPENDERS = [1, 8, 64, 512] as const;
/** Guests of one host: a homelab, a large one, and ten times the largest. */
export const HOST_SIZES = [100, 1_000, 10_000] as const;
const JOBS_PER_LANE = 10;

const FILE_KINDS: readonly FileKind[] = ["growing", "filled"];

/** The name of the raw disk's figure for a kind of file. */
export function diskName(kind: FileKind): string {
  return `disk, ${kind} file`;
}

/** The name of the journal's figure for so many appenders. */
export function journalName(appenders: number): string {
  return `journal, ${appenders} ${appenders === 1 ? "appender" : "appenders"}`;
}

/** Every benchmark, in the order they are shown. */
export function benchmarks(): readonly Benchmark[] {
  return [
    ...FILE_KINDS.map((kind): Benchmark => ({
      name: diskName(kind), group: "disk", unit: "syncs/s", better: "higher",
      sample: ({ world: { clock }, directory, durationMs, interrupted }) => measureRawSyncs({ clock, directory, kind, bytes: RECORD_LINE, durationMs, interrupted }),
    })),
    ...APPENDERS.map((appenders): Benchmark => ({ name: journalName(appenders), group: "journal", unit: "records/s", better: "higher", sample: (stage) => sampleJournal(stage, appenders) })),
    { name: `lanes, ${LANE_COUNT} lanes`, group: "lanes", unit: "jobs/s", better: "higher", sample: sampleLanes },
    ...HOST_SIZES.flatMap((guests): readonly Benchmark[] => [
      { name: `plan, ${guests} guests, all anew`, group: "plan", unit: "µs/guest", better: "lower", sample: (stage) => samplePlan(stage, guests, false) },
      { name: `plan, ${guests} guests, none changed`, group: "plan", unit: "µs/guest", better: "lower", sample: (stage) => samplePlan(stage, guests, true) },
    ]),
    ...FIELD_SAMPLES.map((field): Benchmark => ({
      name: `normalize, ${fieldName(field)}`, group: "normalize", unit: "ns", better: "lower",
      sample: async ({ durationMs }) => ({ value: await nanosecondsOf(() => isDrift(field), durationMs / FIELD_SAMPLES.length) }),
    })),
    { name: "codec, encode + check + chain", group: "codec", unit: "µs/record", better: "lower", sample: ({ durationMs }) => sampleCodec(createEncoder(), durationMs) },
    { name: "codec, check + decode", group: "codec", unit: "µs/record", better: "lower", sample: ({ durationMs }) => sampleCodec(decodeOne, durationMs) },
  ];
}

/** Each round has a journal of its own, gone afterwards: what one left behind must not slow the next, or fill the disk. */
function sampleJournal({ world, directory, durationMs, interrupted, onKind }: BenchStage, appenders: number): Promise<Sample> {
  return inScratch(directory, (path) => measureJournal(world, { directory: join(path, "journal"), appenders, durationMs, interrupted, onKind }));
}

async function sampleLanes({ world, durationMs }: BenchStage): Promise<Sample> {
  const tookNs = await nanosecondsOf(() => fillLanes(submitToLanes(world.clock), JOBS_PER_LANE, () => undefined), durationMs);
  return { value: (LANE_COUNT * JOBS_PER_LANE * 1e9) / tookNs };
}

async function samplePlan({ durationMs }: BenchStage, guests: number, isUnchanged: boolean): Promise<Sample> {
  const host = syntheticHost(guests);
  const inputs = host.map(planInputOf);
  const cache = new PlanCache();
  if (isUnchanged) for (const input of host.map(planInputOf)) cache.plan(input);
  const plan = isUnchanged ? (): unknown => inputs.map((input) => cache.plan(input)) : (): unknown => inputs.map((input) => planGuest(input));
  return { value: (await nanosecondsOf(plan, durationMs)) / 1_000 / guests };
}

async function sampleCodec(work: () => unknown, durationMs: number): Promise<Sample> {
  return { value: (await nanosecondsOf(work, durationMs)) / 1_000 };
}
