import { resolve } from "node:path";
import type { Command } from "commander";
import type { AgentConfig } from "../config/types.ts";
import { createDesiredSource } from "../desired/sources.ts";
import { formatGuestKey } from "../guest/key.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import { importGuest, type ImportedGuest, type ImportOptions } from "../import/import-guest.ts";
import { isValueShown } from "../import/left-out.ts";
import { fileNameOf, renderGuests } from "../import/render.ts";
import { createParts } from "../parts.ts";
import { escapeText } from "../plan/escape.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import { complainAbout, EXIT, isJson, json, loadFor, parseVmid, withDefaultsHint, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { assertSilent } from "./import-check.ts";
import { writeNewFiles } from "./import-files.ts";
import { readGuests, type ReadHost } from "./import-read.ts";
import { alignColumns } from "./table.ts";

/** More skipped guests than this are told in one line … */
const SKIPPED_SHOWN_MAX = 5;

/** … which names so many of them. */
const SKIPPED_NAMED_MAX = 20;

interface CommandOptions {
  readonly out?: string;
  readonly observe?: boolean;
  readonly state: boolean;
}

/** A guest that was not imported because a file of the desired state declares it already. */
interface Skipped {
  readonly vmid: number;
  readonly declaredAt: string;
}

/** `agent import`: desired state for guests that exist. Reads only, and writes nothing but new files. */
export function addImportCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  withOutput(program.command("import [vmid...]"))
    .description("desired state for guests that exist, such that a plan of it changes nothing")
    .option("--out <directory>", "write one new file a guest there, instead of all to standard output; the directory is made when the one above it is there")
    .option("--observe", "declare mode: observe, to look first")
    .option("--no-state", "leave out whether they run")
    .addHelpText("after", "\nWithout VMIDs: every guest of this node. Nothing is overwritten, and on an error nothing is written.")
    .action(async (vmids: readonly string[], options: CommandOptions, command: Command) => {
      finish(await runImport(context, command, vmids, options));
    });
}

async function runImport(context: CommandContext, command: Command, words: readonly string[], options: CommandOptions): Promise<ExitCode> {
  const vmids = parseVmids(words);
  if (!vmids.ok) return complainAbout(context, vmids.error);
  const loaded = loadFor(context, command);
  if (!loaded.ok) return complainAbout(context, loaded.error);
  return withDefaultsHint(context, loaded.value, await importAs(context, command, loaded.value.config, vmids.value, options));
}

async function importAs(context: CommandContext, command: Command, config: AgentConfig, vmids: ReadonlySet<number>, options: CommandOptions): Promise<ExitCode> {
  const directory = options.out === undefined ? undefined : resolve(context.workingDirectory, options.out);
  const skipped = await declaredAlready(context, config, directory, vmids);
  if (!skipped.ok) return complainAbout(context, skipped.error);
  const read = await readFrom(context, config, vmids, new Set(skipped.value.map(({ vmid }) => vmid)));
  if (!read.ok) return complainAbout(context, read.error);
  const { guests, facts } = read.value;
  const how: ImportOptions = { isObserved: options.observe === true, hasState: options.state };
  const imported = guests.map((guest) => importGuest(guest, facts, how));
  if (directory === undefined) return printAll(context, command, imported, read.value);
  const written = await writeAll(context, directory, imported, guests, read.value);
  if (!written.ok) return complainAbout(context, written.error);
  const report = reportOf(imported, config.node, directory, skipped.value);
  context.print(isJson(command) ? json(report) : textOf(imported, directory, skipped.value));
  return EXIT.done;
}

function parseVmids(words: readonly string[]): Result<ReadonlySet<number>> {
  const vmids = new Set<number>();
  for (const word of words) {
    const vmid = parseVmid(word);
    if (vmid === undefined) return fault("command.usage", `expected VMIDs (100 to 999999999), found "${word}"`);
    vmids.add(vmid);
  }
  return ok(vmids);
}

/** Written into the desired state itself, a second declaration would make a guest nobody's: such guests are skipped, or refused where they were named. */
async function declaredAlready(context: CommandContext, config: AgentConfig, directory: string | undefined, named: ReadonlySet<number>): Promise<Result<readonly Skipped[]>> {
  const { clock, log, fileSystem } = context.world;
  if (config.desired.source !== "directory" || directory !== resolve(config.desired.path) || !fileSystem.status(directory).ok) return ok([]);
  const source = createDesiredSource(config.desired, { clock, log });
  const { state, problems } = await source.load();
  source.close();
  const problem = problems.find(({ code }) => code !== "desired.empty");
  if (problem !== undefined) return fault("desired.unreadable", `expected a readable desired state in ${directory}, to know which guests it declares already: ${problem.message}`);
  const declared = [...(state?.guests.values() ?? [])].map(({ vmid, position }) => ({ vmid, declaredAt: `${position.file}:${position.line}` }));
  const conflicts = (state?.conflicts ?? []).map(({ vmid, positions }) => ({ vmid, declaredAt: positions.map(({ file, line }) => `${file}:${line}`).join(", ") }));
  const skipped = [...declared, ...conflicts];
  const refused = skipped.filter(({ vmid }) => named.has(vmid));
  if (refused.length === 0) return ok(skipped);
  return fault("file.exists", `expected guests that are not declared yet, found ${refused.map(({ vmid, declaredAt }) => `${vmid} at ${declaredAt}`).join("; ")}; import into another directory to compare`);
}

async function readFrom(context: CommandContext, config: AgentConfig, named: ReadonlySet<number>, skipped: ReadonlySet<number>): Promise<Result<ReadHost>> {
  const parts = createParts(config, context.world);
  parts.desired.close();
  try {
    return await readGuests(parts, named, skipped);
  } finally {
    parts.close();
  }
}

function printAll(context: CommandContext, command: Command, imported: readonly ImportedGuest[], host: ReadHost): ExitCode {
  const { node } = host.facts;
  const text = imported.length === 0 ? "" : renderGuests(imported, node);
  if (text === "") context.complain(`agent: node ${node} has no guests; there is nothing to import\n`);
  else assertSilent([{ name: "import.yaml", text }], host.guests, host.facts);
  context.print(isJson(command) ? json({ ...reportOf(imported, node, undefined, []), yaml: text }) : text);
  return EXIT.done;
}

async function writeAll(context: CommandContext, directory: string, imported: readonly ImportedGuest[], guests: readonly ObservedGuest[], host: ReadHost): Promise<Result<void>> {
  const files = imported.map((one) => ({ name: fileNameOf(one), vmid: one.guest.vmid, text: renderGuests([one], host.facts.node) }));
  assertSilent(files, guests, host.facts);
  return writeNewFiles(directory, files, context.processId);
}

/** The shape of `-o json`, an interface. */
function reportOf(imported: readonly ImportedGuest[], node: string, directory: string | undefined, skipped: readonly Skipped[]) {
  return {
    version: 1,
    node,
    directory: directory ?? null,
    guests: imported.map((one) => ({
      ...one.guest,
      name: one.name ?? null,
      file: directory === undefined ? null : fileNameOf(one),
      mode: one.mode,
      state: one.state ?? null,
      keys: Object.keys(one.config),
      leftOut: one.leftOut.map(({ key, reason, found }) => ({ key, reason, ...(isValueShown(reason) ? { found } : {}) })),
      notes: one.notes,
    })),
    skipped,
  };
}

function textOf(imported: readonly ImportedGuest[], directory: string, skipped: readonly Skipped[]): string {
  const lines = [
    ...alignColumns(imported.map((one) => [fileNameOf(one), keysText(one)])),
    ...imported.flatMap(({ guest, notes }) => notes.map((note) => escapeText(`${formatGuestKey(guest)}: ${note}`))),
    ...skippedText(skipped),
    `${imported.length} file${imported.length === 1 ? "" : "s"} written to ${directory}.`,
  ];
  return `${lines.join("\n")}\n`;
}

/** Guests that were skipped, named up to a few: a second import of a big host has nothing else to say. */
function skippedText(skipped: readonly Skipped[]): readonly string[] {
  if (skipped.length <= SKIPPED_SHOWN_MAX) return skipped.map(({ vmid, declaredAt }) => `guest ${vmid} is declared already (${declaredAt}) and was skipped`);
  const vmids = skipped.map(({ vmid }) => vmid).toSorted((a, b) => a - b);
  return [`${skipped.length} guests are declared already and were skipped: ${vmids.slice(0, SKIPPED_NAMED_MAX).join(", ")}${vmids.length > SKIPPED_NAMED_MAX ? ", … (-o json has them all)" : ""}`];
}

function keysText({ config, leftOut }: ImportedGuest): string {
  const count = Object.keys(config).length;
  const left = leftOut.length === 0 ? "" : `; left out: ${leftOut.map(({ key }) => key).join(", ")}`;
  return `${count} key${count === 1 ? "" : "s"}${left}`;
}
