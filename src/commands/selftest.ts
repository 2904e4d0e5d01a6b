import type { Command } from "commander";
import type { LoadedConfig } from "../config/load.ts";
import { selftestAnswer } from "../control/answers.ts";
import { askAgentFor } from "../control/client.ts";
import type { Result } from "../ports/errors.ts";
import type { SelftestReport } from "../reconcile/selftest.ts";
import { VERSION } from "../version.ts";
import { complainAbout, EXIT, isJson, json, loadFor, parseVmid, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { withOwnAgent } from "./own-agent.ts";
import { alignColumns } from "./table.ts";

/** Added to what the settings allow the test itself: the wait for its lane behind an act of minutes, and half a minute of refused restores. */
const SELFTEST_MARGIN_MS = 10 * 60_000;

/** Two writes with a task each, an open act of earlier before them, and requests between; then nobody answers any more. */
function answerTimeoutMs({ taskTimeoutMs, proxmox }: LoadedConfig["config"]): number {
  return 2 * taskTimeoutMs + 10 * proxmox.requestTimeoutMs + SELFTEST_MARGIN_MS;
}

interface SelftestOptions {
  readonly vmid: string;
  readonly yes?: boolean;
}

/** `agent selftest task`: a round trip on a live guest, by the running agent when there is one. */
export function addSelftestCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  const selftest = program.command("selftest").description("tries the agent on the real thing");
  withOutput(selftest.command("task"))
    .description("write a description to a guest, wait, read it back, compare, put the old one back")
    .requiredOption("--vmid <vmid>", "the guest to test with; any that nobody edits right now")
    .option("--yes", "do not ask first")
    .addHelpText("after", "\nExit codes: 0 passed · 1 failed, refused or not wanted · 5 another agent holds the lock · 64 no terminal to ask on and no --yes")
    .action(async (options: SelftestOptions, command: Command) => finish(await runTask(context, command, options)));
}

async function runTask(context: CommandContext, command: Command, options: SelftestOptions): Promise<ExitCode> {
  const vmid = parseVmid(options.vmid);
  if (vmid === undefined) return complainAbout(context, { code: "command.usage", message: `expected a VMID (100 to 999999999) after --vmid, found "${options.vmid}"` });
  const loaded = loadFor(context, command);
  if (!loaded.ok) return complainAbout(context, loaded.error);
  const isMachine = isJson(command);
  const said = announcement(vmid, loaded.value.config.node);
  if (isMachine) context.complain(said);
  else context.print(said);
  if (options.yes !== true) {
    const isWanted = await context.confirm?.("Go on? [y/N] ");
    if (isWanted === undefined) return complainAbout(context, { code: "command.usage", message: "expected --yes, found no terminal to ask on; nothing was sent" });
    if (!isWanted) return complainAbout(context, { code: "control.refused", message: "not wanted; nothing was sent" });
  }
  const tested = await test(context, command, loaded.value, vmid);
  if (!tested.ok) return complainAbout(context, tested.error);
  context.print(isMachine ? json(tested.value) : textOf(tested.value));
  return tested.value.isPassed ? EXIT.done : EXIT.error;
}

function announcement(vmid: number, node: string): string {
  return [
    `Guest ${vmid} of node ${node} gets one more line in its description. That is read back and compared, then the old description is put back.`,
    "Nothing else is changed. If this is interrupted, the next selftest of the guest or the running agent puts it back: the journal keeps it.",
    "",
  ].join("\n");
}

async function test(context: CommandContext, command: Command, { config }: LoadedConfig, vmid: number): Promise<Result<SelftestReport>> {
  const asked = await askAgentFor(config.socket, "/v1/selftest", { schema: selftestAnswer, version: VERSION }, { vmid }, answerTimeoutMs(config));
  if (asked.ok || asked.error.code !== "control.unreachable") return asked;
  // Interrupted, the test hurries to put things back.
  return withOwnAgent(context, command, config, (agent) => agent.selftest(vmid));
}

function textOf(report: SelftestReport): string {
  const rows = report.steps.map(({ step, isOk, milliseconds, detail }) => [isOk ? "ok" : "FAILED", `${milliseconds} ms`, step, detail]);
  const restored = report.isRestored ? "the description is as it was" : "the old description is NOT back yet";
  const name = report.name === "" ? "" : ` (${report.name})`;
  return [...alignColumns(rows, "  "), `${report.isPassed ? "Passed" : "Failed"}: ${report.kind}/${report.vmid}${name}; ${restored}.`, ""].join("\n");
}
