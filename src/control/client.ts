import * as v from "valibot";
import { ERROR_CODES, fault, ok, type Result } from "../ports/errors.ts";

/** Longest wait for an answer; `run-once` brings its own. */
const ANSWER_TIMEOUT_MS = 30_000;

const errorBody = v.object({ error: v.object({ code: v.picklist(ERROR_CODES), message: v.string() }) });
const valueBody = v.object({ value: v.unknown() });

/** Asks a running agent over its socket. `control.unreachable`: nobody listens there. */
export async function askAgent(socket: string, path: string, body?: unknown, timeoutMs: number = ANSWER_TIMEOUT_MS): Promise<Result<unknown>> {
  let response: Response;
  try {
    response = await fetch(`http://agent${path}`, {
      unix: socket,
      method: body === undefined ? "GET" : "POST",
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (error) {
    return unreachableFault(socket, error);
  }
  const read: unknown = await response.json().catch(() => undefined);
  const failed = v.safeParse(errorBody, read);
  if (failed.success) return { ok: false, error: failed.output.error };
  const parsed = v.safeParse(valueBody, read);
  return parsed.success ? ok(parsed.output.value) : fault("control.refused", `expected a Steward agent behind ${socket}, found an answer of something else (status ${response.status})`);
}

function unreachableFault(socket: string, error: unknown): Result<never> {
  const name = error instanceof Error ? error.name : "";
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
  if (name === "TimeoutError") return fault("control.refused", `the agent behind ${socket} did not answer in time`, error);
  if (code === "EACCES" || code === "EPERM") return fault("control.refused", `${socket} may not be opened by this user; run the command as root or as the agent's user`, error);
  return fault("control.unreachable", `expected a running agent behind ${socket}, found none; start it with "agent run", or name its socket with --socket`, error);
}
