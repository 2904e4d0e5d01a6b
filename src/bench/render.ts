import { diskName, GROUPS, journalName, type Group } from "./suite.ts";
import type { BenchReport, Comparison, Disk, Machine, Place, ReportFigure } from "./report.ts";

/** A report for a person: what it was measured on, the figures, what to make of them. */
export function renderBench(report: BenchReport): string {
  const groups = GROUPS.flatMap((group) => {
    const figures = report.figures.filter((figure) => figure.group === group);
    return figures.length === 0 ? [] : ["", TITLES[group], ...figureRows(figures)];
  });
  const failures = report.failures.length === 0 ? [] : ["", "failed", ...report.failures.map(({ name, message }) => `  ${name}: ${message}`)];
  const lines = [...headerLines(report), ...groups, ...failures, ...comparisonLines(report.comparison), ...verdictLines(report)];
  return `${lines.join("\n")}\n`;
}

const TITLES: Readonly<Record<Group, string>> = {
  disk: "Disk: write + fdatasync of one record in a loop, which no journal can beat",
  journal: "Journal: records appended and durable",
  lanes: "Lanes: jobs that do nothing",
  plan: "Planner: comparing a host of so many guests",
  normalize: "Normal forms: comparing one field, declared and as Proxmox writes it",
  codec: "Journal records, without the disk",
};

/** Name and value, one line each, of what a figure was measured on. */
function headerLines({ steward, at, isQuick, machine, place, journalFile }: BenchReport): readonly string[] {
  const rows: readonly (readonly [string, string])[] = [
    ["steward", `${steward.version} (${steward.commit}), ${at}${isQuick ? ", --quick" : ""}`],
    ["machine", machineText(machine)],
    ["kernel", `${machine.kernel ?? "unknown"}, bun ${machine.bun}`],
    ["directory", placeText(place)],
    ["disk", place.disks.length === 0 ? `none that the kernel names (${place.source ?? "unknown source"})` : place.disks.map(describeDisk).join(" + ")],
    ...(journalFile === null ? [] : [["journal file", journalFile === "filled" ? "filled ahead, written over" : "growing"] as const]),
  ];
  return rows.map(([name, value]) => `${name.padEnd(14)}${value}`);
}

/** "Dell Inc. PowerEdge R640, Intel Xeon, 16 cores, x64, 64 GiB". */
export function machineText({ product, cpu, cores, architecture, memoryMib }: Machine): string {
  const memory = memoryMib === null ? [] : [`${Math.round(memoryMib / 1024)} GiB`];
  return [product ?? "unknown product", cpu ?? "unknown processor", `${cores} ${cores === 1 ? "core" : "cores"}`, architecture, ...memory].join(", ");
}

function placeText({ directory, mountPoint, fileSystem, source }: Place): string {
  return `${directory}, ${fileSystem ?? "unknown file system"} from ${source ?? "an unknown source"} on ${mountPoint ?? "an unknown mount"}`;
}

/** "sda SAMSUNG MZ7LH960, no rotation, write back". */
export function describeDisk({ name, model, isRotational, writeCache }: Disk): string {
  const rotation = isRotational === null ? [] : [isRotational ? "says it rotates" : "no rotation"];
  return [`${name} ${model ?? "(no model)"}`, ...rotation, ...(writeCache === null ? [] : [writeCache])].join(", ");
}

function figureRows(figures: readonly ReportFigure[]): readonly string[] {
  const width = Math.max(...figures.map(({ name }) => name.length));
  return figures.map((figure) => {
    const spread = figure.rounds > 1 ? `  ${figureText(figure.min)} to ${figureText(figure.max)}` : "";
    const latency = figure.p50Ms === null || figure.p99Ms === null ? "" : `  p50 ${figure.p50Ms.toFixed(3)} ms  p99 ${figure.p99Ms.toFixed(3)} ms`;
    return `  ${figure.name.padEnd(width)}  ${figureText(figure.value).padStart(10)} ${figure.unit.padEnd(9)}${latency}${spread}`.trimEnd();
  });
}

/** Three digits are what a measurement is worth; large numbers get separators. */
export function figureText(value: number): string {
  if (value >= 1_000) return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 0 });
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function comparisonLines(comparison: Comparison | undefined): readonly string[] {
  if (comparison === undefined) return [];
  const width = Math.max(0, ...comparison.figures.map(({ name }) => name.length));
  const warning = comparison.differences.length === 0 ? [] : ["  not measured under the same conditions, so read with care:", ...comparison.differences.map((line) => `    ${line}`)];
  const rows = comparison.figures.map(({ name, before, now, ratio, isWithinSpread }) =>
    `  ${name.padEnd(width)}  ${figureText(before).padStart(10)} → ${figureText(now).padStart(10)}  ${ratio.toFixed(2)}×${isWithinSpread ? "  within the spread" : ""}`);
  return ["", `Against ${comparison.against} (above 1: better now)`, ...warning, ...(rows.length === 0 ? ["  nothing was measured in both"] : rows)];
}

function verdictLines({ verdict, figures, journalFile }: BenchReport): readonly string[] {
  if (verdict === null) return [];
  const valueOf = (name: string): number | undefined => figures.find((figure) => figure.name === name)?.value;
  const [alone, raw] = [valueOf(journalName(1)), journalFile === null ? undefined : valueOf(diskName(journalFile))];
  const share = alone === undefined || raw === undefined ? [] : [`The journal, alone, reaches ${(alone / raw).toFixed(2)} of that.`];
  return ["", `${capital(verdict.message)}.`, ...share, ...verdict.advice.map((line) => `→ ${line}`)];
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
