import { expect, test } from "bun:test";
import { runCampaign, type CampaignReport } from "./crash-campaign.ts";
import type { Effort } from "./crash-states.ts";

/**
 * CI tries a sample. STEWARD_CRASH_EFFORT=long, as `bun run journal-campaign` sets it, cuts the newest write at
 * every byte with every filler, and crashes more recoveries. STEWARD_CRASH_SEED repeats a run.
 */
const IS_LONG = process.env["STEWARD_CRASH_EFFORT"] === "long";
const SEED = Number(process.env["STEWARD_CRASH_SEED"] ?? 20_260_101);
const EFFORT: Effort = { exhaustiveUpTo: IS_LONG ? 10 : 6, samples: IS_LONG ? 64 : 12, cutsOfLast: IS_LONG ? "every" : 64, cutsOfOthers: 8 };
const ROUNDS = 40;
const TIMEOUT_MS = IS_LONG ? 3_600_000 : 110_000;

function run(more: Partial<Parameters<typeof runCampaign>[0]> = {}): Promise<CampaignReport> {
  return runCampaign({ seed: SEED, rounds: ROUNDS, effort: EFFORT, crashedRecoveries: IS_LONG ? 0.2 : 0.1, ...more });
}

test("no crash loses what was acknowledged or invents what was not submitted", async () => {
  const report = await run();
  const { states, recoveries, appends, rotations, compactions } = report;
  process.stdout.write(`crash states: ${states}, recoveries: ${recoveries}, of ${appends} appends, ${rotations} rotations, ${compactions} compaction, 1 repair; seed ${SEED}\n`);
  expect(report.violations.slice(0, 5)).toEqual([]);
  expect(states).toBeGreaterThanOrEqual(15_000);
  expect(appends).toBeGreaterThanOrEqual(100);
  expect(rotations - compactions).toBeGreaterThanOrEqual(2);
  expect(compactions).toBe(1);
}, TIMEOUT_MS);

for (const [bug, lies] of [["acknowledges before the disk has synced", "dataSync"], ["leaves out the directory's sync", "syncDirectory"], ["appends behind a torn tail without cutting it off", "truncate"]] as const) {
  test(`a canary: a journal that ${bug} is caught`, async () => {
    const report = await run({ lies, isCanary: true });
    process.stdout.write(`canary (${lies}): caught after ${report.states} crash states, seed ${SEED}\n`);
    expect(report.violations[0]).toMatch(/acknowledged|lost|corrupt|not intact/);
  }, TIMEOUT_MS);
}
