import fc from "fast-check";
import { EPOCH_REASONS, type JournalRecord } from "../../src/journal/record.ts";
import { OPERATION_STATES, type FactValue } from "../../src/journal/types.ts";

/** Any text, with what breaks naive line formats: line feeds, NULs, lone surrogates, other alphabets. */
export const text = fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), fc.constantFrom("", "\n", "\0", "\ud800", " ", "__proto__", "é\u2028"));
const at = fc.date({ noInvalidDate: true }).map((date) => date.toISOString());
const guest = fc.record({ kind: text, vmid: fc.nat(), identity: fc.dictionary(text, text, { maxKeys: 3 }) });
const by = fc.constantFrom("answer", "observation", "person");

const json: fc.Arbitrary<Record<string, unknown>> = fc.dictionary(text, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 })
  .map((value) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>);

const factValue: fc.Arbitrary<FactValue> = fc.letrec<{ value: FactValue }>((tie) => ({
  value: fc.oneof({ maxDepth: 2 }, text, fc.boolean(), fc.integer(), fc.array(tie("value"), { maxLength: 3 }), fc.dictionary(text, tie("value"), { maxKeys: 3 })),
})).value.map((value) => JSON.parse(JSON.stringify(value)) as FactValue);

const newOperation = fc.record(
  { guest, action: text, params: json, provenance: fc.constantFrom("desired", "operation", "compensation"), key: text, keyExpiresAt: at },
  { requiredKeys: ["guest", "action", "params", "provenance"] },
);

const event = fc.oneof(
  fc.constant({ type: "start" }),
  fc.record({ type: fc.constant("task"), upid: text }),
  fc.record({ type: fc.constant("succeed"), by, note: text }, { requiredKeys: ["type", "by"] }),
  fc.record({ type: fc.constant("fail"), by, error: text }),
  fc.record({ type: fc.constant("lose"), reason: text }),
  fc.record({ type: fc.constant("abandon"), reason: text }),
);

const operation = fc.record(
  {
    guest, action: text, params: json, provenance: fc.constantFrom("desired", "operation", "compensation"), key: text, keyExpiresAt: at,
    id: text, state: fc.constantFrom(...OPERATION_STATES), plannedAt: at, changedAt: at, startedAt: at, upid: text, detail: text, outcomeBy: by,
  },
  { requiredKeys: ["guest", "action", "params", "provenance", "id", "state", "plannedAt", "changedAt"] },
);

/** Any record the journal may hold. */
export const record = fc.oneof(
  fc.record({ kind: fc.constant("planned"), at, op: text, operation: newOperation }),
  fc.record({ kind: fc.constant("event"), at, op: text, event }),
  fc.record({ kind: fc.constant("fact"), at, namespace: text, key: text, value: fc.oneof(factValue, fc.constant(null)) }),
  fc.record({ kind: fc.constant("verdict"), at, guest, digest: text, outcome: fc.constantFrom("allowed", "held", "rejected"), reason: text }),
  fc.record({ kind: fc.constant("nonce_spent"), at, nonce: text, until: at }),
  fc.record({ kind: fc.constant("epoch"), at, reason: fc.constantFrom(...EPOCH_REASONS), detail: text }),
  fc.record({ kind: fc.constant("checkpoint"), at, records: fc.nat() }),
  fc.record({ kind: fc.constant("operation"), at, operation }),
) as fc.Arbitrary<JournalRecord>;
