import type { Command } from "commander";
import { Agent, type AgentOptions } from "../agent.ts";
import type { LoadedConfig } from "../config/load.ts";
import { changeAnswer, onceAnswer, statusAnswer } from "../control/answers.ts";
import { askAgentFor } from "../control/client.ts";
import type { OnceReport } from "../control/report.ts";
import { describeDesired } from "../parts.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import { serveAgent } from "../serve.ts";
import { complainAbout, EXIT, isJson, json, loadFor, settingFlags, untilAborted, withDefaultsHint, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { VERSION } from "../version.ts";
import { alignColumns } from "./table.ts";

/** How long a running agent is given for a whole `run --once`. */
const ONCE_TIMEOUT_MS = 24 * 3_600_000;

/** How often a terminal is told how far a pass is, and how often a file or a mail. */
const TERMINAL_PROGRESS_MS = 250;
const PROGRESS_MS = 10_000;

/** An agent that does not tell how far it is is not waited for. */
const PROGRESS_ANSWER_TIMEOUT_MS = 1_000;

/** `agent run`: the daemon; `--once`: one full reconcile, by the running agent when there is one. */
export function addRunCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  withOutput(program.command("run"))
    .description("keep the guests as declared (the daemon); --once: one full reconcile, then exit")
    .option("--once", "one full reconcile, then exit")
    .addHelpText("after", () => `\nEvery setting is an option too (docs/configuration.md):\n${alignColumns(settingFlags().map(({ flag, description }) => [flag, description]), "  ").join("\n")}`)
    .addHelpText("after", "\nExit codes with --once: 0 nothing left · 1 error · 2 something held or deferred remains · 4 the journal is corrupt · 5 another agent holds the lock")
    .action(async (options: { once?: boolean }, command: Command) => {
      const loaded = loadFor(context, command);
      if (!loaded.ok) return finish(complainAbout(context, loaded.error));
      finish(options.once === true ? withDefaultsHint(context, loaded.value, await runOnce(context, command, loaded.value)) : await serveAgent(context, loaded.value, () => loadFor(context, command)));
    });
}

async function runOnce(context: CommandContext, command: Command, { config }: LoadedConfig): Promise<ExitCode> {
  const difference = await differenceFromRunning(config);
  if (!difference.ok) return complainAbout(context, difference.error);
  if (difference.value !== undefined) {
    const message = `an agent runs here, and "run --once" would have it act by its own settings: ${difference.value}; leave that setting out, stop the agent first, or use "agent plan"`;
    return complainAbout(context, { code: "control.refused", message });
  }
  const ask = (): Promise<Result<OnceReport>> => askAgentFor(config.socket, "/v1/run-once", { schema: onceAnswer, version: VERSION }, {}, ONCE_TIMEOUT_MS);
  const interrupted = untilAborted(context.interrupted).then(() => fault("reconcile.held", "interrupted; the running agent goes on with what it does"));
  const asked = await withProgress(context, () => guestsAtWork(config.socket), () => Promise.race([ask(), interrupted]));
  if (asked.ok) return printReport(context, command, asked.value);
  if (asked.error.code !== "control.unreachable") return complainAbout(context, asked.error);
  const opened = await Agent.open(onceOptions(context, config, command));
  if (!opened.ok) return complainAbout(context, opened.error);
  const agent = opened.value;
  const stopped = untilAborted(context.interrupted).then(() => agent.stop());
  const report = await withProgress(context, () => agent.lanes.activeLanes(), () => Promise.race([agent.runOnce(), stopped]));
  if (report === undefined || context.interrupted.aborted) {
    await stopped;
    // The report does not know of what is still under way: it would say less than was sent.
    context.complain('agent: interrupted; what was sent is in the journal ("agent journal ls"), and what has no outcome yet gets one at the next run\n');
    return EXIT.error;
  }
  await agent.stop();
  return printReport(context, command, report);
}

/** What this command asks for and the running agent does otherwise; undefined when nothing, or when none runs. */
async function differenceFromRunning(config: LoadedConfig["config"]): Promise<Result<string | undefined>> {
  const asked = await askAgentFor(config.socket, "/v1/status", { schema: statusAnswer, version: VERSION });
  if (!asked.ok) return asked.error.code === "control.unreachable" ? ok(undefined) : asked;
  const { agent } = asked.value;
  const pairs: readonly (readonly [string, string, string])[] = [
    ["node", config.node, agent.node],
    ["proxmox.url", config.proxmox.url, agent.proxmoxUrl],
    ["desired", describeDesired(config.desired), agent.desired],
    // A dry run must not act; the other way round the agent just does less than was asked.
    ["dryRun", String(config.dryRun), String(config.dryRun && agent.isDryRun)],
  ];
  const [name, own, running] = pairs.find(([, here, there]) => here !== there) ?? [];
  return ok(name === undefined ? undefined : `${name} is ${own} in this command and ${running} in the agent`);
}

/** An agent for one command: nothing is counted, and a new config is read only when asked. */
export function onceOptions(context: CommandContext, config: LoadedConfig["config"], command: Command): AgentOptions {
  const nothing = (): void => {};
  return {
    config,
    reload: () => loadFor(context, command),
    world: context.world,
    processId: context.processId,
    observer: { reconciled: nothing, acted: nothing, resynced: nothing, cycled: nothing, requested: nothing, synced: nothing, waited: nothing },
  };
}

/** Says on standard error that it moves, as long as `work` takes; quick work says nothing. */
async function withProgress<T>(context: CommandContext, guestsLeft: () => Promise<number | undefined> | number, work: () => Promise<T>): Promise<T> {
  const over = new AbortController();
  const telling = tellProgress(context, guestsLeft, over.signal);
  try {
    return await work();
  } finally {
    over.abort();
    await telling;
  }
}

/** On a terminal one line that is drawn over; into a file or a mail a line now and then. */
async function tellProgress(context: CommandContext, guestsLeft: () => Promise<number | undefined> | number, over: AbortSignal): Promise<void> {
  const { clock } = context.world;
  const sinceMs = clock.monotonic();
  let shown = "";
  for (;;) {
    await clock.sleep(context.isTerminal ? TERMINAL_PROGRESS_MS : PROGRESS_MS, over);
    if (over.aborted) break;
    const left = await guestsLeft();
    const seconds = Math.round((clock.monotonic() - sinceMs) / 1000);
    const text = left === undefined || left === 0 ? `looking at the host, ${seconds} s …` : `${left} guest${left === 1 ? "" : "s"} at work, ${seconds} s …`;
    if (over.aborted || text === shown) continue;
    shown = text;
    context.complain(context.isTerminal ? `\r\u001b[K${text}` : `agent: ${text}\n`);
  }
  if (shown !== "" && context.isTerminal) context.complain("\r\u001b[K");
}

/** Of a running agent; undefined when it does not tell. */
async function guestsAtWork(socket: string): Promise<number | undefined> {
  const asked = await askAgentFor(socket, "/v1/change", { schema: changeAnswer, version: VERSION }, undefined, PROGRESS_ANSWER_TIMEOUT_MS);
  return asked.ok ? asked.value.activeGuests : undefined;
}

function printReport(context: CommandContext, command: Command, report: OnceReport): ExitCode {
  if (isJson(command)) context.print(json(report));
  else context.print(textOf(report));
  for (const problem of report.problems) context.complain(`agent: ${problem}\n`);
  return report.exitCode;
}

function textOf(report: OnceReport): string {
  const acts = alignColumns(report.actions.map((act) => [`${act.kind}/${act.vmid}`, act.action, act.outcome, act.keys.join(", ")]));
  const left = alignColumns(report.remaining.map((guest) => [`${guest.kind}/${guest.vmid}`, guest.result, guest.message]), "  ");
  const count = report.actions.length;
  return [
    ...acts,
    count === 0 ? "Nothing was sent." : `${count} act${count === 1 ? "" : "s"}.`,
    ...(left.length === 0 ? [] : ["Remaining:", ...left]),
    "",
  ].join("\n");
}

