import * as v from "valibot";
import type { Condition, ConditionStatus, TransitionEvent } from "../conditions/condition.ts";
import type { Compaction, JournalState, Operation, OperationState, OutcomeSource, Provenance } from "../journal/types.ts";
import type { Deferred, DrivePendingField, Hold, PendingField } from "../plan/types.ts";
import { RESTART_STATES, type RestartReport } from "../reconcile/restart-request.ts";
import type { SelftestReport } from "../reconcile/selftest.ts";
import type { ChangeReport, OnceReport, StatusReport } from "./report.ts";

/**
 * The shapes of report.ts as schemas: an answer may come from an agent of another version. Fields must
 * be there and of their type; words from closed lists are taken as they come, and fields that are not
 * known pass, so that only what a command cannot work with is refused.
 */

/** A word of a closed list that another version may have extended. */
function word<T extends string>(): v.GenericSchema<T> {
  return v.custom<T>((value) => typeof value === "string", "expected a text");
}

const text = v.string();
const count = v.number();
const guestKey = { kind: text, vmid: count };

const operation: v.GenericSchema<unknown, Operation> = v.looseObject({
  id: text,
  guest: v.looseObject({ ...guestKey, identity: v.record(v.string(), v.string()) }),
  action: text,
  params: v.record(v.string(), v.unknown()),
  provenance: word<Provenance>(),
  state: word<OperationState>(),
  plannedAt: text,
  changedAt: text,
  startedAt: v.exactOptional(text),
  upid: v.exactOptional(text),
  detail: v.exactOptional(text),
  outcomeBy: v.exactOptional(word<OutcomeSource>()),
  key: v.exactOptional(text),
  keyExpiresAt: v.exactOptional(text),
});

const condition: v.GenericSchema<unknown, Condition> = v.looseObject({
  type: word<Condition["type"]>(), status: word<ConditionStatus>(), reason: text, message: text, lastTransitionTime: text, observedGeneration: text,
});

const event: v.GenericSchema<unknown, TransitionEvent> = v.looseObject({
  at: text,
  guest: v.exactOptional(v.looseObject({ kind: v.picklist(["qemu", "lxc"]), vmid: count })),
  type: word<Condition["type"]>(), from: word<ConditionStatus>(), to: word<ConditionStatus>(), reason: text, message: text,
});

const normalForm = v.nullable(text);
const hold: v.GenericSchema<unknown, Hold> = v.looseObject({ reason: word<Hold["reason"]>(), scope: word<Hold["scope"]>(), message: text });
const deferred: v.GenericSchema<unknown, Deferred> = v.looseObject({ key: text, reason: word<Deferred["reason"]>(), declared: normalForm, found: normalForm, message: text });
/** JSON leaves out a value that is not there. */
const absentText = v.optional(text, undefined);
const pendingField: v.GenericSchema<unknown, PendingField> = v.pipe(v.looseObject({ key: text, running: absentText, pending: absentText }), v.transform((field) => ({ ...field, running: field.running, pending: field.pending })));

const drivePendingField: v.GenericSchema<unknown, DrivePendingField> = v.pipe(
  v.looseObject({ key: text, onDrive: absentText, isTold: v.boolean(), configured: absentText }),
  v.transform((field) => ({ ...field, onDrive: field.onDrive, configured: field.configured })),
);

const guest = v.looseObject({
  ...guestKey, name: text, runState: text, result: text, message: text, holds: v.array(hold), deferred: v.array(deferred),
  restartPending: v.array(pendingField),
  // Agents before these fields have nothing to tell of them.
  drivePending: v.optional(v.array(drivePendingField), []),
  refused: v.optional(v.array(v.looseObject({ key: text, message: text })), []),
  conditions: v.array(condition),
});

const pause = v.looseObject({ target: v.union([v.literal("all"), count]), reason: text, since: text, until: v.exactOptional(text) });

export const statusAnswer: v.GenericSchema<unknown, StatusReport> = v.looseObject({
  version: v.literal(1),
  now: text,
  agent: v.looseObject({
    version: text, commit: text, node: text, pid: count, startedAt: text, isDryRun: v.boolean(), proxmoxUrl: text, desired: text, configProblem: text,
  }),
  revision: v.looseObject({ id: text, isHeld: v.boolean(), message: text, declaredGuests: count }),
  journal: v.looseObject({ state: word<JournalState>(), message: text, head: v.looseObject({ segment: text, sequence: count, hash: text }) }),
  conditions: v.array(condition),
  guests: v.array(guest),
  pauses: v.array(pause),
  openOperations: v.array(operation),
  events: v.array(event),
  // Agents before this field had few events: all of them are there.
  eventCount: v.optional(count, 0),
});

export const changeAnswer: v.GenericSchema<unknown, ChangeReport> = v.looseObject({ version: v.literal(1), change: text, activeGuests: count });

export const onceAnswer: v.GenericSchema<unknown, OnceReport> = v.looseObject({
  version: v.literal(1),
  exitCode: v.picklist([0, 1, 2, 4]),
  actions: v.array(v.looseObject({ ...guestKey, action: text, outcome: text, keys: v.array(text) })),
  remaining: v.array(v.looseObject({ ...guestKey, result: text, message: text })),
  problems: v.array(text),
});

export const selftestAnswer: v.GenericSchema<unknown, SelftestReport> = v.looseObject({
  version: v.literal(1),
  ...guestKey, name: text, isPassed: v.boolean(), isRestored: v.boolean(),
  steps: v.array(v.looseObject({ step: text, isOk: v.boolean(), milliseconds: count, detail: text })),
});

export const restartAnswer: v.GenericSchema<unknown, RestartReport> = v.looseObject({
  version: v.literal(1),
  ...guestKey, name: text, key: text, state: v.picklist(RESTART_STATES), isRepeat: v.boolean(), operation: text, keyExpiresAt: text, message: text,
  applied: v.array(text), stillPending: v.array(text),
});

export const compactionAnswer: v.GenericSchema<unknown, Compaction> = v.looseObject({
  segment: text, records: count, sizeBytes: count, removed: v.array(text), kept: v.array(text),
});

export const operationsAnswer: v.GenericSchema<unknown, readonly Operation[]> = v.array(operation);
