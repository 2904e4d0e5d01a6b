import type { Condition } from "../conditions/condition.ts";
import { HOST_CONDITIONS } from "../conditions/condition.ts";
import type { ReconcileResult } from "./guest-conditions.ts";
import type { GuestView } from "./types.ts";

/** What `run --once` exits with: nothing left, something failed, something waits for a person, or the journal is corrupt. */
export type OnceExit = 0 | 1 | 2 | 4;

/** Results that leave nothing to do. RestartPending alone is not a change. */
const DONE: ReadonlySet<ReconcileResult> = new Set(["in_sync", "acted", "ignored"]);

/** Results that are an error, not a decision. */
const FAILED: ReadonlySet<ReconcileResult> = new Set(["failed", "unreadable", "journal_unavailable"]);

/** Guests of which something remains. An observed guest that does not differ leaves nothing, nor does another node's. */
export function remainingOf(guests: readonly GuestView[]): readonly GuestView[] {
  return guests.filter((view) => {
    if (DONE.has(view.result) || (view.result === "missing" && view.plan?.standing === "on_other_node")) return false;
    if (view.result !== "observing") return true;
    return (view.plan?.withheld.length ?? 0) > 0 || (view.plan?.deferred.length ?? 0) > 0;
  });
}

/** Host conditions that keep the host from being ready, in words. */
export function problemsOf(conditions: readonly Condition[]): readonly string[] {
  return conditions
    .filter((condition) => condition.type in HOST_CONDITIONS && isRequired(condition) && condition.status === "False")
    .map((condition) => `${condition.type} is False (${condition.reason})${condition.message === "" ? "" : `: ${condition.message}`}`);
}

/** 4 with a corrupt journal, 1 when something failed, 2 when something held, deferred or observed remains, else 0. */
export function onceExit(remaining: readonly GuestView[], problems: readonly string[], isFirstReadDone: boolean, isJournalCorrupt = false): OnceExit {
  if (isJournalCorrupt) return 4;
  if (problems.length > 0 || !isFirstReadDone || remaining.some((view) => FAILED.has(view.result))) return 1;
  return remaining.length > 0 ? 2 : 0;
}

function isRequired(condition: Condition): boolean {
  return Object.entries(HOST_CONDITIONS).some(([type, { isRequired: required }]) => type === condition.type && required);
}
