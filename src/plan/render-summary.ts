import type { PlanSummary } from "./plan-host.ts";

/** "Plan: 2 guests to change (3 fields, 1 start), 1 held; 7 in sync." */
export function formatSummary(summary: PlanSummary): string {
  const parts = [
    changing(summary),
    counted(summary.held, "held"),
    counted(summary.observedDrift, "drifted but only observed"),
    counted(summary.deferred, "with something deferred"),
    counted(summary.restartPending, "waiting for a restart"),
    counted(summary.drivePending, "waiting for a cloud-init drive"),
    counted(summary.missing, "missing"),
    counted(summary.onOtherNode, "on another node"),
    counted(summary.unreadable, "unreadable"),
    counted(summary.conflicts, "declared more than once"),
    counted(summary.ignored, "ignored"),
  ].filter((part) => part !== "");
  const said = parts.length === 0 ? "nothing to do" : parts.join(", ");
  return `Plan: ${said}; ${summary.inSync} of ${plural(summary.guests, "guest")} in sync.`;
}

function changing(summary: PlanSummary): string {
  if (summary.changing === 0) return "";
  const acts = [
    summary.fieldChanges === 0 ? "" : plural(summary.fieldChanges, "field"),
    summary.starts === 0 ? "" : plural(summary.starts, "start"),
    summary.shutdowns === 0 ? "" : plural(summary.shutdowns, "shutdown"),
  ].filter((part) => part !== "");
  return `${plural(summary.changing, "guest")} to change (${acts.join(", ")})`;
}

function counted(count: number, what: string): string {
  return count === 0 ? "" : `${count} ${what}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
