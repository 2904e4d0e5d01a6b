import { describe, expect, test } from "bun:test";
import { foldOperations, readRecords } from "../../src/journal/inspect.ts";
import type { JournalProblem } from "../../src/journal/scan.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { DIRECTORY, openOrThrow, startOf, valueOf } from "./journal-fixture.ts";
import { edit, LIMITS, verify, written } from "./written-journal.ts";

describe("reading records", () => {
  test("gives every record with its place, and says which ones only repeat live state", async () => {
    const { fileSystem, names } = await written();
    const entries = [...readRecords(fileSystem, DIRECTORY)];
    expect(entries.map(({ sequence }) => sequence)).toEqual(entries.map((_, index) => index + 1));
    expect(new Set(entries.map(({ segment }) => segment))).toEqual(new Set(names));
    const written3 = entries.filter(({ record, isSnapshot }) => record.kind === "fact" && !isSnapshot).map(({ record }) => (record.kind === "fact" ? record.value : 0));
    expect(written3).toEqual([...written3.slice(0, -2).keys(), 1, 2]);
  });

  test("reads on behind damage, and tells of it", async () => {
    const { fileSystem, names } = await written();
    const whole = [...readRecords(fileSystem, DIRECTORY)].length;
    edit(fileSystem, names[1] ?? "", (lines) => lines.with(4, "damaged"));
    const problems: JournalProblem[] = [];
    expect([...readRecords(fileSystem, DIRECTORY, (problem) => void problems.push(problem))].length).toBe(whole - 1);
    expect(problems.map(({ segment, line }) => [segment, line])).toEqual([[names[1] ?? "", 5]]);
  });

  test("a directory without a journal has no records and says so", () => {
    const problems: JournalProblem[] = [];
    expect([...readRecords(new MemoryFileSystem(), DIRECTORY, (problem) => void problems.push(problem))]).toEqual([]);
    expect(problems.length).toBe(1);
  });

  test("works while the journal is open and written to", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    const { id } = valueOf(await journal.begin(startOf(101)));
    expect(verify(fileSystem).outcome).toBe("intact");
    const records = [...readRecords(fileSystem, DIRECTORY)].map(({ record }) => record);
    expect(foldOperations(records).get(id)?.state).toBe("started");
  });

  test("operations fold to how they stand, snapshots included, in the order they were made", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem, { limits: { ...LIMITS, recentOperations: 2 } });
    const ids: string[] = [];
    for (let vmid = 100; vmid < 120; vmid++) {
      const { id } = valueOf(await journal.begin(startOf(vmid)));
      if (vmid % 2 === 0) valueOf(await journal.apply(id, { type: "fail", by: "answer", error: "x" }));
      ids.push(id);
    }
    const folded = foldOperations([...readRecords(fileSystem, DIRECTORY)].map(({ record }) => record));
    expect([...folded.keys()]).toEqual(ids);
    expect([...folded.values()].map(({ state }) => state)).toEqual(ids.map((_, index) => (index % 2 === 0 ? "failed" : "started")));
  });
});
