import type { Command } from "commander";
import { parseDuration } from "../config/duration.ts";
import type { LoadedConfig } from "../config/load.ts";
import { restartAnswer } from "../control/answers.ts";
import { RESTART_ANSWER_WAIT_MAX_MS } from "../control/app.ts";
import { askAgentFor } from "../control/client.ts";
import { fault, ok, unreachable, type Fault, type Result } from "../ports/errors.ts";
import type { RestartReport, RestartRequest, RestartState } from "../reconcile/restart-request.ts";
import { complaintAboutRequest } from "../reconcile/restart-request.ts";
import { VERSION } from "../version.ts";
import { complainAbout, EXIT, isJson, json, loadFor, parseVmid, untilAborted, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { withOwnAgent } from "./own-agent.ts";
import { parseTime } from "./time.ts";

/** Added to what is waited for: an agent that is there answers a little later at most. */
const ANSWER_MARGIN_MS = 30_000;

/** Who holds the journal and does not answer is an agent that starts or stops, or another command: this long it is waited for. */
const LOCKED_WAIT_MS = 10_000;
const LOCKED_RETRY_MS = 250;

interface RestartOptions {
  readonly key: string;
  readonly keyExpires: string;
  readonly timeout: string;
  readonly issuedAt?: string;
}

/** `agent restart`: one restart of one guest, at most once per key; by the running agent when there is one. */
export function addRestartCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  withOutput(program.command("restart <vmid>"))
    .description("restart a declared guest once, so that what is pending applies; never kills it")
    .requiredOption("--key <key>", "names this restart: asking again with the same key gives its outcome and starts no other")
    .option("--key-expires <duration>", "how long the key is remembered: 1h to 366d", "7d")
    .option("--timeout <duration>", "how long to wait for the outcome; the restart goes on after that", "10m")
    .option("--issued-at <time>", "when this was first asked for; needed where the journal was moved or restored")
    .addHelpText("after", "\nExit codes: 0 restarted (or stopped, so that nothing is pending) · 1 failed (the key is free), or refused for good\n  2 held, still going on or unknown: ask again with the same key · 4 the journal is corrupt · 5 another agent holds the lock")
    .action(async (vmid: string, options: RestartOptions, command: Command) => finish(await runRestart(context, command, vmid, options)));
}

async function runRestart(context: CommandContext, command: Command, vmid: string, options: RestartOptions): Promise<ExitCode> {
  const request = requestOf(vmid, options);
  if (!request.ok) return complainAbout(context, request.error);
  const loaded = loadFor(context, command);
  if (!loaded.ok) return complainAbout(context, loaded.error);
  const done = await ask(context, command, loaded.value, request.value);
  if (!done.ok) return exitOfFault(complainAbout(context, done.error), done.error);
  context.print(isJson(command) ? json(done.value) : textOf(done.value));
  return exitOf(done.value.state);
}

function requestOf(vmidText: string, { key, keyExpires, timeout, issuedAt }: RestartOptions): Result<RestartRequest> {
  const vmid = parseVmid(vmidText);
  if (vmid === undefined) return fault("command.usage", `expected a VMID (100 to 999999999), found "${vmidText}"`);
  const keyLifeMs = parseDuration(keyExpires);
  if (keyLifeMs === undefined) return fault("command.usage", `expected a duration such as 12h or 7d after --key-expires, found "${keyExpires}"`);
  const waitMs = parseDuration(timeout);
  if (waitMs === undefined || waitMs > RESTART_ANSWER_WAIT_MAX_MS) return fault("command.usage", `expected a duration of up to 24h after --timeout, found "${timeout}"`);
  const issuedAtMs = issuedAt === undefined ? undefined : parseTime(issuedAt);
  if (issuedAt !== undefined && issuedAtMs === undefined) return fault("command.usage", `expected a time such as 2026-01-31T14:00:00Z after --issued-at, found "${issuedAt}"`);
  const request = { vmid, key, keyLifeMs, waitMs, ...(issuedAtMs === undefined ? {} : { issuedAtMs }) };
  const complaint = complaintAboutRequest(request);
  return complaint === undefined ? ok(request) : { ok: false, error: complaint };
}

async function ask(context: CommandContext, command: Command, loaded: LoadedConfig, request: RestartRequest): Promise<Result<RestartReport>> {
  const { clock } = context.world;
  const sinceMs = clock.monotonic();
  for (;;) {
    const asked = await askOnce(context, command, loaded, request);
    const isHeld = !asked.ok && asked.error.code === "journal.locked";
    if (!isHeld || clock.monotonic() - sinceMs >= LOCKED_WAIT_MS) return asked;
    await clock.sleep(LOCKED_RETRY_MS, context.interrupted);
  }
}

async function askOnce(context: CommandContext, command: Command, { config }: LoadedConfig, request: RestartRequest): Promise<Result<RestartReport>> {
  const answered = askAgentFor(config.socket, "/v1/restart", { schema: restartAnswer, version: VERSION }, request, request.waitMs + ANSWER_MARGIN_MS);
  const asked = await Promise.race([answered, interruptedAnswer(context, request)]);
  if (asked.ok || asked.error.code !== "control.unreachable") return asked;
  return withOwnAgent(context, command, config, (agent) => agent.restart(request));
}

/** The running agent goes on without this command. */
async function interruptedAnswer(context: CommandContext, { key }: RestartRequest): Promise<Result<never>> {
  await untilAborted(context.interrupted);
  return fault("reconcile.held", `interrupted; a restart that was begun goes on: ask again with the same key (${key})`);
}

/** Faults that pass by themselves: whoever asks again later with the same key may be answered otherwise. */
const PASSING: ReadonlySet<Fault["code"]> = new Set(["reconcile.held", "reconcile.not_ready", "proxmox.unreachable", "proxmox.no_answer", "proxmox.transient", "proxmox.lock_timeout"]);

function exitOfFault(code: ExitCode, { code: word }: Fault): ExitCode {
  return PASSING.has(word) ? EXIT.changes : code;
}

function exitOf(state: RestartState): ExitCode {
  switch (state) {
    case "succeeded":
    case "not_running":
      return EXIT.done;
    case "failed":
      return EXIT.error;
    case "running":
    case "unknown":
      return EXIT.changes;
    default:
      return unreachable(state);
  }
}

const STATE_WORDS: Readonly<Record<RestartState, string>> = {
  succeeded: "restarted", not_running: "not restarted", running: "not over yet", unknown: "outcome unknown", failed: "failed",
};

function textOf(report: RestartReport): string {
  const guest = `${report.kind === "" ? "guest " : `${report.kind}/`}${report.vmid}${report.name === "" ? "" : ` (${report.name})`}`;
  const operation = report.operation === "" ? "" : `  operation ${report.operation}${report.keyExpiresAt === "" ? "" : `, key ${report.key} until ${report.keyExpiresAt}`}\n`;
  return [
    `${guest} ${STATE_WORDS[report.state]}: ${report.message}.\n`,
    report.applied.length === 0 ? "" : `  applied: ${report.applied.join(", ")}\n`,
    report.stillPending.length === 0 ? "" : `  still pending: ${report.stillPending.join(", ")}\n`,
    operation,
  ].join("");
}
