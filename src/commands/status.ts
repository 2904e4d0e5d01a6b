import type { Command } from "commander";
import type { Condition } from "../conditions/condition.ts";
import { formatTransition } from "../conditions/condition.ts";
import { statusAnswer } from "../control/answers.ts";
import { askAgentFor } from "../control/client.ts";
import type { StatusReport } from "../control/report.ts";
import { escapeText } from "../plan/escape.ts";
import type { PlanStyle } from "../plan/render-style.ts";
import { describePause } from "../reconcile/pauses.ts";
import { REVISION_SHOWN } from "../reconcile/revision.ts";
import { VERSION } from "../version.ts";
import { complainAbout, EXIT, isJson, json, loadFor, styleFor, withDefaultsHint, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { alignColumns } from "./table.ts";

/** How often `status -w` draws. */
const WATCH_INTERVAL_MS = 1_000;

/** Newest events shown. */
const EVENTS_SHOWN = 8;

const CLEAR_SCREEN = "\u001b[H\u001b[2J";

/** `agent status`: conditions of the running agent. */
export function addStatusCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  withOutput(program.command("status"))
    .description("how the running agent, the host and each guest stand")
    .option("-w, --watch", "draw again every second until interrupted")
    .action(async (options: { watch?: boolean }, command: Command) => {
      const loaded = loadFor(context, command);
      if (!loaded.ok) return finish(complainAbout(context, loaded.error));
      do {
        const asked = await askAgentFor(loaded.value.config.socket, "/v1/status", { schema: statusAnswer, version: VERSION });
        if (!asked.ok) return finish(withDefaultsHint(context, loaded.value, complainAbout(context, asked.error)));
        const report = asked.value;
        const text = isJson(command) ? json(report) : renderStatus(report, styleFor(context, command));
        context.print(options.watch === true && context.isTerminal ? `${CLEAR_SCREEN}${text}` : text);
        if (options.watch === true) await context.world.clock.sleep(WATCH_INTERVAL_MS, context.interrupted);
      } while (options.watch === true && !context.interrupted.aborted);
      finish(EXIT.done);
    });
}

/** The status for a person. */
function renderStatus(report: StatusReport, style: PlanStyle): string {
  return [
    ...headLines(report, style),
    "",
    ...conditionLines(report.conditions, style),
    ...section("Guests", guestRows(report), style),
    ...section("Paused", report.pauses.map((pause) => [pause.target === "all" ? "all guests" : String(pause.target), describePause(pause)]), style),
    ...section("Acts without an outcome", report.openOperations.map((op) => [op.id, `${op.guest.kind}/${op.guest.vmid}`, op.action, op.state, op.changedAt]), style),
    ...section("Newest events", report.events.slice(-EVENTS_SHOWN).map((event) => [event.at, formatTransition(event)]), style),
    "",
  ].join("\n");
}

function headLines({ agent, revision, journal }: StatusReport, style: PlanStyle): readonly string[] {
  const dry = agent.isDryRun ? style.warning("  DRY RUN: nothing is sent") : "";
  const id = revision.id === "" ? "no revision yet" : `revision ${revision.id.slice(0, REVISION_SHOWN)}${revision.isHeld ? style.warning(" HELD") : ""}`;
  return [
    `${style.guest(`steward ${agent.version}`)} on ${escapeText(agent.node)}, pid ${agent.pid}, since ${agent.startedAt}${dry}`,
    `${id}, ${revision.declaredGuests} guest${revision.declaredGuests === 1 ? "" : "s"} declared; journal ${journal.state}, record ${journal.head.sequence}, head ${journal.head.hash.slice(0, 16)}`,
    ...(revision.isHeld ? [style.warning(escapeText(revision.message))] : []),
    ...(agent.configProblem === "" ? [] : [style.warning(`the newest config is not in force: ${escapeText(agent.configProblem)}`)]),
  ];
}

function conditionLines(conditions: readonly Condition[], style: PlanStyle): readonly string[] {
  const lines = alignColumns(conditions.map((condition) => [condition.type, condition.status, condition.reason, condition.message]), "  ");
  return [style.guest("Host"), ...lines.map((line, index) => paint(line, conditions[index], style))];
}

function paint(line: string, condition: Condition | undefined, style: PlanStyle): string {
  if (condition === undefined || condition.status === "Unknown") return style.faint(line);
  const isFine = condition.type === "RevisionHeld" ? condition.status === "False" : condition.status === "True";
  return isFine ? line : style.removed(line);
}

function guestRows(report: StatusReport): readonly (readonly string[])[] {
  return report.guests.map((guest) => [
    `${guest.kind}/${guest.vmid}`, guest.name, guest.runState, guest.result, noteworthy(guest.conditions),
  ]);
}

/** What is worth a person's eye: conditions that are not the quiet state. */
function noteworthy(conditions: readonly Condition[]): string {
  const told = new Set<string>();
  return conditions
    .filter((condition) => (condition.type === "Synced" ? condition.status !== "True" : condition.status !== "False"))
    .map((condition) => {
      // An act without an outcome is told by three conditions with one message.
      const isTold = condition.message !== "" && told.has(condition.message);
      told.add(condition.message);
      return isTold ? condition.type : describeCondition(condition);
    })
    .join(" | ");
}

/** "Drifted: cores 2 → 4"; a reason that its message begins with is not said twice. */
function describeCondition({ type, reason, message }: Condition): string {
  const name = type === "Synced" ? reason : type;
  if (message === "") return name;
  return message.toLowerCase().startsWith(name.toLowerCase()) ? message : `${name}: ${message}`;
}

function section(title: string, rows: readonly (readonly string[])[], style: PlanStyle): readonly string[] {
  return rows.length === 0 ? [] : ["", style.guest(title), ...alignColumns(rows, "  ")];
}
