import * as v from "valibot";
import { ERROR_CODES, fault, ok, type Result } from "../ports/errors.ts";

/** Longest wait for an answer; `run-once` brings its own. */
export const CONTROL_ANSWER_TIMEOUT_MS = 30_000;

const errorBody = v.object({ error: v.object({ code: v.picklist(ERROR_CODES), message: v.string() }) });
const valueBody = v.object({ value: v.unknown() });

/** Asks a running agent over its socket. `control.unreachable`: nobody listens there. */
export async function askAgent(socket: string, path: string, body?: unknown, timeoutMs: number = CONTROL_ANSWER_TIMEOUT_MS): Promise<Result<unknown>> {
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

/** What an answer must look like, and who asks. */
export interface Expected<T> {
  readonly schema: v.GenericSchema<unknown, T>;
  /** This program's version, for the message when the agent's is another. */
  readonly version: string;
}

/**
 * Asks, and takes only an answer of the shape that this version knows: an agent that was started before an
 * upgrade may give another. Then `control.refused`, naming both versions.
 */
export async function askAgentFor<T>(socket: string, path: string, expected: Expected<T>, body?: unknown, timeoutMs: number = CONTROL_ANSWER_TIMEOUT_MS): Promise<Result<T>> {
  const asked = await askAgent(socket, path, body, timeoutMs);
  if (!asked.ok) return asked;
  const parsed = v.safeParse(expected.schema, asked.value);
  if (parsed.success) return ok(parsed.output);
  const running = versionIn(asked.value) ?? versionIn(await askForStatus(socket)) ?? "unknown";
  const where = v.getDotPath(parsed.issues[0]) ?? "its top";
  return fault("control.refused", `the running agent is version ${running}, this is ${expected.version}, and its answer cannot be read (at ${where}: ${parsed.issues[0].message}); restart the agent, or use the command of its version`);
}

async function askForStatus(socket: string): Promise<unknown> {
  const asked = await askAgent(socket, "/v1/status");
  return asked.ok ? asked.value : undefined;
}

const versionedAnswer = v.object({ agent: v.object({ version: v.string() }) });

function versionIn(answer: unknown): string | undefined {
  const parsed = v.safeParse(versionedAnswer, answer);
  return parsed.success ? parsed.output.agent.version : undefined;
}

function unreachableFault(socket: string, error: unknown): Result<never> {
  const name = error instanceof Error ? error.name : "";
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
  if (name === "TimeoutError") return fault("control.refused", `the agent behind ${socket} did not answer in time`, error);
  if (code === "EACCES" || code === "EPERM") return fault("control.refused", `${socket} may not be opened by this user; run the command as root or as the agent's user`, error);
  return fault("control.unreachable", `expected a running agent behind ${socket}, found none; start it with "agent run", or name its socket with --socket`, error);
}
