import { expect, test } from "bun:test";
import fc from "fast-check";
import { DEFAULT_LIMITS } from "../../src/journal/limits.ts";
import { LiveTable } from "../../src/journal/live-table.ts";
import type { JournalRecord } from "../../src/journal/record.ts";
import { record } from "./arbitraries.ts";
import { startOf } from "./journal-fixture.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const AT = new Date(NOW_MS).toISOString();
const HOUR_MS = 3_600_000;

function tableOf(records: readonly JournalRecord[], limits = DEFAULT_LIMITS): LiveTable {
  const table = new LiveTable(limits);
  for (const one of records) table.apply(one);
  return table;
}

/** A snapshot as a set: the order of unrelated records says nothing. */
function stateOf(table: LiveTable): string[] {
  return table.snapshot(AT, NOW_MS).map((one) => JSON.stringify(one)).sort();
}

/** Ids as the journal gives them: no two operations share one, and events name an earlier one. */
function withIds(records: readonly JournalRecord[]): JournalRecord[] {
  return records.map((one, index) => {
    if (one.kind === "planned") return { ...one, op: `op${index}` };
    if (one.kind === "operation") return { ...one, operation: { ...one.operation, id: `op${index}` } };
    return one.kind === "event" ? { ...one, op: `op${Math.floor(index / 2)}` } : one;
  });
}

test("a snapshot builds the same table again, whatever was in it", () => {
  fc.assert(fc.property(fc.array(record, { maxLength: 30 }), (records) => {
    const table = tableOf(withIds(records));
    table.forgetExpired(NOW_MS);
    const again = tableOf(table.snapshot(AT, NOW_MS));
    expect(stateOf(again)).toEqual(stateOf(table));
    expect(again.openOperations().map(({ id }) => id)).toEqual(table.openOperations().map(({ id }) => id));
  }), { numRuns: 300 });
});

test("a key stays with the operation that holds it longer, also when a snapshot lists the other one last", () => {
  const keyed = (keyExpiresAt: string) => startOf(100, { key: "k", keyExpiresAt });
  const table = tableOf([
    { kind: "planned", at: AT, op: "a", operation: keyed("2025-01-01T00:00:00Z") },
    { kind: "event", at: AT, op: "a", event: { type: "start" } },
    { kind: "event", at: AT, op: "a", event: { type: "lose", reason: "no answer" } },
    { kind: "planned", at: AT, op: "b", operation: keyed("2027-01-01T00:00:00Z") },
    { kind: "event", at: AT, op: "b", event: { type: "start" } },
    { kind: "event", at: AT, op: "b", event: { type: "succeed", by: "answer" } },
  ]);
  expect(tableOf(table.snapshot(AT, NOW_MS)).keyHolder("k")?.id).toBe("b");
});

test("memory is bounded by what is live", () => {
  const table = new LiveTable({ ...DEFAULT_LIMITS, recentOperations: 10, verdicts: 10 });
  for (let index = 0; index < 1_000; index++) {
    const op = `op${index}`;
    table.apply({ kind: "planned", at: AT, op, operation: startOf(100) });
    table.apply({ kind: "event", at: AT, op, event: { type: "abandon", reason: "" } });
    table.apply({ kind: "verdict", at: AT, guest: startOf(100).guest, digest: op, outcome: "held", reason: "" });
    table.apply({ kind: "fact", at: AT, namespace: `n${index}`, key: "k", value: 1 });
    table.apply({ kind: "fact", at: AT, namespace: `n${index}`, key: "k", value: null });
  }
  expect(table.snapshot(AT, NOW_MS).length).toBe(20);
});

test("an event that contradicts what is known changes nothing and says so", () => {
  const table = tableOf([{ kind: "planned", at: AT, op: "a", operation: startOf(100) }]);
  expect(table.apply({ kind: "event", at: AT, op: "a", event: { type: "lose", reason: "" } })).toBe(false);
  expect(table.apply({ kind: "event", at: AT, op: "b", event: { type: "start" } })).toBe(false);
  expect(table.operation("a")?.state).toBe("planned");
});

test("nonces are kept until an hour after they expire, and for ever when their date cannot be read", () => {
  const until = new Date(NOW_MS - HOUR_MS).toISOString();
  const table = tableOf([{ kind: "nonce_spent", at: AT, nonce: "old", until }, { kind: "nonce_spent", at: AT, nonce: "odd", until: "no date" }]);
  expect(table.snapshot(AT, NOW_MS).length).toBe(2);
  expect(table.snapshot(AT, NOW_MS + 1).map((one) => one.kind === "nonce_spent" && one.nonce)).toEqual(["odd"]);
});
