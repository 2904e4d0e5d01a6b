import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openJournal } from "../../src/journal/journal.ts";
import type { Journal } from "../../src/journal/types.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { contentOf, recordingLog, SeededRandom, startOf, valueOf } from "../journal/journal-fixture.ts";
import { FakeClock } from "../support/fake-clock.ts";

/** Real journal files for the commands that read them. */

const BEGAN_AT = "2026-01-01T00:00:00.000Z";

export interface RealJournal {
  readonly directory: string;
  readonly journal: Journal;
  readonly clock: FakeClock;
}

/** Opens a journal in `directory`, which need not exist; the same bytes each time. */
export async function openReal(directory: string, segmentBytes = 2_500, seed = 1, node = "pve1"): Promise<RealJournal> {
  const clock = new FakeClock(Date.parse(BEGAN_AT));
  const opened = await openJournal({
    directory, node, machineId: `machine-of-${node}`, version: "0.1.0", fileSystem: createFileSystem(), clock,
    random: new SeededRandom(seed), log: recordingLog(), limits: { segmentBytes, reserveBytes: 4_096 },
  });
  return { directory, journal: valueOf(opened), clock };
}

/** Ids of the operations `writeStory` records, by what becomes of them. */
export interface Story {
  readonly succeeded: string;
  readonly failed: string;
  readonly unknown: string;
  readonly abandoned: string;
}

/** One operation of every ending, an hour apart, a fact and a verdict, on two guests; then rotations. */
export async function writeStory({ journal, clock }: RealJournal): Promise<Story> {
  const one = valueOf(await journal.begin(startOf(100, { action: "set_config", params: { cores: 4, name: "\u001b[2Jevil" } })));
  valueOf(await journal.apply(one.id, { type: "succeed", by: "answer", note: "with a warning" }));
  await clock.advance(3_600_000);
  const two = valueOf(await journal.begin({ ...startOf(101), guest: { kind: "lxc", vmid: 101, identity: {} } }));
  valueOf(await journal.apply(two.id, { type: "task", upid: "UPID:pve1:0001:start" }));
  valueOf(await journal.apply(two.id, { type: "fail", by: "answer", error: "no such\nbridge" }));
  await clock.advance(3_600_000);
  const three = valueOf(await journal.begin(startOf(100, { action: "shutdown" })));
  valueOf(await journal.apply(three.id, { type: "lose", reason: "no answer" }));
  const four = valueOf(await journal.plan(startOf(100)));
  valueOf(await journal.apply(four.id, { type: "abandon", reason: "agent is stopping" }));
  valueOf(await journal.recordVerdict(one.guest, "d1", "held", "holds_data"));
  await clock.advance(3_600_000);
  for (const target of ["777", "778"]) valueOf(await journal.putFact("pause", target, { reason: "hands off", since: "S" }));
  for (let round = 0; round < 20; round++) valueOf(await journal.putFact("w", `k${round}`, `value ${round}`));
  return { succeeded: one.id, failed: two.id, unknown: three.id, abandoned: four.id };
}

export function segmentsIn(directory: string): readonly string[] {
  return readdirSync(directory).filter((name) => name.endsWith(".journal")).sort();
}

/** Replaces the lines of a segment, line ends excluded; empty space behind the last one goes. */
export function editLines(directory: string, name: string, change: (lines: string[]) => readonly string[]): void {
  const path = join(directory, name);
  const lines = Buffer.from(contentOf(readFileSync(path))).toString("utf8").split("\n").slice(0, -1);
  writeFileSync(path, change(lines).map((line) => `${line}\n`).join(""));
}
