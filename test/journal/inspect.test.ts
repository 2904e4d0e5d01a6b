import { describe, expect, test } from "bun:test";
import { encodeFrame, NO_LINK } from "../../src/journal/frame.ts";
import { foldOperations, readRecords, verifyJournal, type Verification } from "../../src/journal/inspect.ts";
import { encodeRecord } from "../../src/journal/record.ts";
import { formatProblem, scanSegment, type JournalProblem } from "../../src/journal/scan.ts";
import { encodeHeader } from "../../src/journal/segment.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { codeOf, DIRECTORY, openOrThrow, startOf, valueOf } from "./journal-fixture.ts";

const LIMITS = { segmentBytes: 1_500, reserveBytes: 16, retainBytes: 1_000_000 };

interface Written {
  readonly fileSystem: MemoryFileSystem;
  /** Segment names, oldest first. */
  readonly names: readonly string[];
  readonly heads: readonly string[];
}

/** Three segments; heads after every append. */
async function written(): Promise<Written> {
  const fileSystem = new MemoryFileSystem();
  const journal = await openOrThrow(fileSystem, { limits: LIMITS });
  const heads: string[] = [];
  while (valueOf(fileSystem.list(DIRECTORY)).filter((name) => name.endsWith(".journal")).length < 3 || heads.length % 4 !== 0) {
    valueOf(await journal.putFact("w", `k${heads.length % 3}`, heads.length));
    heads.push(journal.head().hash);
  }
  valueOf(await journal.putFact("w", "one", 1));
  valueOf(await journal.putFact("w", "two", 2));
  await journal.close();
  const names = valueOf(fileSystem.list(DIRECTORY)).filter((name) => name.endsWith(".journal")).sort();
  return { fileSystem, names, heads };
}

function verify(fileSystem: MemoryFileSystem, from?: string): Verification {
  return valueOf(verifyJournal(fileSystem, DIRECTORY, from === undefined ? {} : { from }));
}

/** Replaces the lines of a segment (its LFs included). */
function edit(fileSystem: MemoryFileSystem, name: string, change: (lines: string[]) => string[]): void {
  const path = `${DIRECTORY}/${name}`;
  const lines = Buffer.from(valueOf(fileSystem.readFile(path))).toString("utf8").split("\n").slice(0, -1);
  fileSystem.overwrite(path, Buffer.from(change(lines).map((line) => `${line}\n`).join(""), "utf8"));
}

const flip = (text: string, at: number): string => text.slice(0, at) + (text[at] === "0" ? "1" : "0") + text.slice(at + 1);

test("an intact journal is intact, from any head that was ever recorded", async () => {
  const { fileSystem, heads, names } = await written();
  const { outcome, head, records, problem } = verify(fileSystem);
  expect({ outcome, segment: head.segment, problem }).toEqual({ outcome: "intact", segment: names[2] ?? "", problem: undefined });
  expect(records).toBe(head.sequence);
  for (const from of [...heads, head.hash, head.hash.toUpperCase()]) expect(verify(fileSystem, from).outcome).toBe("intact");
});

describe("what is told apart", () => {
  const cases: [string, (lines: string[]) => string[], "torn" | "corrupt", RegExp][] = [
    ["a byte changed in the middle", (lines) => lines.with(-3, flip(lines.at(-3) ?? "", 130)), "corrupt", /acknowledged was changed/],
    ["a byte changed in a check", (lines) => lines.with(-3, flip(lines.at(-3) ?? "", 3)), "corrupt", /acknowledged was changed/],
    ["a byte changed in the header", (lines) => lines.with(0, flip(lines[0] ?? "", 60)), "corrupt", /line 1 .*header/],
    ["a byte changed in the checkpoint", (lines) => lines.with(1, flip(lines[1] ?? "", 100)), "corrupt", /line 2 .*checkpoint/],
    ["a line removed", (lines) => lines.toSpliced(-3, 1), "corrupt", /removed, inserted or moved/],
    ["two lines swapped", (lines) => lines.with(-2, lines.at(-1) ?? "").with(-1, lines.at(-2) ?? ""), "corrupt", /removed, inserted or moved/],
    ["a line twice", (lines) => [...lines, lines.at(-1) ?? ""], "corrupt", /removed, inserted or moved/],
    ["an empty line in the middle", (lines) => lines.toSpliced(-2, 0, ""), "corrupt", /later batch behind it is whole/],
    ["a line that was cut", (lines) => lines.with(-1, (lines.at(-1) ?? "").slice(0, 90)), "torn", /cut short/],
    ["garbage at the end", (lines) => [...lines, "\u0001\u0002 what is this"], "torn", /cut short/],
  ];
  for (const [name, change, outcome, message] of cases) {
    test(`${name}: ${outcome}, with its place`, async () => {
      const { fileSystem, names } = await written();
      edit(fileSystem, names[2] ?? "", change);
      const { outcome: found, problem } = verify(fileSystem);
      expect(found).toBe(outcome);
      expect(problem === undefined ? "" : formatProblem(problem)).toMatch(message);
      expect(problem?.segment).toBe(names[2] ?? "");
    });
  }

  test("a cut at a frame's border: found through a recorded head alone", async () => {
    const { fileSystem, names } = await written();
    const { head } = verify(fileSystem);
    edit(fileSystem, names[2] ?? "", (lines) => lines.slice(0, -1));
    expect(verify(fileSystem).outcome).toBe("intact");
    const { outcome, problem } = verify(fileSystem, head.hash);
    expect([outcome, problem?.message]).toEqual(["corrupt", expect.stringContaining("is not in this journal")]);
  });

  test("damage at the end of a segment that is not the last one is corruption, not a torn write", async () => {
    const { fileSystem, names } = await written();
    edit(fileSystem, names[1] ?? "", (lines) => lines.with(-1, (lines.at(-1) ?? "").slice(0, 90)));
    expect(verify(fileSystem)).toMatchObject({ outcome: "corrupt", problem: { segment: names[1] ?? "" } });
  });

  test("a segment that is missing, and one that was renamed", async () => {
    const missing = await written();
    missing.fileSystem.remove(`${DIRECTORY}/${missing.names[1]}`);
    expect(verify(missing.fileSystem)).toMatchObject({ outcome: "corrupt", problem: { segment: missing.names[2] ?? "" } });
    const renamed = await written();
    renamed.fileSystem.rename(`${DIRECTORY}/${renamed.names[2]}`, `${DIRECTORY}/0000000000000999.journal`);
    expect(verify(renamed.fileSystem).problem?.message).toMatch(/was renamed/);
  });

  test("the oldest segment may have been removed by age: the rest still proves itself", async () => {
    const { fileSystem, names } = await written();
    fileSystem.remove(`${DIRECTORY}/${names[0]}`);
    expect(verify(fileSystem).outcome).toBe("intact");
  });

  test("a line feed that was damaged does not hide the frame behind it", async () => {
    const { fileSystem, names } = await written();
    edit(fileSystem, names[2] ?? "", (lines) => [...lines.slice(0, -2), `${lines.at(-2)}*${lines.at(-1)}`]);
    expect(verify(fileSystem)).toMatchObject({ outcome: "corrupt", problem: { message: expect.stringContaining("later batch") } });
  });

  test("no journal at all is a fault, not an intact journal", () => {
    const empty = new MemoryFileSystem({ directories: ["/state", DIRECTORY] });
    expect(codeOf(verifyJournal(empty, DIRECTORY))).toBe("journal.missing");
    expect(codeOf(verifyJournal(empty, "/nowhere"))).toBe("file.not_found");
  });
});

describe("the batch rule", () => {
  const salt = "00".repeat(16);

  /** A segment with a checkpoint and frames of the given batches (by first sequence), the frame at `damaged` broken. */
  function segment(batches: readonly number[], damaged: number): Uint8Array {
    const header = encodeHeader({ node: "n", machineId: "m", directoryInode: 1, salt, firstSequence: 1, previousHead: NO_LINK, createdAt: "", version: "" });
    let { hash } = header;
    const lines = [header.line];
    const at = "2026-01-01T00:00:00.000Z";
    for (const [index, batch] of [1, ...batches].entries()) {
      const body = encodeRecord(index === 0 ? { kind: "checkpoint", at, records: 0 } : { kind: "fact", at, namespace: "w", key: "k", value: index });
      const frame = encodeFrame(salt, index + 1, batch, hash, body);
      hash = frame.hash;
      lines.push(index + 1 === damaged ? flip(frame.line, 110) : frame.line);
    }
    return Buffer.from(lines.join(""), "utf8");
  }

  const cases: [string, number[], number, "torn" | "corrupt"][] = [
    ["the last batch's only frame", [2, 3], 3, "torn"],
    ["the first frame of the last batch", [2, 3, 3, 3], 3, "torn"],
    ["a middle frame of the last batch", [2, 3, 3, 3], 4, "torn"],
    ["the last frame of the last batch", [2, 3, 3, 3], 5, "torn"],
    ["the last frame of the batch before", [2, 2, 4, 4], 3, "corrupt"],
    ["the first frame of the batch before", [2, 2, 4], 2, "corrupt"],
    ["the checkpoint", [], 1, "corrupt"],
  ];
  for (const [name, batches, damaged, expected] of cases) {
    test(`damage in ${name} is ${expected}`, () => {
      expect(scanSegment("x", segment(batches, damaged)).outcome).toBe(expected);
    });
  }
});

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
