import { expect, test } from "bun:test";
import { runCampaign } from "./crash-campaign.ts";

// A longer run: STEWARD_CRASH_STATES=60 bun test test/journal/crash.test.ts
const STATES_PER_PREFIX = Number(process.env["STEWARD_CRASH_STATES"] ?? 20);
const SEED = Number(process.env["STEWARD_CRASH_SEED"] ?? 20_260_101);

test("no crash loses what was acknowledged or invents what was not submitted", async () => {
  const report = await runCampaign({ seed: SEED, rounds: 40, statesPerPrefix: STATES_PER_PREFIX });
  process.stdout.write(`crash states: ${report.states}, recoveries: ${report.recoveries}, seed ${SEED}\n`);
  expect(report.violations.slice(0, 5)).toEqual([]);
  expect(report.states).toBeGreaterThan(3_000);
}, 60_000);

for (const lies of ["dataSync", "syncDirectory"] as const) {
  test(`a canary: a disk whose ${lies} does nothing is caught`, async () => {
    const report = await runCampaign({ seed: SEED, rounds: 40, statesPerPrefix: STATES_PER_PREFIX, lies, isCanary: true });
    expect(report.violations[0]).toMatch(/acknowledged|lost|corrupt/);
  }, 60_000);
}
