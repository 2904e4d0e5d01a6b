import { describe, expect, test } from "bun:test";
import { encodeFrame, NO_LINK } from "../../src/journal/frame.ts";
import { readRecords } from "../../src/journal/inspect.ts";
import { EXPIRY_MARGIN_MS } from "../../src/journal/limits.ts";
import { encodeRecord, type JournalRecord } from "../../src/journal/record.ts";
import { encodeHeader } from "../../src/journal/segment.ts";
import { verifyJournal } from "../../src/journal/verify.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { codeOf, DIRECTORY, digestOf, openOrThrow, startOf, valueOf } from "./journal-fixture.ts";

function segments(fileSystem: MemoryFileSystem): string[] {
  return valueOf(fileSystem.list(DIRECTORY)).filter((name) => name.endsWith(".journal")).sort();
}

describe("a compaction", () => {
  test("goes on in a new segment with what lives, keeps the old one for audit, and loses nothing", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    const { id } = valueOf(await journal.begin(startOf(101, { key: "once", keyExpiresAt: "2099-01-01T00:00:00Z" })));
    for (let round = 0; round < 5; round++) valueOf(await journal.putFact("w", "k", round));
    const digest = digestOf(journal);
    const done = valueOf(await journal.compact());
    // The epoch "created", the fact, the operation.
    expect(done).toMatchObject({ segment: journal.head().segment, records: 3, removed: [], kept: ["0000000000000001.journal"] });
    expect(segments(fileSystem)).toEqual([...done.kept, done.segment]);
    valueOf(await journal.apply(id, { type: "succeed", by: "answer" }));
    expect(digestOf(journal)).toBe(digest.replace("started", "succeeded"));
    await journal.close();
    expect(valueOf(verifyJournal(fileSystem, DIRECTORY)).outcome).toBe("intact");
    const again = await openOrThrow(fileSystem);
    expect(codeOf(await again.begin(startOf(101, { key: "once" })))).toBe("journal.key_used");
  });

  test("removes what retention no longer keeps: by size, and by age, torn bytes too", async () => {
    let nowMs = Date.parse("2026-01-01T00:00:00Z");
    const clock = new FakeClock(nowMs);
    const fileSystem = new MemoryFileSystem({ nowMs: () => nowMs });
    const limits = { segmentBytes: 1_000, reserveBytes: 16, retainBytes: 1_000_000, retainMs: 86_400_000 };
    const journal = await openOrThrow(fileSystem, { clock, limits });
    for (let round = 0; round < 30; round++) valueOf(await journal.putFact("w", "k", round));
    const torn = valueOf(fileSystem.open(`${DIRECTORY}/0000000000000001.journal.torn-2026`, "createNew"));
    valueOf(torn.write(new Uint8Array(3)));
    expect(valueOf(await journal.compact()).removed).toEqual([]);
    const before = segments(fileSystem);
    nowMs += 2 * 86_400_000;
    await clock.advance(2 * 86_400_000);
    const done = valueOf(await journal.compact());
    // A segment's age counts from when it was followed by another, which for the last one is now.
    expect([done.removed, done.kept]).toEqual([before.slice(0, -1), before.slice(-1)]);
    expect(valueOf(fileSystem.list(DIRECTORY)).some((name) => name.includes(".torn-"))).toBe(false);
    expect(valueOf(verifyJournal(fileSystem, DIRECTORY)).outcome).toBe("intact");
    await journal.close();
    const small = await openOrThrow(fileSystem, { clock, limits: { ...limits, retainBytes: 0 } });
    expect(valueOf(await small.compact()).kept).toEqual([]);
    expect(small.fact("w", "k")).toBe(29);
  });

  test("waits its turn among appends, and two at once are one", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    const appends = Array.from({ length: 20 }, (_, index) => journal.putFact("w", `k${index}`, index));
    const [one, two] = await Promise.all([journal.compact(), journal.compact()]);
    const later = journal.putFact("w", "later", 1);
    expect(valueOf(one)).toEqual(valueOf(two));
    for (const append of [...appends, later]) valueOf(await append);
    expect(segments(fileSystem)).toHaveLength(2);
    await journal.close();
    expect((await openOrThrow(fileSystem)).facts("w").size).toBe(21);
  });

  test("is refused with the journal's own trouble, and never waits for ever", async () => {
    const fileSystem = new MemoryFileSystem();
    const journal = await openOrThrow(fileSystem);
    fileSystem.failAt(1, { kind: "io", lasts: "for ever" });
    expect((await journal.compact()).ok).toBe(false);
    expect((await journal.compact()).ok).toBe(false);
    fileSystem.heal();
    expect((await journal.reopen()).state).toBe("healthy");
    valueOf(await journal.compact());
    await journal.close();
    expect(codeOf(await journal.compact())).toBe("journal.closed");
  });

  test("whose k-th file operation fails says so or is done, and the journal loses nothing", async () => {
    const told = new Set<string>();
    for (let k = 1; ; k++) {
      const fileSystem = new MemoryFileSystem();
      const journal = await openOrThrow(fileSystem);
      valueOf(await journal.putFact("w", "k", k));
      fileSystem.failAt(k, { kind: "no_space", lasts: "once" });
      const done = await journal.compact();
      const { hasFailed } = fileSystem;
      fileSystem.heal();
      told.add(codeOf(done));
      expect([k, (await journal.reopen()).state, journal.fact("w", "k")]).toEqual([k, "healthy", k]);
      valueOf(await journal.compact());
      await journal.close();
      expect([k, valueOf(verifyJournal(fileSystem, DIRECTORY)).outcome, (await openOrThrow(fileSystem)).fact("w", "k")]).toEqual([k, "intact", k]);
      if (!hasFailed) break;
      expect(k).toBeLessThan(100);
    }
    expect(told).toContain("ok");
    expect(told).toContain("file.no_space");
    expect(told).toContain("journal.poisoned");
  });
});

describe("spent nonces", () => {
  const salt = "ab".repeat(16);

  /** A journal in which nonces were spent; the gate's signatures will be what writes them. */
  function journalWith(records: readonly JournalRecord[]): MemoryFileSystem {
    const header = encodeHeader({ node: "pve1", machineId: "machine-1", directoryInode: 2 + DIRECTORY.length, salt, firstSequence: 1, previousHead: NO_LINK, createdAt: "2026-01-01T00:00:00.000Z", version: "0.1.0" });
    let { hash, line: text } = header;
    for (const [index, record] of [{ kind: "checkpoint", at: "2026-01-01T00:00:00.000Z", records: 0 } as const, ...records].entries()) {
      const frame = encodeFrame(salt, index + 1, index + 1, hash, encodeRecord(record));
      hash = frame.hash;
      text += frame.line;
    }
    return new MemoryFileSystem({ directories: ["/state", DIRECTORY], files: new Map([[`${DIRECTORY}/0000000000000001.journal`, Buffer.from(text)]]) });
  }

  test("are kept through compactions until they expired, and an hour longer", async () => {
    const nowMs = Date.parse("2026-01-01T00:00:00Z");
    const clock = new FakeClock(nowMs);
    const at = "2026-01-01T00:00:00.000Z";
    const untils = { gone: nowMs - EXPIRY_MARGIN_MS - 1, margin: nowMs - EXPIRY_MARGIN_MS + 1, later: nowMs + 3_600_000 };
    const fileSystem = journalWith([
      ...Object.entries(untils).map(([nonce, untilMs]): JournalRecord => ({ kind: "nonce_spent", at, nonce, until: new Date(untilMs).toISOString() })),
      { kind: "nonce_spent", at, nonce: "unreadable", until: "some day" },
    ]);
    const kept = (segment: string): string[] =>
      [...readRecords(fileSystem, DIRECTORY)].flatMap(({ record, segment: where }) => (record.kind === "nonce_spent" && where === segment ? [record.nonce] : []));
    const journal = await openOrThrow(fileSystem, { clock });
    expect(kept(valueOf(await journal.compact()).segment)).toEqual(["margin", "later", "unreadable"]);
    await clock.advance(1_800_000);
    expect(kept(valueOf(await journal.compact()).segment)).toEqual(["later", "unreadable"]);
    await clock.advance(3_600_000 + EXPIRY_MARGIN_MS);
    expect(kept(valueOf(await journal.compact()).segment)).toEqual(["unreadable"]);
  });
});
