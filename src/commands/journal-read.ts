import type { Command } from "commander";
import { listSegments, noJournalIn, readSegment, type JournalEntry } from "../journal/inspect.ts";
import { formatProblem, type JournalProblem } from "../journal/scan.ts";
import { fail, fault, ok, type Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";
import { EXIT, loadFor, type CommandContext, type ExitCode } from "./context.ts";
import { Subjects, type Subject } from "./journal-text.ts";

/** What the commands that look at a journal share: which directory, the newest records, damage. */

/** A record and whom it is about. */
export interface View {
  readonly entry: JournalEntry;
  readonly subject: Subject | undefined;
}

interface Search {
  /** At most this many, the newest. */
  readonly limit: number;
  /** Segments that were finished before this moment are not read. */
  readonly sinceMs?: number;
  readonly matches: (view: View) => boolean;
}

interface Found {
  /** Oldest first. */
  readonly views: readonly View[];
  readonly problem?: JournalProblem;
  /** Behind the newest record. */
  readonly end: { readonly segment: string; readonly sequence: number };
  /** Whom events that follow are about. */
  readonly subjects: Subjects;
}

/** `--dir`, or the journal of the settings. It need not be this agent's own: a copy, or somebody else's, is read alike. */
function journalDirectory(context: CommandContext, command: Command, dir: string | undefined): Result<string> {
  if (dir !== undefined) return ok(dir);
  const loaded = loadFor(context, command);
  return loaded.ok ? ok(`${loaded.value.config.stateDir}/journal`) : loaded;
}

/** The directory with its segments' names, oldest first; none is a fault that says what to do. */
export function journalSegments(context: CommandContext, command: Command, dir: string | undefined): Result<{ readonly directory: string; readonly names: readonly string[] }> {
  const directory = journalDirectory(context, command, dir);
  if (!directory.ok) return directory;
  const names = listSegments(context.world.fileSystem, directory.value);
  const advice = "name another with --dir or --state-dir";
  if (!names.ok) return fail({ ...names.error, message: `expected a journal in ${directory.value}: ${names.error.message}; ${advice}` });
  return names.value.length > 0 ? ok({ directory: directory.value, names: names.value }) : fault("journal.missing", `${noJournalIn(directory.value)}; ${advice}`);
}

/** The newest records that match. Reads from the newest segment backwards and stops when it has enough. */
export function findNewest(fileSystem: FileSystem, directory: string, names: readonly string[], { limit, sinceMs, matches }: Search): Found {
  let views: View[] = [];
  let problem: JournalProblem | undefined;
  let newest: Pick<Found, "end" | "subjects"> | undefined;
  for (const name of names.toReversed()) {
    const subjects = new Subjects();
    const segment = readSegment(fileSystem, directory, name, name === names.at(-1));
    // One that was removed since it was listed is older than what is wanted.
    if (segment.problem?.finding !== "unreadable" || newest === undefined) problem ??= segment.problem;
    const found = segment.entries.map((entry): View => ({ entry, subject: subjects.of(entry.record) })).filter((view) => !view.entry.isSnapshot && matches(view));
    views = [...found, ...views].slice(-limit);
    newest ??= { end: { segment: name, sequence: segment.entries.at(-1)?.sequence ?? 0 }, subjects };
    const isOldEnough = sinceMs !== undefined && segment.createdAt !== undefined && Date.parse(segment.createdAt) < sinceMs;
    if (views.length >= limit || isOldEnough) break;
  }
  return { views, ...(problem === undefined ? {} : { problem }), ...(newest ?? { end: { segment: "", sequence: 0 }, subjects: new Subjects() }) };
}

/** Says what is damaged, and gives the exit code that means. */
export function complainAboutDamage(context: CommandContext, problem: JournalProblem | undefined): ExitCode {
  if (problem === undefined) return EXIT.done;
  context.complain(`agent: damaged: ${formatProblem(problem)}; see "agent journal verify"\n`);
  switch (problem.finding) {
    case "torn_tail":
      return EXIT.journalTorn;
    case "unreadable":
      return EXIT.error;
    default:
      return EXIT.journalCorrupt;
  }
}
