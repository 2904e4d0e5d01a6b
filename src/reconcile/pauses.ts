import type { FactValue, Journal } from "../journal/types.ts";
import type { Fault, Result } from "../ports/errors.ts";

/**
 * Hands off: a person paused a guest, or all of them. Pauses are facts in the journal, so they outlive
 * the process; they end by `resume` or at their time.
 */

const NAMESPACE = "pause";
const ALL = "all";

export interface Pause {
  readonly target: number | "all";
  /** For a person; empty when none was given. */
  readonly reason: string;
  /** RFC 3339. */
  readonly since: string;
  /** RFC 3339; absent: until resumed. */
  readonly until?: string;
}

/** Writes a pause; durable when it resolves. */
export function writePause(journal: Journal, pause: Pause): Promise<Result<void>> {
  const value: Record<string, FactValue> = { reason: pause.reason, since: pause.since };
  if (pause.until !== undefined) value["until"] = pause.until;
  return journal.putFact(NAMESPACE, String(pause.target), value);
}

/** Ends a pause; `false` when there was none in force at `nowMs`. One whose time is over is swept away all the same. */
export async function endPause(journal: Journal, target: number | "all", nowMs: number): Promise<Result<boolean>> {
  const value = journal.fact(NAMESPACE, String(target));
  if (value === undefined) return { ok: true, value: false };
  const pause = readPause(String(target), value);
  const written = await journal.putFact(NAMESPACE, String(target), null);
  return written.ok ? { ok: true, value: pause !== undefined && !isOver(pause, nowMs) } : written;
}

/** Every pause in force at `nowMs`. */
export function pausesInForce(facts: ReadonlyMap<string, FactValue>, nowMs: number): readonly Pause[] {
  const pauses: Pause[] = [];
  for (const [target, value] of facts) {
    const pause = readPause(target, value);
    if (pause !== undefined && !isOver(pause, nowMs)) pauses.push(pause);
  }
  return pauses;
}

/** Those of `pauses` that are still in force at `nowMs`. */
export function stillInForce(pauses: readonly Pause[], nowMs: number): readonly Pause[] {
  return pauses.filter((pause) => !isOver(pause, nowMs));
}

/** The text of the pause that covers this guest at `nowMs`, or undefined. A guest's own pause is told first. */
export function pausedReason(pauses: readonly Pause[], vmid: number, nowMs: number): string | undefined {
  const inForce = stillInForce(pauses, nowMs);
  const pause = inForce.find((candidate) => candidate.target === vmid) ?? inForce.find((candidate) => candidate.target === ALL);
  return pause === undefined ? undefined : describePause(pause);
}

/** "paused since … until …: reason". */
export function describePause(pause: Pause): string {
  const until = pause.until === undefined ? "" : ` until ${pause.until}`;
  const reason = pause.reason === "" ? "" : `: ${pause.reason}`;
  return `paused since ${pause.since}${until}${reason}`;
}

function isOver(pause: Pause, nowMs: number): boolean {
  return pause.until !== undefined && Date.parse(pause.until) <= nowMs;
}

function readPause(target: string, value: FactValue): Pause | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const fields = new Map(Object.entries(value));
  const until = fields.get("until");
  return {
    target: target === ALL ? ALL : Number(target),
    reason: textOf(fields.get("reason")),
    since: textOf(fields.get("since")),
    ...(typeof until === "string" ? { until } : {}),
  };
}

function textOf(value: FactValue | undefined): string {
  return typeof value === "string" ? value : "";
}

/** The fault a caller gets for a target that is neither a vmid nor "all". */
export function badTarget(text: string): Fault {
  return { code: "command.usage", message: `expected a VMID (100 to 999999999) or --all, found "${text}"` };
}
