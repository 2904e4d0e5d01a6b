import { expect, setDefaultTimeout, test } from "bun:test";
import { runKillCampaign } from "./kill-campaign.ts";

/** The short campaign; `bun run kill-campaign` has the long one (scripts/kill-campaign.ts). */

setDefaultTimeout(180_000);

test("20 kills under load, answers lost and writes applied late: it converges, repeats nothing that must not be, and names what it cannot know", async () => {
  const seed = Number(process.env["STEWARD_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`kill campaign: STEWARD_TEST_SEED=${seed}`);
  const report = await runKillCampaign({ kills: 20, seed });
  console.log(`kill campaign: ${JSON.stringify(report)}`);
  expect(report.requests).toBeGreaterThan(10);
  expect(report.operations).toBeGreaterThanOrEqual(report.requests);
  expect(report.acknowledged).toBeGreaterThan(0);
});
