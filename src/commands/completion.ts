import type { Argument, Command, Option } from "commander";
import { completionScript } from "../install/completion.ts";
import type { CommandShape, OptionShape, ValueShape } from "../install/completion-shape.ts";
import { SHELLS, type Shell } from "../install/layout.ts";
import { EXIT, type CommandContext, type ExitCode } from "./context.ts";

/** `agent completion bash|zsh|fish`: what `agent install` puts where the shells look. Not in the help: nobody types it twice. */
export function addCompletionCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  const argument = program.createArgument("<shell>", "the shell to complete for").choices(SHELLS);
  program
    .command("completion", { hidden: true })
    .description("a completion script for a shell")
    .addArgument(argument)
    .action((shell: Shell) => {
      context.print(completionFor(program, shell));
      finish(EXIT.done);
    });
}

/** The completion script of this program for a shell. */
export function completionFor(program: Command, shell: Shell): string {
  return completionScript(shell, shapeOf(program));
}

function shapeOf(command: Command): CommandShape {
  const help = command.createHelp();
  const options = help.visibleOptions(command);
  // The daemon's settings are options everywhere, but only its own help lists them.
  const settings = command.name() === "run" ? (command.parent?.options.filter(({ hidden }) => hidden) ?? []) : [];
  return {
    name: command.name(),
    description: command.description(),
    options: [...options, ...settings].map(optionShape),
    choices: command.registeredArguments[0]?.argChoices ?? [],
    // The help command and those that are hidden are no use here.
    commands: help.visibleCommands(command).filter((child) => command.commands.includes(child)).map(shapeOf),
  };
}

function optionShape(option: Option): OptionShape {
  const names = [option.short, option.long].filter((name): name is string => typeof name === "string");
  return { names, description: option.description, ...(option.required ? { value: valueShape(option) } : {}) };
}

/** From the placeholder: "<file>" is a path, "<debug|info>" a choice; "-o, --output <format>" is checked in cli.ts. */
function valueShape(option: Option & Partial<Pick<Argument, "argChoices">>): ValueShape {
  const placeholder = /<([^>]*)>/.exec(option.flags)?.[1] ?? "";
  const written = placeholder.includes("|") ? placeholder.split("|") : [];
  const choices = option.argChoices ?? (option.long === "--output" ? ["text", "json"] : written);
  return { choices, isPath: /^(?:file|path|dir|directory)$/.test(placeholder) };
}
