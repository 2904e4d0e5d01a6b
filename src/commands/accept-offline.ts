import type { LoadedConfig } from "../config/load.ts";
import { createDesiredSource } from "../desired/sources.ts";
import { fault, type Result } from "../ports/errors.ts";
import { RevisionGate } from "../reconcile/revision.ts";
import type { CommandContext } from "./context.ts";
import { withJournal } from "./with-journal.ts";

/** Accepts the desired state as it is in its files now, when no agent runs that could be asked. */
export function acceptNewest(context: CommandContext, loaded: LoadedConfig, revision: string): Promise<Result<string>> {
  return withJournal(context, loaded, async (journal) => {
    const { clock, log } = context.world;
    const source = createDesiredSource(loaded.config.desired, { clock, log });
    const report = await source.load();
    source.close();
    if (report.problems.length > 0 || report.state === undefined) {
      return fault("control.refused", `the desired state cannot be accepted as it is: ${report.problems.map((problem) => problem.message).join("; ")}`);
    }
    const gate = new RevisionGate(journal);
    gate.offer(report.state);
    return gate.acceptNamed(revision);
  });
}
