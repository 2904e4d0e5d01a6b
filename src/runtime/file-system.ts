import fs from "node:fs";
import { dirname } from "node:path";
import { getSystemErrorName } from "node:util";
import { fail, fault, ok, type ErrorCode, type Fault, type Result } from "../ports/errors.ts";
import type { FileLock, FileStatus, FileSystem, OpenFile } from "../ports/file-system.ts";
import { ERROR_NUMBER, forgetCachedPages, lockExclusively, reserveBlocks } from "./ffi.ts";
import { KernelSync } from "./kernel-sync.ts";

/**
 * The real FileSystem: node:fs, and bun:ffi for what it lacks. Promises what ports/file-system.ts
 * says and nothing more; every failure is a value that names the path and what was tried. Syncs are
 * the kernel's work or the thread pool's, so a disk that hangs stops the caller and nobody else.
 */
export function createFileSystem(): FileSystem {
  return {
    effectiveUid: process.geteuid?.() ?? 0,
    open: openFile,
    readFile: (path) => attempt("read", path, () => new Uint8Array(fs.readFileSync(path))),
    list: (directory) => attempt("list", directory, () => fs.readdirSync(directory)),
    status: (path) => attempt("look at", path, () => statusOf(fs.statSync(path))),
    makeDirectory: (path, mode) => attempt("make directory", path, () => {
      fs.mkdirSync(path, { mode });
    }),
    rename: (from, to) => attempt(`rename to ${to}`, from, () => fs.renameSync(from, to)),
    remove: (path) => attempt("remove", path, () => fs.unlinkSync(path)),
    syncDirectory,
    freeBytes: (path) => attempt("ask the free space of", path, () => {
      const { bavail, bsize } = fs.statfsSync(path);
      return bavail * bsize;
    }),
    lock,
  };
}

const FILE_MODE = 0o600;

/** The kernel's queue is the process's, whatever files are open. */
const kernelSync = new KernelSync();

/** NOFOLLOW: a journal that is a symbolic link was put there by somebody else. */
const OPEN_FLAGS = {
  read: fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW,
  append: fs.constants.O_RDWR | fs.constants.O_APPEND | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW,
  createNew: fs.constants.O_RDWR | fs.constants.O_APPEND | fs.constants.O_CREAT | fs.constants.O_EXCL,
} as const;

function openFile(path: string, how: "read" | "append" | "createNew", mode: number = FILE_MODE): Result<OpenFile> {
  return attempt(`open (${how})`, path, () => new RealFile(path, fs.openSync(path, OPEN_FLAGS[how], mode)));
}

class RealFile implements OpenFile {
  readonly #path: string;
  readonly #descriptor: number;

  constructor(path: string, descriptor: number) {
    this.#path = path;
    this.#descriptor = descriptor;
  }

  write(bytes: Uint8Array): Result<void> {
    let writtenBytes = 0;
    try {
      // A full disk answers with a short write first and an error only then.
      while (writtenBytes < bytes.length) writtenBytes += writeOnce(this.#descriptor, bytes, writtenBytes);
      return ok(undefined);
    } catch (error) {
      return fail({ ...faultOf("write", this.#path, error), cause: { writtenBytes, error } });
    }
  }

  dataSync(): Result<void> | Promise<Result<void>> {
    const outcome = kernelSync.sync(this.#descriptor);
    if (outcome === undefined) return this.#dataSyncByThread();
    return typeof outcome === "number" ? this.#resultOf(outcome) : outcome.then((errorNumber) => this.#resultOf(errorNumber));
  }

  #resultOf(errorNumber: number): Result<void> {
    return errorNumber === 0 ? ok(undefined) : fail(faultOf("sync", this.#path, systemError(errorNumber)));
  }

  #dataSyncByThread(): Promise<Result<void>> {
    return new Promise((resolve) => {
      fs.fdatasync(this.#descriptor, (error) => {
        resolve(error === null || error === undefined ? ok(undefined) : fail(faultOf("sync", this.#path, error)));
      });
    });
  }

  truncate(sizeBytes: number): Result<void> {
    return attempt("truncate", this.#path, () => fs.ftruncateSync(this.#descriptor, sizeBytes));
  }

  read(offset: number, sizeBytes: number): Result<Uint8Array> {
    return attempt("read", this.#path, () => {
      const buffer = new Uint8Array(Math.max(0, Math.min(sizeBytes, fs.fstatSync(this.#descriptor).size - offset)));
      let filled = 0;
      while (filled < buffer.length) {
        const count = fs.readSync(this.#descriptor, buffer, filled, buffer.length - filled, offset + filled);
        if (count === 0) break;
        filled += count;
      }
      return buffer.subarray(0, filled);
    });
  }

  sizeBytes(): Result<number> {
    return attempt("look at", this.#path, () => fs.fstatSync(this.#descriptor).size);
  }

  allocate(sizeBytes: number): Result<void> {
    const reserved = reserveBlocks(this.#descriptor, sizeBytes);
    if (reserved.ok) return ok(undefined);
    const isFull = reserved.errorNumber === ERROR_NUMBER.noSpace || reserved.errorNumber === ERROR_NUMBER.quota;
    const code = isFull ? "file.no_space" : "file.other";
    return fault(code, `cannot reserve ${sizeBytes} bytes for ${this.#path}: error number ${reserved.errorNumber}`);
  }

  dropCache(): void {
    forgetCachedPages(this.#descriptor);
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }
}

/** One write; an interrupted one wrote nothing and is simply done again. */
function writeOnce(descriptor: number, bytes: Uint8Array, offset: number): number {
  try {
    const count = fs.writeSync(descriptor, bytes, offset, bytes.length - offset);
    if (count === 0) throw Object.assign(new Error("the system wrote nothing and gave no reason"), { code: "EIO" });
    return count;
  } catch (error) {
    if (codeOf(error) === "EINTR") return 0;
    throw error;
  }
}

/** fsync of the directory: names in it are durable when this resolves. */
function syncDirectory(path: string): Promise<Result<void>> {
  return new Promise((resolve) => {
    const opened = attempt("open", path, () => fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY));
    if (!opened.ok) return resolve(opened);
    fs.fsync(opened.value, (error) => {
      fs.closeSync(opened.value);
      resolve(error === null || error === undefined ? ok(undefined) : fail(faultOf("sync directory", path, error)));
    });
  });
}

/** How much of a holder's description is read back for the message of who comes second. */
const HOLDER_BYTES_MAX = 512;

function lock(path: string, holder: string): Result<FileLock> {
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW;
  const opened = attempt("open lock", path, () => fs.openSync(path, flags, FILE_MODE));
  if (!opened.ok) return opened;
  const descriptor = opened.value;
  const locked = lockExclusively(descriptor);
  if (locked.ok) return describeHolder(path, descriptor, holder);
  const found = holderOf(path, descriptor);
  fs.closeSync(descriptor);
  return locked.errorNumber === ERROR_NUMBER.again
    ? fault("journal.locked", `${path} is held by ${found}; only one agent may write to ${dirname(path)}: stop the other one, or use its control socket`)
    : fault("file.other", `cannot lock ${path}: error number ${locked.errorNumber}; the file system must support flock`);
}

function describeHolder(path: string, descriptor: number, holder: string): Result<FileLock> {
  const written = attempt("describe the holder in", path, () => {
    fs.ftruncateSync(descriptor, 0);
    fs.writeSync(descriptor, `process ${process.pid}: ${holder}\n`, 0);
  });
  // On a full disk the lock holds all the same; only its description is missing.
  if (!written.ok && written.error.code !== "file.no_space") {
    fs.closeSync(descriptor);
    return written;
  }
  let isHeld = true;
  return ok({
    release: () => {
      if (isHeld) fs.closeSync(descriptor);
      isHeld = false;
    },
  });
}

function holderOf(path: string, descriptor: number): string {
  const buffer = Buffer.alloc(HOLDER_BYTES_MAX);
  const read = attempt("read the holder in", path, () => fs.readSync(descriptor, buffer, 0, buffer.length, 0));
  // Printable characters only: the text goes to a terminal.
  const text = buffer.toString("utf8", 0, read.ok ? read.value : 0).replace(/[^ -~]+/g, " ").trim();
  return text === "" ? "another process that left no description" : text;
}

function statusOf(stats: fs.Stats): FileStatus {
  return {
    isDirectory: stats.isDirectory(),
    isFile: stats.isFile(),
    mode: stats.mode & 0o7777,
    ownerUid: stats.uid,
    sizeBytes: stats.size,
    inode: stats.ino,
    modifiedAtMs: stats.mtimeMs,
  };
}

const CODE_BY_ERRNO: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "file.not_found",
  ENOTDIR: "file.not_directory",
  EEXIST: "file.exists",
  EACCES: "file.denied",
  EPERM: "file.denied",
  ENOSPC: "file.no_space",
  EDQUOT: "file.no_space",
  EROFS: "file.read_only",
  EINTR: "file.interrupted",
  EIO: "file.io",
};

function attempt<T>(what: string, path: string, run: () => T): Result<T> {
  try {
    return ok(run());
  } catch (error) {
    return fail(faultOf(what, path, error));
  }
}

function faultOf(what: string, path: string, error: unknown): Fault {
  const errno = codeOf(error);
  const reason = error instanceof Error ? error.message : String(error);
  return { code: CODE_BY_ERRNO[errno] ?? "file.other", message: `cannot ${what} ${path}: ${reason}`, cause: error };
}

/** Error numbers of the kernel that Node has no name for. */
const UNNAMED_ERRORS: Readonly<Record<number, string>> = { [ERROR_NUMBER.quota]: "EDQUOT" };

function systemError(errorNumber: number): Error {
  const code = UNNAMED_ERRORS[errorNumber] ?? getSystemErrorName(-errorNumber);
  return Object.assign(new Error(`${code}: error number ${errorNumber}`), { code });
}

function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string" ? error.code : "";
}
