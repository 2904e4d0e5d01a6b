import type { Command } from "commander";
import { Agent, type AgentOptions } from "../agent.ts";
import type { LoadedConfig } from "../config/load.ts";
import { onceAnswer, statusAnswer } from "../control/answers.ts";
import { askAgentFor } from "../control/client.ts";
import type { OnceReport } from "../control/report.ts";
import { describeDesired } from "../parts.ts";
import { ok, type Result } from "../ports/errors.ts";
import { serveAgent } from "../serve.ts";
import { complainAbout, EXIT, isJson, json, loadFor, settingFlags, untilAborted, withDefaultsHint, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { VERSION } from "../version.ts";
import { alignColumns } from "./table.ts";

/** How long a running agent is given for a whole `run --once`. */
const ONCE_TIMEOUT_MS = 24 * 3_600_000;

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
  const asked = await askAgentFor(config.socket, "/v1/run-once", { schema: onceAnswer, version: VERSION }, {}, ONCE_TIMEOUT_MS);
  if (asked.ok) return printReport(context, command, asked.value);
  if (asked.error.code !== "control.unreachable") return complainAbout(context, asked.error);
  const opened = await Agent.open(onceOptions(context, config, command));
  if (!opened.ok) return complainAbout(context, opened.error);
  const agent = opened.value;
  const stopped = untilAborted(context.interrupted).then(() => agent.stop());
  const progress = progressLine(context, agent);
  const report = await Promise.race([agent.runOnce(progress.tick), stopped]);
  progress.clear();
  if (report === undefined) return EXIT.error;
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

/** "42 guests left …" on a terminal, so that a long pass is seen to move. */
function progressLine(context: CommandContext, agent: Agent): { tick: () => void; clear: () => void } {
  if (!context.isTerminal) return { tick: () => {}, clear: () => {} };
  let shown = -1;
  return {
    tick: () => {
      const left = agent.lanes.activeLanes();
      if (left === shown) return;
      shown = left;
      context.complain(`\r\u001b[K${left} guest${left === 1 ? "" : "s"} left …`);
    },
    clear: () => {
      if (shown >= 0) context.complain("\r\u001b[K");
    },
  };
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

