import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runBench, type BenchOptions } from "../../src/bench/bench.ts";
import { FIELD_SAMPLES, isDrift } from "../../src/bench/field-samples.ts";
import { parseReport } from "../../src/bench/report.ts";
import { benchmarks } from "../../src/bench/suite.ts";
import { planInputOf, syntheticHost } from "../../src/bench/synthetic-host.ts";
import { SYSTEM_FILES } from "../../src/bench/system-files.ts";
import { planGuest } from "../../src/plan/plan-guest.ts";
import { fault } from "../../src/ports/errors.ts";
import type { FileSystem } from "../../src/ports/file-system.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { SystemRandom } from "../../src/runtime/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** Real benchmarks on the real disk, each for a moment only: what they come to is nobody's business here. */
const LIMIT = { enoughMs: 60_000, latestMs: 60_000 };
const MOMENT = { disk: { durationMs: 4, rounds: 2, limit: LIMIT }, processor: { durationMs: 1, rounds: 1, limit: LIMIT } };

interface Wish {
  readonly directory?: string;
  readonly filter?: string;
  readonly fileSystem?: Partial<FileSystem>;
  readonly mounts?: string;
  readonly interrupted?: AbortSignal;
  readonly onProgress?: (line: string) => void;
}

function options({ directory = temporaryDirectory(), filter, fileSystem = {}, mounts, interrupted, onProgress }: Wish): BenchOptions {
  return {
    world: { clock: new SystemClock(), random: new SystemRandom(), fileSystem: { ...createFileSystem(), ...fileSystem } },
    systemFiles: { ...SYSTEM_FILES, read: (path) => (mounts !== undefined && path === "/proc/self/mountinfo" ? mounts : SYSTEM_FILES.read(path)) },
    architecture: "x64", steward: { version: "1.2.3", commit: "abc" }, directory, isQuick: true, pace: MOMENT,
    ...(filter === undefined ? {} : { filter }),
    interrupted: interrupted ?? new AbortController().signal,
    onProgress: onProgress ?? (() => {}),
  };
}

/** Opening for writing fails for whatever this says yes to. */
function withoutSpace(isHit: (path: string) => boolean): Partial<FileSystem> {
  const real = createFileSystem();
  return { open: (path, how, mode) => (isHit(path) && how !== "read" ? fault("file.no_space", `cannot open ${path}: no space left`) : real.open(path, how, mode)) };
}

describe("a whole run", () => {
  test("measures everything, in a form that is read back, and leaves nothing behind", async () => {
    const directory = temporaryDirectory();
    const measured = await runBench(options({ directory }));
    if (!measured.ok) throw new Error(measured.error.message);
    const report = measured.value;
    expect(report.failures).toEqual([]);
    expect(report.figures.map(({ name }) => name)).toEqual(benchmarks().map(({ name }) => name));
    for (const { name, value, min, max } of report.figures) expect([name, value > 0 && min <= value && value <= max]).toEqual([name, true]);
    for (const { name, group, p99Ms } of report.figures) expect([name, p99Ms !== null]).toEqual([name, group === "disk" || group === "journal"]);
    expect(["growing", "filled"]).toContain(report.journalFile ?? "none");
    expect(report.verdict?.syncsPerSecond).toBe(Math.round(report.figures.find(({ name }) => name === `disk, ${report.journalFile ?? ""} file`)?.value ?? 0));
    expect(parseReport(JSON.stringify(report), "report")).toEqual({ ok: true, value: report });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe("one that is filtered", () => {
  test("measures what has the words in its name, in any case, and needs no disk where none is measured", async () => {
    const measured = await runBench(options({ directory: "/nowhere", filter: "CODEC" }));
    expect(measured).toMatchObject({ ok: true, value: { verdict: null, journalFile: null, failures: [] } });
    expect(measured.ok && measured.value.figures.map(({ group }) => group)).toEqual(["codec", "codec"]);
  });

  test("down to nothing is a usage error that lists the names", async () => {
    const refused = await runBench(options({ filter: "nothing" }));
    if (refused.ok) throw new Error("something was measured");
    const { code, message } = refused.error;
    expect(code).toBe("command.usage");
    expect(message).toContain(`found "nothing"`);
    for (const { name } of benchmarks()) expect(message.split("\n")).toContain(`  ${name}`);
  });

  test("to one kind of file judges by that", async () => {
    const measured = await runBench(options({ filter: "disk, filled" }));
    expect(measured).toMatchObject({ ok: true, value: { journalFile: null, figures: [{ name: "disk, filled file" }], verdict: { message: expect.any(String) } } });
  });
});

describe("a place that cannot be measured", () => {
  test("because it is not there", async () => {
    expect(await runBench(options({ directory: "/nowhere/at/all", filter: "disk" }))).toMatchObject({ ok: false, error: { message: "expected a directory to measure in, found nothing at /nowhere/at/all: make it, or name another with --dir" } });
  });

  test("because it is a file", async () => {
    const file = join(temporaryDirectory(), "file");
    writeFileSync(file, "");
    expect(await runBench(options({ directory: file, filter: "disk" }))).toMatchObject({ ok: false, error: { message: `expected a directory to measure in, found a file at ${file}: name the directory it is in with --dir` } });
  });

  test("because it is full", async () => {
    const refused = await runBench(options({ filter: "journal", fileSystem: { freeBytes: () => ({ ok: true, value: 5_000_000 }) } }));
    expect(refused).toMatchObject({ ok: false, error: { code: "file.no_space", message: expect.stringMatching(/has 4 MiB free, and measuring takes up to 128 for a while: make room/) } });
  });

  test("because nobody may write there", async () => {
    const refused = await runBench(options({ directory: "/sys/kernel", filter: "disk", fileSystem: { freeBytes: () => ({ ok: true, value: 1e12 }) } }));
    expect(refused).toMatchObject({ ok: false, error: { message: expect.stringMatching(/^cannot write in \/sys\/kernel \(.*--dir$/) } });
  });

  test("because it is Proxmox's cluster file system", async () => {
    const directory = temporaryDirectory();
    const real = SYSTEM_FILES.realPath(directory) ?? directory;
    mkdirSync(join(directory, "pve"));
    // What is mounted at /etc/pve counts, not what the path is called.
    const measured = (mountPoint: string) => runBench(options({ directory, filter: "disk", mounts: `1 1 0:1 / ${mountPoint} rw - fuse /dev/fuse rw` }));
    expect((await measured(real)).ok).toBe(true);
    expect(await runBench(options({ directory: "/etc/pve", filter: "disk", mounts: "1 1 0:1 / /etc/pve rw - fuse /dev/fuse rw", fileSystem: { status: () => createFileSystem().status(directory) } }))).toMatchObject({
      ok: false, error: { message: expect.stringContaining("Proxmox's cluster file system") },
    });
    expect(readdirSync(directory)).toEqual(["pve"]);
  });
});

describe("trouble on the way", () => {
  test("fails the benchmark it hits, is reported, and the others run", async () => {
    const directory = temporaryDirectory();
    const measured = await runBench(options({ directory, filter: "r", fileSystem: withoutSpace((path) => path.includes("/journal/")) }));
    if (!measured.ok) throw new Error(measured.error.message);
    const { failures, figures } = measured.value;
    expect(failures.map(({ name }) => name)).toEqual(["journal, 1 appender", "journal, 8 appenders", "journal, 64 appenders", "journal, 512 appenders"]);
    expect(failures[0]?.message).toContain("no space");
    expect(figures.map(({ group }) => group)).toContain("normalize");
    expect(figures.map(({ group }) => group)).not.toContain("journal");
    expect(readdirSync(directory)).toEqual([]);
  });

  test("is cleaned up after: an interrupt", async () => {
    const directory = temporaryDirectory();
    const interrupt = new AbortController();
    const seen: string[] = [];
    const onProgress = (line: string): void => {
      if (!line.includes("journal, round")) return;
      seen.push(...readdirSync(directory));
      interrupt.abort();
    };
    const measured = await runBench(options({ directory, interrupted: interrupt.signal, onProgress }));
    expect(measured).toMatchObject({ ok: false, error: { code: "command.interrupted" } });
    expect(seen).toEqual([expect.stringMatching(/^\.steward-bench-/)]);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("is cleaned up after: a mistake in the program", async () => {
    const directory = temporaryDirectory();
    const broken = runBench(options({ directory, filter: "disk", onProgress: () => { throw new Error("a mistake"); } }));
    expect(await broken.catch((error: Error) => error.message)).toBe("a mistake");
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe("what is measured with", () => {
  test("are fields that do not drift", () => {
    expect(FIELD_SAMPLES.filter(isDrift)).toEqual([]);
  });

  test("are guests of which one in twenty differs, in its cores", () => {
    const plans = syntheticHost(100).map((guest) => planGuest(planInputOf(guest)));
    const changing = plans.filter(({ actions }) => actions.length > 0);
    expect(changing).toHaveLength(5);
    expect(JSON.stringify(changing[0]?.actions)).toContain(`"cores"`);
  });
});
