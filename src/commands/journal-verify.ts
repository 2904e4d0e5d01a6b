import type { Command } from "commander";
import { formatProblem } from "../journal/scan.ts";
import { FROM_DIGITS_MIN, verifyJournal, type Verification } from "../journal/verify.ts";
import { unreachable } from "../ports/errors.ts";
import { complainAbout, EXIT, isJson, json, type CommandContext, type ExitCode } from "./context.ts";
import { journalSegments } from "./journal-read.ts";

const FROM = new RegExp(`^[0-9a-f]{${FROM_DIGITS_MIN},64}$`, "i");

/** `agent journal verify`: what the journal is worth, and the segment, line and byte of what is wrong. */
export function verifyRecords(context: CommandContext, command: Command, { from, dir }: { readonly from?: string; readonly dir?: string }): ExitCode {
  if (from !== undefined && !FROM.test(from)) {
    return complainAbout(context, { code: "command.usage", message: `expected ${FROM_DIGITS_MIN} to 64 hex digits after --from, as "agent status" and steward_journal_head_info show them, found "${from}"` });
  }
  const segments = journalSegments(context, command, dir);
  if (!segments.ok) return complainAbout(context, segments.error);
  const verified = verifyJournal(context.world.fileSystem, segments.value.directory, from === undefined ? {} : { from });
  if (!verified.ok) return complainAbout(context, verified.error);
  context.print(isJson(command) ? json(verified.value) : textOf(verified.value));
  switch (verified.value.outcome) {
    case "intact":
      return EXIT.done;
    case "torn":
      return EXIT.journalTorn;
    case "corrupt":
      return EXIT.journalCorrupt;
    default:
      return unreachable(verified.value.outcome);
  }
}

function textOf({ outcome, records, firstSequence, head, from, problem }: Verification): string {
  return [
    `${outcome}: ${records} records, head ${head.hash} at record ${head.sequence} in ${head.segment}`,
    ...(firstSequence > 1 ? [`records before ${firstSequence} are not kept any more`] : []),
    ...(from === undefined ? [] : [`the recorded head is record ${from.sequence}${from.segment === "" ? "" : ` in ${from.segment}`}: nothing up to it was changed`]),
    ...(problem === undefined ? [] : [formatProblem(problem)]),
    "",
  ].join("\n");
}
