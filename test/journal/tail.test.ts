import { describe, expect, test } from "bun:test";
import type { Journal } from "../../src/journal/types.ts";
import { JournalTail } from "../../src/journal/tail.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { contentOf, DIRECTORY, openOrThrow, valueOf } from "./journal-fixture.ts";

interface Followed {
  readonly fileSystem: MemoryFileSystem;
  readonly journal: Journal;
  readonly notices: string[];
  /** Values of the facts that have come since the last look. */
  readonly look: () => unknown[];
}

async function follow(limits: Parameters<typeof openOrThrow>[1] = {}, from = { segment: "", sequence: 0 }): Promise<Followed> {
  const fileSystem = new MemoryFileSystem();
  const journal = await openOrThrow(fileSystem, limits);
  const notices: string[] = [];
  const tail = new JournalTail(fileSystem, DIRECTORY, from, (message) => void notices.push(message));
  const look = (): unknown[] => [...tail.poll()].flatMap(({ record, isSnapshot }) => (record.kind === "fact" && !isSnapshot ? [record.value] : []));
  return { fileSystem, journal, notices, look };
}

async function write(journal: Journal, ...values: number[]): Promise<void> {
  for (const value of values) valueOf(await journal.putFact("w", "k", value));
}

function lastPath(fileSystem: MemoryFileSystem): string {
  return `${DIRECTORY}/${valueOf(fileSystem.list(DIRECTORY)).filter((name) => name.endsWith(".journal")).sort().at(-1) ?? ""}`;
}

const SMALL = { limits: { segmentBytes: 1_000, reserveBytes: 16, retainBytes: 1_000_000 } };

test("gives what has come since the last look, once, over rotations and a compaction", async () => {
  const { journal, look, notices } = await follow(SMALL);
  await write(journal, 0);
  expect(look()).toEqual([0]);
  expect(look()).toEqual([]);
  const many = Array.from({ length: 40 }, (_, index) => index + 1);
  await write(journal, ...many);
  expect(look()).toEqual(many);
  valueOf(await journal.compact());
  expect(look()).toEqual([]);
  await write(journal, 99);
  expect([look(), notices]).toEqual([[99], []]);
});

test("begins behind a record of a segment", async () => {
  const first = await follow(SMALL);
  await write(first.journal, 1, 2);
  const { segment, sequence } = first.journal.head();
  await write(first.journal, 3);
  const tail = new JournalTail(first.fileSystem, DIRECTORY, { segment, sequence }, () => undefined);
  expect([...tail.poll()].map(({ sequence: at }) => at)).toEqual([sequence + 1]);
});

test("segments that were removed meanwhile are passed over, and what was missed is told", async () => {
  const { fileSystem, journal, look, notices } = await follow(SMALL);
  await write(journal, 1);
  expect(look()).toEqual([1]);
  await write(journal, ...Array.from({ length: 40 }, () => 7));
  const names = valueOf(fileSystem.list(DIRECTORY)).filter((name) => name.endsWith(".journal")).sort();
  for (const name of names.slice(0, -1)) fileSystem.remove(`${DIRECTORY}/${name}`);
  const seen = look();
  expect(new Set(seen)).toEqual(new Set([7]));
  expect(notices).toEqual([expect.stringMatching(/^records \d+ to \d+ were removed before they could be shown$/)]);
});

test("a line that is being written is waited for; empty space behind it is not content", async () => {
  const { fileSystem, journal, look, notices } = await follow();
  await write(journal, 1, 2);
  await journal.close();
  const path = lastPath(fileSystem);
  const whole = contentOf(valueOf(fileSystem.readFile(path)));
  fileSystem.overwrite(path, whole.slice(0, -30));
  expect(look()).toEqual([1]);
  fileSystem.overwrite(path, Buffer.concat([whole.slice(0, -10), new Uint8Array(600).fill(0x0a)]));
  expect(look()).toEqual([]);
  fileSystem.overwrite(path, Buffer.concat([whole, new Uint8Array(600).fill(0x0a)]));
  expect(look()).toEqual([2]);
  expect([look(), notices]).toEqual([[], []]);
});

test("records whose write failed and was taken back are told, and what comes in their place is shown", async () => {
  const { fileSystem, journal, look, notices } = await follow();
  await write(journal, 1, 2);
  const path = lastPath(fileSystem);
  const content = contentOf(valueOf(fileSystem.readFile(path)));
  const text = Buffer.from(content).toString("utf8");
  expect(look()).toEqual([1, 2]);
  fileSystem.overwrite(path, Buffer.from(`${text.split("\n").slice(0, -2).join("\n")}\n`));
  expect(look()).toEqual([]);
  expect(notices).toEqual([expect.stringMatching(/^records (\d+) to \1 were taken back: their write failed$/)]);
  fileSystem.overwrite(path, content);
  expect(look()).toEqual([2]);
});

test("damage is told once, with its place, and what is whole behind it is shown", async () => {
  const { fileSystem, journal, look, notices } = await follow();
  await write(journal, 1, 2, 3, 4);
  await journal.close();
  const path = lastPath(fileSystem);
  const lines = Buffer.from(contentOf(valueOf(fileSystem.readFile(path)))).toString("utf8").split("\n");
  fileSystem.overwrite(path, Buffer.from(lines.with(-4, "damaged").join("\n")));
  expect([look(), look()]).toEqual([[1, 3, 4], []]);
  expect(notices).toEqual([expect.stringMatching(/^damaged: 0000000000000001\.journal line \d+ \(byte \d+\): record \d+ is damaged/)]);
});

describe("a directory that cannot be read", () => {
  test("is told once, and followed again when it can", async () => {
    const { fileSystem, journal, look, notices } = await follow();
    await write(journal, 1);
    fileSystem.failAt(1, { kind: "io", lasts: "for ever" });
    expect([look(), look(), notices.length]).toEqual([[], [], 1]);
    fileSystem.heal();
    expect(look()).toEqual([1]);
  });
});
