import type { Clock } from "../ports/clock.ts";
import { unreachable } from "../ports/errors.ts";
import type { ProxmoxApi, ProxmoxFault, TaskState, TaskVerdict, Upid } from "../ports/proxmox-api.ts";

/** First wait; starts and shutdowns of containers end within it. */
const POLL_INTERVAL_MIN_MS = 100;
/** Longest wait: a task of minutes costs one request every 2 s. */
export const TASK_POLL_INTERVAL_MAX_MS = 2_000;
const POLL_INTERVAL_GROWTH = 1.5;
/** A task can be unknown for a moment after its UPID was given (docs/proxmox.md, "Transport and API behaviour"). */
const NEW_TASK_GRACE_MS = 5_000;
/** Answers in a row that make no sense, before the task counts as unreadable. */
export const TASK_ODD_ANSWERS_MAX = 5;

/** How waiting for a task ended. Only "finished" says anything about the task's outcome. */
export type TaskEnd =
  | { readonly type: "finished"; readonly verdict: TaskVerdict; readonly exit: string }
  /** It was still running when last read. */
  | { readonly type: "timed_out" }
  | { readonly type: "aborted" }
  /** Its state could not be read; it may be running. */
  | { readonly type: "unreadable"; readonly error: ProxmoxFault };

export interface AwaitTaskOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Polls a task until it ends, `timeoutMs` pass or `signal` aborts, with waits growing from 100 ms to 2 s. Outages
 * of Proxmox are waited out; a task that stays unknown, or may not be read, is "unreadable".
 */
export async function awaitTask(api: Pick<ProxmoxApi, "taskState">, upid: Upid, options: AwaitTaskOptions): Promise<TaskEnd> {
  const { clock, timeoutMs, signal } = options;
  const startedMs = clock.monotonic();
  let oddAnswers = 0;
  for (let waitMs = POLL_INTERVAL_MIN_MS; ; waitMs = Math.min(waitMs * POLL_INTERVAL_GROWTH, TASK_POLL_INTERVAL_MAX_MS)) {
    if (signal?.aborted === true) return { type: "aborted" };
    const read = await api.taskState(upid);
    const elapsedMs = clock.monotonic() - startedMs;
    if (read.ok && !read.value.isRunning) return { type: "finished", verdict: read.value.verdict, exit: read.value.exit };
    if (read.ok) oddAnswers = 0;
    else if (!canWaitOut(read.error, elapsedMs) && (isFinal(read.error) || ++oddAnswers >= TASK_ODD_ANSWERS_MAX)) return { type: "unreadable", error: read.error };
    if (elapsedMs >= timeoutMs) return read.ok ? { type: "timed_out" } : { type: "unreadable", error: read.error };
    await clock.sleep(Math.min(waitMs, timeoutMs - elapsedMs), signal);
  }
}

/** Faults that say nothing about the task and pass by themselves. */
function canWaitOut(error: ProxmoxFault, elapsedMs: number): boolean {
  switch (error.code) {
    case "proxmox.unreachable":
    case "proxmox.no_answer":
    case "proxmox.transient":
    // Certificates and tokens are replaced while tasks run; both are read again by the client.
    case "proxmox.untrusted":
    case "proxmox.unauthenticated":
      return true;
    case "proxmox.bad_parameter":
      return isNoSuchTask(error) && elapsedMs < NEW_TASK_GRACE_MS;
    case "proxmox.locked":
    case "proxmox.lock_timeout":
    case "proxmox.digest_conflict":
    case "proxmox.guest_missing":
    case "proxmox.forbidden":
    case "proxmox.unexpected_answer":
    case "proxmox.other":
      return false;
    default:
      return unreachable(error);
  }
}

/** Asking again would be answered the same. */
function isFinal(error: ProxmoxFault): boolean {
  return error.code === "proxmox.forbidden" || error.code === "proxmox.bad_parameter";
}

function isNoSuchTask(error: ProxmoxFault): boolean {
  return error.code === "proxmox.bad_parameter" && /no such task/.test(error.parameters["upid"] ?? "");
}

/** Texts that Proxmox puts where an exit status should be, when the log of the task does not hold one. */
const UNKNOWN_EXIT = /^(?:$|unexpected status$|unable to (?:open file|read tail|extract last line))/;

/** What a task's exit text says about it: a warning is a success, a lost worker is unknown, the rest are failures. */
export function judgeExit(exit: string): TaskState {
  const verdict: TaskVerdict =
    exit === "OK" ? "succeeded" : /^WARNINGS: \d+$/.test(exit) ? "succeeded_with_warnings" : UNKNOWN_EXIT.test(exit) ? "unknown" : "failed";
  return { isRunning: false, verdict, exit };
}
