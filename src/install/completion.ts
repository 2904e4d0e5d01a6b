import { bashCompletion } from "./completion-bash.ts";
import { fishCompletion } from "./completion-fish.ts";
import { zshCompletion } from "./completion-zsh.ts";
import type { Shell } from "./layout.ts";
import type { CommandShape, OptionShape, Place } from "./completion-shape.ts";

/** A completion script for the program, to be put where the shell looks for it. */
export function completionScript(shell: Shell, program: CommandShape): string {
  const places = placesOf(program);
  switch (shell) {
    case "bash":
      return bashCompletion(program.name, places);
    case "zsh":
      return zshCompletion(program.name, places);
    case "fish":
      return fishCompletion(program.name, places);
  }
}

function placesOf(command: CommandShape, path = "", above: readonly OptionShape[] = []): readonly Place[] {
  const own = new Set(command.options.flatMap(({ names }) => names));
  const options = [...command.options, ...above.filter(({ names }) => !names.some((name) => own.has(name)))];
  const below = command.commands.flatMap((child) => placesOf(child, `${path} ${child.name}`.trim(), options));
  return [{ path, options, choices: command.choices, commands: command.commands }, ...below];
}
