import * as v from "valibot";
import { fault, ok, type Result } from "../ports/errors.ts";
import { OPERATION_STATES, type FactValue, type JournalGuest, type NewOperation, type Operation, type OperationEvent, type VerdictOutcome } from "./types.ts";

/**
 * What a frame's body says: the closed union of records, as JSON. Pure. Times are RFC 3339 UTC.
 * A new kind of record or field means a new format version (segment.ts): an older agent refuses
 * the file rather than drop what it does not know.
 */
export type JournalRecord =
  | { readonly kind: "planned"; readonly at: string; readonly op: string; readonly operation: NewOperation }
  | { readonly kind: "event"; readonly at: string; readonly op: string; readonly event: OperationEvent }
  | { readonly kind: "fact"; readonly at: string; readonly namespace: string; readonly key: string; readonly value: FactValue | null }
  | VerdictRecord
  | { readonly kind: "nonce_spent"; readonly at: string; readonly nonce: string; readonly until: string }
  | EpochRecord
  /** First in every segment: the `records` that follow are the live state when the segment was made. */
  | { readonly kind: "checkpoint"; readonly at: string; readonly records: number }
  /** Only in checkpoints: an operation as it stands. */
  | { readonly kind: "operation"; readonly at: string; readonly operation: Operation };

export interface VerdictRecord {
  readonly kind: "verdict";
  readonly at: string;
  readonly guest: JournalGuest;
  readonly digest: string;
  readonly outcome: VerdictOutcome;
  readonly reason: string;
}

/**
 * Why something decided before may have been forgotten: one-shot operations from before an epoch are
 * refused. "restored" is for what only Proxmox's task list can show: the journal came from a backup.
 */
export const EPOCH_REASONS = ["created", "repaired", "moved", "restored"] as const;
export type EpochReason = (typeof EPOCH_REASONS)[number];

export interface EpochRecord {
  readonly kind: "epoch";
  readonly at: string;
  readonly reason: EpochReason;
  /** "repaired": the name of the file the torn bytes were saved in; else words for a person. */
  readonly detail: string;
}

/** JSON without line breaks (JSON escapes them), so that one frame is one line. */
export function encodeRecord(record: JournalRecord): string {
  return JSON.stringify(record);
}

/** The record in `body`, or why it is none. */
export function decodeRecord(body: string): Result<JournalRecord> {
  const parsed = parseJson(body);
  const checked = v.safeParse(schemaOf(parsed), parsed);
  if (checked.success) return ok(checked.output);
  const issue = checked.issues[0];
  return fault("journal.corrupt", `not a record this version knows: ${v.getDotPath(issue) ?? "body"}: ${issue.message}`);
}

/** What `body` says as JSON; undefined when it says nothing. */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** A deep copy as JSON keeps it: what memory holds is then what the disk holds. */
export function asJson<T>(value: T): T {
  return typeof value === "object" ? (JSON.parse(JSON.stringify(value)) as T) : value;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A null within a fact would read as "forget". */
function isFactValue(value: unknown): value is FactValue {
  if (Array.isArray(value)) return value.every(isFactValue);
  if (isPlainObject(value)) return Object.values(value).every(isFactValue);
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

function isIdentity(value: unknown): value is Record<string, string> {
  return isPlainObject(value) && Object.values(value).every((part) => typeof part === "string");
}

const Text = v.string();
const OutcomeBy = v.picklist(["answer", "observation", "person"]);
const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const GuestSchema = v.strictObject({ kind: Text, vmid: Count, identity: v.custom<Record<string, string>>(isIdentity) });

const newOperationFields = {
  guest: GuestSchema,
  action: Text,
  params: v.custom<Record<string, unknown>>(isPlainObject),
  provenance: v.picklist(["desired", "operation", "compensation"]),
  key: v.exactOptional(Text),
  keyExpiresAt: v.exactOptional(Text),
};

const EventSchema = v.variant("type", [
  v.strictObject({ type: v.literal("start") }),
  v.strictObject({ type: v.literal("task"), upid: Text }),
  v.strictObject({ type: v.literal("succeed"), by: OutcomeBy, note: v.exactOptional(Text) }),
  v.strictObject({ type: v.literal("fail"), by: OutcomeBy, error: Text }),
  v.strictObject({ type: v.literal("lose"), reason: Text }),
  v.strictObject({ type: v.literal("abandon"), reason: Text }),
]);

const OperationSchema = v.strictObject({
  ...newOperationFields,
  id: Text,
  state: v.picklist(OPERATION_STATES),
  plannedAt: Text,
  changedAt: Text,
  startedAt: v.exactOptional(Text),
  upid: v.exactOptional(Text),
  detail: v.exactOptional(Text),
  outcomeBy: v.exactOptional(OutcomeBy),
});

const FactSchema = v.custom<FactValue | null>((value) => value === null || isFactValue(value));

const SCHEMAS = {
  planned: v.strictObject({ kind: v.literal("planned"), at: Text, op: Text, operation: v.strictObject(newOperationFields) }),
  event: v.strictObject({ kind: v.literal("event"), at: Text, op: Text, event: EventSchema }),
  fact: v.strictObject({ kind: v.literal("fact"), at: Text, namespace: Text, key: Text, value: FactSchema }),
  verdict: v.strictObject({
    kind: v.literal("verdict"), at: Text, guest: GuestSchema, digest: Text, outcome: v.picklist(["allowed", "held", "rejected"]), reason: Text,
  }),
  nonce_spent: v.strictObject({ kind: v.literal("nonce_spent"), at: Text, nonce: Text, until: Text }),
  epoch: v.strictObject({ kind: v.literal("epoch"), at: Text, reason: v.picklist(EPOCH_REASONS), detail: Text }),
  checkpoint: v.strictObject({ kind: v.literal("checkpoint"), at: Text, records: Count }),
  operation: v.strictObject({ kind: v.literal("operation"), at: Text, operation: OperationSchema }),
} satisfies Record<JournalRecord["kind"], v.GenericSchema<unknown, JournalRecord>>;

/** For what is no record at all: its message lists the kinds. */
const RecordSchema: v.GenericSchema<unknown, JournalRecord> = v.variant("kind", Object.values(SCHEMAS));

/** The schema of the kind that `parsed` claims to be: finding it here is a third of the time that opening a journal takes. */
function schemaOf(parsed: unknown): v.GenericSchema<unknown, JournalRecord> {
  const kind = isPlainObject(parsed) ? parsed["kind"] : undefined;
  return typeof kind === "string" && Object.hasOwn(SCHEMAS, kind) ? SCHEMAS[kind as JournalRecord["kind"]] : RecordSchema;
}
