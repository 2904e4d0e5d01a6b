import type { Clock } from "../ports/clock.ts";
import type { Log, LogFields } from "../ports/log.ts";
import { escapeControls, printable, redactSecrets } from "./log-text.ts";
import { writeLine } from "./log-write.ts";

/** Levels in rising order, with the priority systemd reads from a `<N>` prefix (sd-daemon(3)) and a colour. */
const LEVELS = {
  debug: { priority: 7, colour: "\u001b[90m" },
  info: { priority: 6, colour: "\u001b[36m" },
  warn: { priority: 4, colour: "\u001b[33m" },
  error: { priority: 3, colour: "\u001b[31m" },
} as const;

export type LoggerLevel = keyof typeof LEVELS;
/** "auto": text on a terminal, `<N>`-prefixed JSON lines elsewhere. */
export type LoggerFormat = "auto" | "json" | "text";

const DIM = "\u001b[2m";
const RESET = "\u001b[0m";
const LONGEST_LEVEL = 5;

/** A line over this is cut: journald splits lines at 48 KiB (LineMax=), which would break the JSON. */
const MAX_LINE_CHARACTERS = 40_000;

/** Names a line carries itself; a field of the same name gets an underscore behind it. */
const OWN_NAMES: ReadonlySet<string> = new Set(["time", "level", "message"]);

export interface LoggerOptions {
  readonly clock: Clock;
  readonly level: LoggerLevel;
  readonly format: LoggerFormat;
  /** Whether a person reads along; decides "auto" and colours. */
  readonly isTerminal: boolean;
  /** Colours on a terminal; the caller knows NO_COLOR and --no-color. */
  readonly hasColours: boolean;
  /** Takes one finished line without its end; standard error unless given. */
  readonly write?: (line: string) => void;
}

/**
 * The log: one line an entry, written before the call returns, so that nothing is lost when the process
 * ends. Secrets must never be passed in; what is shaped like an API token is blotted out all the same.
 * Control characters are escaped, so that a guest's name can neither forge a line nor colour a terminal.
 */
export class Logger implements Log {
  readonly #options: LoggerOptions;
  readonly #write: (line: string) => void;
  #threshold: number;
  #isText: boolean;

  constructor(options: LoggerOptions) {
    this.#options = options;
    this.#write = options.write ?? writeLine;
    this.#threshold = LEVELS[options.level].priority;
    this.#isText = isTextFormat(options.format, options.isTerminal);
  }

  /** Changes what is written from now on (a re-read configuration). */
  configure(settings: { readonly level: LoggerLevel; readonly format: LoggerFormat }): void {
    this.#threshold = LEVELS[settings.level].priority;
    this.#isText = isTextFormat(settings.format, this.#options.isTerminal);
  }

  debug(message: string, fields?: LogFields): void {
    this.#log("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#log("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log("error", message, fields);
  }

  #log(level: LoggerLevel, message: string, fields: LogFields = {}): void {
    if (LEVELS[level].priority > this.#threshold) return;
    const time = new Date(this.#options.clock.now()).toISOString();
    const line = this.#isText ? this.#text(level, time, message, fields) : jsonLine(level, time, message, fields);
    this.#write(line);
  }

  #text(level: LoggerLevel, time: string, message: string, fields: LogFields): string {
    const paint = (colour: string, text: string): string => (this.#options.hasColours ? `${colour}${text}${RESET}` : text);
    const parts = [paint(DIM, time), paint(LEVELS[level].colour, level.toUpperCase().padEnd(LONGEST_LEVEL)), clean(message)];
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined) parts.push(`${paint(DIM, `${clean(name)}=`)}${textValue(value)}`);
    }
    return cut(parts.join(" "));
  }
}

function isTextFormat(format: LoggerFormat, isTerminal: boolean): boolean {
  return format === "text" || (format === "auto" && isTerminal);
}

function jsonLine(level: LoggerLevel, time: string, message: string, fields: LogFields): string {
  const prefix = `<${LEVELS[level].priority}>`;
  const head = { time, level, message: redactSecrets(message) };
  const rest = Object.entries(fields).map(([name, value]) => [OWN_NAMES.has(name) ? `${name}_` : name, printable(value)]);
  const line = redactSecrets(escapeControls(JSON.stringify({ ...head, ...Object.fromEntries(rest) })));
  if (line.length <= MAX_LINE_CHARACTERS) return prefix + line;
  // Cutting JSON in the middle would make the line unreadable: the fields go, the message stays.
  const short = { ...head, message: head.message.slice(0, MAX_LINE_CHARACTERS / 8), isCut: true };
  return prefix + escapeControls(JSON.stringify(short));
}

function textValue(value: unknown): string {
  const shown = printable(value);
  if (typeof shown === "string" && /^[^\s"=]+$/.test(shown)) return clean(shown);
  return clean(JSON.stringify(shown) ?? "undefined");
}

function clean(text: string): string {
  return escapeControls(redactSecrets(text));
}

function cut(line: string): string {
  return line.length <= MAX_LINE_CHARACTERS ? line : `${line.slice(0, MAX_LINE_CHARACTERS)}… (cut)`;
}
