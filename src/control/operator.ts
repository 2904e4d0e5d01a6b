import { isVmid } from "../guest/key.ts";
import type { Journal, Operation } from "../journal/types.ts";
import type { Clock } from "../ports/clock.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import { badTarget, endPause, writePause, type Pause } from "../reconcile/pauses.ts";

/**
 * What a person may say: hands off, go on, this act did (not) happen. The same functions serve the
 * control socket of a running agent and a command that holds the journal itself.
 */

/** Longest reason kept, characters. */
export const REASON_LENGTH_MAX = 500;

/** Longest pause by duration; longer ones are pauses without an end. */
export const PAUSE_DURATION_MAX_MS = 365 * 24 * 3_600_000;

export interface OperatorDeps {
  readonly journal: Journal;
  readonly clock: Clock;
}

export interface PauseRequest {
  readonly target: number | "all";
  readonly reason: string;
  /** Absent: until resumed. */
  readonly forMs?: number;
}

/** Pauses a guest or all; durable when it resolves. */
export async function pause(deps: OperatorDeps, request: PauseRequest): Promise<Result<Pause>> {
  const refused = checkTarget(request.target);
  if (refused !== undefined) return refused;
  if (request.forMs !== undefined && !(request.forMs > 0 && request.forMs <= PAUSE_DURATION_MAX_MS)) {
    return fault("command.usage", `expected a duration of up to a year, found ${request.forMs} ms`);
  }
  const nowMs = deps.clock.now();
  const record: Pause = {
    target: request.target,
    reason: cleanReason(request.reason),
    since: new Date(nowMs).toISOString(),
    ...(request.forMs === undefined ? {} : { until: new Date(nowMs + request.forMs).toISOString() }),
  };
  const written = await writePause(deps.journal, record);
  return written.ok ? ok(record) : written;
}

/** Ends a pause; "there was none" is an error a person should see. */
export async function resume(deps: OperatorDeps, target: number | "all"): Promise<Result<void>> {
  const refused = checkTarget(target);
  if (refused !== undefined) return refused;
  const ended = await endPause(deps.journal, target, deps.clock.now());
  if (!ended.ok) return ended;
  return ended.value ? ok(undefined) : fault("control.refused", `expected a pause of ${target === "all" ? "all guests" : `guest ${target}`}, found none; "agent status" lists the pauses`);
}

/** Closes an act whose outcome is unknown, by what a person saw. */
export async function resolveOperation(deps: OperatorDeps, id: string, outcome: "succeeded" | "failed", reason: string): Promise<Result<Operation>> {
  const operation = deps.journal.operation(id);
  if (operation === undefined) return fault("journal.unknown_operation", `expected the id of an open act, found "${id}"; "agent op ls" lists them`);
  if (operation.state !== "unknown") {
    return fault("control.refused", `expected an act whose outcome is unknown, found ${id} ${operation.state}; only an unknown one takes a person's word`);
  }
  const said = cleanReason(reason);
  if (said === "") return fault("command.usage", 'expected --reason "what you saw", found none: it is kept in the journal');
  return deps.journal.apply(id, outcome === "succeeded" ? { type: "succeed", by: "person", note: said } : { type: "fail", by: "person", error: said });
}

function checkTarget(target: number | "all"): Result<never> | undefined {
  return target === "all" || isVmid(target) ? undefined : { ok: false, error: badTarget(String(target)) };
}

/** One line, bounded, without control characters: it is shown in terminals and on the status page. */
function cleanReason(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are just what must go
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").trim().slice(0, REASON_LENGTH_MAX);
}
