import { expect, test } from "bun:test";
import { chmodSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { foldOperations, readRecords } from "../../src/journal/inspect.ts";
import { verifyJournal } from "../../src/journal/verify.ts";
import { openJournal } from "../../src/journal/journal.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { codeOf, recordingLog, SeededRandom, startOf, valueOf } from "./journal-fixture.ts";

// A longer run: STEWARD_KILLS=200 bun test test/journal/process.test.ts
const KILLS = Number(process.env["STEWARD_KILLS"] ?? 20);

function optionsIn(directory: string) {
  return {
    directory, node: "pve1", machineId: "machine-1", version: "0.1.0",
    fileSystem: createFileSystem(), clock: new FakeClock(), random: new SeededRandom(99), log: recordingLog(),
  };
}

function spawnWriter(directory: string, seed: number) {
  return Bun.spawn([process.execPath, join(import.meta.dir, "kill-child.ts"), directory, String(seed)], { stdout: "pipe", stderr: "inherit" });
}

/** Reads lines until there are `count`, kills the process, and reads what it had still printed. */
async function linesUntilKilled(child: ReturnType<typeof spawnWriter>, count: number): Promise<string[]> {
  const reader = child.stdout.getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += Buffer.from(value).toString("utf8");
    if (text.split("\n").length > count) child.kill("SIGKILL");
  }
  await child.exited;
  // The last line may have been cut by the kill.
  return text.split("\n").slice(0, -1);
}

test("a segment that was followed by another keeps no more of the disk than it holds", async () => {
  const directory = join(temporaryDirectory(), "journal");
  const journal = valueOf(await openJournal({ ...optionsIn(directory), limits: { segmentBytes: 64 * 1024 } }));
  for (let index = 0; index < 600; index++) valueOf(await journal.putFact("test", `k${index % 50}`, "x".repeat(200)));
  await journal.close();
  const sealed = readdirSync(directory).filter((name) => name.endsWith(".journal")).sort().slice(0, -1).map((name) => statSync(join(directory, name)));
  expect(sealed.length).toBeGreaterThan(1);
  // Space is given in blocks: a little more than the size is the size.
  for (const { blocks, size } of sealed) expect(blocks * 512).toBeLessThan(size + 64 * 1024);
});

test("real kills: every acknowledged operation is there afterwards", async () => {
  const directory = join(temporaryDirectory(), "journal");
  const printed = new Set<string>();
  for (let kill = 1; kill <= KILLS; kill++) {
    const lines = await linesUntilKilled(spawnWriter(directory, kill), 20 + ((kill * 131) % 400));
    expect(lines[0]).toBe("open healthy");
    for (const line of lines.slice(1)) printed.add(line);
    // Reading all of a long journal after every kill would take longer than the kills.
    if (kill > 20 && kill % 20 !== 0 && kill !== KILLS) continue;
    const fileSystem = createFileSystem();
    expect(valueOf(verifyJournal(fileSystem, directory)).outcome).not.toBe("corrupt");
    const operations = foldOperations([...readRecords(fileSystem, directory)].map(({ record }) => record));
    expect([...printed].filter((id) => !operations.has(id))).toEqual([]);
  }
  process.stdout.write(`kills: ${KILLS}, acknowledged operations, all there: ${printed.size}; seeds 1 to ${KILLS}\n`);
  expect(printed.size).toBeGreaterThan(KILLS * 20);
}, 60_000 + KILLS * 5_000);

test("a second process is refused and named the holder; when the first dies, the lock is free", async () => {
  const directory = join(temporaryDirectory(), "journal");
  const child = spawnWriter(directory, 1);
  const reader = child.stdout.getReader();
  await reader.read();
  const refused = await openJournal(optionsIn(directory));
  expect(refused.ok ? "" : `${refused.error.code} ${refused.error.message}`).toMatch(new RegExp(`journal\\.locked .*process ${child.pid}: steward 0\\.1\\.0 on pve1`));
  const second = spawnWriter(directory, 2);
  expect(await new Response(second.stdout).text()).toContain("journal.locked");
  expect(await second.exited).toBe(5);
  child.kill("SIGKILL");
  await child.exited;
  const opened = valueOf(await openJournal(optionsIn(directory)));
  expect(opened.health().state).toBe("healthy");
  await opened.close();
});

test("what it makes belongs to nobody else: directory 0700, files 0600", async () => {
  const directory = join(temporaryDirectory(), "journal");
  const journal = valueOf(await openJournal(optionsIn(directory)));
  valueOf(await journal.begin(startOf(101)));
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  const modes = readdirSync(directory).map((name) => [name, statSync(join(directory, name)).mode & 0o777]);
  expect(new Set(modes.map(([name]) => name))).toEqual(new Set(["0000000000000001.journal", "lock", "reserve"]));
  expect(new Set(modes.map(([, mode]) => mode))).toEqual(new Set([0o600]));
  await journal.close();
});

test("a directory that others may write to is refused until its mode is mended", async () => {
  const directory = join(temporaryDirectory(), "journal");
  await valueOf(await openJournal(optionsIn(directory))).close();
  chmodSync(directory, 0o777);
  const journal = valueOf(await openJournal(optionsIn(directory)));
  expect(journal.health()).toMatchObject({ state: "insecure", message: expect.stringContaining("0777") });
  expect(codeOf(await journal.begin(startOf(101)))).toBe("journal.insecure");
  chmodSync(directory, 0o700);
  expect((await journal.reopen()).state).toBe("healthy");
  await journal.close();
});
