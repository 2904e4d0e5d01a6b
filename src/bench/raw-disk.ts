import fs from "node:fs";
import { join } from "node:path";
import { sampleOf, type Sample } from "./rounds.ts";
import type { Clock } from "../ports/clock.ts";
import { fault, ok, type ErrorCode, type Result } from "../ports/errors.ts";

/**
 * The disk itself, past the file system interface of the agent: a directory to write in that is gone
 * afterwards whatever happens, and the plain loop of write + fdatasync that no journal can beat.
 */

/** Whether writes make a file longer, or go over bytes that are there already. */
export type FileKind = "growing" | "filled";

/** The name begins with a dot: nobody takes it for state of the agent's. */
const SCRATCH_PREFIX = ".steward-bench-";

/** A directory that is removed by `remove`, or at the latest when the process ends in order. */
export interface Scratch {
  readonly path: string;
  readonly remove: () => void;
}

const CODE_BY_ERRNO: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "file.not_found", EACCES: "file.denied", EPERM: "file.denied", EROFS: "file.read_only", ENOSPC: "file.no_space", EDQUOT: "file.no_space", EIO: "file.io",
};

/** What to do about it, by the code. */
const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  "file.denied": "run it as the user that owns the directory, or name another with --dir",
  "file.read_only": "it is mounted read-only; name another directory with --dir",
  "file.no_space": "make room, or name a directory on another disk with --dir",
};

/** Makes a directory of its own inside `directory`. */
export function makeScratch(directory: string): Result<Scratch> {
  try {
    return ok(scratchAt(fs.mkdtempSync(join(directory, SCRATCH_PREFIX))));
  } catch (error) {
    const errno = error instanceof Error && "code" in error ? String(error.code) : "";
    const code = CODE_BY_ERRNO[errno] ?? "file.other";
    const reason = error instanceof Error ? error.message : String(error);
    return fault(code, `cannot write in ${directory} (${reason}): ${ADVICE[code] ?? "name another directory with --dir"}`, error);
  }
}

function scratchAt(path: string): Scratch {
  const removeAll = (): void => fs.rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  // A second Ctrl-C ends the process on the spot, past every "finally".
  process.once("exit", removeAll);
  return {
    path,
    remove: () => {
      process.off("exit", removeAll);
      removeAll();
    },
  };
}

/** Works in a directory of its own inside `directory`, which is gone afterwards. */
export async function inScratch<T>(directory: string, work: (path: string) => Promise<T>): Promise<T> {
  const scratch = makeScratch(directory);
  if (!scratch.ok) throw new Error(scratch.error.message);
  try {
    return await work(scratch.value.path);
  } finally {
    scratch.value.remove();
  }
}

export interface RawOptions {
  readonly clock: Clock;
  readonly directory: string;
  readonly kind: FileKind;
  /** Written at once and synced: one record, or as many as share a sync. */
  readonly bytes: Uint8Array;
  readonly durationMs: number;
  readonly interrupted?: AbortSignal;
}

/** A filled file is this long and written over and over, as a journal goes from segment to segment. */
const FILLED_BYTES = 2 * 1_048_576;
/** A growing one begins anew here: a fast disk would write gigabytes. */
const GROWN_BYTES_MAX = 32 * 1_048_576;
/** The loop keeps the process from everything else; signals are to be heard. */
const SLICE_MS = 50;
const LINE_FEED = 0x0a;

/** Writes and syncs `bytes` in a loop: syncs a second, and how long one took. */
export async function measureRawSyncs({ clock, directory, kind, bytes, durationMs, interrupted }: RawOptions): Promise<Required<Sample>> {
  const path = join(directory, `raw-${kind}`);
  const descriptor = fs.openSync(path, "w", 0o600);
  try {
    const sizeBytes = kind === "filled" ? fill(descriptor, Math.max(FILLED_BYTES, bytes.length)) : GROWN_BYTES_MAX;
    const latenciesMs: number[] = [];
    let [position, spentMs] = [0, 0];
    const endMs = clock.monotonic() + durationMs;
    while (latenciesMs.length === 0 || (clock.monotonic() < endMs && interrupted?.aborted !== true)) {
      const sliceEndMs = clock.monotonic() + SLICE_MS;
      do {
        if (position + bytes.length > sizeBytes) position = rewind(descriptor, kind);
        const startedMs = clock.monotonic();
        writeAll(descriptor, bytes, position);
        fs.fdatasyncSync(descriptor);
        const tookMs = clock.monotonic() - startedMs;
        latenciesMs.push(tookMs);
        spentMs += tookMs;
        position += bytes.length;
      } while (clock.monotonic() < sliceEndMs);
      await clock.sleep(0);
    }
    return sampleOf(latenciesMs, spentMs);
  } finally {
    fs.closeSync(descriptor);
    fs.rmSync(path, { force: true });
  }
}

function fill(descriptor: number, sizeBytes: number): number {
  writeAll(descriptor, new Uint8Array(sizeBytes).fill(LINE_FEED), 0);
  fs.fsyncSync(descriptor);
  return sizeBytes;
}

/** Gives where to go on writing: the beginning. */
function rewind(descriptor: number, kind: FileKind): number {
  if (kind === "growing") {
    fs.ftruncateSync(descriptor, 0);
    fs.fsyncSync(descriptor);
  }
  return 0;
}

/** A nearly full disk writes a part first and fails only then. */
function writeAll(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length;) written += fs.writeSync(descriptor, bytes, written, bytes.length - written, position + written);
}
