/** What can follow an option or a command as its value. */
export interface ValueShape {
  /** Words to choose from; none: anything. */
  readonly choices: readonly string[];
  /** Whether file names make sense. */
  readonly isPath: boolean;
}

export interface OptionShape {
  /** "-o", "--output". */
  readonly names: readonly string[];
  readonly description: string;
  /** Left out: it stands alone. */
  readonly value?: ValueShape;
}

/** A command line, as far as completing it goes. */
export interface CommandShape {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionShape[];
  /** What its first argument may be; none: not known. */
  readonly choices: readonly string[];
  readonly commands: readonly CommandShape[];
}

/** One command with the words that lead to it, and its options with those of the commands above. */
export interface Place {
  /** Without the program's name: "", "plan", "journal ls". */
  readonly path: string;
  readonly options: readonly OptionShape[];
  readonly choices: readonly string[];
  readonly commands: readonly CommandShape[];
}

/** In single quotes, for sh, zsh and fish alike when it holds none itself; descriptions are one line without them. */
export function quoted(text: string): string {
  return `'${plainText(text)}'`;
}

/** One line that no shell reads anything into. */
function plainText(text: string): string {
  return text.replace(/[\s\p{Cc}]+/gu, " ").replaceAll("'", "’").replaceAll("\\", "/");
}

/** A program's name as part of a function's name. */
export function functionName(program: string): string {
  return `_${program.replace(/[^A-Za-z0-9]/g, "_")}`;
}
