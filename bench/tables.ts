import { figureText } from "../src/bench/render.ts";
import { ratioTo, type Goal, type KeptResults, type Results, type Row, type Table } from "./contest.ts";

/** Results as text: for the terminal while they are measured, and as Markdown for docs/performance.md. */

/** A table of everything that was measured, with the spread over the rounds. */
export function resultLines({ tables, goals, notes }: Results): readonly string[] {
  return [...tables.flatMap(tableLines), ...goals.map((goal) => `  ${goalText(goal)}`), ...notes.map((note) => `  ${note}`)];
}

function tableLines(table: Table): readonly string[] {
  const width = Math.max(...table.rows.map(({ contender }) => contender.length));
  return settingsOf(table).flatMap((setting) => [
    `  ${table.title}: ${setting} (${table.unit})`,
    ...table.rows.filter((row) => row.setting === setting).map((row) => `    ${row.contender.padEnd(width)} ${figureText(row.value).padStart(11)}  ${latencyText(row)}${`${figureText(row.min)} to ${figureText(row.max)}`.padEnd(22)} ${ratioText(table, row)}`.trimEnd()),
  ]);
}

function latencyText({ p50Ms, p99Ms }: Row): string {
  return p50Ms === null || p99Ms === null ? "" : `p50 ${p50Ms.toFixed(3).padStart(8)} ms  p99 ${p99Ms.toFixed(3).padStart(8)} ms  `;
}

function ratioText(table: Table, row: Row): string {
  return row.contender === table.ours ? "" : `${table.ours}: ${ratioNumber(ratioTo(table, row))}`;
}

/** Two digits where they say something. */
function ratioNumber(ratio: number): string {
  if (ratio === Number.POSITIVE_INFINITY) return "∞";
  if (ratio >= 10) return `${ratio.toFixed(0)}×`;
  return ratio >= 0.1 ? `${ratio.toFixed(2)}×` : `${ratio.toPrecision(2)}×`;
}

function goalText({ goal, found, isMet }: Goal): string {
  return `goal: ${goal}: ${found}, ${isMet ? "met" : "MISSED"}`;
}

function settingsOf({ rows }: Table): readonly string[] {
  return [...new Set(rows.map(({ setting }) => setting))];
}

function contendersOf({ rows }: Table): readonly string[] {
  return [...new Set(rows.map(({ contender }) => contender))];
}

/** More columns than this, and the table is turned round. */
const COLUMNS_MAX = 4;

/** The section of one benchmark, as it stands in docs/performance.md. */
export function markdownOf(results: KeptResults): string {
  const quick = results.isQuick ? ["*From a quick run: too short to be relied on.*", ""] : [];
  const goals = results.goals.length === 0 ? [] : ["| goal | measured | |", "|---|---|---|", ...results.goals.map(({ goal, found, isMet }) => `| ${goal} | ${found} | ${isMet ? "met" : "**missed**"} |`), ""];
  const lines = [...quick, ...goals, ...results.tables.flatMap(markdownTables), ...results.notes.flatMap((note) => [note, ""])];
  return lines.join("\n").trim();
}

function markdownTables(table: Table): readonly string[] {
  const hasLatency = table.rows.some(({ p99Ms }) => p99Ms !== null);
  const direction = table.better === "higher" ? "more is better" : "less is better";
  const values = markdownTable(table, (row) => `${figureText(row.value)}${row.contender === table.ours ? "" : ` (${markedRatio(ratioTo(table, row))})`}`);
  const latencies = hasLatency ? [`${table.title}: p50 / p99 of one, ms.`, "", ...markdownTable(table, ({ p50Ms, p99Ms }) => `${(p50Ms ?? 0).toFixed(2)} / ${(p99Ms ?? 0).toFixed(2)}`), ""] : [];
  return [`${table.title}, ${table.unit}: ${direction}; in brackets, ${table.ours} as a multiple of it.`, "", ...values, "", ...latencies];
}

/** Where it loses is to be seen. */
function markedRatio(ratio: number): string {
  return ratio < 1 ? `**${ratioNumber(ratio)}**` : ratioNumber(ratio);
}

function markdownTable(table: Table, cell: (row: Row) => string): readonly string[] {
  const [settings, contenders] = [settingsOf(table), contendersOf(table)];
  const isTurned = settings.length > COLUMNS_MAX;
  const [rowNames, columnNames] = isTurned ? [settings, contenders] : [contenders, settings];
  const find = (rowName: string, columnName: string): Row | undefined =>
    table.rows.find(({ contender, setting }) => (isTurned ? setting === rowName && contender === columnName : contender === rowName && setting === columnName));
  const body = rowNames.map((rowName) => {
    const cells = columnNames.map((columnName) => find(rowName, columnName)).map((row) => (row === undefined ? "–" : cell(row)));
    const name = rowName === table.ours ? `**${rowName}**` : rowName;
    return `| ${[name, ...cells].join(" | ")} |`;
  });
  return [`| | ${columnNames.join(" | ")} |`, `|---|${columnNames.map(() => "---:|").join("")}`, ...body];
}
