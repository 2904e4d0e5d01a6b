import { parseArgs } from "node:util";
import { runKillCampaign } from "../test/e2e/kill-campaign.ts";

/**
 * SIGKILL of the real program at random moments under load, many times:
 *
 *   bun scripts/kill-campaign.ts [--kills N] [--seed S]
 *
 * Prints the seed, how far it is, and what was found; ends with 1 when something is wrong. What happens
 * and what is checked: test/e2e/kill-campaign.ts and kill-audit.ts. Needs a fresh dist/agent.
 */

const KILLS = 200;

const { values } = parseArgs({ options: { kills: { type: "string", default: String(KILLS) }, seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) } } });
const [kills, seed] = [Number(values.kills), Number(values.seed)];
if (!Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed)) throw new Error(`expected whole numbers after --kills and --seed, found "${values.kills}" and "${values.seed}"`);
console.log(`kill campaign: ${kills} kills, seed ${seed}; again: bun scripts/kill-campaign.ts --kills ${kills} --seed ${seed}`);
const startedMs = performance.now();
const say = (line: string): void => console.log(`${((performance.now() - startedMs) / 1000).toFixed(0).padStart(5)} s  ${line}`);
const report = await runKillCampaign({ kills, seed, say });
const states = Object.entries(report.states).map(([state, count]) => `${count} ${state}`).join(", ");
console.log(`${report.kills} kills: ${report.requests} requests for changes, each with an operation begun before it and none with two; ${report.operations} operations (${states}); ${report.acknowledged} outcomes told, all in the journal; ${report.keys} restarts by key, none twice; ${report.unknown.length} unknown, each named`);
