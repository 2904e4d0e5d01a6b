import type { DesiredGuest } from "../desired/model.ts";
import { isOtherIdentity } from "../guest/identity.ts";
import { formatGuestKey, isVmid, type GuestKey, type GuestKind } from "../guest/key.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import type { Journal, Operation, OperationEvent } from "../journal/types.ts";
import { normalizerFor } from "../normalize/registry.ts";
import { unreachable } from "../ports/errors.ts";
import type { ProxmoxApi, TaskRecord } from "../ports/proxmox-api.ts";
import { eventOfVerdict } from "./act.ts";
import { taskTypeOf, type HostFacts } from "./host-snapshot.ts";

/**
 * What became of an act whose outcome is not in the journal: a crash in the middle, a lost answer, a
 * task that outlived its timeout. Until that is known the guest takes no new act. Nothing is concluded
 * from absence before the window has passed: a real Proxmox applied a config write seconds after its
 * client had gone.
 */

/** Longest wait of Proxmox for a guest's file lock before a queued write gives up. */
export const PROXMOX_LOCK_TIMEOUT_MS = 10_000;

/** Added to request timeout and lock timeout: slow workers, clocks that differ a little. */
export const SETTLE_MARGIN_MS = 5_000;

/** Tasks of one guest looked through for the one that fits. */
export const TASK_SEARCH_COUNT_MAX = 100;

/** A task's start is in whole seconds and from the host's clock. */
const TASK_TIME_SLACK_SECONDS = 2;

export type Settlement =
  | { readonly kind: "settled"; readonly operation: Operation }
  /** Not yet: still running, still within the window, or Proxmox cannot be asked. */
  | { readonly kind: "waiting"; readonly message: string }
  /** Nobody can tell; a person decides with `agent op resolve`. */
  | { readonly kind: "unknown"; readonly message: string };

export interface SettleDeps {
  readonly api: ProxmoxApi;
  readonly journal: Journal;
  readonly facts: HostFacts;
  /** user@realm!token of this agent, as UPIDs name it; undefined when the token cannot be read. */
  readonly tokenUser: string | undefined;
  /** Milliseconds until the operation's window has passed; 0 when it has. */
  readonly windowRemainingMs: (operation: Operation) => number;
  /** Reads the guest as it is now. */
  readonly observe: (guest: GuestKey) => Promise<SettleObservation>;
}

/** What a look at the guest of an open act gave; `elsewhere` names the node. */
export type SettleObservation = ObservedGuest | "missing" | { readonly unreadable: string } | { readonly elsewhere: string };

/** Takes one open operation as far towards an outcome as can be known now. */
export async function settleOperation(deps: SettleDeps, operation: Operation): Promise<Settlement> {
  switch (operation.state) {
    case "planned":
      return apply(deps, operation, { type: "abandon", reason: "the agent stopped before it was sent" });
    case "started":
      return settleStarted(deps, operation);
    case "task_running":
      return settleTask(deps, operation);
    case "unknown":
      return settleUnknown(deps, operation);
    case "succeeded":
    case "failed":
    case "abandoned":
      return { kind: "settled", operation };
    default:
      return unreachable(operation.state);
  }
}

async function settleStarted(deps: SettleDeps, operation: Operation): Promise<Settlement> {
  const remainingMs = deps.windowRemainingMs(operation);
  if (remainingMs > 0) {
    return { kind: "waiting", message: `${describe(operation)} got no answer; it may still happen for ${Math.ceil(remainingMs / 1000)} s` };
  }
  const candidates = await findTasks(deps, operation);
  if (candidates === undefined) return { kind: "waiting", message: `${describe(operation)}: the task list cannot be read` };
  const [only, ...others] = candidates;
  if (only !== undefined && others.length === 0) {
    const adopted = await deps.journal.apply(operation.id, { type: "task", upid: only.upid });
    return adopted.ok ? settleTask(deps, adopted.value) : { kind: "waiting", message: adopted.error.message };
  }
  if (only !== undefined) return lose(deps, operation, `${candidates.length} tasks fit it`);
  return settleByObservation(deps, operation, operation.action === "set_config" ? "no answer came" : "no task of it was found");
}

async function settleTask(deps: SettleDeps, operation: Operation): Promise<Settlement> {
  if (operation.upid === undefined) return settleByObservation(deps, operation, "it has no task id");
  const state = await deps.api.taskState(operation.upid);
  if (!state.ok) {
    if (state.error.code === "proxmox.bad_parameter") return settleByObservation(deps, operation, "Proxmox no longer knows its task");
    return { kind: "waiting", message: `${describe(operation)}: its task cannot be read: ${state.error.message}` };
  }
  if (state.value.isRunning) return { kind: "waiting", message: `${describe(operation)}: task ${operation.upid} is still running` };
  const event = eventOfVerdict(state.value.verdict, state.value.exit);
  if (event.type !== "lose") return apply(deps, operation, event);
  return settleByObservation(deps, operation, event.reason);
}

/** Only what is plainly there settles an unknown; its absence proves nothing about who undid it. */
async function settleUnknown(deps: SettleDeps, operation: Operation): Promise<Settlement> {
  const effect = await observeEffect(deps, operation);
  if (effect.kind === "there") return apply(deps, operation, { type: "succeed", by: "observation" });
  // Nothing is left that it could be repeated on, and its number may be another guest's now.
  if (effect.kind === "gone") return apply(deps, operation, { type: "fail", by: "observation", error: "the guest no longer exists" });
  return unknownOf(operation, operation.detail ?? "its outcome could not be established");
}

async function settleByObservation(deps: SettleDeps, operation: Operation, why: string): Promise<Settlement> {
  const effect = await observeEffect(deps, operation);
  switch (effect.kind) {
    case "there":
      return apply(deps, operation, { type: "succeed", by: "observation", note: why });
    case "not_there":
      if (operation.key !== undefined && operation.state === "started") {
        const reachesBack = await reachesBackTo(deps.api, operation);
        if (reachesBack === undefined) return { kind: "waiting", message: `${describe(operation)}: the task list cannot be read` };
        if (!reachesBack) return lose(deps, operation, `${why}, and Proxmox's task list is not known to reach back to it`);
      }
      // A config write has no task and its window is over: what is not there did not happen. A power
      // act whose task is unknown may have run and been undone, so absence proves nothing.
      if (operation.action === "set_config" || operation.state === "started") {
        return apply(deps, operation, { type: "fail", by: "observation", error: `${why}; ${effect.message}` });
      }
      return lose(deps, operation, `${why}; ${effect.message}`);
    case "gone":
      return apply(deps, operation, { type: "fail", by: "observation", error: `${why}; the guest no longer exists` });
    case "elsewhere":
      return lose(deps, operation, `${why}; ${effect.message}`);
    case "unreadable":
      return { kind: "waiting", message: `${describe(operation)}: ${why}, and the guest cannot be read: ${effect.message}` };
    default:
      return unreachable(effect);
  }
}

type Effect =
  | { readonly kind: "there" | "gone" }
  | { readonly kind: "not_there" | "elsewhere" | "unreadable"; readonly message: string };

async function observeEffect(deps: SettleDeps, operation: Operation): Promise<Effect> {
  const key = guestKeyOf(operation);
  if (key === undefined) return { kind: "unreadable", message: `the journal names no such guest: ${operation.guest.kind}/${operation.guest.vmid}` };
  const observed = await deps.observe(key);
  if (observed === "missing") return { kind: "gone" };
  if ("unreadable" in observed) return { kind: "unreadable", message: observed.unreadable };
  if ("elsewhere" in observed) return { kind: "elsewhere", message: `the guest is on node ${observed.elsewhere} now, where this agent cannot look` };
  // The vmid was reused: what is there now says nothing about the guest the act was for.
  if (isOtherIdentity(operation.guest.identity, observed.identity)) return { kind: "gone" };
  switch (operation.action) {
    case "start":
      return observed.runState === "stopped" ? { kind: "not_there", message: "the guest is stopped" } : { kind: "there" };
    case "shutdown":
      return observed.runState === "stopped" ? { kind: "there" } : { kind: "not_there", message: `the guest is ${observed.runState}` };
    case "reboot":
      // It runs before and after: only its task tells.
      return { kind: "not_there", message: "whether it was restarted cannot be seen by looking" };
    case "set_config":
      return configEffect(deps.facts, operation, observed);
    default:
      return { kind: "unreadable", message: `this version does not know the action "${operation.action}"` };
  }
}

/** Is every key of a config write as it was sent? Compared in normal form with the merged view. */
function configEffect(facts: HostFacts, operation: Operation, observed: ObservedGuest): Effect {
  const missing: string[] = [];
  const context = { kind: observed.kind, tagStyle: facts.tagStyle, pveVersion: facts.pveVersion };
  for (const [key, sent] of Object.entries(recordOf(operation.params["set"]))) {
    const found = observed.config.merged[key];
    const normalizer = normalizerFor(observed.kind, key);
    const wanted = normalizer.normalize(String(sent), { ...context, observed: found });
    if (found === undefined ? wanted !== null : normalizer.normalize(found, { ...context, observed: found }) !== wanted) missing.push(key);
  }
  for (const key of listOf(operation.params["delete"])) if (observed.config.merged[key] !== undefined) missing.push(key);
  return missing.length === 0 ? { kind: "there" } : { kind: "not_there", message: `not as sent: ${missing.join(", ")}` };
}

/** Tasks that could be this operation's: same guest, same work, same token, started in its window. Undefined: unreadable. */
async function findTasks(deps: SettleDeps, operation: Operation): Promise<readonly TaskRecord[] | undefined> {
  const key = guestKeyOf(operation);
  const type = key === undefined ? undefined : taskTypeOf(key.kind, operation.action);
  if (key === undefined || type === undefined || operation.action === "set_config") return [];
  const tasks = await deps.api.listTasks({ source: "all", vmid: key.vmid, limit: TASK_SEARCH_COUNT_MAX });
  if (!tasks.ok) return undefined;
  const earliest = Date.parse(operation.startedAt ?? operation.plannedAt) / 1000 - TASK_TIME_SLACK_SECONDS;
  const taken = tasksOfOthers(deps.journal, operation);
  return tasks.value.filter(
    (task) => task.type === type && task.startedAt >= earliest && !taken.has(task.upid) && (deps.tokenUser === undefined || task.user === deps.tokenUser),
  );
}

/** Proxmox starts a new index file after some 1,000 tasks and keeps one old one: with fewer than this in the list nothing was dropped. */
const TASK_COUNT_WHOLE = 250;
const TASK_LIST_COUNT_MAX = 1_000;

/**
 * Would a task of this operation still be in Proxmox's list? For what must not happen twice, absence proves
 * nothing otherwise. A short list is whole only for a token that sees what others do, which is the privilege
 * by which it sees the quorum (Sys.Audit). Undefined: cannot be asked now.
 */
async function reachesBackTo(api: ProxmoxApi, operation: Operation): Promise<boolean | undefined> {
  const tasks = await api.listTasks({ source: "all", limit: TASK_LIST_COUNT_MAX });
  if (!tasks.ok) return undefined;
  const startedAt = Date.parse(operation.startedAt ?? operation.plannedAt) / 1000 - TASK_TIME_SLACK_SECONDS;
  if (tasks.value.some((task) => task.startedAt < startedAt)) return true;
  if (tasks.value.length >= TASK_COUNT_WHOLE) return false;
  const quorum = await api.hasQuorum();
  return quorum.ok ? quorum.value !== null : undefined;
}

/** Tasks that the journal knows to be another operation's: the slack would let one of a moment before pass. */
function tasksOfOthers(journal: Journal, operation: Operation): ReadonlySet<string> {
  const others = [...journal.recentOperations(), ...journal.openOperations()].filter((other) => other.id !== operation.id);
  return new Set(others.flatMap(({ upid }) => (upid === undefined ? [] : [upid])));
}

async function lose(deps: SettleDeps, operation: Operation, reason: string): Promise<Settlement> {
  const lost = await deps.journal.apply(operation.id, { type: "lose", reason });
  return lost.ok ? unknownOf(lost.value, reason) : { kind: "waiting", message: lost.error.message };
}

function unknownOf(operation: Operation, reason: string): Settlement {
  return {
    kind: "unknown",
    message: `${describe(operation)}: ${reason}. Look at the guest, then say what is true: agent op resolve ${operation.id} --succeeded|--failed --reason "…"`,
  };
}

async function apply(deps: SettleDeps, operation: Operation, event: OperationEvent): Promise<Settlement> {
  const applied = await deps.journal.apply(operation.id, event);
  return applied.ok ? { kind: "settled", operation: applied.value } : { kind: "waiting", message: applied.error.message };
}

function describe(operation: Operation): string {
  return `${operation.action} of ${operation.guest.kind}/${operation.guest.vmid} (operation ${operation.id})`;
}

/** The guest an operation is about; undefined when the record is of a kind this version does not know. */
export function guestKeyOf(operation: Pick<Operation, "guest">): GuestKey | undefined {
  const { kind, vmid } = operation.guest;
  return isKind(kind) && isVmid(vmid) ? { kind, vmid } : undefined;
}

function isKind(kind: string): kind is GuestKind {
  return kind === "qemu" || kind === "lxc";
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** A declaration that manages nothing, for reading a guest that is no longer declared. */
export function bareDeclaration(guest: GuestKey): DesiredGuest {
  return { ...guest, mode: "observe", state: undefined, config: {}, position: { file: formatGuestKey(guest), line: 0, column: 0 } };
}
