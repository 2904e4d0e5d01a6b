import { parentOf } from "../../src/journal/context.ts";
import { describe, expect, test } from "bun:test";
import { readRecords } from "../../src/journal/inspect.ts";
import { verifyJournal } from "../../src/journal/verify.ts";
import type { Journal } from "../../src/journal/types.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { DiskModel, diskIn, FEW } from "./crash-states.ts";
import { codeOf, contentOf, DIRECTORY, openOrThrow, recordingLog, SeededRandom, startOf, valueOf } from "./journal-fixture.ts";

async function written(): Promise<{ fileSystem: MemoryFileSystem; path: string; bytes: Uint8Array }> {
  const fileSystem = new MemoryFileSystem();
  const journal = await openOrThrow(fileSystem);
  for (let index = 0; index < 4; index++) valueOf(await journal.putFact("w", `k${index}`, index));
  const path = `${DIRECTORY}/${journal.head().segment}`;
  await journal.close();
  return { fileSystem, path, bytes: contentOf(valueOf(fileSystem.readFile(path))) };
}

function epochs(fileSystem: MemoryFileSystem): string[] {
  return [...readRecords(fileSystem, DIRECTORY)].flatMap(({ record }) => (record.kind === "epoch" ? [`${record.reason}: ${record.detail}`] : []));
}

function tornFiles(fileSystem: MemoryFileSystem): string[] {
  return valueOf(fileSystem.list(DIRECTORY)).filter((name) => name.includes(".torn-"));
}

async function countOf(journal: Journal): Promise<number> {
  return journal.facts("w").size;
}

describe("a torn tail", () => {
  test("is saved aside, cut off, warned about, counted, and marked by an epoch", async () => {
    const { fileSystem, path, bytes } = await written();
    fileSystem.overwrite(path, bytes.subarray(0, bytes.length - 5));
    const log = recordingLog();
    const journal = await openOrThrow(fileSystem, { log });
    expect(journal.health().state).toBe("healthy");
    expect(await countOf(journal)).toBe(3);
    expect(journal.repairedCount()).toBe(1);
    const [torn] = tornFiles(fileSystem);
    expect(torn).toMatch(/^0000000000000001\.journal\.torn-2026-01-01T000000\.000Z$/);
    const saved = valueOf(fileSystem.readFile(`${DIRECTORY}/${torn}`));
    expect(Buffer.concat([valueOf(fileSystem.readFile(path)), saved])).toEqual(Buffer.from(bytes.subarray(0, bytes.length - 5)));
    expect(log.lines.filter(({ level }) => level === "warn").length).toBe(1);
    expect(epochs(fileSystem).at(-1)).toBe(`repaired: ${torn}`);
    expect(valueOf(verifyJournal(fileSystem, DIRECTORY)).outcome).toBe("intact");
  });

  test("never swallows the next record", async () => {
    const { fileSystem, path, bytes } = await written();
    fileSystem.overwrite(path, bytes.subarray(0, bytes.length - 5));
    const journal = await openOrThrow(fileSystem);
    valueOf(await journal.putFact("w", "next", 1));
    await journal.close();
    expect((await openOrThrow(fileSystem)).fact("w", "next")).toBe(1);
  });

  test("whose repair was cut short by a crash is still marked by an epoch, once", async () => {
    const { fileSystem, path, bytes } = await written();
    fileSystem.overwrite(path, bytes.subarray(0, bytes.length - 5));
    await (await openOrThrow(fileSystem)).close();
    const repaired = fileSystem.snapshot();
    // The repair happened, but the segment that holds its epoch never got its name.
    for (const name of repaired.keys()) if (name.endsWith(".journal") && name !== path) repaired.delete(name);
    const disk = new MemoryFileSystem({ directories: fileSystem.directories, files: repaired });
    for (let opening = 0; opening < 3; opening++) await (await openOrThrow(disk, { random: new SeededRandom(opening) })).close();
    const marked = [...readRecords(disk, DIRECTORY)].filter(({ record, isSnapshot }) => record.kind === "epoch" && record.reason === "repaired" && isSnapshot);
    expect(new Set(marked.map(({ segment }) => segment)).size).toBe(1);
  });

  for (const [name, filler] of [["line feeds", 0x0a], ["NULs", 0x00]] as const) {
    test(`trailing ${name} are empty space: nothing is repaired and appending goes on`, async () => {
      const { fileSystem, path, bytes } = await written();
      fileSystem.overwrite(path, Buffer.concat([bytes, new Uint8Array(5_000).fill(filler)]));
      expect(valueOf(verifyJournal(fileSystem, DIRECTORY)).outcome).toBe("intact");
      const journal = await openOrThrow(fileSystem);
      expect([journal.health().state, await countOf(journal), journal.repairedCount()]).toEqual(["healthy", 4, 0]);
      valueOf(await journal.putFact("w", "next", 1));
      await journal.close();
      expect(await countOf(await openOrThrow(fileSystem))).toBe(5);
    });
  }
});

describe("corruption", () => {
  test("is refused with segment, line and byte; what can be read is read; nothing is written", async () => {
    const { fileSystem, path, bytes } = await written();
    const damaged = Uint8Array.from(bytes);
    const lines = Buffer.from(bytes).toString("latin1").split("\n");
    const offset = lines.slice(0, 4).join("\n").length + 1;
    damaged[offset + 120] = (damaged[offset + 120] ?? 0) ^ 1;
    fileSystem.overwrite(path, damaged);
    const journal = await openOrThrow(fileSystem);
    expect(journal.health().state).toBe("corrupt");
    expect(journal.health().message).toContain(`0000000000000001.journal line 5 (byte ${offset})`);
    expect(await countOf(journal)).toBe(3);
    expect(codeOf(await journal.putFact("w", "x", 1))).toBe("journal.corrupt");
    expect(codeOf(await journal.begin(startOf(101)))).toBe("journal.corrupt");
    expect((await journal.reopen()).state).toBe("corrupt");
    expect(valueOf(fileSystem.readFile(path))).toEqual(damaged);
  });
});

describe("a journal that is not where it was", () => {
  for (const [name, changes] of [["machine", { machineId: "machine-2" }], ["node", { node: "pve2" }]] as const) {
    test(`another ${name}: one epoch, and none when opened there again`, async () => {
      const { fileSystem } = await written();
      for (let opening = 0; opening < 3; opening++) {
        const journal = await openOrThrow(fileSystem, { ...changes, random: new SeededRandom(opening) });
        expect(await countOf(journal)).toBe(4);
        await journal.close();
      }
      expect(epochs(fileSystem).filter((epoch) => epoch.startsWith("moved"))).toEqual([expect.stringContaining(name)]);
    });
  }

  test("another directory: one epoch", async () => {
    const { fileSystem } = await written();
    const files = new Map([...fileSystem.snapshot()].map(([path, bytes]) => [path.replace("/state/", "/elsewhere/"), bytes]));
    const copy = new MemoryFileSystem({ directories: ["/elsewhere", "/elsewhere/journal"], files });
    const journal = await openOrThrow(copy, { directory: "/elsewhere/journal" });
    expect([...readRecords(copy, "/elsewhere/journal")].filter(({ record }) => record.kind === "epoch" && record.reason === "moved").length).toBe(1);
    expect(await countOf(journal)).toBe(4);
  });
});

describe("a journal that cannot be used yet", () => {
  test("the state directory above it is created with it", async () => {
    const fileSystem = new MemoryFileSystem({ directories: ["/"] });
    const journal = await openOrThrow(fileSystem);
    expect(journal.health().state).toBe("healthy");
    expect(fileSystem.status(parentOf(DIRECTORY))).toMatchObject({ ok: true, value: { mode: 0o700 } });
  });

  test("root begins none in the state directory of another user, whose agent could not open it", async () => {
    const fileSystem = new MemoryFileSystem();
    fileSystem.effectiveUid = 0;
    const journal = await openOrThrow(fileSystem);
    expect(journal.health()).toMatchObject({ state: "insecure", message: expect.stringMatching(/^\/state belongs to user 1000, .*runuser/) });
    expect(fileSystem.status(DIRECTORY).ok).toBe(false);
    fileSystem.effectiveUid = 1000;
    expect((await journal.reopen()).state).toBe("healthy");
  });

  test("without a directory that can be made it is missing or unwritable, and healed when it can", async () => {
    const fileSystem = new MemoryFileSystem({ directories: ["/"] });
    fileSystem.failAt(1, { kind: "read_only", lasts: "for ever" });
    const journal = await openOrThrow(fileSystem);
    expect(["missing", "unwritable"]).toContain(journal.health().state);
    expect((await journal.begin(startOf(101))).ok).toBe(false);
    fileSystem.heal();
    expect((await journal.reopen()).state).toBe("healthy");
    expect((await journal.begin(startOf(101))).ok).toBe(true);
  });

  test("a healthy journal notices a full disk before it has to write, and its end", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    expect((await journal.reopen()).state).toBe("healthy");
    const free = fileSystem.freeBytes(DIRECTORY);
    fileSystem.freeBytes = () => ({ ok: true, value: 1_000 });
    expect(await journal.reopen()).toMatchObject({ state: "full", message: expect.stringContaining("free some") });
    expect(codeOf(await journal.begin(startOf(101)))).toBe("journal.no_space");
    fileSystem.freeBytes = () => free;
    expect((await journal.reopen()).state).toBe("healthy");
    expect((await journal.begin(startOf(101))).ok).toBe(true);
  });

  const insecure: [string, string, number, number | undefined][] = [
    ["a group-writable directory", DIRECTORY, 0o770, undefined],
    ["a world-writable directory", DIRECTORY, 0o707, undefined],
    ["somebody else's directory", DIRECTORY, 0o700, 0],
    ["a group-writable segment", `${DIRECTORY}/0000000000000001.journal`, 0o660, undefined],
    ["somebody else's segment", `${DIRECTORY}/0000000000000001.journal`, 0o600, 0],
  ];
  for (const [name, path, mode, owner] of insecure) {
    test(`${name} is insecure: named, readable, not written, and healed by its modes`, async () => {
      const { fileSystem } = await written();
      fileSystem.chmod(path, mode, owner);
      const journal = await openOrThrow(fileSystem);
      expect(journal.health()).toMatchObject({ state: "insecure", message: expect.stringContaining(path) });
      expect(await countOf(journal)).toBe(4);
      expect(codeOf(await journal.putFact("w", "x", 1))).toBe("journal.insecure");
      fileSystem.chmod(path, path === DIRECTORY ? 0o700 : 0o600, fileSystem.effectiveUid);
      expect((await journal.reopen()).state).toBe("healthy");
      expect(codeOf(await journal.putFact("w", "x", 1))).toBe("ok");
    });
  }

  test("what others may read is not refused", async () => {
    const { fileSystem } = await written();
    fileSystem.chmod(DIRECTORY, 0o755);
    expect((await openOrThrow(fileSystem)).health().state).toBe("healthy");
  });

  test("a read-only file system is unwritable: facts are still known, and it heals", async () => {
    const { fileSystem } = await written();
    // The calls of an opening: the directory's status, then the lock.
    fileSystem.failAt(2, { kind: "read_only", lasts: "once" });
    const journal = await openOrThrow(fileSystem);
    expect(journal.health().state).toBe("unwritable");
    expect(await countOf(journal)).toBe(4);
    expect(codeOf(await journal.putFact("w", "x", 1))).toBe("journal.unwritable");
    expect((await journal.reopen()).state).toBe("healthy");
    expect(await countOf(journal)).toBe(4);
  });
});

describe("a failed sync", () => {
  async function poisoned() {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    valueOf(await journal.putFact("w", "before", 1));
    // Reserving room is done; the next calls are the write and its sync.
    fileSystem.failAt(2, { kind: "io", lasts: "once" });
    return { fileSystem, journal };
  }

  test("poisons: the waiters and everything behind them hear it, nothing more is written", async () => {
    const { fileSystem, journal } = await poisoned();
    const doomed = [journal.putFact("w", "a", 1), journal.putFact("w", "b", 1)];
    expect((await Promise.all(doomed)).map(codeOf)).toEqual(["journal.poisoned", "journal.poisoned"]);
    expect(journal.health().state).toBe("poisoned");
    const { length } = fileSystem.changes;
    expect(codeOf(await journal.putFact("w", "c", 1))).toBe("journal.poisoned");
    expect(fileSystem.changes.length).toBe(length);
    expect(journal.facts("w").size).toBe(1);
  });

  test("reopening drops what was never acknowledged and goes on in a new segment", async () => {
    const { fileSystem, journal } = await poisoned();
    await journal.putFact("w", "doubtful", 1);
    expect((await journal.reopen()).state).toBe("healthy");
    expect([...journal.facts("w").keys()]).toEqual(["before"]);
    valueOf(await journal.putFact("w", "after", 1));
    expect(journal.head().segment).not.toBe("0000000000000001.journal");
    await journal.close();
    expect([...(await openOrThrow(fileSystem)).facts("w").keys()]).toEqual(["before", "after"]);
    expect(valueOf(verifyJournal(fileSystem, DIRECTORY)).outcome).toBe("intact");
  });

  test("another process does not believe the cache: what the disk never got is not read", async () => {
    const { fileSystem, journal } = await poisoned();
    await journal.putFact("w", "only in the cache", 1);
    await journal.close();
    const again = await openOrThrow(fileSystem, { random: new SeededRandom(2) });
    expect([...again.facts("w").keys()]).toEqual(["before"]);
    valueOf(await again.putFact("w", "after", 1));
    const model = new DiskModel(["/state"]);
    for (const change of fileSystem.changes) model.apply(change);
    for (const state of model.states(new SeededRandom(1), FEW)) {
      expect([...(await openOrThrow(diskIn(state))).facts("w").keys()]).toEqual(["before", "after"]);
    }
  });

  test("a disk that lost what it had acknowledged is corrupt, not healed", async () => {
    const { fileSystem, journal } = await poisoned();
    await journal.putFact("w", "doubtful", 1);
    const path = `${DIRECTORY}/0000000000000001.journal`;
    const text = Buffer.from(valueOf(fileSystem.readFile(path))).toString("latin1");
    fileSystem.overwrite(path, Buffer.from(`${text.split("\n").slice(0, 3).join("\n")}\n`, "latin1"));
    expect((await journal.reopen()).state).toBe("corrupt");
    expect(journal.fact("w", "before")).toBe(1);
  });
});

describe("a full disk", () => {
  for (const supportsAllocate of [true, false]) {
    test(`nothing new starts, what has started is recorded, space heals (${supportsAllocate ? "reserved blocks" : "spare file"})`, async () => {
      const fileSystem = new MemoryFileSystem({ supportsAllocate });
      const journal = await openOrThrow(fileSystem, { limits: { reserveBytes: 16_384 } });
      const { id } = valueOf(await journal.begin(startOf(101)));
      const { id: planned } = valueOf(await journal.plan(startOf(102)));
      // Everything else on the disk grows: not a byte is left for anybody.
      fileSystem.capacityBytes = 1_000_000;
      const free = valueOf(fileSystem.freeBytes("/state"));
      fileSystem.capacityBytes -= free;
      const refusals: string[] = [];
      for (let index = 0; index < 30; index++) refusals.push(codeOf(await journal.putFact("w", `k${index}`, "x".repeat(10_000))));
      expect(refusals.at(-1)).toBe("journal.no_space");
      expect(journal.health().state).toBe("full");
      expect(codeOf(await journal.begin(startOf(103)))).toBe("journal.no_space");
      expect(codeOf(await journal.apply(planned, { type: "start" }))).toBe("journal.no_space");
      expect(codeOf(await journal.apply(id, { type: "task", upid: "UPID:x" }))).toBe("ok");
      expect(codeOf(await journal.apply(id, { type: "fail", by: "answer", error: "e".repeat(5_000) }))).toBe("ok");
      expect(codeOf(await journal.apply(planned, { type: "abandon", reason: "disk full" }))).toBe("ok");
      // Others took what the journal gave up.
      fileSystem.capacityBytes -= valueOf(fileSystem.freeBytes("/state"));
      expect((await journal.reopen()).state).toBe("full");
      fileSystem.capacityBytes = 10_000_000;
      expect((await journal.reopen()).state).toBe("healthy");
      expect(codeOf(await journal.begin(startOf(103)))).toBe("ok");
      await journal.close();
      const again = await openOrThrow(fileSystem);
      expect(again.operation(id)?.state).toBe("failed");
      expect(again.operation(planned)?.state).toBe("abandoned");
    });
  }

  test("a disk that is full at the start gives a full journal that heals", async () => {
    const fileSystem = new MemoryFileSystem({ capacityBytes: 100 });
    const journal = await openOrThrow(fileSystem);
    expect(journal.health().state).toBe("full");
    fileSystem.capacityBytes = 10_000_000;
    expect((await journal.reopen()).state).toBe("healthy");
    expect(codeOf(await journal.begin(startOf(103)))).toBe("ok");
  });
});
