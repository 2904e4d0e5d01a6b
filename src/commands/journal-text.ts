import type { JournalRecord } from "../journal/record.ts";
import type { JournalGuest, OperationEvent } from "../journal/types.ts";
import { unreachable } from "../ports/errors.ts";

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

/** The guest a record is about; an event names only its operation, whose guest was named when it was planned. */
export function guestOf(record: JournalRecord, guests: Map<string, JournalGuest>): JournalGuest | undefined {
  if (record.kind === "planned") guests.set(record.op, record.operation.guest);
  if (record.kind === "operation") guests.set(record.operation.id, record.operation.guest);
  if (record.kind === "planned" || record.kind === "event") return guests.get(record.op);
  if (record.kind === "operation") return record.operation.guest;
  return record.kind === "verdict" ? record.guest : undefined;
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
