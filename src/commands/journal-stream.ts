import type { Command } from "commander";
import { readSegment, type JournalEntry } from "../journal/inspect.ts";
import type { JournalProblem } from "../journal/scan.ts";
import { JournalTail } from "../journal/tail.ts";
import { escapeText } from "../plan/escape.ts";
import { complainAbout, EXIT, isJson, type CommandContext, type ExitCode } from "./context.ts";
import { parseCount } from "./journal-ls.ts";
import { complainAboutDamage, findNewest, journalSegments } from "./journal-read.ts";
import { entryJsonLine, entryTextLine } from "./journal-text.ts";

/** How often `tail -f` looks. */
const LOOK_INTERVAL_MS = 250;

/** Most lines `tail -n` begins with. */
const LINES_MAX = 100_000;

/** Lines that are written at once. */
const LINES_PER_WRITE = 500;

/** `agent journal tail`: the newest records, and with `-f` those to come, until interrupted or nobody reads any more. */
export async function tailRecords(context: CommandContext, command: Command, options: { readonly follow?: boolean; readonly lines: string; readonly dir?: string }): Promise<ExitCode> {
  const count = parseCount("--lines", options.lines, LINES_MAX);
  if (!count.ok) return complainAbout(context, count.error);
  const segments = journalSegments(context, command, options.dir);
  if (!segments.ok) return complainAbout(context, segments.error);
  const { fileSystem, clock } = context.world;
  const { directory, names } = segments.value;
  const { views, problem, end, subjects } = findNewest(fileSystem, directory, names, { limit: count.value, matches: () => true });
  const line = (entry: JournalEntry, guest: Parameters<typeof entryTextLine>[1]): string => (isJson(command) ? entryJsonLine(entry) : entryTextLine(entry, guest));
  context.print(views.map(({ entry, subject }) => line(entry, subject?.guest)).join(""));
  const code = complainAboutDamage(context, problem);
  if (options.follow !== true) return code;
  const tail = new JournalTail(fileSystem, directory, end, (message) => context.complain(`agent: ${escapeText(message)}\n`));
  while (!context.interrupted.aborted && context.outputGone?.aborted !== true) {
    for (const entry of tail.poll()) {
      const subject = subjects.of(entry.record);
      if (!entry.isSnapshot) context.print(line(entry, subject?.guest));
    }
    await clock.sleep(LOOK_INTERVAL_MS, context.interrupted);
  }
  return EXIT.done;
}

/** `agent journal export`: every record as a line of JSON, snapshots marked, one segment in memory at a time. */
export function exportRecords(context: CommandContext, command: Command, dir: string | undefined): ExitCode {
  const segments = journalSegments(context, command, dir);
  if (!segments.ok) return complainAbout(context, segments.error);
  const { directory, names } = segments.value;
  let problem: JournalProblem | undefined;
  for (const name of names) {
    const segment = readSegment(context.world.fileSystem, directory, name, name === names.at(-1));
    problem ??= segment.problem;
    for (let at = 0; at < segment.entries.length; at += LINES_PER_WRITE) {
      context.print(segment.entries.slice(at, at + LINES_PER_WRITE).map(entryJsonLine).join(""));
      if (context.interrupted.aborted) return EXIT.error;
      // Nobody reads any more ("export | head"): that is no error.
      if (context.outputGone?.aborted === true) return EXIT.done;
    }
  }
  return complainAboutDamage(context, problem);
}
