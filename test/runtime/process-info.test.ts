import { describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readProcessSample } from "../../src/runtime/process-info.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const STAT = "4711 (age nt) x) S 1 4711 4711 0 -1 4194560 5000 0 10 0 1234 566 0 0 20 0 8 0 9900 1073741824 12345 18446744073709551615 0 0";
const STATUS = "Name:\tage nt) x\nVmPeak:\t 2000000 kB\nVmSize:\t 1048576 kB\nVmRSS:\t   49380 kB\n";
const LIMITS = "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n";
const MACHINE = "cpu  1 2 3\nbtime 1700000000\nprocesses 5\n";

/** A /proc with these files. */
function procWith(files: Readonly<Record<string, string>> = {}): string {
  const proc = temporaryDirectory();
  mkdirSync(join(proc, "self", "fd"), { recursive: true });
  for (const fd of ["0", "1", "2"]) writeFileSync(join(proc, "self", "fd", fd), "");
  const texts = { "self/stat": STAT, "self/status": STATUS, "self/limits": LIMITS, stat: MACHINE, ...files };
  for (const [path, text] of Object.entries(texts)) writeFileSync(join(proc, path), text);
  return proc;
}

describe("what /proc says about this process", () => {
  test("is read in base units, whatever the command is called", () => {
    expect(readProcessSample(procWith())).toEqual({
      cpuSeconds: 18,
      residentBytes: 49_380 * 1024,
      virtualBytes: 1_048_576 * 1024,
      openFds: 3,
      maxFds: 1024,
      startTimeSeconds: 1_700_000_099,
    });
  });

  test("no limit of open files is infinity", () => {
    expect(readProcessSample(procWith({ "self/limits": LIMITS.replace("1024 ", "unlimited ") }))?.maxFds).toBe(Infinity);
  });

  for (const [file, text] of [["self/stat", "nonsense"], ["self/stat", ""], ["self/status", "Name: x\n"], ["self/limits", ""], ["stat", "cpu 1 2 3\n"]] as const) {
    test(`a ${file} of ${JSON.stringify(text)} gives nothing rather than something wrong`, () => {
      expect(readProcessSample(procWith({ [file]: text }))).toBeUndefined();
    });
  }

  test("a /proc that is not there gives nothing", () => {
    const proc = procWith();
    rmSync(join(proc, "self"), { recursive: true });
    expect(readProcessSample(proc)).toBeUndefined();
  });

  test("the real one is plausible", () => {
    const sample = readProcessSample();
    if (sample === undefined) throw new Error("this machine has no /proc");
    expect(sample.residentBytes).toBeGreaterThan(1_000_000);
    expect(sample.virtualBytes).toBeGreaterThanOrEqual(sample.residentBytes);
    expect(sample.openFds).toBeGreaterThan(2);
    expect(sample.maxFds).toBeGreaterThanOrEqual(sample.openFds);
    expect(sample.cpuSeconds).toBeLessThan(3_600);
    const ageSeconds = Date.now() / 1000 - sample.startTimeSeconds;
    expect(ageSeconds).toBeGreaterThan(-2);
    expect(ageSeconds).toBeLessThan(3_600);
  });
});
