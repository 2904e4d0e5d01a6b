import { DiskModel, type CrashState, type Effort } from "../journal/crash-states.ts";
import type { SeededRandom } from "../journal/journal-fixture.ts";
import { MemoryFileSystem, type MemoryFileSystemOptions } from "./memory-file-system.ts";

/**
 * The disk of a simulated site: a MemoryFileSystem, and beside it what would be left of it if the
 * machine lost its power now. Without a random source a crash leaves exactly what was synced; with one
 * any state a real disk may leave: unsynced changes there or not, the last write cut anywhere.
 */

/** How many states a crash is chosen from. */
const CRASH_EFFORT: Effort = { exhaustiveUpTo: 2, samples: 2, cutsOfLast: 3, cutsOfOthers: 1 };

export class SimulatedDisk {
  fileSystem: MemoryFileSystem;
  readonly #options: Pick<MemoryFileSystemOptions, "lies" | "nowMs">;
  #model: DiskModel;
  #applied = 0;

  constructor(options: Pick<MemoryFileSystemOptions, "lies" | "nowMs"> = {}) {
    this.#options = options;
    const directories = ["/", "/state"];
    this.fileSystem = new MemoryFileSystem({ ...options, directories });
    this.#model = new DiskModel(directories);
  }

  /** Every file as it is certain to be found after a crash now. */
  durableFiles(): ReadonlyMap<string, Uint8Array> {
    return this.#syncedOnly().files;
  }

  /** The power goes: a new disk with what is left. What holds the old file system writes into the void. */
  crash(random?: SeededRandom): void {
    this.#catchUp();
    const left = random === undefined ? this.#syncedOnly() : anyOf([...this.#model.states(random, CRASH_EFFORT)], random);
    this.fileSystem = new MemoryFileSystem({ ...this.#options, directories: left.directories, files: left.files });
    this.#model = new DiskModel(left.directories, left.files);
    this.#applied = 0;
  }

  /** The process dies and the machine stays up: all that was written is there. */
  keepAll(): void {
    const { directories } = this.fileSystem;
    const files = this.fileSystem.snapshot();
    this.fileSystem = new MemoryFileSystem({ ...this.#options, directories, files });
    this.#model = new DiskModel(directories, files);
    this.#applied = 0;
  }

  #catchUp(): void {
    const { changes } = this.fileSystem;
    for (; this.#applied < changes.length; this.#applied++) {
      const change = changes[this.#applied];
      if (change !== undefined) this.#model.apply(change);
    }
  }

  /** The state in which nothing that was pending happened. */
  #syncedOnly(): CrashState {
    this.#catchUp();
    return this.#model.synced();
  }
}

function anyOf(states: readonly CrashState[], random: SeededRandom): CrashState {
  const state = states[random.below(states.length)];
  if (state === undefined) throw new Error("a disk has at least one state");
  return state;
}
