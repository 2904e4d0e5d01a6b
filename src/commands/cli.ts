import { Command, CommanderError } from "commander";
import { nearestName } from "../document/nearest.ts";
import { COMMIT, VERSION } from "../version.ts";
import { DEFAULT_CONFIG_FILE, EXIT, isJson, json, settingFlags, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { addBenchCommand } from "./bench.ts";
import { addDemoCommand } from "./demo.ts";
import { addImportCommand } from "./import.ts";
import { addDoctorCommand } from "./doctor.ts";
import { addInstallCommands } from "./install.ts";
import { addJournalCommands } from "./journal.ts";
import { addOperateCommands } from "./operate.ts";
import { addPlanCommand } from "./plan.ts";
import { addRestartCommand } from "./restart.ts";
import { addRunCommand } from "./run.ts";
import { addSchemaCommand } from "./schema.ts";
import { addSelftestCommand } from "./selftest.ts";
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
    .version(VERSION_TEXT, "-V, --version", "version and commit of this binary")
    .showHelpAfterError('("agent --help" lists the commands)')
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput(outputOf(context));
  for (const { flag, description } of settingFlags()) program.addOption(program.createOption(flag, description).hideHelp());
  addRunCommand(program, context, finish);
  addPlanCommand(program, context, finish);
  addStatusCommand(program, context, finish);
  addImportCommand(program, context, finish);
  addOperateCommands(program, context, finish);
  addRestartCommand(program, context, finish);
  addJournalCommands(program, context, finish);
  addDoctorCommand(program, context, finish);
  addInstallCommands(program, context, finish);
  addSchemaCommand(program, context, finish);
  addSelftestCommand(program, context, finish);
  addBenchCommand(program, context, finish);
  addSimulateCommand(program, context, finish);
  addDemoCommand(program, context, finish);
  withOutput(program.command("version"))
    .description("version and commit of this binary")
    .action((_options, command: Command) => {
      context.print(isJson(command) ? json({ version: VERSION, commit: COMMIT }) : `${VERSION_TEXT}\n`);
      finish(EXIT.done);
    });
  // Sub-commands copy their parent's settings when they are made; these must hold everywhere.
  for (const command of allCommands(program)) checkOutput(command.exitOverride(), context);
  return program;
}

const VERSION_TEXT = `steward ${VERSION} (${COMMIT})`;

/** Where commander writes to. Its errors begin as all others do, and know the settings' flags, which its help does not list. */
function outputOf(context: CommandContext) {
  return {
    writeOut: (text: string) => context.print(text),
    writeErr: (text: string) => context.complain(text),
    outputError: (text: string, write: (text: string) => void) => write(withSettingSuggestion(text).replace(/^error: /, "agent: ")),
  };
}

function withSettingSuggestion(text: string): string {
  const unknown = /^error: unknown option '(--[^'=]+)[^']*'\s*$/.exec(text)?.[1];
  const nearest = unknown === undefined ? undefined : nearestName(unknown, settingFlags().map(({ flag }) => flag.split(" ")[0] ?? ""));
  return nearest === undefined ? text : `${text.trimEnd()}\n(Did you mean ${nearest}?)\n`;
}

function allCommands(command: Command): readonly Command[] {
  return command.commands.flatMap((child) => [child, ...allCommands(child)]);
}

/** `-o` takes text or json and nothing else, where a command does not say otherwise; a typo must not print text into somebody's pipe. */
function checkOutput(command: Command, context: CommandContext): void {
  command.configureOutput(outputOf(context));
  command.hook("preAction", (_this, action) => {
    const { output } = action.opts<{ output?: string }>();
    if (action.options.some(({ long, argChoices }) => long === "--output" && argChoices !== undefined)) return;
    if (output !== undefined && output !== "text" && output !== "json") action.error(`agent: expected text or json after --output, found "${output}"`);
  });
}
