import type { JournalState } from "../../src/journal/types.ts";

/** Every state of a journal with the condition it makes. A state without a row does not compile. */
const CONDITIONS: Readonly<Record<JournalState, string>> = {
  healthy: "True Healthy",
  missing: "False Missing",
  unwritable: "False Unwritable",
  insecure: "False Insecure",
  full: "False Full",
  poisoned: "False Poisoned",
  corrupt: "False Corrupt",
  closed: "False Unwritable",
};

export const JOURNAL_STATES_BY_REASON = Object.entries(CONDITIONS) as [JournalState, string][];
