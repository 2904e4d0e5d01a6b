import { expect, test } from "bun:test";
import { fault } from "../../src/ports/errors.ts";
import { messageOf, traceOf } from "../../src/reconcile/unexpected.ts";

const CLOSED = fault("lane.closed", "the agent is stopping").error;

test("a person reads an error's words, a fault's words, and whatever else was thrown", () => {
  expect([new RangeError("too far"), CLOSED, "a text", undefined].map(messageOf)).toEqual(["too far", "the agent is stopping", "a text", "undefined"]);
});

test("the log gets the place, too, where there is one", () => {
  expect(traceOf(new RangeError("too far"))).toContain("unexpected.test.ts");
  expect(traceOf(CLOSED)).toBe("the agent is stopping");
});
