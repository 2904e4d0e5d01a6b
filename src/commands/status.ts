import type { Command } from "commander";
import { statusAnswer } from "../control/answers.ts";
import { askAgentFor } from "../control/client.ts";
import { VERSION } from "../version.ts";
import { complainAbout, EXIT, isJson, json, loadFor, styleFor, withDefaultsHint, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { renderStatus } from "./status-text.ts";
import { watchStatus } from "./status-watch.ts";

interface StatusOptions {
  readonly watch?: boolean;
  readonly all?: boolean;
}

/** `agent status`: conditions of the running agent. */
export function addStatusCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  withOutput(program.command("status"))
    .description("how the running agent, the host and each guest stand")
    .option("-w, --watch", "stay, and show every change until Ctrl-C; one line an event where the output is no terminal")
    .option("-a, --all", "list guests that are in sync, too, however many they are")
    .action(async (options: StatusOptions, command: Command) => finish(await showStatus(context, command, options)));
}

async function showStatus(context: CommandContext, command: Command, { watch, all }: StatusOptions): Promise<ExitCode> {
  const loaded = loadFor(context, command);
  if (!loaded.ok) return complainAbout(context, loaded.error);
  const { socket } = loaded.value.config;
  if (watch === true) return watchStatus(context, socket, { style: styleFor(context, command), isJson: isJson(command) });
  const asked = await askAgentFor(socket, "/v1/status", { schema: statusAnswer, version: VERSION });
  if (!asked.ok) return withDefaultsHint(context, loaded.value, complainAbout(context, asked.error));
  context.print(isJson(command) ? json(asked.value) : renderStatus(asked.value, styleFor(context, command), all === true));
  return EXIT.done;
}
