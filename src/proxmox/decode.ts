import * as v from "valibot";
import type { InferOutput } from "valibot";
import type { GuestKind } from "../guest/key.ts";
import type { HaStatus, RunState } from "../guest/observed.ts";
import type { GuestListEntry, GuestStatus, TaskRecord } from "../ports/proxmox-api.ts";
import { cleanText } from "./faults.ts";
import { guestRowSchema, listedGuestSchema, type guestStatusSchema, type taskListSchema } from "./schemas.ts";
import { parseUpid } from "./upid.ts";

/** A node's guest list as far as it can be read. */
export interface DecodedList {
  readonly entries: readonly GuestListEntry[];
  /** Rows that do not say which guest they are of. */
  readonly namelessCount: number;
  /** What is wrong with the first of them; empty without one. */
  readonly problem: string;
}

/** Every row of a node's guest list; one bad row does not hide the others. */
export function decodeList(kind: GuestKind, rows: readonly unknown[]): DecodedList {
  const entries: GuestListEntry[] = [];
  let namelessCount = 0;
  let problem = "";
  rows.forEach((row, index) => {
    const parsed = v.safeParse(listedGuestSchema, row);
    if (parsed.success) entries.push(listEntry(kind, parsed.output));
    else if (namelessCount++ === 0) problem = cleanText(`at ${["data", index, v.getDotPath(parsed.issues[0])].filter((step) => step !== null).join(".")}: ${parsed.issues[0].message}`);
  });
  return { entries, namelessCount, problem };
}

/** A guest that is there and of which nothing else is known, for the reason given. */
export function unreadableEntry(kind: GuestKind, vmid: number, problem: string): GuestListEntry {
  return { kind, vmid, name: undefined, runState: "unknown", isTemplate: false, lock: undefined, problem };
}

/** One row of a node's guest list; `problem` says what is wrong with one that is not as it must be. */
function listEntry(kind: GuestKind, listed: InferOutput<typeof listedGuestSchema>): GuestListEntry {
  const { vmid } = listed;
  const parsed = v.safeParse(guestRowSchema, listed);
  if (!parsed.success) return unreadableEntry(kind, vmid, problemOf(parsed.issues[0]));
  const row = parsed.output;
  const { status } = row;
  return {
    kind,
    vmid,
    name: row.name ?? undefined,
    runState: status === "running" || status === "stopped" ? status : "unknown",
    isTemplate: row.template === true,
    lock: row.lock ?? undefined,
  };
}

function problemOf(issue: v.BaseIssue<unknown>): string {
  return cleanText(`${v.getDotPath(issue) ?? "row"}: ${issue.message}`);
}

/** The answer of status/current. */
export function guestStatus(row: InferOutput<typeof guestStatusSchema>): GuestStatus {
  const ha = row.ha ?? undefined;
  const state = ha?.state ?? undefined;
  const status: HaStatus | undefined = ha === undefined ? undefined : { isManaged: ha.managed === true, ...(state === undefined ? {} : { state }) };
  return {
    runState: runState(row.status ?? undefined, row.qmpstatus ?? undefined),
    lock: row.lock ?? undefined,
    ha: status,
    isTemplate: row.template === true,
  };
}

/** Containers have no qmpstatus. A QEMU that is there but does not run guest code (paused, prelaunch, io-error, …) is paused. */
function runState(status: string | undefined, qmpStatus: string | undefined): RunState {
  if (status === "stopped") return "stopped";
  if (status !== "running") return "unknown";
  return qmpStatus === undefined || qmpStatus === "running" ? "running" : qmpStatus === "stopped" ? "stopped" : "paused";
}

/** One row of a task list; what the UPID says wins, since finished rows list the user without its token. */
export function taskRecord(row: InferOutput<typeof taskListSchema>[number]): TaskRecord {
  const parsed = parseUpid(row.upid);
  const hasEnded = (row.endtime ?? undefined) !== undefined;
  // Rows of running tasks say "RUNNING" on a node, nothing in the cluster's list.
  const isRunning = !hasEnded && (row.status ?? "RUNNING") === "RUNNING";
  return {
    upid: row.upid,
    node: parsed?.node ?? row.node,
    type: parsed?.type ?? row.type,
    id: parsed?.id ?? row.id ?? "",
    user: parsed?.user ?? row.user,
    startedAt: parsed?.startedAt ?? row.starttime ?? 0,
    isRunning,
    exit: isRunning ? undefined : cleanText(row.status ?? ""),
  };
}
