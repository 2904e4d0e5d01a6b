import { FILE_MODE } from "./limits.ts";
import { ok, type Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";
import type { Random } from "../ports/random.ts";

const RESERVE_NAME = "reserve";

/**
 * A spare file that is given up when the disk is full, so that the outcomes of what has started can
 * still be written. It stands in for fallocate where a file system takes the call and reserves
 * nothing (ZFS and other copy-on-write ones), and is filled with random bytes because such file
 * systems compress.
 */
export class SpareFile {
  readonly #fileSystem: FileSystem;
  readonly #path: string;
  readonly #sizeBytes: number;
  readonly #random: Random;

  constructor(fileSystem: FileSystem, directory: string, sizeBytes: number, random: Random) {
    this.#fileSystem = fileSystem;
    this.#path = `${directory}/${RESERVE_NAME}`;
    this.#sizeBytes = sizeBytes;
    this.#random = random;
  }

  /** Makes the file when it is missing or short. A full disk is `file.no_space`. */
  async ensure(): Promise<Result<void>> {
    const status = this.#fileSystem.status(this.#path);
    if (status.ok && status.value.sizeBytes >= this.#sizeBytes) return ok(undefined);
    this.release();
    const opened = this.#fileSystem.open(this.#path, "createNew", FILE_MODE);
    if (!opened.ok) return opened;
    const written = opened.value.write(this.#random.bytes(this.#sizeBytes));
    // Delayed allocation finds the disk full only when it must place the blocks: the sync asks for them now.
    const synced = written.ok ? await opened.value.dataSync() : written;
    opened.value.close();
    if (!synced.ok) this.release();
    return synced;
  }

  /** Gives the space back to the disk; without the file there is nothing to give, which is no error. */
  release(): void {
    this.#fileSystem.remove(this.#path);
  }
}
