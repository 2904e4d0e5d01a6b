import { describe, expect, test } from "bun:test";
import { runCampaign } from "./campaign.ts";
import { CANARIES } from "./canaries.ts";

/** A check that finds no planted bug finds no real one either. */

/** The rarest needs a lost answer, and an early second act right behind it. */
const SEEDS_MAX = 100;
const STEPS = 2_000;
const TIMEOUT_MS = 60_000;

describe("the simulation catches", () => {
  test.each([...CANARIES])("$name", async ({ name, plant, caughtBy }) => {
    const report = await runCampaign({ from: 1, seeds: SEEDS_MAX, steps: STEPS, plant, until: caughtBy });
    const violation = report.failed.flatMap(({ violations }) => violations).find((found) => caughtBy.test(found)) ?? "nothing";
    console.log(`canary: ${name}: caught by seed ${report.seeds}: ${violation}`);
    expect(violation).toMatch(caughtBy);
  }, TIMEOUT_MS);
});
