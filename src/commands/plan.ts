import type { Command } from "commander";
import { ConditionTracker } from "../conditions/tracker.ts";
import type { AgentConfig } from "../config/types.ts";
import { createParts } from "../parts.ts";
import { Lanes } from "../lanes/lanes.ts";
import { hostPlanOf, isInSync } from "../plan/plan-host.ts";
import { renderPlan } from "../plan/render.ts";
import { renderPlanJson } from "../plan/render-json.ts";
import { Engine } from "../reconcile/engine.ts";
import { problemsOf } from "../reconcile/once.ts";
import { engineSettings } from "../agent.ts";
import { complainAbout, EXIT, isJson, loadFor, styleFor, withDefaultsHint, withOutput, type CommandContext, type ExitCode } from "./context.ts";
import { openReadOnlyJournal } from "./read-only-journal.ts";

/** `agent plan`: what would change and why. Reads only; needs no running agent and takes no lock. */
export function addPlanCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  withOutput(program.command("plan"))
    .description("what would change, and why; changes nothing")
    .addHelpText("after", "\nExit codes: 0 nothing to do · 1 error · 2 something differs")
    .action(async (_options, command: Command) => finish(await plan(context, command)));
}

async function plan(context: CommandContext, command: Command): Promise<ExitCode> {
  const loaded = loadFor(context, command);
  if (!loaded.ok) return complainAbout(context, loaded.error);
  return withDefaultsHint(context, loaded.value, await printPlan(context, command, loaded.value.config));
}

/** Reads the host, prints what would change, and gives the exit code of `agent plan`. */
export async function printPlan(context: CommandContext, command: Command, config: AgentConfig): Promise<ExitCode> {
  const { clock, random, log, fileSystem } = context.world;
  const parts = createParts(config, context.world);
  const tracker = new ConditionTracker(clock.now(), () => {});
  const engine = new Engine(
    {
      api: parts.api, source: parts.source, desired: parts.desired, tokenUser: parts.tokenUser,
      journal: openReadOnlyJournal(fileSystem, `${config.stateDir}/journal`),
      lanes: new Lanes({ clock }),
      clock, random, log, tracker,
      observer: { reconciled: () => {}, acted: () => {}, resynced: () => {}, cycled: () => {} },
    },
    { ...engineSettings(config), isDryRun: true },
  );
  try {
    await engine.runOnce(clock.monotonic());
    const host = hostPlanOf(engine.guests().flatMap((view) => view.plan ?? []));
    const problems = problemsOf(tracker.host());
    const held = engine.revisionHeld();
    const isRead = tracker.hostCondition("FirstFullReadDone")?.status === "True";
    if (isRead) context.print(isJson(command) ? renderPlanJson(host) : renderPlan(host, styleFor(context, command)));
    for (const problem of problems) context.complain(`agent: ${problem}\n`);
    if (held !== undefined) context.complain(`agent: held: ${held.message}\n`);
    if (problems.length > 0 || !isRead || host.summary.unreadable > 0) return EXIT.error;
    return host.guests.every(isInSync) ? EXIT.done : EXIT.changes;
  } finally {
    await engine.stop(0);
    parts.close();
  }
}
