import { describe, expect, test } from "bun:test";
import { encodeFrame, NO_LINK } from "../../src/journal/frame.ts";
import { encodeRecord } from "../../src/journal/record.ts";
import { formatProblem, scanSegment, type JournalFinding } from "../../src/journal/scan.ts";
import { encodeHeader } from "../../src/journal/segment.ts";
import { verifyJournal } from "../../src/journal/verify.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { codeOf, contentOf, DIRECTORY, SeededRandom, valueOf } from "./journal-fixture.ts";
import { edit, flip, LIMITS, verify, written, type Written } from "./written-journal.ts";

test("an intact journal is intact, from any head that was ever recorded, and says where that is", async () => {
  const { fileSystem, heads, names } = await written();
  const { outcome, head, records, problem, firstSequence } = verify(fileSystem);
  expect({ outcome, segment: head.segment, problem, firstSequence }).toEqual({ outcome: "intact", segment: names[2] ?? "", problem: undefined, firstSequence: 1 });
  expect(records).toBe(head.sequence);
  for (const from of [...heads, head.hash, head.hash.toUpperCase(), head.hash.slice(0, 16)]) expect(verify(fileSystem, from)).toMatchObject({ outcome: "intact", from: { hash: expect.stringMatching(from.toLowerCase()) } });
});

describe("what is told apart within a segment, each with its place and its own sentence", () => {
  const cases: [string, (lines: string[]) => string[], "torn" | "corrupt", JournalFinding, RegExp][] = [
    ["a byte changed in the middle", (lines) => lines.with(-3, flip(lines.at(-3) ?? "", 130)), "corrupt", "damaged", /acknowledged was changed/],
    ["a byte changed in a check", (lines) => lines.with(-3, flip(lines.at(-3) ?? "", 3)), "corrupt", "damaged", /acknowledged was changed/],
    ["a byte changed in the header", (lines) => lines.with(0, flip(lines[0] ?? "", 60)), "corrupt", "damaged", /line 1 .*header/],
    ["a byte changed in the checkpoint", (lines) => lines.with(1, flip(lines[1] ?? "", 100)), "corrupt", "damaged", /line 2 .*checkpoint/],
    ["a line removed", (lines) => lines.toSpliced(-3, 1), "corrupt", "removed", /expected record 32, found record 33; record 32 is nowhere in this segment: a line was removed/],
    ["three lines removed", (lines) => lines.toSpliced(-4, 3), "corrupt", "removed", /records 31 to 33 are nowhere in this segment: lines were removed/],
    ["two lines swapped", (lines) => lines.with(-2, lines.at(-1) ?? "").with(-1, lines.at(-2) ?? ""), "corrupt", "moved", /expected record 33, found record 34; record 33 stands in line 10: lines were swapped or moved/],
    ["a line moved to the end", (lines) => [...lines.toSpliced(-3, 1), lines.at(-3) ?? ""], "corrupt", "moved", /record 32 stands in line 10/],
    ["a line twice", (lines) => [...lines, lines.at(-1) ?? ""], "corrupt", "repeated", /found record 34, which stands in line 10 already: a line was repeated/],
    ["an empty line in the middle", (lines) => lines.toSpliced(-2, 0, ""), "corrupt", "damaged", /later batch behind it is whole/],
    ["a line that was cut", (lines) => lines.with(-1, (lines.at(-1) ?? "").slice(0, 90)), "torn", "torn_tail", /cut short/],
    ["garbage at the end", (lines) => [...lines, "\u0001\u0002 what is this"], "torn", "torn_tail", /cut short/],
  ];
  for (const [name, change, outcome, finding, message] of cases) {
    test(`${name}: ${finding}`, async () => {
      const { fileSystem, names } = await written();
      edit(fileSystem, names[2] ?? "", change);
      const { outcome: found, problem } = verify(fileSystem);
      expect([found, problem?.finding]).toEqual([outcome, finding]);
      expect(problem === undefined ? "" : formatProblem(problem)).toMatch(message);
      expect(problem?.segment).toBe(names[2] ?? "");
    });
  }

  test("a cut at a frame's border: found through a recorded head alone, at the place where the chain now ends", async () => {
    const { fileSystem, names } = await written();
    const { head } = verify(fileSystem);
    edit(fileSystem, names[2] ?? "", (lines) => lines.slice(0, -1));
    expect(verify(fileSystem).outcome).toBe("intact");
    const sizeBytes = contentOf(valueOf(fileSystem.readFile(`${DIRECTORY}/${names[2]}`))).length;
    expect(verify(fileSystem, head.hash)).toMatchObject({
      outcome: "corrupt",
      problem: { finding: "head_missing", segment: names[2] ?? "", line: 10, byte: sizeBytes, message: expect.stringContaining("which ends here with record 33: the end was cut off") },
    });
  });

  test("damage at the end of a segment that is not the last one is corruption, not a torn write", async () => {
    const { fileSystem, names } = await written();
    edit(fileSystem, names[1] ?? "", (lines) => lines.with(-1, (lines.at(-1) ?? "").slice(0, 90)));
    expect(verify(fileSystem)).toMatchObject({ outcome: "corrupt", problem: { finding: "damaged", segment: names[1] ?? "" } });
  });

  test("a line feed that was damaged does not hide the frame behind it", async () => {
    const { fileSystem, names } = await written();
    edit(fileSystem, names[2] ?? "", (lines) => [...lines.slice(0, -2), `${lines.at(-2)}*${lines.at(-1)}`]);
    expect(verify(fileSystem)).toMatchObject({ outcome: "corrupt", problem: { message: expect.stringContaining("later batch") } });
  });
});

describe("what is told apart among segments", () => {
  const path = (name: string | undefined): string => `${DIRECTORY}/${name ?? ""}`;
  /** Puts a file into the directory, as `cp` does. */
  function put({ fileSystem }: Written, name: string, bytes: Uint8Array): void {
    const file = valueOf(fileSystem.open(path(name), "append"));
    valueOf(file.truncate(0));
    valueOf(file.write(bytes));
  }

  const cases: [string, (journal: Written, other: Written) => void, number, JournalFinding, RegExp][] = [
    ["a segment that is missing", ({ fileSystem, names }) => void fileSystem.remove(path(names[1])), 2, "segment_missing", /ends with record 11, this one begins with 26: the segment 0000000000000012\.journal is missing, or the end of the one before was cut off/],
    ["the end of a sealed segment cut off at a line's border", ({ fileSystem, names }) => edit(fileSystem, names[1] ?? "", (lines) => lines.slice(0, -1)), 2, "segment_missing", /the end of the one before was cut off/],
    ["a segment of another journal in place of one", (journal, other) => put(journal, journal.names[1] ?? "", valueOf(other.fileSystem.readFile(path(other.names[1])))), 1, "segment_foreign", /does not link to record 11, .*: it comes from another journal \(node pve2, made 2026/],
    ["a segment of another journal beside the others", (journal, other) => put(journal, other.names[1] ?? "", valueOf(other.fileSystem.readFile(path(other.names[1])))), -1, "segment_foreign", /does not link to record 25, .* another journal \(node pve2, made [^)]*\); without this file the chain goes on in 0000000000000026\.journal/],
    ["a segment twice", (journal) => put(journal, "0000000000000020.journal", valueOf(journal.fileSystem.readFile(path(journal.names[1])))), -1, "segment_repeated", /a copy of 0000000000000012\.journal, which is here too: move this one away; without this file the chain goes on in 0000000000000026\.journal/],
    ["a segment renamed", ({ fileSystem, names }) => void fileSystem.rename(path(names[2]), path("0000000000000999.journal")), -2, "segment_renamed", /by its header this is 0000000000000026\.journal: the file was renamed/],
  ];
  for (const [name, change, where, finding, message] of cases) {
    test(`${name}: ${finding}`, async () => {
      const journal = await written();
      const isBeside = name.endsWith("beside the others");
      const other = await written({ node: "pve2", machineId: "machine-2", random: new SeededRandom(9), ...(isBeside ? { limits: { ...LIMITS, segmentBytes: 2_600 } } : {}) });
      change(journal, other);
      const { outcome, problem } = verify(journal.fileSystem);
      const segment = isBeside ? other.names[1] : where === -1 ? "0000000000000020.journal" : where === -2 ? "0000000000000999.journal" : journal.names[where];
      expect([outcome, problem?.finding, problem?.segment, problem?.line, problem?.byte]).toEqual(["corrupt", finding, segment, 1, 0]);
      expect(problem?.message).toMatch(message);
    });
  }

  test("the oldest segment may have been removed by age: the rest still proves itself, and its first record is told", async () => {
    const { fileSystem, names, heads } = await written();
    const { head } = verify(fileSystem);
    fileSystem.remove(path(names[0]));
    expect(verify(fileSystem)).toMatchObject({ outcome: "intact", firstSequence: 12 });
    expect(verify(fileSystem, heads[0])).toMatchObject({ problem: { finding: "head_missing", message: expect.stringContaining("older than record 12, the first that is kept") } });
    expect(verify(fileSystem, head.hash).outcome).toBe("intact");
    // The last record of the segment that is gone is named by the next one's header.
    const last = verify(fileSystem, scanSegment(names[1] ?? "", valueOf(fileSystem.readFile(path(names[1])))).header?.previousHead);
    expect(last).toMatchObject({ outcome: "intact", from: { segment: "", sequence: 11 } });
  });

  test("a newer agent's segment is named as such", async () => {
    const { fileSystem, names } = await written();
    const [first = "", ...rest] = Buffer.from(valueOf(fileSystem.readFile(path(names[2])))).toString("utf8").split("\n");
    const body = first.slice(first.indexOf("{"));
    const check = new Bun.CryptoHasher("sha256").update(`steward-journal 2 ${body}`).digest("hex").slice(0, 16);
    fileSystem.overwrite(path(names[2]), Buffer.from([`steward-journal 2 ${check} ${body}`, ...rest].join("\n")));
    expect(verify(fileSystem)).toMatchObject({ outcome: "corrupt", problem: { finding: "newer_format", message: expect.stringContaining("run the newer agent") } });
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

describe("space that was reserved and not written", () => {
  for (const [name, filler] of [["line feeds", 0x0a], ["NULs", 0x00]] as const) {
    test(`${name} behind the last frame are empty, in the last segment and in sealed ones`, async () => {
      const { fileSystem, names } = await written();
      const before = verify(fileSystem);
      for (const segment of names) fileSystem.overwrite(`${DIRECTORY}/${segment}`, Buffer.concat([contentOf(valueOf(fileSystem.readFile(`${DIRECTORY}/${segment}`))), new Uint8Array(3_000).fill(filler)]));
      expect(verify(fileSystem)).toEqual(before);
    });
  }

  test("a torn write in it is a torn write: a part of the frames, holes of line feeds, the rest empty", async () => {
    const { names, fileSystem } = await written();
    const name = names[2] ?? "";
    const bytes = contentOf(valueOf(fileSystem.readFile(`${DIRECTORY}/${name}`)));
    const scan = scanSegment(name, bytes);
    const last = scan.frames.at(-1);
    if (last === undefined) throw new Error("no frames");
    const size = bytes.length - last.offset;
    for (let from = 0; from < size; from += 7) {
      for (const [holeFrom, holeTo] of [[from, size], [0, from], [from, Math.min(size, from + 20)]] as const) {
        const torn = Buffer.concat([bytes, new Uint8Array(700).fill(0x0a)]);
        torn.fill(0x0a, last.offset + holeFrom, last.offset + holeTo);
        const found = scanSegment(name, torn);
        const isWhole = holeTo <= holeFrom;
        const isGone = holeFrom === 0 && holeTo === size;
        expect([from, holeFrom, found.outcome]).toEqual([from, holeFrom, isWhole || isGone || isOnlyLineEnd(size, holeFrom) ? "intact" : "torn"]);
        expect(found.lastSequence).toBe(isWhole || isOnlyLineEnd(size, holeFrom) ? last.sequence : last.sequence - 1);
      }
    }
  });
});

/** A hole that covers no more than a frame's own line feed changes nothing. */
function isOnlyLineEnd(size: number, holeFrom: number): boolean {
  return holeFrom >= size - 1;
}
