import { describe, expect, test } from "bun:test";
import { applyEvent, boundedEvent, holdsKey, nextState, plannedOperation } from "../../src/journal/operation.ts";
import { OPERATION_STATES, type Operation, type OperationEvent, type OperationState } from "../../src/journal/types.ts";
import { codeOf, startOf, valueOf } from "./journal-fixture.ts";

const EVENTS: Record<string, OperationEvent> = {
  start: { type: "start" },
  task: { type: "task", upid: "UPID:pve1:1" },
  "succeed by answer": { type: "succeed", by: "answer" },
  "succeed by observation": { type: "succeed", by: "observation" },
  "succeed by person": { type: "succeed", by: "person", note: "looked" },
  "fail by answer": { type: "fail", by: "answer", error: "locked" },
  "fail by observation": { type: "fail", by: "observation", error: "not there" },
  "fail by person": { type: "fail", by: "person", error: "gave up" },
  lose: { type: "lose", reason: "no answer" },
  abandon: { type: "abandon", reason: "agent stopped" },
};

/** All that is legal; every other pair of the product is not. */
const LEGAL: Partial<Record<OperationState, Record<string, OperationState>>> = {
  planned: { start: "started", abandon: "abandoned" },
  started: {
    task: "task_running", lose: "unknown",
    "succeed by answer": "succeeded", "succeed by observation": "succeeded", "succeed by person": "succeeded",
    "fail by answer": "failed", "fail by observation": "failed", "fail by person": "failed",
  },
  task_running: {
    lose: "unknown",
    "succeed by answer": "succeeded", "succeed by observation": "succeeded", "succeed by person": "succeeded",
    "fail by answer": "failed", "fail by observation": "failed", "fail by person": "failed",
  },
  unknown: {
    "succeed by observation": "succeeded", "succeed by person": "succeeded",
    "fail by observation": "failed", "fail by person": "failed",
  },
};

function operationIn(state: OperationState, more: Partial<Operation> = {}): Operation {
  return { ...plannedOperation("op1", "2026-01-01T00:00:00.000Z", startOf(101)), state, ...more };
}

describe("every pair of state and event", () => {
  for (const state of OPERATION_STATES) {
    for (const [name, event] of Object.entries(EVENTS)) {
      const expected = LEGAL[state]?.[name];
      test(`${state} + ${name} → ${expected ?? "refused"}`, () => {
        expect(nextState(state, event)).toBe(expected as OperationState);
        const applied = applyEvent(operationIn(state), event, "2026-01-01T00:00:01.000Z");
        expect(codeOf(applied)).toBe(expected === undefined ? "journal.illegal_transition" : "ok");
      });
    }
  }
});

test("a refused event names the operation, its guest, its state and the event", () => {
  const refused = applyEvent(operationIn("succeeded"), { type: "fail", by: "answer", error: "x" }, "");
  expect(refused.ok ? "" : refused.error.message).toMatch(/op1 \(start on qemu\/101\) is succeeded.*"fail" by answer/);
});

test("an event leaves its trace: time, upid, outcome and who said so", () => {
  const started = valueOf(applyEvent(operationIn("planned"), { type: "start" }, "t1"));
  const running = valueOf(applyEvent(started, { type: "task", upid: "UPID:x" }, "t2"));
  const failed = valueOf(applyEvent(running, { type: "fail", by: "observation", error: "boom" }, "t3"));
  expect(failed).toMatchObject({ startedAt: "t1", upid: "UPID:x", changedAt: "t3", state: "failed", detail: "boom", outcomeBy: "observation" });
});

test("long error texts are cut to what the reserved space can hold", () => {
  const bounded = boundedEvent({ type: "fail", by: "answer", error: "x".repeat(100_000) });
  expect(JSON.stringify(bounded).length).toBeLessThan(2_100);
  expect(boundedEvent({ type: "lose", reason: "short" })).toEqual({ type: "lose", reason: "short" });
});

describe("a key is held", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  const later = "2026-01-02T00:00:00Z";
  const earlier = "2025-12-31T00:00:00Z";
  const cases: [OperationState, string | undefined, boolean][] = [
    ["planned", later, true], ["started", later, true], ["task_running", later, true], ["succeeded", later, true], ["unknown", later, true],
    ["failed", later, false], ["abandoned", later, false],
    ["succeeded", earlier, false], ["unknown", earlier, false],
    ["succeeded", undefined, true], ["succeeded", "no date", true], ["failed", undefined, false],
  ];
  for (const [state, keyExpiresAt, expected] of cases) {
    test(`${state}, expiry ${keyExpiresAt ?? "none"}: ${expected}`, () => {
      expect(holdsKey(operationIn(state, { key: "k", ...(keyExpiresAt === undefined ? {} : { keyExpiresAt }) }), now)).toBe(expected);
    });
  }
});
