import { describe, expect, test } from "bun:test";
import { gatherDisk, gatherFiles, gatherJournal } from "../../src/doctor/gather-storage.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONFIG } from "./facts.ts";

/** A disk whose syncs take this long, by the clock in hand. */
function slowDisk(clock: FakeClock, syncMs: number): MemoryFileSystem {
  const disk = new MemoryFileSystem({ directories: ["/s"], capacityBytes: 1e9 });
  disk.beforeSync = () => clock.sleep(syncMs);
  return disk;
}

/** Lets time pass until `work` is done. */
async function passing<T>(clock: FakeClock, work: Promise<T>, stepMs: number): Promise<T> {
  let isDone = false;
  const settle = (): void => {
    isDone = true;
  };
  work.then(settle, settle);
  for (let step = 0; !isDone && step < 20_000; step++) await clock.advance(stepMs);
  return work;
}

describe("the sync probe", () => {
  test.each([
    [10, 100, 10],
    [0.5, 500, 0.5],
    [400, 3, 400],
  ])("of a disk that takes %d ms counts %d syncs, the slowest %d ms", async (syncMs, syncs, slowestMs) => {
    const clock = new FakeClock();
    const disk = slowDisk(clock, syncMs);
    const { sync } = await passing(clock, gatherDisk({ clock, files: disk, processId: 7 }, "/s"), syncMs);
    if (!sync.ok) throw new Error(sync.error.message);
    expect(sync.value.syncs).toBe(syncs);
    expect(sync.value.slowestMs).toBeCloseTo(slowestMs, 3);
    expect(sync.value.syncs / sync.value.seconds).toBeCloseTo(1_000 / syncMs, 0);
  });

  test("leaves nothing behind, on a good disk and on one that fails", async () => {
    for (const kind of ["no fault", "io", "no_space", "read_only"] as const) {
      const clock = new FakeClock();
      const disk = slowDisk(clock, 50);
      // The second write, after the probe's file was made: status, free space, open, write, sync, write.
      if (kind !== "no fault") disk.failAt(6, { kind, lasts: "once" });
      const facts = await passing(clock, gatherDisk({ clock, files: disk, processId: 7 }, "/s"), 50);
      expect([kind, facts.sync.ok]).toEqual([kind, kind === "no fault"]);
      expect([...disk.snapshot().keys()]).toEqual([]);
    }
  });

  test("of a disk that hangs gives up after 10 s and removes its file", async () => {
    const clock = new FakeClock();
    const disk = slowDisk(clock, 3_600_000);
    const { sync } = await passing(clock, gatherDisk({ clock, files: disk, processId: 7 }, "/s"), 1_000);
    expect(sync).toMatchObject({ ok: false, error: { code: "doctor.not_gathered", message: expect.stringContaining("longer than 10 s") } });
    expect(clock.monotonic()).toBeLessThanOrEqual(12_000);
    expect([...disk.snapshot().keys()]).toEqual([]);
  });

  test("does not take a file that is there already for its own", async () => {
    const disk = new MemoryFileSystem({ directories: ["/s"], files: new Map([["/s/.doctor-7", new Uint8Array([1])]]) });
    const { sync } = await gatherDisk({ clock: new FakeClock(), files: disk, processId: 7 }, "/s");
    expect(sync).toMatchObject({ ok: false, error: { code: "file.exists" } });
    expect([...disk.snapshot()]).toEqual([["/s/.doctor-7", new Uint8Array([1])]]);
  });

  test("is not made where there is no state directory", async () => {
    const disk = new MemoryFileSystem();
    expect(await gatherDisk({ clock: new FakeClock(), files: disk, processId: 7 }, "/s")).toMatchObject({ isPresent: false });
    expect(disk.changes).toEqual([]);
  });
});

describe("files", () => {
  test("are those the config names, and the journal's newest segment", () => {
    const disk = new MemoryFileSystem({
      directories: ["/var/lib/steward", "/var/lib/steward/journal"],
      files: new Map([1, 40].map((sequence) => [`/var/lib/steward/journal/${String(sequence).padStart(16, "0")}.journal`, new Uint8Array()])),
    });
    const looked = gatherFiles(disk, { config: CONFIG, origins: new Map(), file: undefined, fingerprint: "" });
    expect(looked.map(({ purpose, path }) => [purpose, path])).toEqual([
      ["token", "/etc/steward/token"],
      ["tokenDirectory", "/etc/steward"],
      ["stateDirectory", "/var/lib/steward"],
      ["journalDirectory", "/var/lib/steward/journal"],
      ["journalSegment", "/var/lib/steward/journal/0000000000000040.journal"],
      ["socket", "/run/steward/agent.sock"],
      ["desiredDirectory", "/etc/steward/desired"],
    ]);
  });
});

describe("the journal", () => {
  const golden = join(import.meta.dir, "../journal/golden/format-1.journal");

  test("is verified, and its newest record's time is read, without a change", () => {
    const directory = join(temporaryDirectory(), "journal");
    mkdirSync(directory);
    writeFileSync(join(directory, "0000000000000001.journal"), readFileSync(golden));
    const { verified, newestRecordMs } = gatherJournal(createFileSystem(), directory);
    expect(verified).toMatchObject({ ok: true, value: { outcome: "intact" } });
    const times = [...readFileSync(golden, "utf8").matchAll(/"(?:at|changedAt)":"([^"]+)"/g)].map(([, text]) => Date.parse(text ?? ""));
    expect(newestRecordMs).toBe(Math.max(...times));
    expect(readdirSync(directory)).toEqual(["0000000000000001.journal"]);
  });

  test("that is not there has no newest record", () => {
    expect(gatherJournal(createFileSystem(), join(temporaryDirectory(), "none"))).toMatchObject({ verified: { ok: false }, newestRecordMs: undefined });
  });
});
