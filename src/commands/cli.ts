import { Command, CommanderError } from "commander";
import { COMMIT, VERSION } from "../version.ts";
import { DEFAULT_CONFIG_FILE, EXIT, isJson, json, settingFlags, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { addDemoCommand } from "./demo.ts";
import { addJournalCommands } from "./journal.ts";
import { addOperateCommands } from "./operate.ts";
import { addPlanCommand } from "./plan.ts";
import { addRunCommand } from "./run.ts";
import { addSimulateCommand } from "./simulate.ts";
import { addStatusCommand } from "./status.ts";

/** Runs one command line and gives its exit code. Never ends the process. */
export async function runCommandLine(words: readonly string[], context: CommandContext): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.done;
  const program = createProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...words], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
  return exitCode;
}

function createProgram(context: CommandContext, finish: (code: ExitCode) => void): Command {
  const program = new Command("agent")
    .description("Keeps the guests of a Proxmox VE host the way they were declared.")
    .option("--config <file>", `the agent's settings (default: ${DEFAULT_CONFIG_FILE})`)
    .option("--no-color", "no colours (NO_COLOR does the same)")
    .showHelpAfterError('("agent --help" lists the commands)')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ writeOut: (text) => context.print(text), writeErr: (text) => context.complain(text) });
  for (const { flag, description } of settingFlags()) program.addOption(program.createOption(flag, description).hideHelp());
  addRunCommand(program, context, finish);
  addPlanCommand(program, context, finish);
  addStatusCommand(program, context, finish);
  addOperateCommands(program, context, finish);
  addJournalCommands(program, context, finish);
  addSimulateCommand(program, context, finish);
  addDemoCommand(program, context, finish);
  withOutput(program.command("version"))
    .description("version and commit of this binary")
    .action((_options, command: Command) => {
      context.print(isJson(command) ? json({ version: VERSION, commit: COMMIT }) : `steward ${VERSION} (${COMMIT})\n`);
      finish(EXIT.done);
    });
  // Sub-commands copy their parent's settings when they are made; these must hold everywhere.
  for (const command of allCommands(program)) checkOutput(command.exitOverride(), context);
  return program;
}

function allCommands(command: Command): readonly Command[] {
  return command.commands.flatMap((child) => [child, ...allCommands(child)]);
}

/** `-o` takes text or json and nothing else; a typo must not print text into somebody's pipe. */
function checkOutput(command: Command, context: CommandContext): void {
  command.configureOutput({ writeOut: (text) => context.print(text), writeErr: (text) => context.complain(text) });
  command.hook("preAction", (_this, action) => {
    const { output } = action.opts<{ output?: string }>();
    if (output !== undefined && output !== "text" && output !== "json") action.error(`agent: expected text or json after --output, found "${output}"`);
  });
}
