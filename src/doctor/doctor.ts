import { ENVIRONMENT_CHECK } from "./environment.ts";
import type { Check } from "./check.ts";
import type { Facts } from "./facts.ts";
import { broken, worst, type Finding, type Judgement, type Status } from "./finding.ts";
import { gather, type DoctorOptions } from "./gather.ts";
import { HOST_CHECKS } from "./host-checks.ts";
import { HOST_FILES_CHECK, LOCAL_CHECKS } from "./local-checks.ts";
import { PRIVILEGE_CHECKS } from "./privilege-checks.ts";
import { STORAGE_CHECKS } from "./storage-checks.ts";

/**
 * The doctor: everything the agent depends on, looked at from outside, with or without a running
 * agent. Facts are gathered first, each within a bounded time; the checks are pure judgements of them.
 * Promises: nothing is changed (the sync probe's own file comes and goes), no secret is shown, one
 * check that fails or breaks never hides another. Mending is left to the person it tells how.
 */
export const CHECKS: readonly Check[] = [ENVIRONMENT_CHECK, ...LOCAL_CHECKS, ...STORAGE_CHECKS, HOST_FILES_CHECK, ...HOST_CHECKS, ...PRIVILEGE_CHECKS];

/** What `agent doctor -o json` prints; new fields may come, these stay while `version` is 1. */
export interface DoctorReport {
  readonly version: 1;
  readonly exitCode: 0 | 1;
  readonly summary: Readonly<Record<Status, number>>;
  /** Always all of them, in this order. */
  readonly checks: readonly Finding[];
}

/** Gathers and judges. */
export async function examine(options: DoctorOptions): Promise<DoctorReport> {
  return judgeAll(await gather(options));
}

/** Judges facts. Pure. */
export function judgeAll(facts: Facts, checks: readonly Check[] = CHECKS): DoctorReport {
  const findings = checks.map((check) => findingOf(check, facts));
  const summary = { ok: 0, skipped: 0, warn: 0, fail: 0 };
  for (const { status } of findings) summary[status] += 1;
  return { version: 1, exitCode: worst(findings.map(({ status }) => status)) === "fail" ? 1 : 0, summary, checks: findings };
}

function findingOf(check: Check, facts: Facts): Finding {
  const { status, found, mend, details } = judged(check, facts);
  return { name: check.name, status, found, expected: check.expected, mend: mend ?? "", details: details ?? [] };
}

/** A defect in one judgement is told as that check's failure: the others are still worth having. */
function judged(check: Check, facts: Facts): Judgement {
  try {
    return check.judge(facts);
  } catch (error) {
    return broken(`the check itself broke: ${error instanceof Error ? error.message : String(error)}`, "report this as a defect of the agent");
  }
}
