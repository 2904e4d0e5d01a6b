import type { Caller } from "../api.ts";
import { Died } from "./died.ts";
import type { Host } from "./host.ts";
import { isTrue, splitList } from "./perl.ts";
import type { Row } from "./status.ts";
import type { Task } from "./tasks.ts";
import type { Values } from "./verify.ts";

/** The task endpoints: lists with their filters, status, log, stop. */

const UPID = /^UPID:([a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?):[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:[0-9A-Fa-f]{8}:[^:\s]+:[^:\s]*:[^:\s]+:$/;
const LIST_LIMIT = 50;
const LOG_LIMIT = 50;

export interface Counted {
  readonly rows: readonly Row[];
  /** Left out of the answer when nothing was found. */
  readonly total: number | undefined;
}

function isOwner(caller: Caller, task: Task): boolean {
  return task.user === caller.user && task.tokenId === caller.tokenId;
}

function sees(host: Host, caller: Caller, task: Task): boolean {
  return isOwner(caller, task) || caller.can(`/nodes/${host.name}`, "Sys.Audit");
}

/** GET /nodes/{node}/tasks: running ones first if asked for, then ended ones, latest end first. */
export function listTasks(host: Host, caller: Caller, values: Values): Counted {
  const source = values.get("source") ?? "archive";
  const running = source === "archive" ? [] : host.tasks.running();
  const ended = source === "active" ? [] : host.tasks.ended();
  const rows = [...running, ...ended].filter((task) => sees(host, caller, task) && isWanted(task, values)).map(nodeRow);
  const start = Number(values.get("start") ?? 0);
  const limit = Number(values.get("limit") ?? LIST_LIMIT);
  return { rows: rows.slice(start, limit === 0 ? undefined : start + limit), total: rows.length === 0 ? undefined : rows.length };
}

function isWanted(task: Task, values: Values): boolean {
  const text = (name: string): string | undefined => values.get(name) ?? undefined;
  const [user, type, vmid, since, until] = [text("userfilter"), text("typefilter"), text("vmid"), text("since"), text("until")];
  if (user !== undefined && !(task.isRunning ? task.fullUser : task.user).includes(user)) return false;
  if (type !== undefined && task.type !== type) return false;
  if (vmid !== undefined && task.id !== vmid) return false;
  if (since !== undefined && task.startedAt < Number(since)) return false;
  if (until !== undefined && task.startedAt > Number(until)) return false;
  if (isTrue(text("errors")) && (task.isRunning || task.exit === "OK")) return false;
  const kinds = splitList(text("statusfilter"));
  return kinds.length === 0 || (!task.isRunning && kinds.includes(statusKind(task.exit ?? "")));
}

function statusKind(exit: string): string {
  if (exit === "OK") return "ok";
  if (/^WARNINGS: \d+$/.test(exit)) return "warning";
  return exit === "unexpected status" ? "unknown" : "error";
}

function nodeRow(task: Task): Row {
  const { upid, node, pid, pstart, type, id } = task;
  const common = { upid, node, pid, pstart, starttime: task.startedAt, type, id };
  if (task.isRunning) return { ...common, user: task.fullUser, status: "RUNNING", saved: "0" };
  return { ...common, user: task.user, ...tokenOf(task), endtime: task.endedAt, status: task.exit };
}

function tokenOf(task: Task): Row {
  return task.tokenId === undefined ? {} : { tokenid: task.tokenId };
}

const CLUSTER_LIST_LENGTH = 25;

/** GET /cluster/tasks: the recent ones of the whole cluster. Of running ones the latest is not counted as listed yet. */
export function listClusterTasks(host: Host, caller: Caller): readonly Row[] {
  const running = host.tasks.running();
  const rowOf = (task: Task): Row => {
    const { upid, node, type, id, user } = task;
    const common = { upid, node, starttime: task.startedAt, type, id, user, ...tokenOf(task) };
    if (task.isRunning) return { ...common, pid: task.pid, ...(task === running.at(-1) ? {} : { saved: "0" }) };
    return { ...common, endtime: task.endedAt, status: task.exit, saved: "1" };
  };
  const ended = [...host.tasks.ended()].sort((left, right) => right.startedAt - left.startedAt);
  const recent = [...running, ...ended].slice(0, CLUSTER_LIST_LENGTH);
  return recent.filter((task) => sees(host, caller, task)).map(rowOf);
}

function assertUpid(upid: string): void {
  if (!UPID.test(upid)) throw Died.parameters({ upid: "unable to parse worker upid" });
}

/** Others' tasks need a privilege on the node, whether they exist or not. */
function needForTask(host: Host, caller: Caller, upid: string, privilege: string): Task | undefined {
  assertUpid(upid);
  const owner = upid.split(":")[7] ?? "";
  const self = caller.tokenId === undefined ? caller.user : `${caller.user}!${caller.tokenId}`;
  if (owner !== self && !caller.can(`/nodes/${host.name}`, privilege)) throw Died.permission(`/nodes/${host.name}, ${privilege}`);
  return host.tasks.find(upid);
}

/** GET /tasks/{upid}/status; dies with 400 when the task is not known (any more). */
export function taskStatus(host: Host, caller: Caller, upid: string): Row {
  const task = needForTask(host, caller, upid, "Sys.Audit");
  if (task === undefined) throw Died.parameters({ upid: "no such task" });
  const { node, pid, pstart, type, id, user } = task;
  const common = { upid, node, pid, pstart, starttime: task.startedAt, type, id, user, ...tokenOf(task) };
  return task.isRunning ? { ...common, status: "running" } : { ...common, status: "stopped", exitstatus: task.exit };
}

/** GET /tasks/{upid}/log; an unknown task has a log that says so. */
export function taskLog(host: Host, caller: Caller, upid: string, values: Values): Counted {
  const task = needForTask(host, caller, upid, "Sys.Audit");
  if (task === undefined) return { rows: [{ n: 1, t: "unable to open file - No such file or directory" }], total: 1 };
  if (task.log.length === 0) return { rows: [{ n: 1, t: "no content" }], total: 1 };
  const start = Number(values.get("start") ?? 0);
  const limit = Number(values.get("limit") ?? LOG_LIMIT);
  const rows = task.log.map((line, index): Row => ({ n: index + 1, t: line }));
  return { rows: rows.slice(start, limit === 0 ? undefined : start + limit), total: rows.length };
}

/** DELETE /tasks/{upid}: interrupts it; fine when it has ended. */
export function stopTask(host: Host, caller: Caller, upid: string): null {
  const task = needForTask(host, caller, upid, "Sys.Modify");
  task?.stopper.abort();
  return null;
}
