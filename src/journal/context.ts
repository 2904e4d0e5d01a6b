import { DIRECTORY_MODE, FOREIGN_WRITE_BITS, type JournalLimits } from "./limits.ts";
import type { JournalState } from "./types.ts";
import type { Clock } from "../ports/clock.ts";
import { ok, fail, type Fault, type Result } from "../ports/errors.ts";
import type { FileLock, FileStatus, FileSystem } from "../ports/file-system.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import { stateAfter } from "./health.ts";

const ROOT_UID = 0;

/** What every part of an open journal works with. */
export interface JournalContext {
  readonly directory: string;
  readonly node: string;
  readonly machineId: string;
  readonly version: string;
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits: JournalLimits;
}

/** Why the journal cannot be written, short of corruption. */
export interface Trouble {
  readonly state: Exclude<JournalState, "healthy" | "closed">;
  readonly message: string;
}

/** What a failed file operation says of the whole journal: the state it leaves it in, and why. */
export function troubleOf(error: Fault): Trouble {
  return { state: stateAfter(error), message: `the journal cannot be used: ${error.message}` };
}

/** RFC 3339 UTC. */
export function timestamp(clock: Clock): string {
  return new Date(clock.now()).toISOString();
}

/**
 * Creates the journal's directory, and the state directory it is in, when that one's parent exists; says
 * why it cannot be used otherwise. Their names are made durable with the first segment (load.ts), also
 * when an earlier try died in between.
 */
export function prepareDirectory(fileSystem: FileSystem, directory: string): Trouble | undefined {
  const status = fileSystem.status(directory);
  if (status.ok) return undefined;
  if (status.error.code !== "file.not_found") return troubleOf(status.error);
  const parent = parentOf(directory);
  const above = fileSystem.status(parent);
  if (above.ok) {
    const foreign = foreignOwner(fileSystem, parent, above.value);
    if (foreign !== undefined) return foreign;
  } else {
    const parentMade = fileSystem.makeDirectory(parent, DIRECTORY_MODE);
    if (!parentMade.ok) return troubleOf(parentMade.error);
  }
  const made = fileSystem.makeDirectory(directory, DIRECTORY_MODE);
  return made.ok ? undefined : troubleOf(made.error);
}

/** Root's first command in the agent's own state directory would leave a journal there that the agent cannot open. Others cannot write there anyway. */
function foreignOwner({ effectiveUid }: FileSystem, path: string, { ownerUid }: FileStatus): Trouble | undefined {
  if (effectiveUid !== ROOT_UID || ownerUid === ROOT_UID) return undefined;
  return { state: "insecure", message: `${path} belongs to user ${ownerUid}, and a journal that root begins there could not be opened by that user's agent: run this as that user, \`runuser -u "$(id -nu ${ownerUid})" -- agent …\`` };
}

/** The directory `path` is in. */
export function parentOf(path: string): string {
  const end = path.replace(/\/+$/, "").lastIndexOf("/");
  return end === -1 ? "." : end === 0 ? "/" : path.slice(0, end);
}

/** Why a directory or file must not be trusted: somebody else could have written it. */
export function insecurityOf(fileSystem: FileSystem, path: string, status: FileStatus, mode: number): string | undefined {
  const expected = `expected mode ${octal(mode)} and owner ${fileSystem.effectiveUid}`;
  if (status.ownerUid !== fileSystem.effectiveUid) return `${path} belongs to user ${status.ownerUid}; ${expected}: chown it, after looking at what is in it`;
  if ((status.mode & FOREIGN_WRITE_BITS) === 0) return undefined;
  return `${path} has mode ${octal(status.mode)}, others may write to it; ${expected}: chmod it, after looking at what is in it`;
}

function octal(mode: number): string {
  return `0${mode.toString(8)}`;
}

export const LOCK_NAME = "lock";

/**
 * Takes the one-writer lock of a journal directory (which must exist). Whoever writes holds it: the
 * daemon, or a command that acts while no daemon runs. `journal.locked` names the holder.
 * `holder` describes the taker for whoever comes second.
 */
export function acquireWriterLock(fileSystem: FileSystem, directory: string, holder: string): Result<FileLock> {
  const locked = fileSystem.lock(`${directory}/${LOCK_NAME}`, holder);
  return locked.ok ? ok(locked.value) : fail(locked.error);
}
