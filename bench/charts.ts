import { drawChart, type Chart } from "./chart.ts";
import type { KeptResults, Row } from "./contest.ts";

/** The pictures of docs/performance.md: file names in docs/img/, and what is in them. */
export function chartsOf(results: readonly KeptResults[]): ReadonlyMap<string, string> {
  const table = results.find(({ name }) => name === "journal")?.tables[0];
  if (table === undefined) return new Map();
  const chart = (title: string, unit: string, read: (row: Row) => number | null): string => {
    const names = [...new Set(table.rows.map(({ contender }) => contender))];
    const series: Chart["series"] = names.map((name) => ({
      name, isOurs: name === table.ours,
      points: table.rows.filter(({ contender }) => contender === name).map((row) => ({ x: Number.parseInt(row.setting, 10), y: read(row) ?? 0 })),
    }));
    return drawChart({ title, unit, across: "appenders at a time", series });
  };
  return new Map([
    ["journal-throughput.svg", chart("Records durable a second", "records/s, more is better", ({ value }) => value)],
    ["journal-p99.svg", chart("How long one record in a hundred waits, or longer", "p99, milliseconds, less is better", ({ p99Ms }) => p99Ms)],
  ]);
}
