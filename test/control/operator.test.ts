import { describe, expect, test } from "bun:test";
import { pause, resolveOperation, resume, type OperatorDeps } from "../../src/control/operator.ts";
import type { OperationEvent } from "../../src/journal/types.ts";
import { codeOf, openOrThrow, startOf, valueOf } from "../journal/journal-fixture.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";

const YEAR_MS = 365 * 24 * 3_600_000;

async function deps(): Promise<OperatorDeps> {
  const clock = new FakeClock();
  return { clock, journal: await openOrThrow(new MemoryFileSystem({ directories: ["/", "/state"] }), { clock }) };
}

/** An operation that went through these events. */
async function operationAfter({ journal }: OperatorDeps, ...events: readonly OperationEvent[]): Promise<string> {
  const { id } = valueOf(await journal.begin(startOf(101)));
  for (const event of events) valueOf(await journal.apply(id, event));
  return id;
}

describe("pause", () => {
  test("is kept with since, reason and end", async () => {
    const with_ = await deps();
    expect(valueOf(await pause(with_, { target: 101, reason: "mine", forMs: 60_000 }))).toEqual({ target: 101, reason: "mine", since: "2026-01-01T00:00:00.000Z", until: "2026-01-01T00:01:00.000Z" });
    expect([...with_.journal.facts("pause").keys()]).toEqual(["101"]);
  });

  test.each([99, 0, -1, 1_000_000_000, 101.5, Number.NaN])("of guest %p is no pause", async (target) => {
    const with_ = await deps();
    expect([codeOf(await pause(with_, { target, reason: "" })), codeOf(await resume(with_, target))]).toEqual(["command.usage", "command.usage"]);
    expect(with_.journal.facts("pause").size).toBe(0);
  });

  test.each([[0, "command.usage"], [-1, "command.usage"], [Number.NaN, "command.usage"], [Number.POSITIVE_INFINITY, "command.usage"], [YEAR_MS + 1, "command.usage"], [YEAR_MS, "ok"], [1, "ok"]])("for %p ms: %s", async (forMs, code) => {
    expect(codeOf(await pause(await deps(), { target: "all", reason: "", forMs }))).toBe(code);
  });

  test("a reason is one printable line of at most 500 characters", async () => {
    const { reason } = valueOf(await pause(await deps(), { target: 101, reason: `\u001b[31mred\u0007\nnext\u009b2J${"x".repeat(1_000)}` }));
    expect(reason).toStartWith("[31mred next 2Jxxx");
    expect(reason).toHaveLength(500);
  });

  test("again replaces it; resume ends it; a second resume is told that there is none", async () => {
    const with_ = await deps();
    await pause(with_, { target: 101, reason: "one", forMs: 1 });
    await pause(with_, { target: 101, reason: "two" });
    expect(with_.journal.fact("pause", "101")).toEqual({ reason: "two", since: "2026-01-01T00:00:00.000Z" });
    expect([codeOf(await resume(with_, 101)), codeOf(await resume(with_, 101)), codeOf(await resume(with_, "all"))]).toEqual(["ok", "control.refused", "control.refused"]);
  });

  test("whose time is over is none: resume says so, and sweeps it away", async () => {
    const with_ = await deps();
    await pause(with_, { target: 101, reason: "", forMs: 1_000 });
    const clock = new FakeClock();
    await clock.advance(1_000);
    expect(codeOf(await resume({ ...with_, clock }, 101))).toBe("control.refused");
    expect(with_.journal.fact("pause", "101")).toBeUndefined();
  });

  test("without a journal says so", async () => {
    const with_ = await deps();
    await with_.journal.close();
    expect(codeOf(await pause(with_, { target: 101, reason: "" }))).toBe("journal.closed");
  });
});

describe("closing an act", () => {
  test.each([["succeeded", "succeeded"], ["failed", "failed"]] as const)("whose outcome is unknown, as %s: by a person, with their words", async (outcome, state) => {
    const with_ = await deps();
    const id = await operationAfter(with_, { type: "lose", reason: "?" });
    expect(valueOf(await resolveOperation(with_, id, outcome, " I looked\n"))).toMatchObject({ state, outcomeBy: "person", detail: "I looked" });
    expect(with_.journal.openOperations()).toEqual([]);
  });

  const others: readonly (readonly [string, readonly OperationEvent[]])[] = [
    ["started", []],
    ["task_running", [{ type: "task", upid: "UPID:pve1:0:0:0:qmstart:101:root@pam:" }]],
    ["succeeded", [{ type: "succeed", by: "answer" }]],
    ["failed", [{ type: "fail", by: "answer", error: "e" }]],
  ];
  test.each(others)("that is %s takes no word of a person", async (state, events) => {
    const with_ = await deps();
    const id = await operationAfter(with_, ...events);
    const refused = await resolveOperation(with_, id, "failed", "I say so");
    expect(refused.ok ? "" : refused.error.message).toContain(`found ${id} ${state}`);
    expect(with_.journal.operation(id)?.state).toBe(state as never);
  });

  test.each(["", " ", "\n\u0007"])("without a reason (%j) is refused", async (reason) => {
    const with_ = await deps();
    const id = await operationAfter(with_, { type: "lose", reason: "?" });
    expect([codeOf(await resolveOperation(with_, id, "failed", reason)), with_.journal.operation(id)?.state]).toEqual(["command.usage", "unknown"]);
  });

  test("that nobody knows is refused", async () => {
    expect(codeOf(await resolveOperation(await deps(), "nope", "failed", "r"))).toBe("journal.unknown_operation");
  });
});
