import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readRecords } from "../../src/journal/inspect.ts";
import { verifyJournal } from "../../src/journal/verify.ts";
import { FORMAT_VERSION } from "../../src/journal/segment.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { DIRECTORY, digestOf, openOrThrow, SeededRandom, startOf, valueOf } from "./journal-fixture.ts";

/**
 * Files of every format version there was. A change that alters them is a new format: raise
 * FORMAT_VERSION, keep reading the old file, and let this test
 * write the new one with STEWARD_WRITE_GOLDEN=1.
 */
const GOLDEN = join(import.meta.dir, "golden", `format-${FORMAT_VERSION}.journal`);
const NAME = "0000000000000001.journal";
const DIGEST = '01kdvdncxr5d62jq95q7nxh=succeeded 01kdvdncxr5d62jq95q7nxj=task_runningUPID:pve1:0001 01kdvdncxr5d62jq95q7nxk=abandoned paused:101={"by":"ops","reason":"näch\\nste"}';

async function write(): Promise<Uint8Array> {
  const fileSystem = new MemoryFileSystem();
  const clock = new FakeClock();
  const journal = await openOrThrow(fileSystem, { clock, random: new SeededRandom(42) });
  await clock.advance(3_000);
  const one = valueOf(await journal.begin(startOf(101, { action: "set_config", params: { cores: 4, digest: "ab" } })));
  const two = valueOf(await journal.begin(startOf(102, { key: "restart-102", keyExpiresAt: "2026-02-01T00:00:00Z", provenance: "operation" })));
  const three = valueOf(await journal.plan(startOf(103)));
  await clock.advance(1);
  valueOf(await journal.apply(one.id, { type: "succeed", by: "answer", note: "with warnings" }));
  valueOf(await journal.apply(two.id, { type: "task", upid: "UPID:pve1:0001" }));
  valueOf(await journal.apply(three.id, { type: "abandon", reason: "agent is stopping" }));
  valueOf(await journal.recordVerdict(one.guest, "d1", "held", "holds_data"));
  valueOf(await journal.putFact("w", "paused:101", { by: "ops", reason: "näch\nste" }));
  valueOf(await journal.putFact("w", "gone", 1));
  valueOf(await journal.putFact("w", "gone", null));
  await journal.close();
  return valueOf(fileSystem.readFile(`${DIRECTORY}/${NAME}`));
}

test("the format is written as it always was, byte for byte", async () => {
  const bytes = await write();
  if (process.env["STEWARD_WRITE_GOLDEN"] === "1") writeFileSync(GOLDEN, bytes);
  expect(Buffer.from(bytes).toString("utf8")).toBe(readFileSync(GOLDEN, "utf8"));
});

test("what was written then is read now", async () => {
  const files = new Map([[`${DIRECTORY}/${NAME}`, new Uint8Array(readFileSync(GOLDEN))]]);
  const fileSystem = new MemoryFileSystem({ directories: ["/state", DIRECTORY], files });
  expect(valueOf(verifyJournal(fileSystem, DIRECTORY)).outcome).toBe("intact");
  expect([...readRecords(fileSystem, DIRECTORY)].length).toBe(14);
  const journal = await openOrThrow(fileSystem);
  expect(digestOf(journal)).toBe(DIGEST);
  expect(journal.openOperations()[0]).toMatchObject({ key: "restart-102", upid: "UPID:pve1:0001", state: "task_running", provenance: "operation" });
});
