import type { Command } from "commander";
import { Agent } from "../agent.ts";
import type { AgentConfig } from "../config/types.ts";
import type { Result } from "../ports/errors.ts";
import type { CommandContext } from "./context.ts";
import { onceOptions } from "./run.ts";

/**
 * One job by an agent of the command's own, where none runs. An interruption stops that agent, which
 * waits for what is at work: the outcome is in the journal. Fails as `Agent.open` and `work` do.
 */
export async function withOwnAgent<T>(context: CommandContext, command: Command, config: AgentConfig, work: (agent: Agent) => Promise<Result<T>>): Promise<Result<T>> {
  const opened = await Agent.open(onceOptions(context, config, command));
  if (!opened.ok) return opened;
  const agent = opened.value;
  let stopping: Promise<void> | undefined;
  const stop = (): void => void (stopping ??= agent.stop());
  context.interrupted.addEventListener("abort", stop, { once: true });
  try {
    return await work(agent);
  } finally {
    context.interrupted.removeEventListener("abort", stop);
    await (stopping ?? agent.stop());
  }
}
