import type { GuestKey, GuestKind } from "../../guest/key.ts";
import { copyConfig, parseConfig, type GuestConfigFile } from "./config-file.ts";
import type { FileLock } from "./file-lock.ts";

/** How a guest's process is doing while it has one. */
export interface Running {
  readonly pid: number;
  /** Wall clock, milliseconds. */
  readonly startedAtMs: number;
  isPaused: boolean;
  /** Aborted when the process ends. */
  readonly exit: AbortController;
}

/** One guest of the host: its file, its lock, its process. */
export class Guest implements GuestKey {
  readonly kind: GuestKind;
  readonly vmid: number;
  readonly lock: FileLock;
  /** Process state; undefined while it is stopped. */
  running: Running | undefined;
  /** Moves with every write of the file (`.vmlist`). */
  version: number;
  /** The next time the process ends it is started again: set by a reboot through the API. */
  isRebootRequested = false;
  #text: string;
  #parsed: GuestConfigFile | undefined;

  constructor(kind: GuestKind, vmid: number, text: string, version: number, lock: FileLock) {
    this.kind = kind;
    this.vmid = vmid;
    this.version = version;
    this.lock = lock;
    this.#text = text;
  }

  get text(): string {
    return this.#text;
  }

  set text(text: string) {
    this.#text = text;
    this.#parsed = undefined;
  }

  /** The parsed file, for reading only. */
  view(): GuestConfigFile {
    this.#parsed ??= parseConfig(this.kind, this.#text);
    return this.#parsed;
  }

  /** The parsed file, to be changed and written back. */
  load(): GuestConfigFile {
    return copyConfig(this.view());
  }

  /** A main-section value that is in force now. */
  option(key: string): string | undefined {
    return this.view().main.get(key) ?? undefined;
  }

  get isTemplate(): boolean {
    return this.option("template") === "1";
  }
}
