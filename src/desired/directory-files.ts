import { watch } from "node:fs";
import { constants, lstat, open, readdir, realpath, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { printableName } from "../document/document.ts";
import { fault, ok, type Result } from "../ports/errors.ts";

/** Mode bit: every user of the host may write. Who can write a directory can exchange what is in it, whoever owns the files; a sticky bit does not keep new ones out. */
const WORLD_WRITABLE_BIT = 0o002n;

/** The part of a mode that says what something is, and what it says of a regular file (inode(7)). */
const FILE_TYPE_BITS = 0o170000n;
const FILE_TYPE_REGULAR = 0o100000n;

/** A ConfigMap mounted by Kubernetes has mode 0777, whatever its `defaultMode`, and cannot be changed. */
const FOR_MOUNTS = ", or copy its files to a directory of mode 755 where it cannot be changed (a mounted ConfigMap)";

/** What one look at a file gave. `stamp` changes whenever the file may have. */
interface FileLook {
  readonly stamp: string;
  /** Wall clock, milliseconds; undefined when the file could not be looked at. */
  readonly modifiedAtMs: number | undefined;
}

/** A file as it was read. Exactly one of the two faults a reader can mend: too large, or everything else. */
export interface FileReading extends FileLook {
  readonly content: Result<Uint8Array>;
}

/** The few operations the directory source needs, as a seam for tests. Nothing in here throws. */
export interface DirectoryFiles {
  /** Which directory stands behind the path now; another one after it was deleted and made again, or a symlink moved. */
  identify(path: string): Promise<Result<string>>;
  /** The names in a directory; one that everybody can write is `desired.unreadable`. */
  list(path: string): Promise<Result<readonly string[]>>;
  look(path: string): Promise<FileLook>;
  /** Reads at most `maxBytes`; a larger file is `desired.too_large` and not read. */
  read(path: string, maxBytes: number): Promise<FileReading>;
  /** Calls `onEvent` when a name in the directory changes; `onLost` when the watch ended by itself. */
  watch(path: string, onEvent: () => void, onLost: (cause: unknown) => void): Result<() => void>;
}

/** The real directory. Symlinks are followed: that is how configuration managers swap whole sets. */
export const realDirectoryFiles: DirectoryFiles = {
  async identify(path) {
    try {
      const status = await stat(path, { bigint: true });
      // The birth time tells a directory from a new one that got the old one's inode.
      return ok(`${status.dev}:${status.ino}:${status.birthtimeNs}`);
    } catch (cause) {
      return fault("desired.unreadable", describeCause(cause, "a directory"), cause);
    }
  },
  async list(path) {
    try {
      if (isWorldWritable(await stat(path, { bigint: true }))) {
        return fault("desired.unreadable", `expected a directory that only its owner and group can write, found one that every user of this host can; run chmod o-w on it${FOR_MOUNTS}`);
      }
      return ok(await readdir(path));
    } catch (cause) {
      return fault("desired.unreadable", describeCause(cause, "a directory"), cause);
    }
  },
  async look(path) {
    try {
      return lookOf(await stat(path, { bigint: true }));
    } catch (cause) {
      return failedLook(cause);
    }
  },
  read: readFile,
  watch(path, onEvent, onLost) {
    try {
      const watcher = watch(path, { persistent: false }, () => onEvent());
      watcher.on("error", onLost);
      return ok(() => watcher.close());
    } catch (cause) {
      return fault("desired.unreadable", describeCause(cause, "a directory"), cause);
    }
  },
};

async function readFile(path: string, maxBytes: number): Promise<FileReading> {
  let handle: FileHandle | undefined;
  let look: FileLook | undefined;
  try {
    // Opening a device can do something to it (rewind a tape, arm a watchdog), so it is looked at first.
    const before = await stat(path, { bigint: true });
    look = lookOf(before);
    if (!before.isFile()) return noFile(look);
    // It may have become another since: without O_NONBLOCK, opening a named pipe would wait for a writer for ever, and a terminal could become the agent's.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const status = await handle.stat({ bigint: true });
    look = lookOf(status);
    if (!status.isFile()) return noFile(look);
    if (isWorldWritable(status)) {
      return { ...look, content: fault("desired.unreadable", "expected a file that only its owner and group can write, found one that every user of this host can; run chmod o-w on it") };
    }
    const exposed = await exposedDirectoryOf(path);
    if (exposed !== undefined) {
      return { ...look, content: fault("desired.unreadable", `expected a file in a directory that only its owner and group can write, found it in one that every user of this host can; run chmod o-w on ${printableName(exposed)}`) };
    }
    if (status.size > BigInt(maxBytes)) return { ...look, content: fault("desired.too_large", `expected at most ${maxBytes} bytes, found ${status.size}; split it over several files`) };
    return { ...look, content: await readUpTo(handle, Number(status.size), maxBytes) };
  } catch (cause) {
    // A file that can be looked at and not read is one that rests, too.
    return { ...(look ?? failedLook(cause)), content: fault("desired.unreadable", describeUnreadFile(path, cause), cause) };
  } finally {
    await handle?.close().catch(() => undefined);
  }
}

function noFile(look: FileLook): FileReading {
  return { ...look, content: fault("desired.unreadable", "expected a file, found something else by that name (a directory, pipe, socket or device); move it away") };
}

/** A name that is not UTF-8 is listed with replacement characters and then not found by these. */
function describeUnreadFile(path: string, cause: unknown): string {
  if (codeOf(cause) === "ENOENT" && path.includes("\uFFFD")) return "expected a file name in UTF-8, found one that is not; rename the file";
  return describeCause(cause, "a readable file");
}

/** The directory that a symlinked file really stands in (as behind `..data`), when everybody can write that; where other files stand was judged when it was listed. */
async function exposedDirectoryOf(path: string): Promise<string | undefined> {
  if (!(await lstat(path)).isSymbolicLink()) return undefined;
  const directory = dirname(await realpath(path));
  return isWorldWritable(await stat(directory, { bigint: true })) ? directory : undefined;
}

function isWorldWritable({ mode }: { readonly mode: bigint }): boolean {
  return (mode & WORLD_WRITABLE_BIT) !== 0n;
}

/**
 * A file may grow while it is read, so the end is where a read gives nothing, not where the size said. One
 * that says it is empty is not read: files of the kernel say so, and some of them have no end to wait for.
 */
async function readUpTo(handle: FileHandle, sizeBytes: number, maxBytes: number): Promise<Result<Uint8Array>> {
  if (sizeBytes === 0) return ok(new Uint8Array());
  let buffer = new Uint8Array(sizeBytes + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.byteLength - length, length);
    if (bytesRead === 0) return ok(buffer.subarray(0, length));
    length += bytesRead;
    if (length > maxBytes) return fault("desired.too_large", `expected at most ${maxBytes} bytes, found more; split it over several files`);
    if (length === buffer.byteLength) buffer = grown(buffer, maxBytes + 1);
  }
}

function grown(buffer: Uint8Array, maxLength: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(maxLength, buffer.byteLength * 2 + 1024));
  larger.set(buffer);
  return larger;
}

interface BigStatus {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mode: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly mtimeMs: bigint;
}

function lookOf(status: BigStatus): FileLook {
  const { dev, ino, size, mode, mtimeNs, ctimeNs } = status;
  // What goes on in a directory or a pipe does not matter: it stays something that is no file.
  if ((mode & FILE_TYPE_BITS) !== FILE_TYPE_REGULAR) return { stamp: ["no file", dev, ino, mode].join(":"), modifiedAtMs: undefined };
  return { stamp: [dev, ino, size, mode, mtimeNs, ctimeNs].join(":"), modifiedAtMs: Number(status.mtimeMs) };
}

function failedLook(cause: unknown): FileLook {
  return { stamp: `failed:${codeOf(cause)}`, modifiedAtMs: undefined };
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "unknown";
}

/** Who wrote it with a umask of 077, or moved it here from elsewhere, kept the agent's group out. */
const READABLE_AGAIN = "give it the group of the agent's user (chgrp) and let the group read it (chmod g+r, of a directory g+rx)";

function describeCause(cause: unknown, expected: string): string {
  const code = codeOf(cause);
  switch (code) {
    case "ENOENT":
      return `expected ${expected}, found nothing (or a symlink to nothing); create it or correct the path`;
    case "ENOTDIR":
      return `expected ${expected}, found a file; correct the path`;
    case "ELOOP":
      return `expected ${expected}, found a symlink that leads back to itself; mend the link`;
    case "EACCES":
    case "EPERM":
      return `expected ${expected}, found that the agent's user may not read it; ${READABLE_AGAIN}`;
    case "ENAMETOOLONG":
      return `expected ${expected}, found a path that is too long for this file system; shorten it`;
    case "EMFILE":
    case "ENFILE":
    case "ENOSPC":
      return `expected ${expected}, found this host out of file handles or watches (${code}); raise fs.inotify.max_user_watches and max_user_instances, or the open-file limit`;
    default:
      return `expected ${expected}, found ${code}; see to the file system`;
  }
}
