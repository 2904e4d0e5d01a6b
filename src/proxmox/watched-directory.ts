import type { Clock } from "../ports/clock.ts";
import type { Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";

/**
 * Kernels stamp a directory with the time of the last timer tick, 10 ms long at most: two changes in one
 * tick leave the same stamp. A listing made this long after the stamp was first seen holds them all.
 */
const SETTLED_AFTER_MS = 20;

/** However the stamp stands, names are listed again after this long: on a real host it never lies, and nothing rests on that. */
const FULL_LISTING_MS = 5_000;

interface Listing {
  readonly stamp: string;
  readonly stampSeenAtMs: number;
  readonly listedAtMs: number;
  readonly isSettled: boolean;
  readonly names: readonly string[];
}

/**
 * The names in a directory of tmpfs or a disk, listed only when its modification time says that some
 * came or went: with thousands of names a listing costs milliseconds, the time of the last change
 * microseconds. Not for /proc and control groups, whose directories do not keep that time.
 */
export class WatchedDirectory {
  readonly #path: string;
  readonly #files: Pick<FileSystem, "list" | "status">;
  readonly #clock: Pick<Clock, "monotonic">;
  #last: Listing | undefined;

  constructor(path: string, files: Pick<FileSystem, "list" | "status">, clock: Pick<Clock, "monotonic">) {
    this.#path = path;
    this.#files = files;
    this.#clock = clock;
  }

  /** As FileSystem.list; the same object while nothing moved. */
  names(): Result<readonly string[]> {
    const stamp = this.#stamp();
    const last = this.#last;
    const nowMs = this.#clock.monotonic();
    if (last !== undefined && stamp !== undefined && last.stamp === stamp && last.isSettled && nowMs - last.listedAtMs < FULL_LISTING_MS) return { ok: true, value: last.names };
    const listed = this.#files.list(this.#path);
    // The stamp is older than the listing: what changed in between is listed twice, never lost.
    this.#last = listed.ok && stamp !== undefined ? afterListing(last, stamp, listed.value, nowMs) : undefined;
    return this.#last === undefined ? listed : { ok: true, value: this.#last.names };
  }

  /** What differs when names came or went, or another directory stands there; undefined where it cannot be told. */
  #stamp(): string | undefined {
    const status = this.#files.status(this.#path);
    return status.ok && status.value.isDirectory ? `${status.value.inode} ${status.value.modifiedAtMs}` : undefined;
  }
}

function afterListing(last: Listing | undefined, stamp: string, names: readonly string[], nowMs: number): Listing {
  const stampSeenAtMs = last?.stamp === stamp ? last.stampSeenAtMs : nowMs;
  return {
    stamp, stampSeenAtMs,
    listedAtMs: nowMs,
    isSettled: nowMs - stampSeenAtMs >= SETTLED_AFTER_MS,
    names: last !== undefined && isAlike(last.names, names) ? last.names : names,
  };
}

/** The same names in the same order, which a directory keeps while nothing changes. */
export function isAlike(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name, index) => name === right[index]);
}
