/**
 * Runs the benchmarks of bench/, one after the other: all of them, or those whose name contains an
 * argument. Each `*.bench.ts` exports `run(): Promise<void>`, compares with a rival in the same run
 * and prints ratios. A benchmark that throws is reported and makes the exit code 1; the others run on.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";

const DIRECTORY = join(import.meta.dir, "../bench");
const ENDING = ".bench.ts";

async function main(filters: readonly string[]): Promise<number> {
  const names = readdirSync(DIRECTORY).filter((name) => name.endsWith(ENDING)).sort();
  const chosen = names.filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)));
  if (chosen.length === 0) {
    console.error(`expected a benchmark whose name contains ${filters.join(" or ")}; there are ${names.join(", ")}`);
    return 64;
  }
  let failures = 0;
  for (const name of chosen) if (!(await runOne(name))) failures++;
  return failures === 0 ? 0 : 1;
}

async function runOne(name: string): Promise<boolean> {
  console.log(`── ${name.slice(0, -ENDING.length)}`);
  try {
    const benchmark: { run(): Promise<void> } = await import(join(DIRECTORY, name));
    await benchmark.run();
    return true;
  } catch (error) {
    console.error(error);
    return false;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
