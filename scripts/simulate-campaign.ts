import { failureOf, runCampaign, summaryOf } from "../test/simulation/campaign.ts";
import { simulate } from "../test/simulation/simulation.ts";

/**
 * The deterministic simulation over many seeds:
 *
 *   bun run simulate-campaign [--seeds N] [--steps M] [--from S] [--trace]
 *
 * A failing seed is printed with the command that shows it again; `--trace` prints all that happens.
 * Ends with 1 when a seed failed. What is simulated and checked: docs/simulation.md.
 */

const DEFAULTS = { seeds: 2_000, steps: 2_000, from: 1 } as const;
/** Seeds between two lines that say how far it is. */
const PROGRESS_EVERY = 100;

function numberOf(name: keyof typeof DEFAULTS): number {
  const at = process.argv.indexOf(`--${name}`);
  const value = at === -1 ? DEFAULTS[name] : Number(process.argv[at + 1]);
  if (!Number.isInteger(value) || value < 0) throw new Error(`expected --${name} and a whole number, found "${process.argv[at + 1]}"`);
  return value;
}

const options = { from: numberOf("from"), seeds: numberOf("seeds"), steps: numberOf("steps") };
if (process.argv.includes("--trace")) {
  for (let seed = options.from; seed < options.from + options.seeds; seed++) {
    const { violations, hash } = await simulate({ seed, steps: options.steps, trace: (line) => console.log(line) });
    console.log(`seed ${seed}: ${violations.length === 0 ? "no violation" : violations.join("\n")}\nlog ${hash}`);
    if (violations.length > 0) process.exitCode = 1;
  }
} else {
  let done = 0;
  const report = await runCampaign({
    ...options,
    onSeed: (seed) => {
      if (seed.violations.length > 0) console.log(failureOf(seed, options.steps));
      if (++done % PROGRESS_EVERY === 0) console.log(`${done} of ${options.seeds} seeds`);
    },
  });
  console.log(summaryOf(report));
  process.exitCode = report.failed.length === 0 ? 0 : 1;
}
