/**
 * Runs the benchmarks of bench/ against their rivals: all of them, or those whose name contains an
 * argument. A full run writes bench/results/, the charts in docs/img/ and the generated parts of
 * docs/performance.md; a --quick one only prints, unless --write is given. --page draws anew from the
 * results that are there. --dir DIR is where the disk is measured (default: here; /tmp is memory on
 * many systems). A benchmark that throws is reported and makes the exit code 1; the others run on. A
 * goal that is missed is said and changes no exit code.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chartsOf } from "../bench/charts.ts";
import type { BenchSettings, KeptResults, Results } from "../bench/contest.ts";
import { renderPage } from "../bench/page.ts";
import { resultLines } from "../bench/tables.ts";
import { describeMachine, describePlace } from "../src/bench/machine.ts";
import { describeDisk, machineText } from "../src/bench/render.ts";
import { SYSTEM_FILES } from "../src/bench/system-files.ts";

const ROOT = join(import.meta.dir, "..");
const DIRECTORY = join(ROOT, "bench");
const RESULTS = join(DIRECTORY, "results");
const IMAGES = join(ROOT, "docs/img");
const PAGE = join(ROOT, "docs/performance.md");
const ENDING = ".bench.ts";

/** Results of earlier runs, by name. */
export function readResults(directory: string = RESULTS): readonly KeptResults[] {
  const names = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".json")).sort() : [];
  return names.map((name): KeptResults => JSON.parse(readFileSync(join(directory, name), "utf8")));
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: "boolean" }, write: { type: "boolean" }, page: { type: "boolean" }, dir: { type: "string" } },
  });
  if (values.page === true) {
    drawPage();
    return 0;
  }
  const names = readdirSync(DIRECTORY).filter((name) => name.endsWith(ENDING)).map((name) => name.slice(0, -ENDING.length)).sort();
  const chosen = names.filter((name) => positionals.length === 0 || positionals.some((filter) => name.includes(filter)));
  if (chosen.length === 0) {
    console.error(`expected a benchmark whose name contains ${positionals.join(" or ")}; there are ${names.join(", ")}`);
    return 64;
  }
  // In order, so that what was written to measure the disk is removed.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));
  const isQuick = values.quick === true;
  const settings: BenchSettings = { isQuick, directory: values.dir ?? ROOT, print: (line) => console.log(`  ${line}`) };
  return runAll(chosen, settings, !isQuick || values.write === true);
}

async function runAll(names: readonly string[], settings: BenchSettings, isKept: boolean): Promise<number> {
  const { kernel, ...machine } = describeMachine(SYSTEM_FILES, process.arch, Bun.version);
  const { fileSystem, disks } = describePlace(SYSTEM_FILES, settings.directory);
  console.log(`${machineText({ kernel, ...machine })}; ${fileSystem ?? "unknown file system"} on ${disks.map(describeDisk).join(" + ")}`);
  let failures = 0;
  for (const name of names) {
    const results = await runOne(name, settings);
    if (results === undefined) failures += 1;
    else if (isKept) keep({ version: 1, isQuick: settings.isQuick, machine: { ...machine, kernel: kernelVersion(kernel) }, fileSystem, disks, ...results });
  }
  if (isKept) drawPage();
  return failures === 0 ? 0 : 1;
}

/** Without what whoever built it has appended: that tells where it runs, and nothing about speed. */
function kernelVersion(release: string | null): string | null {
  return /^\d+(?:\.\d+)*/.exec(release ?? "")?.[0] ?? null;
}

async function runOne(name: string, settings: BenchSettings): Promise<Results | undefined> {
  console.log(`── ${name}`);
  try {
    const benchmark: { run(settings: BenchSettings): Promise<Results> } = await import(join(DIRECTORY, `${name}${ENDING}`));
    const results = await benchmark.run(settings);
    for (const line of resultLines(results)) console.log(line);
    return results;
  } catch (error) {
    console.error(error);
    return undefined;
  }
}

/** What is measured has four digits worth keeping; more would only make the next difference hard to read. */
function keep(results: KeptResults): void {
  mkdirSync(RESULTS, { recursive: true });
  const text = JSON.stringify(results, (_key, value: unknown) => (typeof value === "number" ? Number(value.toPrecision(4)) : value), 2);
  writeFileSync(join(RESULTS, `${results.name}.json`), `${text}\n`);
}

function drawPage(): void {
  const results = readResults();
  for (const [name, svg] of chartsOf(results)) writeFileSync(join(IMAGES, name), svg);
  if (existsSync(PAGE)) writeFileSync(PAGE, renderPage(readFileSync(PAGE, "utf8"), results));
}

if (import.meta.main) process.exitCode = await main();
