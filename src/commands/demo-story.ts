import type { Command } from "commander";
import type { AgentConfig } from "../config/types.ts";
import { readRecords } from "../journal/inspect.ts";
import type { PlanStyle } from "../plan/render-style.ts";
import type { RunningSimulator } from "../simulator/main.ts";
import type { Started } from "../serve.ts";
import { EXIT, type CommandContext, type ExitCode } from "./context.ts";
import { recordCells, Subjects } from "./journal-text.ts";
import { alignColumns } from "./table.ts";

/** Longest wait for one chapter; a converged guest takes a second or two. */
const CHAPTER_TIMEOUT_MS = 45_000;

/** How often the story looks whether a chapter is over. */
const LOOK_INTERVAL_MS = 50;

/** Journal records shown at the end. */
const RECORDS_SHOWN = 12;

/** Between two chapters, for those who read along. */
const READABLE_PAUSE_MS = 300;

export interface StoryParts extends Started {
  readonly context: CommandContext;
  readonly command: Command;
  readonly config: AgentConfig;
  readonly simulator: RunningSimulator;
  readonly style: PlanStyle;
}

/** A story under way. */
interface Story extends StoryParts {
  /** Operations that an earlier chapter has told. */
  readonly toldActs: Set<string>;
}

/** Plays the demo: converge, break, mend, show. Standard error says which chapter failed, if one did. */
export async function tellStory(told: StoryParts): Promise<ExitCode> {
  const parts: Story = { ...told, toldActs: new Set() };
  const { agent, simulator, healthUrl } = parts;
  say(parts, "\n2. The agent starts and keeps them that way.");
  if (!(await chapter(parts, "the first convergence", () => isConverged(parts)))) return EXIT.error;
  showActs(parts, "   What it did:");
  say(parts, "   web has its four cores at the next restart: nothing is ever restarted without being told to.");
  show(parts, agent.tracker.guest(101).filter((condition) => condition.type === "RestartPending").map((condition) => [`qemu/101 ${condition.type}`, condition.message]));

  say(parts, "\n3. Somebody edits the proxy's tags and description at night, and pulls the plug of the database.");
  await simulator.node.edit({ vmid: 100, set: { tags: "oops", description: "who was here?" } });
  await simulator.node.edit({ vmid: 102, power: "stop" });
  const brokenAtMs = parts.context.world.clock.monotonic();
  if (!(await chapter(parts, "mending", () => isMended(parts)))) return EXIT.error;
  const seconds = ((parts.context.world.clock.monotonic() - brokenAtMs) / 1000).toFixed(1);
  showActs(parts, `   Mended after ${seconds} s:`);

  say(parts, "\n4. What monitoring sees:");
  const health = await fetch(`${healthUrl}/healthz?verbose`);
  show(parts, [[`GET ${healthUrl}/healthz → ${health.status}`], ...(await health.text()).trimEnd().split("\n").map((line) => [line])]);

  say(parts, "\n5. What the journal says: every intent is on disk before the act, every outcome after it.");
  showJournal(parts);
  say(parts, "\nThat was the whole loop: declare, find, mend, prove. Next: docs/operating.md puts it on a real host.");
  return health.status === 200 ? EXIT.done : EXIT.error;
}

function showActs(parts: Story, title: string): void {
  say(parts, title);
  const operations = parts.agent.operations().filter((operation) => !parts.toldActs.has(operation.id));
  for (const { id } of operations) parts.toldActs.add(id);
  show(parts, operations.map((operation) => [`${operation.guest.kind}/${operation.guest.vmid}`, operation.action, describe(operation.params), operation.state]));
}

function describe(params: Readonly<Record<string, unknown>>): string {
  const set = params["set"];
  if (typeof set !== "object" || set === null) return "";
  return Object.entries(set).map(([key, value]) => `${key}=${String(value).replace(/\n[^]*/, "…")}`).join(" ");
}

function showJournal(parts: StoryParts): void {
  const rows: (readonly string[])[] = [];
  const subjects = new Subjects();
  for (const { record, sequence, isSnapshot } of readRecords(parts.context.world.fileSystem, `${parts.config.stateDir}/journal`)) {
    const subject = subjects.of(record);
    if (isSnapshot) continue;
    const [at = "", about = "", id = "", what = "", detail = ""] = recordCells(record, subject?.guest);
    rows.push([String(sequence), at.slice(11, 23), about, id.slice(-6), what, detail.slice(0, 90)]);
  }
  show(parts, rows.slice(-RECORDS_SHOWN));
  const head = parts.agent.journal.head();
  say(parts, `   head of the chain: ${head.hash} (record ${head.sequence}); "agent journal verify" proves it`);
}

function isConverged({ agent }: StoryParts): boolean {
  const guests = agent.engine.guests();
  return guests.length === 6 && guests.every((view) => view.result === "in_sync" || view.result === "acted");
}

function isMended(parts: Story): boolean {
  const done = parts.agent.operations().filter((operation) => !parts.toldActs.has(operation.id) && operation.state === "succeeded");
  const isAbout = (vmid: number): boolean => done.some((operation) => operation.guest.vmid === vmid);
  return isAbout(100) && isAbout(102) && isConverged(parts);
}

/** Waits until `isOver`; says what hangs when it does not come. */
async function chapter(parts: StoryParts, name: string, isOver: () => boolean): Promise<boolean> {
  const { clock } = parts.context.world;
  const deadlineMs = clock.monotonic() + CHAPTER_TIMEOUT_MS;
  while (!isOver()) {
    if (clock.monotonic() >= deadlineMs || parts.context.interrupted.aborted) {
      const left = parts.agent.engine.guests().map((view) => `${view.guest.vmid} ${view.result} ${view.message}`);
      parts.context.complain(`agent: the demo did not get past ${name}: ${left.join("; ")}\n`);
      return false;
    }
    await clock.sleep(LOOK_INTERVAL_MS);
  }
  await clock.sleep(READABLE_PAUSE_MS);
  return true;
}

function say({ context, style }: StoryParts, text: string): void {
  context.print(`${/^\n?\d\./.test(text) ? style.guest(text) : text}\n`);
}

function show({ context }: StoryParts, rows: readonly (readonly string[])[]): void {
  for (const line of alignColumns(rows, "     ")) context.print(`${line}\n`);
}
