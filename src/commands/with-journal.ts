import { openAgentJournal } from "../agent.ts";
import type { LoadedConfig } from "../config/load.ts";
import type { Journal } from "../journal/types.ts";
import type { Result } from "../ports/errors.ts";
import type { CommandContext } from "./context.ts";

/** Takes the writer lock and the journal, works, gives both back. `journal.locked` while an agent runs. */
export async function withJournal<T>(context: CommandContext, loaded: LoadedConfig, work: (journal: Journal) => Promise<Result<T>>): Promise<Result<T>> {
  const opened = await openAgentJournal(loaded.config, context.world);
  if (!opened.ok) return opened;
  try {
    return await work(opened.value);
  } finally {
    await opened.value.close();
  }
}
