import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chartsOf } from "../../bench/charts.ts";
import { drawChart } from "../../bench/chart.ts";
import { contest, ratioTo, type KeptResults, type Table } from "../../bench/contest.ts";
import { renderPage } from "../../bench/page.ts";
import { markdownOf, resultLines } from "../../bench/tables.ts";
import { readResults } from "../../scripts/bench.ts";

setDefaultTimeout(30_000);

const ROOT = join(import.meta.dir, "../..");
const figure = (value: number) => ({ value, min: value, max: value, p50Ms: 1, p99Ms: 2, rounds: 5 });

const TABLE: Table = {
  title: "Things", ours: "mine", unit: "things/s", better: "higher",
  rows: [
    { contender: "mine", setting: "1 appender", ...figure(100) }, { contender: "theirs", setting: "1 appender", ...figure(400) },
    { contender: "mine", setting: "8 appenders", ...figure(100) }, { contender: "theirs", setting: "8 appenders", ...figure(4) },
  ],
};
const RESULTS: KeptResults = {
  version: 1, isQuick: false, name: "journal", title: "Journal", tables: [TABLE], notes: ["A note."], fileSystem: "ext4", disks: [],
  goals: [{ goal: "quick", found: "2 ×", isMet: true }, { goal: "quicker", found: "1 ×", isMet: false }],
  machine: { product: null, cpu: "EPYC", cores: 2, memoryMib: 2048, architecture: "x64", kernel: "6.1", bun: "1.4.5" },
};

describe("ratios", () => {
  test("are above 1 where ours is better, whichever way the figure counts", () => {
    expect(TABLE.rows.map((row) => ratioTo(TABLE, row))).toEqual([1, 0.25, 1, 25]);
    expect(TABLE.rows.map((row) => ratioTo({ ...TABLE, better: "lower" }, row))).toEqual([1, 4, 1, 0.04]);
  });

  test("below 1 stand out on the page, and missed goals too", () => {
    expect(markdownOf(RESULTS)).toContain("| theirs | 400 (**0.25×**) | 4.00 (25×) |");
    expect(markdownOf(RESULTS)).toContain("| **mine** | 100 | 100 |");
    expect(markdownOf(RESULTS)).toContain("| quicker | 1 × | **missed** |");
    expect(markdownOf({ ...RESULTS, isQuick: true })).toContain("quick run");
    expect(resultLines(RESULTS).join("\n")).toContain("goal: quicker: 1 ×, MISSED");
  });

  test("of a contender that fails are not made up", async () => {
    const failing = contest("one", [{ name: "bad", sample: () => Promise.reject(new Error("broken")) }]);
    expect(await failing.catch((error: Error) => error.message)).toBe("bad, one: broken");
  });

  test("are of at least five rounds", async () => {
    expect(await contest("one", [{ name: "a", sample: async () => ({ value: 1 }) }])).toMatchObject([{ contender: "a", setting: "one", rounds: 5 }]);
  });
});

describe("the page", () => {
  const page = "top\n<!-- journal: generated -->\nold\n<!-- end of journal -->\nmiddle\n<!-- plan: generated -->\n<!-- end of plan -->\n";

  test("gets new generated parts, keeps the rest, and what has no results yet", () => {
    const rendered = renderPage(page, [RESULTS]);
    expect(rendered).toStartWith("top\n<!-- journal: generated -->\n\n| goal");
    expect(rendered).not.toContain("old");
    expect(rendered).toEndWith("\n<!-- end of journal -->\nmiddle\n<!-- plan: generated -->\n<!-- end of plan -->\n");
    expect(renderPage(rendered, [RESULTS])).toBe(rendered);
  });

  test("and the charts are those of the results that are committed: bun scripts/bench.ts --page", () => {
    const results = readResults();
    expect(results.map(({ name }) => name)).toEqual(["codec", "events", "journal-open", "journal", "lanes", "normalize", "plan", "schedule"]);
    const text = readFileSync(join(ROOT, "docs/performance.md"), "utf8");
    expect(renderPage(text, results)).toBe(text);
    const charts = chartsOf(results);
    expect([...charts.keys()]).toEqual(["journal-throughput.svg", "journal-p99.svg"]);
    for (const [name, svg] of charts) expect(readFileSync(join(ROOT, "docs/img", name), "utf8")).toBe(svg);
  });

  test("and the results say nothing of whose machine it was", () => {
    for (const results of readResults()) {
      const text = JSON.stringify(results);
      expect(text).not.toMatch(/"(?:\/|[a-z]+:\/\/)|directory|mountPoint|hostname/);
      expect(results.machine.kernel ?? "").toMatch(/^[\d.]*$/);
    }
  });
});

describe("a chart", () => {
  const chart = { title: "a < b & c", unit: "ms", across: "appenders", series: [{ name: "<mine>", isOurs: true, points: [{ x: 1, y: 0.01 }, { x: 512, y: 900 }] }, { name: "flat", isOurs: false, points: [{ x: 1, y: 5 }, { x: 512, y: 5 }] }] };

  test("is well formed, readable on dark and on light, and stays inside its card", () => {
    const svg = drawChart(chart);
    expect(svg).toContain("prefers-color-scheme: dark");
    expect(svg).toContain("a &lt; b &amp; c");
    expect(svg).not.toContain("NaN");
    const [, , width = 0, height = 0] = (/viewBox="([^"]+)"/.exec(svg)?.[1] ?? "").split(" ").map(Number);
    for (const [, axis, at] of svg.matchAll(/ (c?[xy])[12]?="([\d.-]+)"/g)) {
      const limit = axis?.endsWith("x") === true ? width : height;
      expect([axis, Number(at) >= 0 && Number(at) <= limit]).toEqual([axis, true]);
    }
    const names = (pattern: RegExp): string => [...svg.matchAll(pattern)].map(([, name = ""]) => name).toSorted((left, right) => left.localeCompare(right)).join(" ");
    expect(names(/<([a-z]+)(?:\s[^>]*[^/>])?>/g)).toBe(names(/<\/([a-z]+)>/g));
  });

  test("of one point is drawn, too", () => {
    expect(drawChart({ ...chart, series: [{ name: "one", isOurs: true, points: [{ x: 1, y: 10 }] }] })).not.toMatch(/NaN|Infinity/);
  });
});

describe("bun run bench", () => {
  const run = async (...words: string[]) => {
    const child = Bun.spawn([process.execPath, "scripts/bench.ts", ...words], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return { code: await child.exited, stdout, stderr };
  };

  test.concurrent("runs on when a benchmark throws, and exits with 1; a quick run writes nothing", async () => {
    const before = readFileSync(join(ROOT, "bench/results/codec.json"), "utf8");
    const { code, stdout, stderr } = await run("--quick", "--dir", "/nowhere", "journal-open", "codec");
    expect(code).toBe(1);
    expect(stdout).toContain("goal: encode + check + chain at most 3 µs a record");
    expect(stderr).toContain("cannot write in /nowhere");
    expect(readFileSync(join(ROOT, "bench/results/codec.json"), "utf8")).toBe(before);
  });

  test.concurrent("that finds no such benchmark lists them", async () => {
    expect(await run("nothing")).toMatchObject({ code: 64, stderr: expect.stringContaining("there are codec, events, journal, journal-open, lanes, normalize, plan, schedule") });
  });
});
