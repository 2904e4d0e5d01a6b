import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { compareReports } from "../../src/bench/compare.ts";
import { renderBench } from "../../src/bench/render.ts";
import { parseReport, REPORT_HEAD, reportSchema, type BenchReport, type ReportFigure } from "../../src/bench/report.ts";
import { BANDS, judge } from "../../src/bench/verdict.ts";

const PLACE: BenchReport["place"] = {
  directory: "/var/lib/steward", mountPoint: "/", fileSystem: "ext4", source: "/dev/sda2", disks: [{ name: "sda", model: "SAMSUNG MZ7LH960", isRotational: false, writeCache: "write back" }],
};

function figure(name: string, value: number, more: Partial<ReportFigure> = {}): ReportFigure {
  return { name, group: "disk", unit: "syncs/s", better: "higher", value, min: value * 0.9, max: value * 1.1, p50Ms: 1_000 / value, p99Ms: 2_000 / value, rounds: 3, ...more };
}

function report(figures: readonly ReportFigure[], more: Partial<BenchReport> = {}): BenchReport {
  return {
    ...REPORT_HEAD, at: "2026-01-01T00:00:00.000Z", isQuick: false, steward: { version: "0.1.0", commit: "abc" },
    machine: { product: "Dell Inc. PowerEdge", cpu: "Xeon", cores: 16, memoryMib: 65_536, architecture: "x64", kernel: "6.14.8-2-pve", bun: "1.4.5" },
    place: PLACE, journalFile: "growing", figures, failures: [], verdict: null, ...more,
  };
}

const PAGE = readFileSync(join(import.meta.dir, "../../docs/performance.md"), "utf8");

describe("the verdict", () => {
  const rows = [
    [7_123, "fine", "This disk syncs 7,100 times a second: fine; expect an act of the agent to wait 0.4 ms"],
    [1_000, "fine", "1,000 times"],
    [999, "usable", "999 times a second: usable; like a consumer SSD without power-loss protection"],
    [210, "usable", "210 times a second: usable; like a consumer SSD without power-loss protection, or a spinning disk behind a cache; expect an act of the agent to wait 14 ms"],
    [199, "slow", "slow; like a spinning disk"],
    [50, "slow", "wait 60 ms"],
    [49, "very_slow", "very slow"],
    [0.4, "very_slow", "wait 7.5 s"],
    [300_000, "not_a_disk", "more than a disk can do"],
  ] as const;
  for (const [rate, band, words] of rows) {
    test(`${rate} syncs a second: ${band}`, () => {
      const raw = figure("disk, growing file", rate);
      const verdict = judge(raw, PLACE);
      expect(verdict).toMatchObject({ band, syncsPerSecond: Math.round(rate) });
      expect(renderBench(report([raw], { verdict })).toLowerCase()).toContain(words.toLowerCase());
      if (band !== "fine" && band !== "usable") expect(verdict.advice.length).toBeGreaterThan(0);
    });
  }

  test("of memory is that it is no disk, however fast", () => {
    for (const rate of [5, 500, 500_000]) expect(judge(figure("d", rate), { ...PLACE, fileSystem: "tmpfs" })).toMatchObject({ band: "not_a_disk", message: expect.stringContaining("nothing there survives a restart") });
  });

  test("names a hitch, and only one that is there", () => {
    const advice = (p50Ms: number, p99Ms: number): readonly string[] => judge(figure("d", 5_000, { p50Ms, p99Ms }), PLACE).advice;
    expect(advice(0.2, 45)).toEqual([expect.stringContaining("one sync in a hundred takes 45 ms or longer")]);
    expect(advice(0.2, 5)).toEqual([]);
    expect(advice(10, 40)).toEqual([]);
  });

  test("never gets better as the disk gets slower", () => {
    const order = ["not_a_disk", ...BANDS.filter((band) => band !== "not_a_disk")];
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 1e6, noNaN: true }), fc.double({ min: 0.01, max: 1e6, noNaN: true }), (one, other) => {
        const bandOf = (rate: number): number => order.indexOf(judge(figure("d", rate), PLACE).band);
        expect(bandOf(Math.max(one, other))).toBeLessThanOrEqual(bandOf(Math.min(one, other)));
      }),
    );
  });

  test("has its bands in docs/performance.md", () => {
    const table = PAGE.slice(PAGE.indexOf("### The verdict"), PAGE.indexOf("### Exit codes"));
    for (const band of BANDS) {
      expect([band, table.includes(`| ${band.replaceAll("_", " ")} |`)]).toEqual([band, true]);
      expect(PAGE).toContain(`\`${band}\``);
    }
    for (const line of ["| 1,000 and more |", "| 200 to 1,000 |", "| 50 to 200 |", "more than 250,000"]) expect(table).toContain(line);
  });
});

describe("the JSON", () => {
  test("is read back as it was", () => {
    const whole = report([figure("disk, growing file", 100, { p50Ms: null, p99Ms: null })], { verdict: judge(figure("d", 100), PLACE), failures: [{ name: "x", message: "y" }] });
    expect(parseReport(JSON.stringify(whole), "f")).toEqual({ ok: true, value: whole });
  });

  const wrong = [
    ["no JSON", "{", "f: expected what \"agent bench --json\" printed, found no JSON"],
    ["something else", "[]", "found something else"],
    ["a status", `{"format":"steward-status","version":1}`, "found something else"],
    ["a later version", JSON.stringify({ ...report([]), version: 2 }), "f: expected version 1 of the report, found 2"],
    ["a figure that is no number", JSON.stringify(report([figure("a", 1)])).replace(`"rounds":3`, `"rounds":"3"`), "at figures.0.rounds"],
    ["a figure below zero", JSON.stringify(report([figure("a", 1)])).replace(`"rounds":3`, `"rounds":-3`), "at figures.0.rounds"],
  ] as const;
  for (const [what, content, message] of wrong) {
    test(`that is ${what} is refused with what was expected`, () => {
      expect(parseReport(content, "f")).toMatchObject({ ok: false, error: { code: "command.usage", message: expect.stringContaining(message) } });
    });
  }

  test("of a later agent may have more keys", () => {
    expect(parseReport(JSON.stringify({ ...report([]), more: 1 }), "f").ok).toBe(true);
  });

  test("has every key in docs/performance.md", () => {
    const table = PAGE.slice(PAGE.indexOf("### Exit codes and the JSON"), PAGE.indexOf("## Against others"));
    const { machine, place, steward } = reportSchema.entries;
    const figureKeys = Object.keys(figure("a", 1));
    const keys = [reportSchema, machine, place, steward].flatMap(({ entries }) => Object.keys(entries)).concat(figureKeys, "band", "syncsPerSecond", "message", "advice", "isWithinSpread", "isRotational", "writeCache");
    for (const key of keys) expect([key, table.includes(`\`${key}\``)]).toEqual([key, true]);
  });
});

describe("a comparison", () => {
  test("says above 1 for better, whichever way a figure counts", () => {
    const before = report([figure("up", 100), figure("down", 100, { better: "lower" })]);
    const now = report([figure("up", 300), figure("down", 25, { better: "lower" })]);
    expect(compareReports(before, now).figures).toEqual([
      { name: "up", before: 100, now: 300, ratio: 3, isWithinSpread: false },
      { name: "down", before: 100, now: 25, ratio: 4, isWithinSpread: false },
    ]);
  });

  test("with itself shows no difference, and turned round the ratios are the inverse ones", () => {
    const figures = fc.array(fc.record({ value: fc.double({ min: 0.01, max: 1e6, noNaN: true }), better: fc.constantFrom("higher" as const, "lower" as const) }), { maxLength: 8 });
    fc.assert(
      fc.property(figures, figures, (left, right) => {
        const [one, other] = [left, right].map((list) => report(list.map(({ value, better }, index) => figure(`f${index}${better}`, value, { better }))));
        if (one === undefined || other === undefined) throw new Error("two lists give two reports");
        expect(compareReports(one, one)).toMatchObject({ differences: [] });
        expect(compareReports(one, one).figures.every(({ ratio, isWithinSpread }) => ratio === 1 && isWithinSpread)).toBe(true);
        const [there, back] = [compareReports(one, other).figures, compareReports(other, one).figures];
        expect(there.map(({ name }) => name)).toEqual(back.map(({ name }) => name));
        for (const [index, { ratio, isWithinSpread }] of there.entries()) {
          expect(ratio * (back[index]?.ratio ?? 0)).toBeCloseTo(1, 6);
          expect(back[index]?.isWithinSpread).toBe(isWithinSpread);
        }
      }),
    );
  });

  const { machine } = report([]);
  const conditions: readonly (readonly [string, Partial<BenchReport>])[] = [
    ["machine: Dell Inc. PowerEdge then, unknown now", { machine: { ...machine, product: null } }],
    ["processor: Xeon then, EPYC now", { machine: { ...machine, cpu: "EPYC" } }],
    ["cores: 16 then, 8 now", { machine: { ...machine, cores: 8 } }],
    ["kernel: 6.14.8-2-pve then, 7.0.0 now", { machine: { ...machine, kernel: "7.0.0" } }],
    ["file system: ext4 then, zfs now", { place: { ...PLACE, fileSystem: "zfs" } }],
    ["disk: SAMSUNG MZ7LH960 then, sda (rotational) now", { place: { ...PLACE, disks: [{ name: "sda", model: null, isRotational: true, writeCache: null }] } }],
    ["kind of journal file: growing then, filled now", { journalFile: "filled" }],
    ["duration: full then, --quick now", { isQuick: true }],
  ];
  for (const [line, more] of conditions) {
    test(`warns of ${line.split(":")[0] ?? ""}`, () => {
      const comparison = compareReports(report([figure("a", 1)]), report([figure("a", 1)], more));
      expect(comparison.differences).toEqual([line]);
      expect(renderBench(report([], { comparison }))).toContain(`read with care:\n    ${line}\n`);
    });
  }

  test("does not warn of what a filtered run did not look at, and leaves out what only one has measured", () => {
    const comparison = compareReports(report([figure("a", 1)]), report([figure("b", 1)], { journalFile: null }));
    expect(comparison).toMatchObject({ differences: [], figures: [] });
    expect(renderBench(report([], { comparison }))).toContain("nothing was measured in both");
  });
});

test("a report for a person has a header, groups, failures, and the verdict last", () => {
  const raw = figure("disk, growing file", 7_123);
  const journal = figure("journal, 1 appender", 6_500, { group: "journal", unit: "records/s" });
  const text = renderBench(report([raw, journal, figure("codec, x", 0.9, { group: "codec", unit: "µs/record", better: "lower", p50Ms: null, p99Ms: null, rounds: 1 })], { verdict: judge(raw, PLACE), failures: [{ name: "lanes", message: "broken" }] }));
  expect(text.split("\n")).toEqual([
    "steward       0.1.0 (abc), 2026-01-01T00:00:00.000Z",
    "machine       Dell Inc. PowerEdge, Xeon, 16 cores, x64, 64 GiB",
    "kernel        6.14.8-2-pve, bun 1.4.5",
    "directory     /var/lib/steward, ext4 from /dev/sda2 on /",
    "disk          sda SAMSUNG MZ7LH960, no rotation, write back",
    "journal file  growing",
    "",
    "Disk: write + fdatasync of one record in a loop, which no journal can beat",
    "  disk, growing file       7,123 syncs/s    p50 0.140 ms  p99 0.281 ms  6,411 to 7,835",
    "",
    "Journal: records appended and durable",
    "  journal, 1 appender       6,500 records/s  p50 0.154 ms  p99 0.308 ms  5,850 to 7,150",
    "",
    "Journal records, without the disk",
    "  codec, x       0.900 µs/record",
    "",
    "failed",
    "  lanes: broken",
    "",
    "This disk syncs 7,100 times a second: fine; expect an act of the agent to wait 0.4 ms for it in all.",
    "The journal, alone, reaches 0.91 of that.",
    "",
  ]);
});
