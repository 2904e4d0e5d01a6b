import { acquireWriterLock, insecurityOf, LOCK_NAME, prepareDirectory, timestamp, troubleOf, type JournalContext, type Trouble } from "./context.ts";
import { DIRECTORY_MODE, FILE_MODE, FREE_BYTES_MIN } from "./limits.ts";
import { segmentNames } from "./segment.ts";
import type { Fault } from "../ports/errors.ts";
import type { FileLock, FileSystem } from "../ports/file-system.ts";

/** The directory a journal is in: who may write there, whether it can be trusted, and what its disk has left. */
export class JournalDirectory {
  readonly #context: JournalContext;
  #lock: FileLock | undefined;

  /** `lock`: the writer lock, when the caller holds it already. */
  constructor(context: JournalContext, lock: FileLock | undefined) {
    this.#context = context;
    this.#lock = lock;
  }

  /**
   * Lock and trust, before anything is read. A fault is another process's lock; trouble says why this
   * journal cannot be written. `wasWritten`: this process has written here before.
   */
  take(wasWritten: boolean): Trouble | Fault | undefined {
    const { fileSystem, directory, node, version, clock } = this.#context;
    // One that was written and is gone was moved away: a new one in its place would hide that, and be in its way back.
    const missing = wasWritten ? absenceOf(fileSystem, directory) : prepareDirectory(fileSystem, directory);
    if (missing !== undefined) return missing;
    if (this.#lock === undefined) {
      const locked = acquireWriterLock(fileSystem, directory, `steward ${version} on ${node} since ${timestamp(clock)}`);
      if (!locked.ok) return locked.error.code === "journal.locked" ? locked.error : troubleOf(locked.error);
      this.#lock = locked.value;
    }
    const status = fileSystem.status(directory);
    if (!status.ok) return troubleOf(status.error);
    if (!status.value.isDirectory) return { state: "unwritable", message: `${directory} is not a directory: move it away` };
    const insecurity = insecurityOf(fileSystem, directory, status.value, DIRECTORY_MODE);
    return insecurity === undefined ? undefined : { state: "insecure", message: insecurity };
  }

  /**
   * What the next write would run into, found before it does: the directory gone or read-only, the disk
   * full. Space that is reserved is for outcomes; when the disk has none besides, nothing new may start.
   */
  trouble(): Trouble | undefined {
    const { fileSystem, directory } = this.#context;
    const probe = fileSystem.open(`${directory}/${LOCK_NAME}`, "append", FILE_MODE);
    if (!probe.ok) return troubleOf(probe.error);
    probe.value.close();
    const free = fileSystem.freeBytes(directory);
    if (!free.ok) return troubleOf(free.error);
    if (free.value >= FREE_BYTES_MIN) return undefined;
    return { state: "full", message: `expected at least ${FREE_BYTES_MIN / 1024} KiB of free space for ${directory}, found ${Math.floor(free.value / 1024)} KiB: free some; outcomes of what runs can still be written` };
  }

  /** The names of the segments that are there, oldest first; none when they cannot be listed. */
  segments(): readonly string[] {
    const listed = this.#context.fileSystem.list(this.#context.directory);
    return listed.ok ? segmentNames(listed.value) : [];
  }

  /** Gives the writer lock back. */
  release(): void {
    this.#lock?.release();
    this.#lock = undefined;
  }
}

function absenceOf(fileSystem: FileSystem, directory: string): Trouble | undefined {
  const status = fileSystem.status(directory);
  if (status.ok) return undefined;
  const { state } = troubleOf(status.error);
  return { state, message: `${directory} was there and is not any more (${status.error.message}): put it back; until then acts are not recorded` };
}
