import { writeSync } from "node:fs";
import { openJournal } from "../../src/journal/journal.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { recordingLog, SeededRandom, startOf } from "./journal-fixture.ts";

/**
 * A process that is killed: opens a real journal, appends from several appenders at once, and prints
 * the id of every operation as soon as it is acknowledged. Arguments: directory, seed.
 */
const [directory = "", seed = "1"] = process.argv.slice(2);
const opened = await openJournal({
  directory, node: "pve1", machineId: "machine-1", version: "0.1.0",
  fileSystem: createFileSystem(), clock: new FakeClock(), random: new SeededRandom(Number(seed)), log: recordingLog(),
  limits: { segmentBytes: 40_000 },
});
if (!opened.ok) {
  writeSync(1, `${opened.error.code}: ${opened.error.message}\n`);
  process.exit(5);
}
const journal = opened.value;
writeSync(1, `open ${journal.health().state}\n`);
await Promise.all(Array.from({ length: 8 }, async (_, appender) => {
  for (;;) {
    const begun = await journal.begin(startOf(100 + appender));
    if (!begun.ok) throw new Error(begun.error.message);
    writeSync(1, `${begun.value.id}\n`);
    await journal.apply(begun.value.id, { type: "succeed", by: "answer" });
  }
}));
