import { escapeText } from "../plan/escape.ts";
import type { PlanStyle } from "../plan/render-style.ts";
import type { DoctorReport } from "./doctor.ts";
import { STATUSES, type Finding, type Status } from "./finding.ts";
import { count } from "./words.ts";

/** Lines of details shown below a finding; `-o json` has them all. */
const DETAILS_SHOWN = 20;

const WORDS: Readonly<Record<Status, string>> = { ok: "ok", skipped: "skipped", warn: "warning", fail: "FAIL" };
const STATUS_WIDTH = Math.max(...Object.values(WORDS).map((word) => word.length));

/** The report for a person: what is well first, what is not last, so that it stands above the prompt. Pure. */
export function renderReport(report: DoctorReport, style: PlanStyle, isVerbose: boolean): string {
  const nameWidth = Math.max(...report.checks.map(({ name }) => name.length));
  const sorted = [...report.checks].sort((left, right) => STATUSES.indexOf(left.status) - STATUSES.indexOf(right.status));
  const lines = sorted.flatMap((finding) => findingLines(finding, { style, nameWidth, isVerbose }));
  return [...lines, "", summaryLine(report, style), ""].join("\n");
}

interface Look {
  readonly style: PlanStyle;
  readonly nameWidth: number;
  readonly isVerbose: boolean;
}

function findingLines(finding: Finding, { style, nameWidth, isVerbose }: Look): readonly string[] {
  const { status, name, found, expected, mend, details } = finding;
  const paint = paintOf(status, style);
  const head = `${paint(WORDS[status].padEnd(STATUS_WIDTH))}  ${style.guest(name.padEnd(nameWidth))}  ${escapeText(found)}`;
  const isTold = status === "warn" || status === "fail";
  const indent = " ".repeat(STATUS_WIDTH + nameWidth + 4);
  const shown = isTold || isVerbose ? details.slice(0, isVerbose ? details.length : DETAILS_SHOWN) : [];
  const more = isTold && shown.length < details.length ? [`… and ${details.length - shown.length} more (-o json lists all)`] : [];
  return [
    head,
    ...[...shown, ...more].map((detail) => `${indent}${style.faint("-")} ${escapeText(detail)}`),
    ...(isTold ? [`${indent}${style.faint("expected")}  ${escapeText(expected)}`] : []),
    ...(mend === "" ? [] : [`${indent}${style.faint("mend")}      ${escapeText(mend)}`]),
  ];
}

function paintOf(status: Status, style: PlanStyle): (text: string) => string {
  switch (status) {
    case "ok":
      return style.added;
    case "skipped":
      return style.faint;
    case "warn":
      return style.changed;
    case "fail":
      return style.removed;
  }
}

function summaryLine({ summary }: DoctorReport, style: PlanStyle): string {
  const { ok, skipped, warn, fail } = summary;
  const parts = [`${ok} ok`, ...(skipped > 0 ? [`${skipped} skipped`] : []), ...(warn > 0 ? [count(warn, "warning")] : []), ...(fail > 0 ? [count(fail, "failure")] : [])];
  const paint = fail > 0 ? style.removed : warn > 0 ? style.changed : style.added;
  return paint(parts.join(", "));
}
