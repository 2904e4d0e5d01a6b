import { expect, test } from "bun:test";
import { verifyJournal } from "../../src/journal/verify.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { contentOf, DIRECTORY, digestOf, openOrThrow, SeededRandom, startOf, valueOf } from "./journal-fixture.ts";

const SEED = Number(process.env["STEWARD_FLIP_SEED"] ?? 7);
const LIMITS = { segmentBytes: 900, reserveBytes: 16, retainBytes: 1_000_000 };

test("one flipped bit, in any byte of three segments: found, or a torn last batch, never silently different", async () => {
  const original = new MemoryFileSystem();
  const journal = await openOrThrow(original, { limits: LIMITS });
  let beforeLast = "";
  for (let round = 0; valueOf(original.list(DIRECTORY)).filter((name) => name.endsWith(".journal")).length < 3 || round % 2 === 1; round++) {
    beforeLast = digestOf(journal);
    valueOf(await journal.putFact("w", "k", round));
  }
  beforeLast = digestOf(journal);
  const { id } = valueOf(await journal.begin(startOf(101)));
  const whole = digestOf(journal);
  const { segment: lastSegment } = journal.head();
  await journal.close();
  const files = original.snapshot();
  const random = new SeededRandom(SEED);
  const told: Record<string, number> = {};
  for (const [path, bytes] of files) {
    if (!path.endsWith(".journal")) continue;
    const contentBytes = contentOf(bytes).length;
    // Empty space is all alike: a few of its bytes will do.
    const emptyStep = Math.max(1, Math.floor((bytes.length - contentBytes) / 64));
    for (let at = 0; at < bytes.length; at += at < contentBytes ? 1 : emptyStep) {
      const flipped = Uint8Array.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
      const disk = new MemoryFileSystem({ directories: original.directories, files: new Map([...files, [path, flipped]]) });
      const { outcome } = valueOf(verifyJournal(disk, DIRECTORY));
      expect(`${path}@${at} ${outcome}`).not.toContain("intact");
      told[outcome] = (told[outcome] ?? 0) + 1;
      if (!path.endsWith(lastSegment)) {
        expect(`${path}@${at} ${outcome}`).toEndWith("corrupt");
        continue;
      }
      const opened = await openOrThrow(disk, { random: new SeededRandom(at), limits: LIMITS });
      const where = `${path}@${at} (seed ${SEED}) ${opened.health().state}`;
      expect(where).toEndWith(outcome === "torn" ? "healthy" : "corrupt");
      // A repaired journal lost the last batch, or its second half; nothing else.
      if (outcome === "torn" && at < contentBytes) expect([beforeLast, `${id}=planned ${beforeLast}`]).toContain(digestOf(opened));
      // Garbage behind the last record takes nothing with it.
      else if (outcome === "torn") expect(digestOf(opened)).toBe(whole);
    }
  }
  const flips = Object.values(told).reduce((sum, count) => sum + count, 0);
  process.stdout.write(`bit flips: ${flips}, every byte of ${[...files.keys()].filter((path) => path.endsWith(".journal")).length} segments: ${JSON.stringify(told)}; seed ${SEED}\n`);
  expect(told["torn"]).toBeGreaterThan(100);
  expect(told["corrupt"]).toBeGreaterThan(1_000);
}, 60_000);
