import { Option, type Command } from "commander";
import { OPERATION_STATES } from "../journal/types.ts";
import { withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { compactJournal } from "./journal-compact.ts";
import { listRecords, type ListOptions } from "./journal-ls.ts";
import { showOperation } from "./journal-show.ts";
import { exportRecords, tailRecords } from "./journal-stream.ts";
import { verifyRecords } from "./journal-verify.ts";

const EXIT_CODES = "\nExit codes: 0 done · 1 cannot be read · 3 torn tail · 4 corrupt";

/** `agent journal …`: all but `compact` only read, without a lock, beside a running agent or on a copied directory. */
export function addJournalCommands(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  const journal = program.command("journal").description("the record of every act: look at it, prove it, compact it");
  addList(journal, context, finish);
  withDirectory(withOutput(journal.command("show <operation>")))
    .description("everything about one act; the beginning of its id will do")
    .addHelpText("after", EXIT_CODES)
    .action((id: string, options: { dir?: string }, command: Command) => finish(showOperation(context, command, id, options.dir)));
  withDirectory(withOutput(journal.command("verify")))
    .description("prove that nothing was changed, dropped, reordered or inserted")
    .option("--from <hash>", "a head of the chain written down earlier (16 digits or more): it must still be there")
    .addHelpText("after", "\nExit codes: 0 intact · 1 cannot be read · 3 torn tail · 4 corrupt, or without the head of --from")
    .action((options: { from?: string; dir?: string }, command: Command) => finish(verifyRecords(context, command, options)));
  withOutput(journal.command("compact"))
    .description("go on in a new segment with the live state, and remove old ones that are no longer kept")
    .addHelpText("after", "\nA running agent does it itself. Old segments stay for audit as long as retention keeps them (docs/journal.md).")
    .action(async (_options, command: Command) => finish(await compactJournal(context, command)));
  withDirectory(withOutput(journal.command("tail")))
    .description("the newest records; -f: and those to come, until interrupted")
    .option("-f, --follow", "wait for more")
    .option("-n, --lines <n>", "begin with the newest n", "10")
    .action(async (options: { follow?: boolean; lines: string; dir?: string }, command: Command) => finish(await tailRecords(context, command, options)));
  withDirectory(journal.command("export"))
    .description("every record as a line of JSON, oldest first")
    .addOption(new Option("-o, --output <format>", "the format").choices(["jsonl"]).default("jsonl"))
    .addHelpText("after", `\nRecords marked "snapshot" repeat live state at the head of a segment: nothing happened then.${EXIT_CODES}`)
    .action((options: { dir?: string }, command: Command) => finish(exportRecords(context, command, options.dir)));
}

function addList(journal: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  withDirectory(withOutput(journal.command("ls")))
    .description("the newest records that match, oldest first")
    .option("--guest <guest>", "only this guest's: 100 or qemu/100")
    .option("--since <time>", "not older than this: 30m, 2h, 3d, or 2026-01-31T14:00:00Z")
    .option("--op <action>", "only of operations that do this: start, shutdown, set_config")
    .addOption(new Option("--state <state>", "only where an operation came into this state").choices(OPERATION_STATES))
    .option("--limit <n>", "at most the newest n", "100")
    .addOption(new Option("--last <n>").hideHelp())
    .addHelpText("after", EXIT_CODES)
    .action((options: ListOptions, command: Command) => finish(listRecords(context, command, options)));
}

function withDirectory(command: Command): Command {
  return command.option("--dir <directory>", "a journal directory, or a copy of one; default: <stateDir>/journal");
}
