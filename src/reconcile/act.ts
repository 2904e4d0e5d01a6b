import { actionDigest } from "../gate/action-digest.ts";
import type { ApprovedAction } from "../gate/types.ts";
import type { GuestKey } from "../guest/key.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import type { Journal, JournalGuest, NewOperation, Operation, OperationEvent, Provenance } from "../journal/types.ts";
import type { Clock } from "../ports/clock.ts";
import { unreachable } from "../ports/errors.ts";
import type { Log } from "../ports/log.ts";
import type { MutatingRequest, ProxmoxApi, ProxmoxFault, TaskVerdict, Upid } from "../ports/proxmox-api.ts";
import { awaitTask } from "../proxmox/tasks.ts";
import { execute, prepareRequest, type JournalPermit, type PreparedRequest } from "./execute.ts";

/** How one act went. */
export type ActResult =
  | { readonly kind: "succeeded"; readonly note: string }
  /** Proxmox said no, or the task failed. */
  | { readonly kind: "failed"; readonly message: string; readonly fault: ProxmoxFault | undefined }
  /** The config changed since it was read: read again and plan again. */
  | { readonly kind: "conflict" }
  /** No answer, the task is still running after the task timeout, or the outcome could not be journaled: settled later. */
  | { readonly kind: "unsettled"; readonly message: string; readonly upid?: Upid }
  /** The journal does not let it start. Nothing was sent. */
  | { readonly kind: "not_journaled"; readonly message: string };

export interface ActDeps {
  readonly api: ProxmoxApi;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Log;
  readonly taskTimeoutMs: number;
  /** How long a guest without a `startup` down= time is given to shut down. */
  readonly shutdownTimeoutMs: number;
  /** Aborted when the agent must stop waiting for tasks. */
  readonly stop: AbortSignal;
  /** Told the UPID of every task this agent started, so that it is not taken for somebody else's. */
  readonly onUpid: (upid: Upid) => void;
  /** Told of every operation whose start is durable, before it is sent. */
  readonly onBegun: (operation: Operation) => void;
  /** Told of an act without a record whose outcome is not known: no journal will remember it. */
  readonly onUnrecorded: (guest: GuestKey, sentAtMs: number, upid: Upid | undefined) => void;
}

/** What makes an act a one-shot: until `keyExpiresAt` (RFC 3339) no other with this key is started. */
export interface ActKey {
  readonly key: string;
  readonly keyExpiresAt: string;
}

/**
 * One act from intent to outcome: journaled, sent, awaited, journaled. Never throws for what Proxmox
 * or the disk do.
 * @param provenance who asked: the desired state, or a person's operation
 * @param key makes it a one-shot act, which is never sent without a healthy journal
 */
export async function act(deps: ActDeps, action: ApprovedAction, observed: ObservedGuest, provenance: Provenance = "desired", key?: ActKey): Promise<ActResult> {
  const request = prepareRequest(action, observed, deps.shutdownTimeoutMs);
  // In the same sync as the intent below; a verdict that is not news writes nothing.
  void deps.journal.recordVerdict(journalGuest(observed), actionDigest(action), "allowed", action.type);
  const permit = await obtainPermit(deps.journal, { ...newOperation(request, observed, provenance), ...key });
  if ("refusal" in permit) return { kind: "not_journaled", message: permit.refusal };
  if (permit.kind === "journaled") deps.onBegun(permit.operation);
  const sentAtMs = deps.clock.monotonic();
  const result = await send(deps, request, permit);
  if (permit.kind === "unjournaled" && result.kind === "unsettled") deps.onUnrecorded(action.guest, sentAtMs, result.upid);
  return result;
}

async function send(deps: ActDeps, request: PreparedRequest, permit: JournalPermit): Promise<ActResult> {
  const answer = await execute(deps.api, request, permit);
  if (!answer.ok) return concludeFault(deps, permit, answer.error);
  if (answer.value.upid === null) return conclude(deps, permit, { type: "succeed", by: "answer" }, { kind: "succeeded", note: "" });
  return awaitOutcome(deps, permit, answer.value.upid);
}

/** What the journal keeps of an act. */
function newOperation(request: MutatingRequest, observed: ObservedGuest, provenance: Provenance): NewOperation {
  const params: Record<string, unknown> = Object.fromEntries(Object.entries(request).filter(([name]) => name !== "type" && name !== "guest"));
  return { guest: journalGuest(observed), action: request.type, params, provenance };
}

/** The guest as the journal names it: with the identity it was read with. */
export function journalGuest(observed: ObservedGuest): JournalGuest {
  return { kind: observed.kind, vmid: observed.vmid, identity: { ...observed.identity } };
}

/** The journal states in which benign acts go on without a record (docs/journal.md). */
function mayActUnjournaled(journal: Journal): boolean {
  const { state } = journal.health();
  return state === "missing" || state === "unwritable" || state === "insecure";
}

async function obtainPermit(journal: Journal, operation: NewOperation): Promise<JournalPermit | { readonly refusal: string }> {
  const begun = await journal.begin(operation);
  if (begun.ok) return { kind: "journaled", operation: begun.value };
  if (operation.key === undefined && mayActUnjournaled(journal)) return { kind: "unjournaled", reason: begun.error.message };
  return { refusal: begun.error.message };
}

async function awaitOutcome(deps: ActDeps, permit: JournalPermit, upid: Upid): Promise<ActResult> {
  deps.onUpid(upid);
  await record(deps, permit, { type: "task", upid });
  const waited = await awaitTask(deps.api, upid, { clock: deps.clock, timeoutMs: deps.taskTimeoutMs, signal: deps.stop });
  switch (waited.type) {
    case "finished":
      return concludeTask(deps, permit, upid, waited.verdict, waited.exit);
    case "timed_out":
      return { kind: "unsettled", upid, message: `task ${upid} is still running` };
    case "aborted":
      return { kind: "unsettled", upid, message: `task ${upid} was still running when the agent stopped` };
    case "unreadable":
      return { kind: "unsettled", upid, message: `task ${upid} cannot be read: ${waited.error.message}` };
    default:
      return unreachable(waited);
  }
}

async function concludeTask(deps: ActDeps, permit: JournalPermit, upid: Upid, verdict: TaskVerdict, exit: string): Promise<ActResult> {
  const event = eventOfVerdict(verdict, exit);
  switch (event.type) {
    case "succeed":
      return conclude(deps, permit, event, { kind: "succeeded", note: event.note ?? "" });
    case "fail":
      return conclude(deps, permit, event, { kind: "failed", message: event.error, fault: undefined });
    case "lose":
      return conclude(deps, permit, event, { kind: "unsettled", upid, message: `task ${upid}: ${event.reason}` });
    default:
      return unreachable(event);
  }
}

/** The journal event a finished task means. */
export function eventOfVerdict(verdict: TaskVerdict, exit: string): Extract<OperationEvent, { type: "succeed" | "fail" | "lose" }> {
  switch (verdict) {
    case "succeeded":
      return { type: "succeed", by: "answer" };
    case "succeeded_with_warnings":
      return { type: "succeed", by: "answer", note: exit };
    case "failed":
      return { type: "fail", by: "answer", error: exit };
    case "unknown":
      return { type: "lose", reason: `Proxmox does not know how the task ended ("${exit}")` };
    default:
      return unreachable(verdict);
  }
}

function concludeFault(deps: ActDeps, permit: JournalPermit, fault: ProxmoxFault): Promise<ActResult> | ActResult {
  if (fault.delivery === "unknown") {
    // Stays "started" in the journal: the engine settles it after the window, by task list and observation.
    return { kind: "unsettled", message: fault.message };
  }
  const result: ActResult = fault.code === "proxmox.digest_conflict" ? { kind: "conflict" } : { kind: "failed", message: fault.message, fault };
  return conclude(deps, permit, { type: "fail", by: "answer", error: `${fault.code}: ${fault.message}` }, result);
}

/** No outcome is reported before it is durable: one that cannot be written leaves the act open. */
async function conclude(deps: ActDeps, permit: JournalPermit, event: OperationEvent, result: ActResult): Promise<ActResult> {
  if (await record(deps, permit, event)) return result;
  return { kind: "unsettled", message: "its outcome could not be journaled yet" };
}

/** An outcome that cannot be written now is said loudly; the operation stays open and is settled later. */
async function record(deps: ActDeps, permit: JournalPermit, event: OperationEvent): Promise<boolean> {
  if (permit.kind === "unjournaled") {
    deps.log.warn("act without a journal record", { event: event.type, why: permit.reason });
    return true;
  }
  const applied = await deps.journal.apply(permit.operation.id, event);
  if (applied.ok) return true;
  deps.log.error("the outcome of an act could not be journaled; it is settled again when the journal is back", {
    operation: permit.operation.id,
    event: event.type,
    error: applied.error.message,
  });
  return false;
}
