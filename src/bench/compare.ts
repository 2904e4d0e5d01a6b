import type { BenchReport, Comparison, Disk, ReportFigure } from "./report.ts";

/** What two reports must share for their figures to be comparable, and how it is called. */
const CONDITIONS: readonly (readonly [string, (report: BenchReport) => string | null])[] = [
  ["machine", ({ machine }) => machine.product],
  ["processor", ({ machine }) => machine.cpu],
  ["cores", ({ machine }) => String(machine.cores)],
  ["architecture", ({ machine }) => machine.architecture],
  ["kernel", ({ machine }) => machine.kernel],
  ["file system", ({ place }) => place.fileSystem],
  ["disk", ({ place }) => place.disks.map(diskText).join(" + ") || null],
  ["kind of journal file", ({ journalFile }) => journalFile],
  ["runtime", ({ machine }) => machine.bun],
  ["duration", ({ isQuick }) => (isQuick ? "--quick" : "full")],
];

function diskText({ name, model, isRotational }: Disk): string {
  return `${model ?? name}${isRotational === true ? " (rotational)" : ""}`;
}

/** The figures both reports have, as ratios: above 1 is better now, whichever way the figure counts. */
export function compareReports(before: BenchReport, now: BenchReport): Comparison {
  const earlier = new Map(before.figures.map((figure) => [figure.name, figure]));
  return {
    against: `steward ${before.steward.version} (${before.steward.commit}), ${before.at}`,
    differences: CONDITIONS.flatMap(([what, read]) => {
      const [then, today] = [read(before), read(now)];
      // What a run did not look at is no difference.
      return then === today || (what === "kind of journal file" && (then === null || today === null)) ? [] : [`${what}: ${then ?? "unknown"} then, ${today ?? "unknown"} now`];
    }),
    figures: now.figures.flatMap((figure) => {
      const old = earlier.get(figure.name);
      return old === undefined || old.unit !== figure.unit || old.value === 0 || figure.value === 0 ? [] : [compared(old, figure)];
    }),
  };
}

function compared(before: ReportFigure, now: ReportFigure): Comparison["figures"][number] {
  const ratio = now.better === "higher" ? now.value / before.value : before.value / now.value;
  return { name: now.name, before: before.value, now: now.value, ratio, isWithinSpread: before.min <= now.max && now.min <= before.max };
}
