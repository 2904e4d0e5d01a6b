import { describeMachine, describePlace, type SystemFiles } from "./machine.ts";
import { makeScratch, type FileKind, type Scratch } from "./raw-disk.ts";
import { REPORT_HEAD, type BenchReport, type Place, type ReportFigure } from "./report.ts";
import { Interrupted, measureInRounds, type Figure } from "./rounds.ts";
import { benchmarks, diskName, type Benchmark, type BenchStage } from "./suite.ts";
import { judge } from "./verdict.ts";
import type { BenchWorld } from "./journal-load.ts";
import { fault, ok, type Result } from "../ports/errors.ts";

/**
 * The benchmarks, on the operator's own machine and disk: journal and raw disk side by side, lanes,
 * planner, normal forms, codec. Promises: nothing stays behind whatever happens; a benchmark that
 * fails is reported and the others run; no figure decides anything but what the verdict says. What
 * the rivals do is bench/'s, what is printed render.ts's and the command line's.
 */
export interface BenchOptions {
  readonly world: BenchWorld;
  readonly systemFiles: SystemFiles;
  readonly architecture: string;
  readonly steward: { readonly version: string; readonly commit: string };
  /** Where the disk is measured; an absolute path. */
  readonly directory: string;
  readonly isQuick: boolean;
  /** Instead of what `isQuick` means; for tests. */
  readonly pace?: Readonly<Record<"disk" | "processor", Pace>>;
  /** Only benchmarks with this in their name, in any case. */
  readonly filter?: string;
  readonly interrupted: AbortSignal;
  readonly onProgress: (line: string) => void;
}

/** How long one sample takes, about, and how many there are of each benchmark. */
interface Pace {
  readonly durationMs: number;
  readonly rounds: number;
  /** On a slow machine or disk fewer rounds must do; the worst disk gets none of the rest. */
  readonly limit: { readonly enoughMs: number; readonly latestMs: number };
}

/** Files are the noisy part: more rounds. Usually 10 s and two minutes; the limits keep `--quick` within 30 s. */
const PACE: Readonly<Record<"quick" | "full", { readonly disk: Pace; readonly processor: Pace }>> = {
  quick: { disk: { durationMs: 350, rounds: 3, limit: { enoughMs: 10_000, latestMs: 15_000 } }, processor: { durationMs: 250, rounds: 1, limit: { enoughMs: 6_000, latestMs: 9_000 } } },
  full: { disk: { durationMs: 1_500, rounds: 7, limit: { enoughMs: 90_000, latestMs: 180_000 } }, processor: { durationMs: 800, rounds: 3, limit: { enoughMs: 60_000, latestMs: 120_000 } } },
};

/** What the largest benchmark writes at a time, with room to spare. */
const FREE_BYTES_WANTED = 128 * 1_048_576;

/** Proxmox's cluster file system keeps every byte on every node, and in memory. */
const CLUSTER_MOUNT = "/etc/pve";

/** Measures; fails when there is nothing to measure, no place to write, or somebody pressed Ctrl-C. */
export async function runBench(options: BenchOptions): Promise<Result<BenchReport>> {
  const wanted = wantedBenchmarks(options.filter);
  if (!wanted.ok) return wanted;
  const place = describePlace(options.systemFiles, options.directory);
  const usesDisk = wanted.value.some(isOnDisk);
  const scratch = usesDisk ? prepare(options, place) : ok(undefined);
  if (!scratch.ok) return scratch;
  try {
    options.onProgress(`Measuring${usesDisk ? ` in ${options.directory}` : ""}, ${options.isQuick ? "less than 30 seconds" : "up to two minutes"} …`);
    return ok(await measureAll(options, wanted.value, place, scratch.value));
  } catch (error) {
    if (error instanceof Interrupted) return fault("command.interrupted", "interrupted; nothing is left behind");
    throw error;
  } finally {
    scratch.value?.remove();
  }
}

function wantedBenchmarks(filter: string | undefined): Result<readonly Benchmark[]> {
  const all = benchmarks();
  const chosen = filter === undefined ? all : all.filter(({ name }) => name.toLowerCase().includes(filter.toLowerCase()));
  if (chosen.length > 0) return ok(chosen);
  return fault("command.usage", `expected a part of a benchmark's name after --filter, found "${filter ?? ""}"; there are:\n${all.map(({ name }) => `  ${name}`).join("\n")}`);
}

function isOnDisk({ group }: Benchmark): boolean {
  return group === "disk" || group === "journal";
}

/** A directory to write in; the errors are for the person who named it. */
function prepare({ world: { fileSystem }, directory }: BenchOptions, place: Place): Result<Scratch> {
  const status = fileSystem.status(directory);
  if (!status.ok && status.error.code === "file.not_found") return fault("file.not_found", `expected a directory to measure in, found nothing at ${directory}: make it, or name another with --dir`);
  if (!status.ok) return status;
  if (!status.value.isDirectory) return fault("file.other", `expected a directory to measure in, found a file at ${directory}: name the directory it is in with --dir`);
  if (place.mountPoint === CLUSTER_MOUNT) return fault("file.other", `${directory} is in Proxmox's cluster file system, which is not to be filled with benchmarks: name another directory with --dir`);
  const free = fileSystem.freeBytes(directory);
  if (free.ok && free.value < FREE_BYTES_WANTED) {
    return fault("file.no_space", `${directory} has ${mebibytes(free.value)} MiB free, and measuring takes up to ${mebibytes(FREE_BYTES_WANTED)} for a while: make room, or name a directory on another disk with --dir`);
  }
  return makeScratch(directory);
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / 1_048_576);
}

async function measureAll(options: BenchOptions, wanted: readonly Benchmark[], place: Place, scratch: Scratch | undefined): Promise<BenchReport> {
  const { world, systemFiles, steward, isQuick } = options;
  const at = new Date(world.clock.now()).toISOString();
  let journalFile: FileKind | null = null;
  const stage = { world, directory: scratch?.path ?? "", interrupted: options.interrupted, onKind: (kind: FileKind) => (journalFile = kind) };
  const pace = options.pace ?? PACE[isQuick ? "quick" : "full"];
  const onDisk = await measureStage(options, wanted.filter(isOnDisk), stage, pace.disk);
  const onProcessor = await measureStage(options, wanted.filter((benchmark) => !isOnDisk(benchmark)), stage, pace.processor);
  const outcomes = new Map([...onDisk, ...onProcessor]);
  const figures = wanted.flatMap((benchmark) => reportFigure(benchmark, outcomes.get(benchmark.name)));
  const failures = [...outcomes].flatMap(([name, outcome]) => (outcome instanceof Error ? [{ name, message: outcome.message }] : []));
  const machine = describeMachine(systemFiles, options.architecture, Bun.version);
  const raw = figures.find(({ name }) => name === diskName(journalFile ?? "growing")) ?? figures.find(({ group }) => group === "disk");
  return { ...REPORT_HEAD, at, isQuick, steward, machine, place, journalFile, figures, failures, verdict: raw === undefined ? null : judge(raw, place) };
}

async function measureStage(options: BenchOptions, chosen: readonly Benchmark[], stage: Omit<BenchStage, "durationMs">, { durationMs, rounds, limit }: Pace): Promise<ReadonlyMap<string, Figure | Error>> {
  const contenders = chosen.map(({ name, sample }) => ({ name, sample: () => sample({ ...stage, durationMs }) }));
  const groupOf = new Map(chosen.map(({ name, group }) => [name, group]));
  let said = "";
  return measureInRounds(contenders, {
    rounds,
    limit: { clock: options.world.clock, ...limit },
    interrupted: options.interrupted,
    onSample: (name, round) => {
      const line = `  ${groupOf.get(name) ?? name}${rounds === 1 ? "" : `, round ${round} of ${rounds}`}`;
      if (line !== said) options.onProgress(line);
      said = line;
    },
  });
}

function reportFigure({ name, group, unit, better }: Benchmark, outcome: Figure | Error | undefined): readonly ReportFigure[] {
  return outcome === undefined || outcome instanceof Error ? [] : [{ name, group, unit, better, ...outcome }];
}
