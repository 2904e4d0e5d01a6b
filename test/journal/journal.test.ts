import { describe, expect, test } from "bun:test";
import { openJournal } from "../../src/journal/journal.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { codeOf, DIRECTORY, journalOptions, openOrThrow, SeededRandom, startOf, valueOf } from "./journal-fixture.ts";

const NEVER = "2099-01-01T00:00:00Z";

function syncsOf(fileSystem: MemoryFileSystem): number {
  return fileSystem.changes.filter((change) => change.type === "dataSync").length;
}

/** Holds every sync back until released, and counts those that wait. */
function heldSyncs(fileSystem: MemoryFileSystem) {
  const waiting: (() => void)[] = [];
  fileSystem.beforeSync = () => new Promise((resolve) => void waiting.push(resolve));
  return { waiting, releaseOne: () => waiting.shift()?.() };
}

/** Time that passes without a turn of the event loop. */
class SpentClock extends FakeClock {
  spentMs = 0;

  override monotonic(): number {
    return this.spentMs;
  }

  override sleep(durationMs: number): Promise<void> {
    return durationMs === 0 ? turns() : super.sleep(durationMs);
  }
}

async function turns(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

describe("group commit", () => {
  test("a lone append waits for nobody: one sync, at once", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    const before = syncsOf(fileSystem);
    valueOf(await journal.putFact("w", "k", 1));
    expect(syncsOf(fileSystem) - before).toBe(1);
  });

  test("on a disk that answers at once a lone append is durable before anybody else gets a turn", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    void journal.putFact("w", "k", 1);
    expect(journal.fact("w", "k")).toBe(1);
    // The next one of the same moment is not alone any more: it gathers with those that follow.
    const before = syncsOf(fileSystem);
    const gathered = [2, 3, 4].map((value) => journal.putFact("w", "k", value));
    expect(syncsOf(fileSystem)).toBe(before);
    await Promise.all(gathered);
    expect(syncsOf(fileSystem) - before).toBe(1);
  });

  test("appends without end still leave the event loop its turns", async () => {
    const fileSystem = new MemoryFileSystem();
    const clock = new SpentClock();
    const journal = await openOrThrow(fileSystem, { clock });
    // Each sync takes a millisecond in place.
    fileSystem.beforeSync = () => void (clock.spentMs += 1);
    let turnsTaken = 0;
    const turn = (): void => {
      turnsTaken += 1;
      setImmediate(turn);
    };
    setImmediate(turn);
    for (let count = 0; count < 100; count++) valueOf(await journal.putFact("w", "k", count));
    expect(turnsTaken).toBeGreaterThan(30);
  });

  test("begin writes its two records in one sync", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    const before = syncsOf(fileSystem);
    const begun = valueOf(await journal.begin(startOf(101)));
    expect(begun.state).toBe("started");
    expect(syncsOf(fileSystem) - before).toBe(1);
    expect(journal.appendedCount()).toBe(2);
  });

  test("while one sync runs the next batch gathers", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    const { waiting, releaseOne } = heldSyncs(fileSystem);
    const first = journal.putFact("w", "first", 1);
    await turns();
    const others = Array.from({ length: 50 }, (_, index) => journal.putFact("w", `k${index}`, index));
    await turns();
    expect(waiting.length).toBe(1);
    expect(journal.fact("w", "first")).toBeUndefined();
    releaseOne();
    valueOf(await first);
    await turns();
    expect(waiting.length).toBe(1);
    expect(journal.fact("w", "k0")).toBeUndefined();
    releaseOne();
    for (const other of others) valueOf(await other);
    expect(journal.facts("w").size).toBe(51);
  });

  test("a steady load of n appenders needs one sync for n records, not two", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem, { limits: {} });
    const before = syncsOf(fileSystem);
    await Promise.all(Array.from({ length: 20 }, async (_, appender) => {
      for (let round = 0; round < 10; round++) valueOf(await journal.putFact("w", `k${appender}`, round));
    }));
    // The very first came alone; from then on all twenty share.
    expect(syncsOf(fileSystem) - before).toBe(11);
  });

  test("a queue that the disk does not empty refuses, with its own error, and what was taken still counts", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem, { limits: { queueRecords: 5 } });
    const { waiting, releaseOne } = heldSyncs(fileSystem);
    const first = journal.putFact("w", "first", 1);
    await turns();
    const taken = Array.from({ length: 5 }, (_, index) => journal.putFact("w", `k${index}`, index));
    expect(codeOf(await journal.putFact("w", "too many", 1))).toBe("journal.queue_full");
    while (waiting.length > 0) {
      releaseOne();
      await turns();
    }
    for (const append of [first, ...taken]) expect(codeOf(await append)).toBe("ok");
  });

  test("a record that is too large is refused before anything is written", async () => {
    const journal = await openOrThrow(new MemoryFileSystem(), { limits: { recordBytes: 1_000 } });
    const refused = await journal.putFact("w", "k", "x".repeat(1_000));
    expect(codeOf(refused)).toBe("journal.too_large");
    expect(codeOf(await journal.putFact("w", "k", "x".repeat(800)))).toBe("ok");
  });

  test("every sync is timed", async () => {
    const seconds: number[] = [];
    const clock = new FakeClock();
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem, { clock, onSync: (took) => void seconds.push(took) });
    fileSystem.beforeSync = () => clock.advance(250);
    valueOf(await journal.putFact("w", "k", 1));
    expect(seconds).toEqual([0.25]);
  });
});

describe("operations", () => {
  test("what is not durable is not visible, and what follows is judged by what was submitted", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    const planned = valueOf(await journal.plan(startOf(101)));
    fileSystem.beforeSync = turns;
    const started = journal.apply(planned.id, { type: "start" });
    const running = journal.apply(planned.id, { type: "task", upid: "UPID:x" });
    expect(codeOf(await journal.apply(planned.id, { type: "start" }))).toBe("journal.illegal_transition");
    expect(journal.operation(planned.id)?.state).toBe("planned");
    expect(valueOf(await started).state).toBe("started");
    expect(valueOf(await running)).toMatchObject({ state: "task_running", upid: "UPID:x" });
  });

  test("an unknown operation is refused", async () => {
    const journal = await openOrThrow(new MemoryFileSystem());
    expect(codeOf(await journal.apply("nobody", { type: "start" }))).toBe("journal.unknown_operation");
  });

  test("open and recent operations tell what is settled, in order, across a restart", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem, { limits: { recentOperations: 3 } });
    const ids: string[] = [];
    for (let vmid = 100; vmid < 108; vmid++) ids.push(valueOf(await journal.begin(startOf(vmid))).id);
    for (const id of ids.slice(0, 5)) valueOf(await journal.apply(id, { type: "succeed", by: "answer" }));
    const [lost, , open] = ids.slice(5);
    valueOf(await journal.apply(lost ?? "", { type: "lose", reason: "no answer" }));
    const expected = { open: ids.slice(5), recent: ids.slice(2, 5) };
    const told = (from: typeof journal) => ({ open: from.openOperations().map(({ id }) => id), recent: from.recentOperations().map(({ id }) => id) });
    expect(told(journal)).toEqual(expected);
    await journal.close();
    const again = await openOrThrow(fileSystem, { limits: { recentOperations: 3 } });
    expect(told(again)).toEqual(expected);
    expect(again.operation(open ?? "")?.state).toBe("started");
  });

  test("ids sort in the order they were made, also when the clock is set back", async () => {
    const clock = new FakeClock();
    const journal = await openOrThrow(new MemoryFileSystem(), { clock });
    const ids: string[] = [];
    for (const jumpMs of [0, 0, 5, -60_000, 0, 60_001]) {
      clock.jumpWallClock(jumpMs);
      ids.push(valueOf(await journal.plan(startOf(101))).id);
    }
    expect(ids).toEqual([...ids].sort());
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("what the caller changes afterwards changes nothing in the journal", async () => {
    const journal = await openOrThrow(new MemoryFileSystem());
    const params: Record<string, unknown> = { cores: 2, left: undefined };
    const { id } = valueOf(await journal.begin(startOf(101, { params })));
    params["cores"] = 64;
    expect(journal.operation(id)?.params).toEqual({ cores: 2 });
  });
});

describe("idempotency keys", () => {
  const keyed = startOf(101, { key: "restart-1", keyExpiresAt: NEVER });

  test("two at once: one wins", async () => {
    const journal = await openOrThrow(new MemoryFileSystem());
    const both = await Promise.all([journal.begin(keyed), journal.begin(keyed)]);
    expect(both.map(codeOf).sort()).toEqual(["journal.key_used", "ok"]);
  });

  const endings = [
    ["while it runs", undefined, "journal.key_used"],
    ["after it succeeded", { type: "succeed", by: "answer" }, "journal.key_used"],
    ["while its outcome is unknown", { type: "lose", reason: "x" }, "journal.key_used"],
    ["after it failed", { type: "fail", by: "answer", error: "x" }, "ok"],
  ] as const;
  for (const [when, event, expected] of endings) {
    test(`${when}: ${expected}, also after restarts and rotations`, async () => {
      const fileSystem = new MemoryFileSystem();
      const clock = new FakeClock();
      let journal = await openOrThrow(fileSystem, { clock });
      const { id } = valueOf(await journal.begin(keyed));
      if (event !== undefined) valueOf(await journal.apply(id, event));
      for (let round = 0; round < 60; round++) valueOf(await journal.begin(startOf(200 + round)).then(async (begun) => journal.apply(valueOf(begun).id, { type: "succeed", by: "answer" })));
      expect(journal.head().segment).not.toBe("0000000000000001.journal");
      await journal.close();
      journal = await openOrThrow(fileSystem, { clock });
      expect(codeOf(await journal.begin(keyed))).toBe(expected);
      expect(codeOf(await journal.begin({ ...keyed, key: "restart-2" }))).toBe("ok");
    });
  }

  test("a succeeded key is remembered when the operation itself is no longer among the recent ones", async () => {
    const fileSystem = new MemoryFileSystem();
    const limits = { segmentBytes: 3_000, reserveBytes: 64, recentOperations: 2 };
    let journal = await openOrThrow(fileSystem, { limits });
    const { id } = valueOf(await journal.begin(keyed));
    valueOf(await journal.apply(id, { type: "succeed", by: "answer" }));
    for (let round = 0; round < 40; round++) {
      const { id: other } = valueOf(await journal.begin(startOf(200)));
      valueOf(await journal.apply(other, { type: "succeed", by: "answer" }));
    }
    await journal.close();
    journal = await openOrThrow(fileSystem, { limits });
    expect(codeOf(await journal.begin(keyed))).toBe("journal.key_used");
  });

  test("once it has expired a key may be used again, and the refusal says when that is", async () => {
    const clock = new FakeClock(Date.parse("2026-01-01T00:00:00Z"));
    const journal = await openOrThrow(new MemoryFileSystem(), { clock });
    const operation = startOf(101, { key: "k", keyExpiresAt: "2026-01-01T01:00:00Z" });
    const { id } = valueOf(await journal.begin(operation));
    valueOf(await journal.apply(id, { type: "succeed", by: "answer" }));
    const refused = await journal.plan(operation);
    expect(refused.ok ? "" : refused.error.message).toContain("2026-01-01T01:00:00Z");
    await clock.advance(3_600_000);
    expect(codeOf(await journal.plan(operation))).toBe("ok");
  });
});

describe("facts and verdicts", () => {
  test("the latest fact wins, null forgets, also across a restart", async () => {
    const fileSystem = new MemoryFileSystem();
    let journal = await openOrThrow(fileSystem);
    for (const [key, value] of [["a", 1], ["b", { deep: [1, "x", true] }], ["a", 2], ["c", "gone"], ["c", null]] as const) valueOf(await journal.putFact("w", key, value));
    valueOf(await journal.putFact("other", "a", "elsewhere"));
    const check = (from: typeof journal): void => {
      expect([...from.facts("w")]).toEqual([["a", 2], ["b", { deep: [1, "x", true] }]]);
      expect(from.fact("other", "a")).toBe("elsewhere");
      expect(from.facts("nothing").size).toBe(0);
    };
    check(journal);
    await journal.close();
    journal = await openOrThrow(fileSystem);
    check(journal);
  });

  test("a verdict is written when it changes, not every time", async () => {
    const journal = await openOrThrow(new MemoryFileSystem());
    const guest = { kind: "qemu", vmid: 101, identity: {} };
    const steps = [["held", "a"], ["held", "a"], ["held", "b"], ["allowed", ""], ["allowed", ""], ["held", "b"]] as const;
    const counts: number[] = [];
    for (const [outcome, reason] of steps) {
      valueOf(await journal.recordVerdict(guest, "digest", outcome, reason));
      counts.push(journal.appendedCount());
    }
    expect(counts).toEqual([1, 1, 2, 3, 3, 4]);
    valueOf(await journal.recordVerdict(guest, "another digest", "held", "b"));
    expect(journal.appendedCount()).toBe(5);
  });

  test("a verdict that is on its way does not hide one that takes it back", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    const guest = { kind: "qemu", vmid: 101, identity: {} };
    valueOf(await journal.recordVerdict(guest, "d", "held", "a"));
    await Promise.all([journal.recordVerdict(guest, "d", "allowed", ""), journal.recordVerdict(guest, "d", "held", "a")]);
    const count = journal.appendedCount();
    valueOf(await journal.recordVerdict(guest, "d", "allowed", ""));
    expect(journal.appendedCount()).toBe(count + 1);
  });
});

describe("closing and locking", () => {
  test("close waits for what was submitted, refuses what comes later, and frees the lock", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    const last = journal.putFact("w", "last", 1);
    const closed = journal.close();
    expect(codeOf(await journal.putFact("w", "late", 1))).toBe("journal.closed");
    await closed;
    expect(codeOf(await last)).toBe("ok");
    expect(journal.health().state).toBe("closed");
    expect((await openOrThrow(fileSystem)).fact("w", "last")).toBe(1);
  });

  test("a second writer is refused and told who holds the lock", async () => {
    const fileSystem = new MemoryFileSystem();
    await openOrThrow(fileSystem);
    const second = await openJournal(journalOptions(fileSystem));
    expect(second.ok ? "" : `${second.error.code} ${second.error.message}`).toMatch(/journal\.locked.*steward 0\.1\.0 on pve1/);
  });

  test("a lock that the caller holds already is used, and released with the journal", async () => {
    const fileSystem = new MemoryFileSystem();
    fileSystem.makeDirectory(DIRECTORY, 0o700);
    const lock = valueOf(fileSystem.lock(`${DIRECTORY}/lock`, "run --once"));
    const journal = await openOrThrow(fileSystem, { lock });
    await journal.close();
    expect(codeOf(fileSystem.lock(`${DIRECTORY}/lock`, "next"))).toBe("ok");
  });
});

test("rotation keeps the directory within its limits and loses nothing that lives", async () => {
  const fileSystem = new MemoryFileSystem();
  const limits = { segmentBytes: 2_000, reserveBytes: 64, retainBytes: 12_000, recentOperations: 3 };
  const journal = await openOrThrow(fileSystem, { limits, random: new SeededRandom(5) });
  const { id: open } = valueOf(await journal.begin(startOf(999)));
  for (let round = 0; round < 300; round++) valueOf(await journal.putFact("w", `k${round % 5}`, round));
  const names = valueOf(fileSystem.list(DIRECTORY)).filter((name) => name.endsWith(".journal"));
  expect(names.length).toBeGreaterThan(2);
  expect(names.length).toBeLessThan(7);
  expect(names).not.toContain("0000000000000001.journal");
  await journal.close();
  const again = await openOrThrow(fileSystem, { limits });
  expect(again.operation(open)?.state).toBe("started");
  expect(Object.fromEntries(again.facts("w"))).toEqual({ k0: 295, k1: 296, k2: 297, k3: 298, k4: 299 });
});

test("a live state larger than a segment does not make every append rotate", async () => {
  const fileSystem = new MemoryFileSystem();
  const journal = await openOrThrow(fileSystem, { limits: { segmentBytes: 1_000, reserveBytes: 64 } });
  for (let key = 0; key < 200; key++) valueOf(await journal.putFact("w", `k${key}`, "x".repeat(100)));
  const rotations = fileSystem.changes.filter((change) => change.type === "rename").length;
  expect(rotations).toBeLessThan(15);
});
