import type { Journal } from "../journal/types.ts";
import type { Log } from "../ports/log.ts";
import type { ProxmoxApi, TaskRecord } from "../ports/proxmox-api.ts";

/** Proxmox keeps the newest thousand tasks in its index. */
const TASK_COUNT_MAX = 1_000;

/** Clocks of host and agent differ, and the last act's record may be a little older than its task. */
const SLACK_MS = 120_000;

/** Tasks named in the record: enough to look them up. */
const NAMED_COUNT_MAX = 3;

export interface RestoreDeps {
  readonly api: Pick<ProxmoxApi, "listTasks">;
  readonly journal: Journal;
  /** "user@realm!token"; undefined while no token is known. */
  readonly tokenUser: string | undefined;
  readonly log: Log;
}

/**
 * A journal that was restored from a backup is whole and knows nothing of what came after it. Proxmox does:
 * tasks of this agent's token that began after the journal's newest record, before this process opened it,
 * and that no operation accounts for. They are written down as an epoch (docs/journal.md). True: judged; false: not
 * to be judged yet, try again.
 */
export async function judgeRestored({ api, journal, tokenUser, log }: RestoreDeps): Promise<boolean> {
  const found = journal.foundAtOpening();
  if (found === undefined) return true;
  if (tokenUser === undefined || journal.health().state !== "healthy") return false;
  const tasks = await api.listTasks({ source: "all", limit: TASK_COUNT_MAX });
  if (!tasks.ok) return false;
  const unknown = tasks.value.filter((task) => task.user === tokenUser && task.startedAt * 1000 > found.newestMs + SLACK_MS && task.startedAt * 1000 < found.openedMs && !isAccountedFor(journal, task));
  if (unknown.length === 0) return true;
  const named = unknown.slice(0, NAMED_COUNT_MAX).map(({ upid }) => upid).join(", ");
  const detail = `Proxmox knows ${unknown.length} task${unknown.length === 1 ? "" : "s"} of ${tokenUser} that began after the newest record and ${unknown.length === 1 ? "is" : "are"} not in it (${named}): an older copy was put in place, or acts went on without a journal`;
  log.warn("the journal does not know all that was done", { detail });
  return (await journal.recordRestored(detail)).ok;
}

/** An operation names the task, or one on its guest still waits to be settled by it. */
function isAccountedFor(journal: Journal, task: TaskRecord): boolean {
  if (journal.recentOperations().some(({ upid }) => upid === task.upid)) return true;
  return journal.openOperations().some(({ upid, guest }) => upid === task.upid || String(guest.vmid) === task.id);
}
