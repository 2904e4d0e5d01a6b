import type { JournalEntry } from "../journal/inspect.ts";
import type { JournalRecord } from "../journal/record.ts";
import type { JournalGuest, OperationEvent, OperationState } from "../journal/types.ts";
import { escapeJson, escapeText } from "../plan/escape.ts";
import { unreachable } from "../ports/errors.ts";

/** What a record's operation is about. */
export interface Subject {
  readonly guest: JournalGuest;
  /** "start", "set_config"; absent for a verdict, which is on an action that may never run. */
  readonly action?: string;
}

/**
 * Whom each record is about: an event names only its operation, whose guest was named when it was
 * planned. Every segment begins with the operations that are open, so what is remembered begins anew
 * there and stays small whatever the history.
 */
export class Subjects {
  readonly #operations = new Map<string, Subject>();

  /** Records in the journal's order, snapshots included. */
  of(record: JournalRecord): Subject | undefined {
    switch (record.kind) {
      case "checkpoint":
        this.#operations.clear();
        return undefined;
      case "planned":
        return this.#remember(record.op, { guest: record.operation.guest, action: record.operation.action });
      case "operation":
        return this.#remember(record.operation.id, { guest: record.operation.guest, action: record.operation.action });
      case "event":
        return this.#operations.get(record.op);
      case "verdict":
        return { guest: record.guest };
      case "fact":
      case "nonce_spent":
      case "epoch":
        return undefined;
      default:
        return unreachable(record);
    }
  }

  #remember(id: string, subject: Subject): Subject {
    this.#operations.set(id, subject);
    return subject;
  }
}

/** A record as cells of a line: when, about what, what happened, details. */
export function recordCells(record: JournalRecord, guest: JournalGuest | undefined): readonly string[] {
  const about = guest === undefined ? "-" : `${guest.kind}/${guest.vmid}`;
  switch (record.kind) {
    case "planned":
      return [record.at, about, record.op, "planned", `${record.operation.action} ${JSON.stringify(record.operation.params)}`];
    case "event":
      return [record.at, about, record.op, record.event.type, detailOf(record.event)];
    case "fact":
      return [record.at, about, "-", "fact", `${record.namespace}/${record.key} = ${JSON.stringify(record.value)}`];
    case "verdict":
      return [record.at, about, "-", "verdict", `${record.outcome} ${record.reason}`];
    case "nonce_spent":
      return [record.at, about, "-", "nonce_spent", `until ${record.until}`];
    case "epoch":
      return [record.at, about, "-", "epoch", `${record.reason}: ${record.detail}`];
    case "checkpoint":
      return [record.at, about, "-", "checkpoint", `${record.records} records`];
    case "operation":
      return [record.at, about, record.operation.id, record.operation.state, record.operation.action];
    default:
      return unreachable(record);
  }
}

/** The state an operation was brought into by this record; undefined when it is about no operation. */
export function stateAfter(record: JournalRecord): OperationState | undefined {
  if (record.kind === "planned") return "planned";
  return record.kind === "event" ? STATE_AFTER[record.event.type] : undefined;
}

const STATE_AFTER: Readonly<Record<OperationEvent["type"], OperationState>> = {
  start: "started", task: "task_running", succeed: "succeeded", fail: "failed", lose: "unknown", abandon: "abandoned",
};

/** Where a record stands and what it says, for programs. */
export function entryObject({ record, sequence, segment, line, hash, isSnapshot }: JournalEntry) {
  return { sequence, segment, line, hash, ...(isSnapshot ? { snapshot: true } : {}), ...record };
}

/** One line of JSON, safe to print. */
export function entryJsonLine(entry: JournalEntry): string {
  return `${escapeJson(JSON.stringify(entryObject(entry)))}\n`;
}

/** Widths that fit nearly all: what streams by cannot be aligned by its widest cell. */
const STREAM_WIDTHS = [6, 24, 8, 23, 9] as const;

/** One line for a person, of records that come one after the other. */
export function entryTextLine({ record, sequence }: JournalEntry, guest: JournalGuest | undefined): string {
  const cells = [String(sequence).padStart(STREAM_WIDTHS[0]), ...recordCells(record, guest)];
  return `${cells.map((cell, column) => escapeText(cell).padEnd(STREAM_WIDTHS[column] ?? 0)).join("  ").trimEnd()}\n`;
}

function detailOf(event: OperationEvent): string {
  switch (event.type) {
    case "start":
      return "";
    case "task":
      return event.upid;
    case "succeed":
      return `by ${event.by}${event.note === undefined ? "" : `: ${event.note}`}`;
    case "fail":
      return `by ${event.by}: ${event.error}`;
    case "lose":
    case "abandon":
      return event.reason;
    default:
      return unreachable(event);
  }
}
