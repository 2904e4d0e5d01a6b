import { expect, test } from "bun:test";
import { createRequestLog } from "../../../src/simulator/http/request-log.ts";
import { FakeClock } from "../../support/fake-clock.ts";

test("when it is full the oldest reads go first: what asked for a change is kept, in order", () => {
  const log = createRequestLog(new FakeClock());
  log.begin("PUT", "/first");
  for (let read = 0; read < 12_000; read++) log.begin("GET", `/read/${read}`);
  log.begin("POST", "/last");
  expect(log.mutations().map(({ path }) => path)).toEqual(["/first", "/last"]);
  expect(log.entries().length).toBeLessThanOrEqual(10_000);
  expect(log.entries().at(-2)?.path).toBe("/read/11999");
  expect(log.count()).toBe(12_002);
});

test("changes alone are bounded as well", () => {
  const log = createRequestLog(new FakeClock());
  for (let change = 0; change < 25_000; change++) log.begin("PUT", `/change/${change}`);
  expect(log.mutations().length).toBeLessThanOrEqual(10_000);
  expect(log.mutations().at(-1)?.path).toBe("/change/24999");
});
