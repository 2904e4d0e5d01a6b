import type { Command } from "commander";
import type { CommandContext, ExitCode } from "./context.ts";

/** `agent demo`: simulator, agent and a drifting homelab, narrated. */
export function addDemoCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  program
    .command("demo")
    .description("a simulated host, the agent and a drifting homelab, narrated; nothing real is touched")
    .option("--keep", "leave it running afterwards, with its addresses")
    .action(async (options: { keep?: boolean }, command: Command) => {
      // Loaded on demand: the daemon must not carry a simulated host in memory.
      const { runDemo } = await import("./demo-run.ts");
      finish(await runDemo(context, command, options.keep === true));
    });
}
