import type { Command } from "commander";
import { parseDuration } from "../config/duration.ts";
import { operationsAnswer } from "../control/answers.ts";
import { askAgent, askAgentFor } from "../control/client.ts";
import { pause, resolveOperation, resume, type OperatorDeps } from "../control/operator.ts";
import type { Operation } from "../journal/types.ts";
import { isSettled } from "../journal/types.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import { REVISION_SHOWN } from "../reconcile/revision.ts";
import { VERSION } from "../version.ts";
import { acceptNewest } from "./accept-offline.ts";
import { complainAbout, EXIT, isJson, json, loadFor, parseVmid, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { openReadOnlyJournal } from "./read-only-journal.ts";
import { alignColumns } from "./table.ts";
import { withJournal } from "./with-journal.ts";

/**
 * What a person tells the agent: pause, resume, accept, op. With a running agent over its socket; without
 * one they take the writer lock and write the journal themselves (`op ls` only reads it).
 */
export function addOperateCommands(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  addPause(program, context, finish);
  addAccept(program, context, finish);
  addOperations(program, context, finish);
}

function addPause(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  program
    .command("pause [vmid]")
    .description("hands off a guest, or --all; durable until resumed")
    .option("--all", "all guests")
    .option("--for <duration>", "end by itself after this time: 30m, 2h, 3d")
    .option("--reason <text>", "why; shown in status", "")
    .action(async (vmid: string | undefined, options: { all?: boolean; for?: string; reason: string }, command: Command) => {
      const target = targetOf(vmid, options.all);
      if (!target.ok) return finish(complainAbout(context, target.error));
      const forMs = options.for === undefined ? undefined : parseDuration(options.for);
      if (options.for !== undefined && forMs === undefined) {
        return finish(complainAbout(context, { code: "command.usage", message: `expected a duration such as 30m, 2h or 3d after --for, found "${options.for}"` }));
      }
      const request = { target: target.value, reason: options.reason, ...(forMs === undefined ? {} : { forMs }) };
      const done = await tell(context, command, "/v1/pause", request, (deps) => pause(deps, request));
      if (done.ok && isUndeclared(done.value)) context.complain(`agent: guest ${target.value} is not declared, so nothing would be done to it anyway: is the VMID right?\n`);
      finish(report(context, done, () => `${nameOf(target.value)} paused${options.for === undefined ? ' until "agent resume"' : ` for ${options.for}`}.`));
    });
  program
    .command("resume [vmid]")
    .description("ends a pause")
    .option("--all", "the pause of all guests")
    .action(async (vmid: string | undefined, options: { all?: boolean }, command: Command) => {
      const target = targetOf(vmid, options.all);
      if (!target.ok) return finish(complainAbout(context, target.error));
      const done = await tell(context, command, "/v1/resume", { target: target.value }, (deps) => resume(deps, target.value));
      finish(report(context, done, () => `${nameOf(target.value)} resumed.`));
    });
}

function addAccept(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  program
    .command("accept <revision>")
    .description("let a held large change through (the revision is in `agent plan` and `agent status`)")
    .action(async (revision: string, _options, command: Command) => {
      const loaded = loadFor(context, command);
      if (!loaded.ok) return finish(complainAbout(context, loaded.error));
      const { config } = loaded.value;
      const asked = await askAgent(config.socket, "/v1/accept", { revision });
      if (asked.ok) return finish(report(context, asked, () => `Revision ${String(asked.value).slice(0, REVISION_SHOWN)} accepted.`));
      if (asked.error.code !== "control.unreachable") return finish(complainAbout(context, asked.error));
      finish(report(context, await acceptNewest(context, loaded.value, revision), () => `Revision ${revision.slice(0, REVISION_SHOWN)} accepted; it is in force from the next run on.`));
    });
}

function addOperations(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  const op = program.command("op").description("acts and their outcomes");
  withOutput(op.command("ls"))
    .description("acts without an outcome; --all: recent ones too")
    .option("--all", "also those that are settled")
    .action(async (options: { all?: boolean }, command: Command) => {
      const listed = await listOperations(context, command, options.all === true);
      if (!listed.ok) return finish(complainAbout(context, listed.error));
      context.print(isJson(command) ? json(listed.value) : operationsText(listed.value));
      finish(EXIT.done);
    });
  op.command("resolve <id>")
    .description("say how an act ended whose outcome is unknown")
    .option("--succeeded", "it happened")
    .option("--failed", "it did not happen")
    .requiredOption("--reason <text>", "what you saw; kept in the journal")
    .action(async (id: string, options: { succeeded?: boolean; failed?: boolean; reason: string }, command: Command) => {
      if ((options.succeeded === true) === (options.failed === true)) {
        return finish(complainAbout(context, { code: "command.usage", message: "expected one of --succeeded and --failed, found both or none" }));
      }
      const outcome = options.succeeded === true ? "succeeded" : "failed";
      const body = { outcome, reason: options.reason };
      const done = await tell(context, command, `/v1/operations/${encodeURIComponent(id)}/resolve`, body, (deps) => resolveOperation(deps, id, outcome, options.reason));
      finish(report(context, done, () => `Operation ${id} is recorded as ${outcome}.`));
    });
}

async function listOperations(context: CommandContext, command: Command, isAll: boolean): Promise<Result<readonly Operation[]>> {
  const loaded = loadFor(context, command);
  if (!loaded.ok) return loaded;
  const asked = await askAgentFor(loaded.value.config.socket, `/v1/operations${isAll ? "?all=1" : ""}`, { schema: operationsAnswer, version: VERSION });
  if (asked.ok) return asked;
  if (asked.error.code !== "control.unreachable") return asked;
  const journal = openReadOnlyJournal(context.world.fileSystem, `${loaded.value.config.stateDir}/journal`);
  const operations = [...journal.recentOperations(), ...journal.openOperations()];
  return ok(isAll ? operations : operations.filter((operation) => !isSettled(operation.state)));
}

/** Over the socket, or, when nobody listens, with the journal in hand. */
async function tell(context: CommandContext, command: Command, path: string, body: unknown, offline: (deps: OperatorDeps) => Promise<Result<unknown>>): Promise<Result<unknown>> {
  const loaded = loadFor(context, command);
  if (!loaded.ok) return loaded;
  const asked = await askAgent(loaded.value.config.socket, path, body);
  if (asked.ok || asked.error.code !== "control.unreachable") return asked;
  return withJournal(context, loaded.value, (journal) => offline({ journal, clock: context.world.clock }));
}

/** A mistyped vmid would be paused without effect while somebody relies on it. Only a running agent knows. */
function isUndeclared(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null && "isDeclared" in answer && answer.isDeclared === false;
}

function targetOf(vmid: string | undefined, isAll: boolean | undefined): Result<number | "all"> {
  const usage = 'expected one VMID (100 to 999999999), or --all';
  if (isAll === true) return vmid === undefined ? ok("all") : fault("command.usage", `${usage}, found both`);
  const parsed = vmid === undefined ? undefined : parseVmid(vmid);
  return parsed === undefined ? fault("command.usage", `${usage}, found ${vmid === undefined ? "neither" : `"${vmid}"`}`) : ok(parsed);
}

function nameOf(target: number | "all"): string {
  return target === "all" ? "All guests" : `Guest ${target}`;
}

function report(context: CommandContext, done: Result<unknown>, text: () => string): ExitCode {
  if (!done.ok) return complainAbout(context, done.error);
  context.print(`${text()}\n`);
  return EXIT.done;
}

function operationsText(operations: readonly Operation[]): string {
  if (operations.length === 0) return "No open acts.\n";
  const rows = operations.map((operation) => [
    operation.id, `${operation.guest.kind}/${operation.guest.vmid}`, operation.action, operation.state, operation.changedAt, operation.detail ?? "",
  ]);
  return `${alignColumns([["ID", "GUEST", "ACTION", "STATE", "SINCE", "DETAIL"], ...rows]).join("\n")}\n`;
}

