import { measureInRounds, type Contender, type Figure } from "../src/bench/rounds.ts";
import type { Disk, Machine } from "../src/bench/report.ts";

/** What benchmarks of this folder have in common: contenders in turns, tables of figures, goals, ratios. */

export interface BenchSettings {
  /** Shorter rounds: to see that it works, not to learn something. */
  readonly isQuick: boolean;
  /** Where the disk is measured. */
  readonly directory: string;
  readonly print: (line: string) => void;
}

/** One contender in one setting (so many appenders, so many guests). */
export interface Row extends Figure {
  readonly contender: string;
  readonly setting: string;
}

export interface Table {
  readonly title: string;
  /** The contender that is ours; ratios say how many times as good it is. */
  readonly ours: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly rows: readonly Row[];
}

/** What was promised, and what was found in the same run. */
export interface Goal {
  readonly goal: string;
  readonly found: string;
  readonly isMet: boolean;
}

export interface Results {
  readonly name: string;
  readonly title: string;
  readonly tables: readonly Table[];
  readonly goals: readonly Goal[];
  /** What must be known to read the figures right. */
  readonly notes: readonly string[];
}

/** Results as they are kept in bench/results/: with what they were measured on, and nothing of where. */
export interface KeptResults extends Results {
  readonly version: 1;
  readonly isQuick: boolean;
  readonly machine: Machine;
  readonly fileSystem: string | null;
  readonly disks: readonly Disk[];
}

/** Rounds enough for a median that one bad moment does not move. */
const ROUNDS_MIN = 5;

/** Measures contenders in turns under one setting; one that throws ends the benchmark, since nothing is left to compare. */
export async function contest(setting: string, contenders: readonly Contender[], rounds: number = ROUNDS_MIN): Promise<readonly Row[]> {
  const outcomes = await measureInRounds(contenders, { rounds });
  return [...outcomes].map(([contender, figure]) => {
    if (figure instanceof Error) throw new Error(`${contender}, ${setting}: ${figure.message}`, { cause: figure });
    return { contender, setting, ...figure };
  });
}

/** How many times as good ours is as `row`, under the same setting; above 1 ours is better. */
export function ratioTo(table: Table, row: Row): number {
  const ours = rowOf(table, table.ours, row.setting);
  return table.better === "higher" ? ours.value / row.value : row.value / ours.value;
}

/** The row of a contender under a setting; it must be there. */
export function rowOf({ rows }: Pick<Table, "rows">, contender: string, setting: string): Row {
  const found = rows.find((row) => row.contender === contender && row.setting === setting);
  if (found === undefined) throw new Error(`${contender} was not measured with ${setting}`);
  return found;
}

/** A goal that a ratio or another number reaches from below. */
export function atLeast(goal: string, value: number, wanted: number): Goal {
  return { goal, found: `${value.toFixed(2)} ×`, isMet: value >= wanted };
}

/** A goal that a number must not exceed. */
export function atMost(goal: string, value: number, wanted: number, unit: string): Goal {
  return { goal, found: `${value.toFixed(2)} ${unit}`, isMet: value <= wanted };
}
