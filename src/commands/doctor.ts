import { networkInterfaces } from "node:os";
import type { Command } from "commander";
import type { AgentConfig } from "../config/types.ts";
import { statusAnswer } from "../control/answers.ts";
import { askAgentFor } from "../control/client.ts";
import type { DesiredReport } from "../desired/model.ts";
import { createDesiredSource } from "../desired/sources.ts";
import { examine } from "../doctor/doctor.ts";
import type { AgentFacts } from "../doctor/facts.ts";
import { renderReport } from "../doctor/render.ts";
import type { Log } from "../ports/log.ts";
import { problemsOf } from "../reconcile/once.ts";
import { VERSION } from "../version.ts";
import { EXIT, isJson, json, loadFor, styleFor, withOutput, type CommandContext, type ExitCode } from "./context.ts";

/** An agent that is there answers its socket at once. */
const AGENT_TIMEOUT_MS = 5_000;

/** What is logged on the way is in the findings, better said. */
const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** `agent doctor`: everything the agent depends on, and how to mend what is wrong. */
export function addDoctorCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  withOutput(program.command("doctor"))
    .description("look at everything the agent depends on, and say how to mend what is wrong")
    .option("-v, --verbose", "show details of what is well, too")
    .addHelpText("after", "\nChanges nothing; works with and without a running agent.\nExit codes: 0 all well (warnings allowed) · 1 something fails")
    .action(async (options: { verbose?: boolean }, command: Command) => {
      const report = await examine({
        ...context.world,
        loaded: loadFor(context, command),
        log: SILENT,
        files: context.world.fileSystem,
        ownUid: context.world.userId,
        processId: context.processId,
        version: VERSION,
        procDir: "/proc",
        ownAddresses: Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address)),
        askAgent: agentFacts,
        loadDesired: (config) => loadDesired(context, config),
      });
      context.print(isJson(command) ? json(report) : renderReport(report, styleFor(context, command), options.verbose === true));
      finish(report.exitCode === 0 ? EXIT.done : EXIT.error);
    });
}

async function agentFacts({ socket }: AgentConfig): Promise<AgentFacts> {
  const asked = await askAgentFor(socket, "/v1/status", { schema: statusAnswer, version: VERSION }, undefined, AGENT_TIMEOUT_MS);
  if (!asked.ok) return asked.error.code === "control.unreachable" ? { state: "absent" } : { state: "unclear", message: asked.error.message };
  const { agent, conditions } = asked.value;
  return { state: "running", pid: agent.pid, version: agent.version, node: agent.node, configProblem: agent.configProblem, troubles: problemsOf(conditions) };
}

async function loadDesired({ world }: CommandContext, { desired }: AgentConfig): Promise<DesiredReport> {
  const source = createDesiredSource(desired, { clock: world.clock, log: SILENT });
  try {
    return await source.load();
  } finally {
    source.close();
  }
}
