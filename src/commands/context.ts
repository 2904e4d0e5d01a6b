import type { Command } from "commander";
import { loadConfig, type LoadedConfig } from "../config/load.ts";
import { configFlags, flagValues } from "../config/names.ts";
import type { Fault, Result } from "../ports/errors.ts";
import { escapeJson, escapeText } from "../plan/escape.ts";
import { COLOUR_STYLE, PLAIN_STYLE, type PlanStyle } from "../plan/render-style.ts";
import type { World } from "../parts.ts";

/**
 * The command line: one file a subcommand, this one for what they share. A command prints for a
 * person, `-o json` for a program; it returns an exit code and never ends the process itself.
 */

/** Exit codes, an interface (docs/operating.md). */
export const EXIT = { done: 0, error: 1, changes: 2, journalTorn: 3, journalCorrupt: 4, locked: 5, usage: 64 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const DEFAULT_CONFIG_FILE = "/etc/steward/agent.yaml";

/** What a command may use of the process. */
export interface CommandContext {
  /** Time, randomness, files and the log of one command; the log goes to standard error. */
  readonly world: World;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly hostname: string;
  readonly workingDirectory: string;
  readonly processId: number;
  readonly isTerminal: boolean;
  /** Characters across and lines down of the terminal, as they are now; left out: not known. */
  terminalSize?(): { readonly columns: number; readonly rows: number };
  /** Standard output and standard error; complete text, line ends included. */
  print(text: string): void;
  complain(text: string): void;
  /** Aborted on SIGINT and SIGTERM. */
  readonly interrupted: AbortSignal;
  /** Aborted when whoever read standard output has gone ("… | head"): what streams may end. */
  readonly outputGone?: AbortSignal;
  /** Asks a person yes or no; undefined where there is nobody to ask. */
  confirm?(question: string): Promise<boolean | undefined>;
  /** Calls back on SIGHUP. */
  onHangup(callback: () => void): void;
}

/** Options every command knows. */
export interface GlobalOptions {
  readonly config?: string;
  readonly color?: boolean;
  readonly output?: string;
}

/** Adds `-o text|json`. */
export function withOutput(command: Command): Command {
  return command.option("-o, --output <format>", "text or json", "text");
}

/** Declares every setting as an option of the program; `agent run --help` lists them. */
export function settingFlags(): readonly { readonly flag: string; readonly description: string }[] {
  return configFlags();
}

/** Loads the config a command line asks for. */
export function loadFor(context: CommandContext, command: Command): Result<LoadedConfig> {
  const options: GlobalOptions & Record<string, unknown> = command.optsWithGlobals();
  const named = options.config ?? context.environment["STEWARD_CONFIG"];
  return loadConfig({
    file: named ?? DEFAULT_CONFIG_FILE,
    isFileRequired: named !== undefined,
    environment: context.environment,
    flags: flagValues(options),
    readFile: (path) => context.world.fileSystem.readFile(path),
    hostname: context.hostname,
    workingDirectory: context.workingDirectory,
  });
}

/** Whether `-o json` was given. */
export function isJson(command: Command): boolean {
  return command.optsWithGlobals<GlobalOptions>().output === "json";
}

/** Colours on a terminal, unless --no-color or NO_COLOR says otherwise. */
export function styleFor(context: CommandContext, command: Command): PlanStyle {
  const isWanted = context.isTerminal && command.optsWithGlobals<GlobalOptions>().color !== false && !context.environment["NO_COLOR"];
  return isWanted ? COLOUR_STYLE : PLAIN_STYLE;
}

/** Prints a fault and gives the exit code it means. */
export function complainAbout(context: CommandContext, fault: Fault): ExitCode {
  // Messages carry other people's words: Proxmox's, a task's, a file's. Line by line: some tell several things.
  context.complain(`agent: ${fault.message.split("\n").map(escapeText).join("\n")}\n`);
  return exitCodeOf(fault);
}

/** What an error may really come from when nobody named a settings file and there is none: whose defaults those were. */
export function withDefaultsHint(context: CommandContext, { file }: LoadedConfig, code: ExitCode): ExitCode {
  if (file === undefined && code === EXIT.error) context.complain(`agent: there is no ${DEFAULT_CONFIG_FILE}, so these were the defaults; name your settings with --config FILE\n`);
  return code;
}

/** The exit code of a fault. */
function exitCodeOf(fault: Fault): ExitCode {
  switch (fault.code) {
    case "journal.locked":
      return EXIT.locked;
    case "journal.corrupt":
      return EXIT.journalCorrupt;
    case "command.usage":
      return EXIT.usage;
    default:
      return EXIT.error;
  }
}

/** JSON for a program: two spaces, a line end; safe to print on a terminal, because names and messages in it are other people's. */
export function json(value: unknown): string {
  // Line by line: the breaks between JSON's parts stay, those inside of texts are escaped already.
  return `${JSON.stringify(value, null, 2).split("\n").map(escapeJson).join("\n")}\n`;
}

/** A whole vmid from the command line; undefined for anything else. */
export function parseVmid(text: string): number | undefined {
  return /^[1-9]\d{2,8}$/.test(text) ? Number(text) : undefined;
}

/** Resolves when `signal` is aborted, at once when it is already. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
