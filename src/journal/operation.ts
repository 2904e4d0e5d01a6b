import { fault, ok, unreachable, type Result } from "../ports/errors.ts";
import { DETAIL_CHARS_MAX } from "./limits.ts";
import type { NewOperation, Operation, OperationEvent, OperationState } from "./types.ts";

/**
 * The life of an operation: one total table of (state, event), and what an event changes.
 *
 *     planned ─► started ─► task_running ─► succeeded | failed | unknown
 *        │          └──────────────────────► succeeded | failed | unknown   (calls without a task)
 *        └─► abandoned                       unknown ─► succeeded | failed  (by observation or a person)
 */

/** The state after `event`, or undefined when the event is illegal in `state`. */
export function nextState(state: OperationState, event: OperationEvent): OperationState | undefined {
  switch (state) {
    case "planned":
      return afterPlanned(event);
    case "started":
      return event.type === "task" ? "task_running" : outcomeOf(event);
    case "task_running":
      return outcomeOf(event);
    case "unknown":
      return event.type === "succeed" || event.type === "fail" ? afterUnknown(event) : undefined;
    case "succeeded":
    case "failed":
    case "abandoned":
      return undefined;
    default:
      return unreachable(state);
  }
}

function afterPlanned(event: OperationEvent): OperationState | undefined {
  if (event.type === "start") return "started";
  return event.type === "abandon" ? "abandoned" : undefined;
}

function outcomeOf(event: OperationEvent): OperationState | undefined {
  switch (event.type) {
    case "succeed":
      return "succeeded";
    case "fail":
      return "failed";
    case "lose":
      return "unknown";
    case "start":
    case "task":
    case "abandon":
      return undefined;
    default:
      return unreachable(event);
  }
}

/** The answer is gone for good once an outcome is unknown: only looking, or a person, can settle it. */
function afterUnknown(event: Extract<OperationEvent, { type: "succeed" | "fail" }>): OperationState | undefined {
  return event.by === "answer" ? undefined : outcomeOf(event);
}

/** A planned operation. `at` is RFC 3339 UTC. */
export function plannedOperation(id: string, at: string, operation: NewOperation): Operation {
  return { ...operation, id, state: "planned", plannedAt: at, changedAt: at };
}

/** The operation after `event` at `at`; an illegal event is `journal.illegal_transition`. */
export function applyEvent(operation: Operation, event: OperationEvent, at: string): Result<Operation> {
  const state = nextState(operation.state, event);
  if (state === undefined) {
    return fault(
      "journal.illegal_transition",
      `operation ${operation.id} (${operation.action} on ${operation.guest.kind}/${operation.guest.vmid}) is ${operation.state}: the event "${event.type}"${"by" in event ? ` by ${event.by}` : ""} is not possible then`,
    );
  }
  return ok({ ...operation, state, changedAt: at, ...changesOf(event, at) });
}

function changesOf(event: OperationEvent, at: string): Partial<Operation> {
  switch (event.type) {
    case "start":
      return { startedAt: at };
    case "task":
      return { upid: event.upid };
    case "succeed":
      return { outcomeBy: event.by, ...(event.note === undefined ? {} : { detail: event.note }) };
    case "fail":
      return { outcomeBy: event.by, detail: event.error };
    case "lose":
    case "abandon":
      return { detail: event.reason };
    default:
      return unreachable(event);
  }
}

/** The event with its free text cut to what the reserved space can hold. */
export function boundedEvent(event: OperationEvent): OperationEvent {
  switch (event.type) {
    case "succeed":
      return event.note === undefined ? event : { ...event, note: bounded(event.note) };
    case "fail":
      return { ...event, error: bounded(event.error) };
    case "lose":
    case "abandon":
      return { ...event, reason: bounded(event.reason) };
    case "start":
    case "task":
      return event;
    default:
      return unreachable(event);
  }
}

function bounded(text: string): string {
  return text.length <= DETAIL_CHARS_MAX ? text : `${text.slice(0, DETAIL_CHARS_MAX)}… (cut)`;
}

/**
 * Whether this operation forbids another one with its key at `nowMs`: it waits, runs, succeeded, or
 * its outcome is unknown, and the key has not expired.
 */
export function holdsKey(operation: Operation, nowMs: number): boolean {
  if (operation.key === undefined || operation.state === "failed" || operation.state === "abandoned") return false;
  return nowMs < keyExpiryMs(operation);
}

/** When the operation's key expires, milliseconds since the epoch; without a readable date, never. */
export function keyExpiryMs({ keyExpiresAt }: Operation): number {
  const expiresAtMs = keyExpiresAt === undefined ? Number.NaN : Date.parse(keyExpiresAt);
  return Number.isNaN(expiresAtMs) ? Number.POSITIVE_INFINITY : expiresAtMs;
}
