import type { Command } from "commander";
import { compactionAnswer } from "../control/answers.ts";
import { askAgentFor } from "../control/client.ts";
import type { Compaction } from "../journal/types.ts";
import { fault, type Result } from "../ports/errors.ts";
import { VERSION } from "../version.ts";
import { complainAbout, EXIT, isJson, json, loadFor, type CommandContext, type ExitCode } from "./context.ts";
import { withJournal } from "./with-journal.ts";

/** `agent journal compact`: by the running agent, or with the writer lock in hand. */
export async function compactJournal(context: CommandContext, command: Command): Promise<ExitCode> {
  const done = await compaction(context, command);
  if (!done.ok) return complainAbout(context, done.error);
  context.print(isJson(command) ? json(done.value) : textOf(done.value));
  return EXIT.done;
}

async function compaction(context: CommandContext, command: Command): Promise<Result<Compaction>> {
  const loaded = loadFor(context, command);
  if (!loaded.ok) return loaded;
  const { socket, stateDir } = loaded.value.config;
  const asked = await askAgentFor(socket, "/v1/journal/compact", { schema: compactionAnswer, version: VERSION }, {});
  if (asked.ok || asked.error.code !== "control.unreachable") return asked;
  // Opening would make one: there is nothing to compact, and a wrong --state-dir should be noticed.
  const status = context.world.fileSystem.status(`${stateDir}/journal`);
  if (!status.ok) return fault("journal.missing", `expected a journal in ${stateDir}/journal: ${status.error.message}; name another state directory with --state-dir`);
  return withJournal(context, loaded.value, (journal) => journal.compact());
}

function textOf({ segment, records, sizeBytes, removed, kept }: Compaction): string {
  const live = `${records} record${records === 1 ? "" : "s"} of live state, ${sizeBytes} bytes`;
  return `Compacted: the journal goes on in ${segment} (${live}); ${kept.length} older segment${kept.length === 1 ? "" : "s"} kept for audit, ${removed.length} removed.\n`;
}
