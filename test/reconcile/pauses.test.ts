import { describe, expect, test } from "bun:test";
import type { FactValue } from "../../src/journal/types.ts";
import { badTarget, describePause, endPause, pausedReason, pausesInForce, writePause, type Pause } from "../../src/reconcile/pauses.ts";
import { openOrThrow } from "../journal/journal-fixture.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";

const NOW = Date.UTC(2026, 0, 1);
const SINCE = "2025-12-31T00:00:00.000Z";

function inForce(facts: Record<string, FactValue>, nowMs = NOW): readonly Pause[] {
  return pausesInForce(new Map(Object.entries(facts)), nowMs);
}

describe("pauses", () => {
  test("what is written is read back, after a restart too, and ends when it is ended", async () => {
    const disk = new MemoryFileSystem({ directories: ["/", "/state"] });
    const journal = await openOrThrow(disk);
    const pause: Pause = { target: 101, reason: "mine", since: SINCE, until: "2026-02-01T00:00:00.000Z" };
    await writePause(journal, pause);
    await writePause(journal, { target: "all", reason: "", since: SINCE });
    await journal.close();
    const again = await openOrThrow(disk);
    expect(pausesInForce(again.facts("pause"), NOW)).toEqual([pause, { target: "all", reason: "", since: SINCE }]);
    expect([await endPause(again, 101, NOW), await endPause(again, 101, NOW)]).toEqual([{ ok: true, value: true }, { ok: true, value: false }]);
    expect(pausesInForce(again.facts("pause"), NOW)).toHaveLength(1);
  });

  test.each([
    ["no end", {}, true],
    ["an end to come", { until: "2026-01-01T00:00:00.001Z" }, true],
    ["an end right now", { until: "2026-01-01T00:00:00.000Z" }, false],
    ["an end that nobody can read: hands stay off", { until: "next week" }, true],
  ])("with %s: in force %p", (_, more, isInForce) => {
    expect(inForce({ 101: { reason: "", since: SINCE, ...more } })).toHaveLength(isInForce ? 1 : 0);
  });

  test.each([["a number", 1], ["a list", [1]], ["a text", "paused"]] as const)("a record of another shape (%s) is none", (_, value) => {
    expect(inForce({ 101: value })).toEqual([]);
  });

  test("a guest's own pause is told before the one of all", () => {
    const pauses = inForce({ all: { reason: "maintenance", since: SINCE }, 101: { reason: "mine", since: SINCE } });
    expect([pausedReason(pauses, 101, NOW), pausedReason(pauses, 102, NOW), pausedReason([], 101, NOW)]).toEqual([`paused since ${SINCE}: mine`, `paused since ${SINCE}: maintenance`, undefined]);
  });

  test("one that is over says nothing any more, also while the list of pauses is of a moment ago", () => {
    const pauses = inForce({ all: { reason: "maintenance", since: SINCE }, 101: { reason: "mine", since: SINCE, until: "2026-01-01T00:00:01.000Z" } });
    expect([NOW, NOW + 999, NOW + 1_000].map((nowMs) => pausedReason(pauses, 101, nowMs))).toEqual([
      `paused since ${SINCE} until 2026-01-01T00:00:01.000Z: mine`, `paused since ${SINCE} until 2026-01-01T00:00:01.000Z: mine`, `paused since ${SINCE}: maintenance`,
    ]);
  });

  test("in words, with end and reason where there are such", () => {
    expect(describePause({ target: 101, reason: "", since: "S", until: "U" })).toBe("paused since S until U");
  });

  test("a bad target says what is expected", () => {
    expect(badTarget("abc")).toEqual({ code: "command.usage", message: 'expected a VMID (100 to 999999999) or --all, found "abc"' });
  });
});
