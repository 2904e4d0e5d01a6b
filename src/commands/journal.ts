import type { Command } from "commander";
import { foldOperations, readRecords, verifyJournal, type JournalEntry } from "../journal/inspect.ts";
import { formatProblem } from "../journal/scan.ts";
import type { JournalGuest, Operation } from "../journal/types.ts";
import { guestOf, recordCells } from "./journal-text.ts";
import { complainAbout, EXIT, isJson, json, loadFor, parseVmid, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { alignColumns } from "./table.ts";

/** `agent journal ls|show|verify`: read-only, beside a running agent or on a copied directory. */
export function addJournalCommands(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  const journal = program.command("journal").description("the record of every act: ls, show, verify");
  withOutput(journal.command("ls"))
    .description("records, oldest first")
    .option("--guest <vmid>", "only this guest's")
    .option("--last <n>", "only the newest n", "100")
    .option("--dir <directory>", "a journal directory; default: <stateDir>/journal")
    .action((options: { guest?: string; last: string; dir?: string }, command: Command) => finish(list(context, command, options)));
  withOutput(journal.command("show <operation>"))
    .description("everything about one act")
    .option("--dir <directory>", "a journal directory; default: <stateDir>/journal")
    .action((id: string, options: { dir?: string }, command: Command) => finish(show(context, command, id, options)));
  withOutput(journal.command("verify"))
    .description("prove that nothing was changed, dropped, reordered or inserted")
    .option("--from <hash>", "a head of the chain recorded earlier; it must still be there")
    .option("--dir <directory>", "a journal directory; default: <stateDir>/journal")
    .addHelpText("after", "\nExit codes: 0 intact · 1 cannot be read · 3 torn tail · 4 corrupt")
    .action((options: { from?: string; dir?: string }, command: Command) => finish(verify(context, command, options)));
}

function directoryOf(context: CommandContext, command: Command, dir: string | undefined): string | undefined {
  if (dir !== undefined) return dir;
  const loaded = loadFor(context, command);
  if (loaded.ok) return `${loaded.value.config.stateDir}/journal`;
  complainAbout(context, loaded.error);
  return undefined;
}

function list(context: CommandContext, command: Command, options: { guest?: string; last: string; dir?: string }): ExitCode {
  const directory = directoryOf(context, command, options.dir);
  if (directory === undefined) return EXIT.error;
  const count = Number(options.last);
  if (!Number.isInteger(count) || count < 1) {
    return complainAbout(context, { code: "command.usage", message: `expected a whole number from 1 after --last, found "${options.last}"` });
  }
  if (options.guest !== undefined && parseVmid(options.guest) === undefined) {
    return complainAbout(context, { code: "command.usage", message: `expected a VMID (100 to 999999999) after --guest, found "${options.guest}"` });
  }
  const listed = context.world.fileSystem.list(directory);
  if (!listed.ok) return complainAbout(context, { ...listed.error, message: `expected a journal in ${directory}: ${listed.error.message}; name another with --dir or --state-dir` });
  const entries: { readonly entry: JournalEntry; readonly guest: JournalGuest | undefined }[] = [];
  const guests = new Map<string, JournalGuest>();
  let damage = "";
  for (const entry of readRecords(context.world.fileSystem, directory, (problem) => (damage = formatProblem(problem)))) {
    const guest = guestOf(entry.record, guests);
    if (entry.isSnapshot || (options.guest !== undefined && String(guest?.vmid) !== options.guest)) continue;
    entries.push({ entry, guest });
    if (entries.length > count) entries.shift();
  }
  if (damage !== "") context.complain(`agent: damaged: ${damage}\n`);
  if (isJson(command)) context.print(json(entries.map(({ entry: { record, sequence, hash } }) => ({ sequence, hash, ...record }))));
  else if (entries.length === 0) context.print("No records.\n");
  else context.print(`${alignColumns(entries.map(({ entry, guest }) => [String(entry.sequence), ...recordCells(entry.record, guest)])).join("\n")}\n`);
  return damage === "" ? EXIT.done : EXIT.error;
}

function show(context: CommandContext, command: Command, id: string, options: { dir?: string }): ExitCode {
  const directory = directoryOf(context, command, options.dir);
  if (directory === undefined) return EXIT.error;
  const operation = foldOperations(recordsIn(context, directory)).get(id);
  if (operation === undefined) return complainAbout(context, { code: "journal.unknown_operation", message: `expected an operation of ${directory}, found none with the id "${id}"; "agent journal ls" lists them` });
  context.print(isJson(command) ? json(operation) : operationText(operation));
  return EXIT.done;
}

function* recordsIn(context: CommandContext, directory: string) {
  for (const entry of readRecords(context.world.fileSystem, directory)) yield entry.record;
}

function operationText(operation: Operation): string {
  const rows = Object.entries(operation).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]);
  return `${alignColumns(rows).join("\n")}\n`;
}

function verify(context: CommandContext, command: Command, options: { from?: string; dir?: string }): ExitCode {
  const directory = directoryOf(context, command, options.dir);
  if (directory === undefined) return EXIT.error;
  const verified = verifyJournal(context.world.fileSystem, directory, options.from === undefined ? {} : { from: options.from });
  if (!verified.ok) return complainAbout(context, verified.error);
  const { outcome, records, head, problem } = verified.value;
  if (isJson(command)) context.print(json(verified.value));
  else context.print(`${outcome}: ${records} records, head ${head.hash} at record ${head.sequence} in ${head.segment}\n${problem === undefined ? "" : `${formatProblem(problem)}\n`}`);
  switch (outcome) {
    case "intact":
      return EXIT.done;
    case "torn":
      return EXIT.journalTorn;
    case "corrupt":
      return EXIT.journalCorrupt;
  }
}
