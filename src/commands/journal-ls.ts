import type { Command } from "commander";
import { parseDuration } from "../config/duration.ts";
import { GUEST_KINDS } from "../guest/key.ts";
import type { JournalRecord } from "../journal/record.ts";
import type { OperationState } from "../journal/types.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import { complainAbout, isJson, json, parseVmid, type CommandContext, type ExitCode } from "./context.ts";
import { complainAboutDamage, findNewest, journalSegments, type View } from "./journal-read.ts";
import { entryObject, recordCells, stateAfter } from "./journal-text.ts";
import { alignColumns } from "./table.ts";
import { parseTime } from "./time.ts";

export interface ListOptions {
  readonly guest?: string;
  readonly since?: string;
  readonly op?: string;
  readonly state?: OperationState;
  readonly limit: string;
  /** What `--limit` was called in 0.1. */
  readonly last?: string;
  readonly dir?: string;
}

/** More would be a table nobody reads and memory nobody expects: `export` streams everything. */
const LIMIT_MAX = 100_000;

interface Filter {
  readonly guest?: { readonly kind?: string; readonly vmid: number };
  readonly sinceMs?: number;
  readonly limit: number;
}

/** `agent journal ls`: the newest records that match, oldest first. */
export function listRecords(context: CommandContext, command: Command, options: ListOptions): ExitCode {
  const filter = filterOf(context, options);
  if (!filter.ok) return complainAbout(context, filter.error);
  const segments = journalSegments(context, command, options.dir);
  if (!segments.ok) return complainAbout(context, segments.error);
  const { limit, sinceMs } = filter.value;
  const search = { limit, ...(sinceMs === undefined ? {} : { sinceMs }), matches: (view: View) => isWanted(view, filter.value, options) };
  const { views, problem } = findNewest(context.world.fileSystem, segments.value.directory, segments.value.names, search);
  if (isJson(command)) context.print(json(views.map(({ entry }) => entryObject(entry))));
  else if (views.length === 0) context.print("No records.\n");
  else context.print(`${alignColumns(views.map(({ entry, subject }) => [String(entry.sequence), ...recordCells(entry.record, subject?.guest)])).join("\n")}\n`);
  return complainAboutDamage(context, problem);
}

function isWanted({ entry, subject }: View, { guest, sinceMs }: Filter, { op, state }: ListOptions): boolean {
  const isOfGuest = guest === undefined || isFactAbout(entry.record, guest.vmid) || (subject?.guest.vmid === guest.vmid && (guest.kind === undefined || subject.guest.kind === guest.kind));
  if (!isOfGuest) return false;
  // A time that cannot be read is shown rather than hidden.
  if (sinceMs !== undefined && Date.parse(entry.record.at) < sinceMs) return false;
  if (op !== undefined && subject?.action !== op) return false;
  return state === undefined || stateAfter(entry.record) === state;
}

/** Facts that are about guests; their key is the vmid, or "all". */
const GUEST_FACTS: ReadonlySet<string> = new Set(["pause", "restart", "selftest"]);

/** A person's pause, and what is under way on a guest, belong to its story. */
function isFactAbout(record: JournalRecord, vmid: number): boolean {
  return record.kind === "fact" && GUEST_FACTS.has(record.namespace) && (record.key === String(vmid) || record.key === "all");
}

function filterOf(context: CommandContext, { guest, since, limit, last }: ListOptions): Result<Filter> {
  const count = last === undefined ? parseCount("--limit", limit, LIMIT_MAX) : parseCount("--last", last, LIMIT_MAX);
  if (!count.ok) return count;
  const who = guest === undefined ? undefined : parseGuest(guest);
  if (guest !== undefined && who === undefined) return fault("command.usage", `expected a VMID (100 to 999999999) after --guest, or one with its kind such as qemu/100, found "${guest}"`);
  const sinceMs = since === undefined ? undefined : parseSince(since, context.world.clock.now());
  if (since !== undefined && sinceMs === undefined) return fault("command.usage", `expected a duration such as 30m, 2h or 3d after --since, or a time such as 2026-01-31T14:00:00Z, found "${since}"`);
  return ok({ limit: count.value, ...(who === undefined ? {} : { guest: who }), ...(sinceMs === undefined ? {} : { sinceMs }) });
}

/** A whole number from 1 to `most`, as option `name` wants it. */
export function parseCount(name: string, text: string, most: number): Result<number> {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= most ? ok(count) : fault("command.usage", `expected a whole number from 1 to ${most} after ${name}, found "${text}"`);
}

function parseGuest(text: string): Filter["guest"] {
  const [first = "", second, ...more] = text.split("/");
  const vmid = parseVmid(second ?? first);
  if (vmid === undefined || more.length > 0) return undefined;
  if (second === undefined) return { vmid };
  return GUEST_KINDS.some((kind) => kind === first) ? { kind: first, vmid } : undefined;
}

/** Milliseconds since the epoch; a time without a zone is UTC, as all times of the journal. */
function parseSince(text: string, nowMs: number): number | undefined {
  const durationMs = parseDuration(text);
  if (durationMs !== undefined) return nowMs - durationMs;
  return parseTime(text);
}
