import { simulate, type SimulationOptions, type SimulationReport } from "./simulation.ts";
import type { FaultCounts, FaultKind } from "./weather.ts";

/** Many seeds, one after the other, and what came of them in one line. */

export interface CampaignReport {
  readonly seeds: number;
  readonly steps: number;
  readonly faults: FaultCounts;
  readonly acts: number;
  readonly crashes: number;
  readonly virtualHours: number;
  readonly slowestNoticeMs: number;
  readonly failed: readonly SimulationReport[];
}

export interface CampaignOptions {
  readonly from: number;
  readonly seeds: number;
  readonly steps: number;
  readonly plant?: SimulationOptions["plant"];
  /** Ends at the first violation that says this. */
  readonly until?: RegExp;
  readonly onSeed?: (report: SimulationReport) => void;
}

export async function runCampaign({ from, seeds, steps, plant, until, onSeed }: CampaignOptions): Promise<CampaignReport> {
  const reports: SimulationReport[] = [];
  for (let seed = from; seed < from + seeds; seed++) {
    const report = await simulate({ seed, steps, ...(plant === undefined ? {} : { plant }) });
    reports.push(report);
    onSeed?.(report);
    if (until !== undefined && report.violations.some((violation) => until.test(violation))) break;
  }
  const faults: Partial<Record<FaultKind, number>> = {};
  for (const report of reports) for (const [kind, count] of entriesOf(report.faults)) faults[kind] = (faults[kind] ?? 0) + count;
  const sum = (of: (report: SimulationReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
  return {
    seeds: reports.length, steps, faults, acts: sum(({ acts }) => acts), crashes: sum(({ crashes }) => crashes), virtualHours: sum(({ elapsedMs }) => elapsedMs) / 3_600_000,
    slowestNoticeMs: Math.max(...reports.map((report) => report.slowestNoticeMs)), failed: reports.filter(({ violations }) => violations.length > 0),
  };
}

/** "simulation: 200 seeds × 2000 steps, faults by kind {…}, … violations 0". */
export function summaryOf(report: CampaignReport): string {
  const faults = entriesOf(report.faults).sort(([, left], [, right]) => right - left).map(([kind, count]) => `${kind} ${count}`).join(", ");
  return `simulation: ${report.seeds} seeds × ${report.steps} steps (${report.virtualHours.toFixed(0)} virtual hours), faults by kind {${faults}}, acts ${report.acts}, crashes ${report.crashes}, `
    + `slowest notice on the host ${Math.round(report.slowestNoticeMs)} ms, violations ${report.failed.length}`;
}

/** What a failing seed found, and how to see it again. */
export function failureOf({ seed, violations }: SimulationReport, steps: number): string {
  return `seed ${seed}: ${violations[0]}\n  again: bun run simulate-campaign --from ${seed} --seeds 1 --steps ${steps} --trace`;
}

function entriesOf(faults: FaultCounts): [FaultKind, number][] {
  return Object.entries(faults) as [FaultKind, number][];
}
