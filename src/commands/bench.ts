import { resolve } from "node:path";
import type { Command } from "commander";
import type { BenchReport } from "../bench/report.ts";
import { ok, type Result } from "../ports/errors.ts";
import { COMMIT, VERSION } from "../version.ts";
import { complainAbout, EXIT, isJson, json, loadFor, withOutput, type CommandContext, type ExitCode } from "./context.ts";

interface BenchFlags {
  readonly quick?: boolean;
  readonly json?: boolean;
  readonly dir?: string;
  readonly filter?: string;
  readonly compare?: string;
}

/** `agent bench`: what this machine and its disk make of the agent. */
export function addBenchCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  withOutput(program.command("bench"))
    .description("measure this machine: how fast its disk takes a journal, and the agent's own parts")
    .option("--quick", "less exact, within 30 seconds")
    .option("--json", "the same as --output json")
    .option("--dir <directory>", "the disk to measure (default: the state directory where there is one, else the current directory)")
    .option("--filter <text>", "only benchmarks with this in their name")
    .option("--compare <file>", "against what --json printed earlier")
    .addHelpText("after", "\nWrites up to 128 MiB into a directory of its own, which is removed again. Needs no settings and no running agent; what else uses the disk slows it.\nExit codes: 0 measured, whatever the figures · 1 a benchmark failed, nowhere to write, interrupted")
    .action(async (flags: BenchFlags, command: Command) => finish(await bench(context, command, flags)));
}

async function bench(context: CommandContext, command: Command, flags: BenchFlags): Promise<ExitCode> {
  // Loaded on demand: the daemon must not carry benchmarks in memory.
  const { compareReports, parseReport, renderBench, runBench, SYSTEM_FILES } = await import("./bench-run.ts");
  const earlier = flags.compare === undefined ? ok(undefined) : readEarlier(context, flags.compare, parseReport);
  if (!earlier.ok) return complainAbout(context, earlier.error);
  const measured = await runBench({
    world: context.world,
    systemFiles: SYSTEM_FILES,
    architecture: process.arch,
    steward: { version: VERSION, commit: COMMIT },
    directory: directoryFor(context, command, flags.dir),
    isQuick: flags.quick === true,
    ...(flags.filter === undefined ? {} : { filter: flags.filter }),
    interrupted: context.interrupted,
    onProgress: (line) => context.complain(`${line}\n`),
  });
  if (!measured.ok) return complainAbout(context, measured.error);
  const report = earlier.value === undefined ? measured.value : { ...measured.value, comparison: compareReports(earlier.value, measured.value) };
  context.print(flags.json === true || isJson(command) ? json(report) : renderBench(report));
  for (const { name, message } of report.failures) context.complain(`agent: ${name}: ${message}\n`);
  return report.failures.length === 0 ? EXIT.done : EXIT.error;
}

function readEarlier(context: CommandContext, file: string, parse: (content: string, where: string) => Result<BenchReport>): Result<BenchReport> {
  const read = context.world.fileSystem.readFile(resolve(context.workingDirectory, file));
  return read.ok ? parse(new TextDecoder().decode(read.value), file) : read;
}

/** Settings that cannot be read are no reason not to measure. */
function directoryFor(context: CommandContext, command: Command, named: string | undefined): string {
  if (named !== undefined) return resolve(context.workingDirectory, named);
  const loaded = loadFor(context, command);
  const stateDir = loaded.ok ? loaded.value.config.stateDir : undefined;
  const status = stateDir === undefined ? undefined : context.world.fileSystem.status(stateDir);
  return stateDir !== undefined && status?.ok === true && status.value.isDirectory ? stateDir : context.workingDirectory;
}
