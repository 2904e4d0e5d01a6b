import type { Command } from "commander";
import { foldOperations, readRecords, type JournalEntry } from "../journal/inspect.ts";
import type { JournalRecord } from "../journal/record.ts";
import type { JournalProblem } from "../journal/scan.ts";
import type { Operation } from "../journal/types.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import { complainAbout, isJson, json, type CommandContext, type ExitCode } from "./context.ts";
import { complainAboutDamage, journalSegments } from "./journal-read.ts";
import { entryObject, recordCells } from "./journal-text.ts";
import { alignColumns } from "./table.ts";

/** Of how many operations a prefix is remembered, to say which it could mean. */
const CANDIDATES_MAX = 5;

/** `agent journal show`: one operation as it stands, and every record of it with its place. */
export function showOperation(context: CommandContext, command: Command, prefix: string, dir: string | undefined): ExitCode {
  const segments = journalSegments(context, command, dir);
  if (!segments.ok) return complainAbout(context, segments.error);
  const { directory } = segments.value;
  let problem: JournalProblem | undefined;
  const found = collect(readRecords(context.world.fileSystem, directory, (damage) => (problem ??= damage), prefix.toLowerCase()), prefix.toLowerCase());
  const chosen = choose(found, prefix, directory);
  if (!chosen.ok) {
    complainAboutDamage(context, problem);
    return complainAbout(context, chosen.error);
  }
  const { operation, entries } = chosen.value;
  context.print(isJson(command) ? json({ ...operation, records: entries.map(entryObject) }) : textOf(operation, entries));
  return complainAboutDamage(context, problem);
}

/** Records by operation, of those whose id begins with `prefix`; a snapshot counts when nothing older is kept. */
function collect(entries: Iterable<JournalEntry>, prefix: string): ReadonlyMap<string, readonly JournalEntry[]> {
  const found = new Map<string, JournalEntry[]>();
  for (const entry of entries) {
    const id = operationOf(entry.record);
    if (id?.startsWith(prefix) !== true) continue;
    const own = found.get(id);
    if (own === undefined) {
      if (id === prefix || found.size <= CANDIDATES_MAX) found.set(id, [entry]);
    } else if (!entry.isSnapshot) {
      own.push(entry);
    }
  }
  return found;
}

function operationOf(record: JournalRecord): string | undefined {
  if (record.kind === "operation") return record.operation.id;
  return record.kind === "planned" || record.kind === "event" ? record.op : undefined;
}

function choose(found: ReadonlyMap<string, readonly JournalEntry[]>, prefix: string, directory: string): Result<{ readonly operation: Operation; readonly entries: readonly JournalEntry[] }> {
  const ids = [...found.keys()];
  const id = found.has(prefix.toLowerCase()) ? prefix.toLowerCase() : ids[0];
  if (id === undefined) return fault("journal.unknown_operation", `expected an operation of ${directory}, found none with the id "${prefix}"; "agent journal ls" lists them`);
  if (id !== prefix.toLowerCase() && ids.length > 1) {
    const list = `${ids.slice(0, CANDIDATES_MAX).join(", ")}${ids.length > CANDIDATES_MAX ? ", …" : ""}`;
    return fault("command.usage", `expected the beginning of one operation's id, found "${prefix}", with which several begin: ${list}`);
  }
  const entries = found.get(id) ?? [];
  const operation = foldOperations(entries.map(({ record }) => record)).get(id);
  return operation === undefined ? fault("journal.unknown_operation", `of operation ${id} only what happened later can be read: its first record is damaged or was removed`) : ok({ operation, entries });
}

function textOf(operation: Operation, entries: readonly JournalEntry[]): string {
  const rows = Object.entries(operation).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]);
  const records = entries.map(({ record, sequence, segment, line }) => {
    const [at = "", , , what = "", detail = ""] = recordCells(record, undefined);
    return [String(sequence), at, `${segment}:${line}`, what, detail];
  });
  return `${[...alignColumns(rows), "", "records", ...alignColumns(records, "  ")].join("\n")}\n`;
}
