import { describe, expect, test } from "bun:test";
import { failureOf, runCampaign, summaryOf } from "./campaign.ts";
import { FOUND } from "./found.ts";
import { simulate } from "./simulation.ts";

/**
 * Everything from one seed: clock, disk, Proxmox, network, the order of what is due, and people. What is
 * simulated and what must hold is in docs/simulation.md; more seeds: `bun run simulate-campaign`.
 */

const SEEDS = 220;
const STEPS = 2_000;
/** So that a seed of CI is none that was looked at by hand. */
const FROM = 1;
/** Runs a part of the seeds each: a failure names its part, and no single test takes long. */
const PART = 20;
const TIMEOUT_MS = 60_000;
/** Kinds of faults; a change that loses one would make the simulation kinder without a word. */
const FAULT_KINDS = 37;

describe("the simulation", () => {
  test.each([...FOUND])("seed $seed: $found", async ({ seed, steps }) => {
    expect((await simulate({ seed, steps })).violations).toEqual([]);
  }, TIMEOUT_MS);

  const totals: Awaited<ReturnType<typeof runCampaign>>[] = [];

  test.each(Array.from({ length: SEEDS / PART }, (_, part) => [FROM + part * PART]))("holds from seed %d on", async (from) => {
    const report = await runCampaign({ from, seeds: PART, steps: STEPS });
    totals.push(report);
    expect(report.failed.map((failed) => failureOf(failed, STEPS))).toEqual([]);
  }, TIMEOUT_MS);

  test("injects faults of every kind", () => {
    const total = totals.reduce((all, one) => ({
      ...one, seeds: all.seeds + one.seeds, acts: all.acts + one.acts, crashes: all.crashes + one.crashes, virtualHours: all.virtualHours + one.virtualHours,
      slowestNoticeMs: Math.max(all.slowestNoticeMs, one.slowestNoticeMs), failed: [...all.failed, ...one.failed],
      faults: Object.fromEntries([...new Set([...Object.keys(all.faults), ...Object.keys(one.faults)])].map((kind) => [kind, countOf(all.faults, kind) + countOf(one.faults, kind)])),
    }));
    console.log(summaryOf(total));
    expect(Object.keys(total.faults).length).toBe(FAULT_KINDS);
    expect(total.acts).toBeGreaterThan(SEEDS * 5);
  });

  test("gives the identical log for the same seed", async () => {
    for (const seed of [11, 12, 13]) {
      const [first, second] = [await simulate({ seed, steps: STEPS }), await simulate({ seed, steps: STEPS })];
      expect(second).toEqual(first);
    }
    expect((await simulate({ seed: 11, steps: STEPS })).hash).not.toBe((await simulate({ seed: 12, steps: STEPS })).hash);
  });
});

function countOf(counts: Readonly<Record<string, number>>, kind: string): number {
  return counts[kind] ?? 0;
}
