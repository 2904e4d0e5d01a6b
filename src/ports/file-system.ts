import type { Result } from "./errors.ts";

/**
 * The file operations durable state needs, and nothing more. The real implementation is
 * runtime/file-system.ts; the simulated one (test/support/) records every operation so that crash
 * states can be enumerated. Calls are synchronous except the two that wait for the disk: a sync may
 * take seconds on a sick disk and must not stop the process from answering.
 *
 * Durability as POSIX gives it: data is durable after `dataSync` returned; a name (create, rename,
 * remove) is durable only after `syncDirectory` of its directory returned.
 */
export interface FileSystem {
  /** The user this process acts as: what files it trusts must belong to. */
  readonly effectiveUid: number;
  /** Opens a file. `append`: writes go to the end; created with `mode` when absent. `read`: must exist. `createNew`: must not exist. */
  open(path: string, how: "read" | "append" | "createNew", mode?: number): Result<OpenFile>;
  readFile(path: string): Result<Uint8Array>;
  /** Names in a directory, unsorted. */
  list(directory: string): Result<readonly string[]>;
  status(path: string): Result<FileStatus>;
  makeDirectory(path: string, mode: number): Result<void>;
  rename(from: string, to: string): Result<void>;
  remove(path: string): Result<void>;
  /** fsync of a directory: makes the names in it durable. */
  syncDirectory(path: string): Promise<Result<void>>;
  /** Bytes available to this process on the file system that holds `path`. */
  freeBytes(path: string): Result<number>;
  /**
   * Takes an exclusive lock on `path` (created 0600), held until `release` or the end of the process;
   * not inherited by children. A file that another process holds is `journal.locked`, with the holder's
   * description (what it wrote into the file) in the message.
   */
  lock(path: string, holder: string): Result<FileLock>;
}

export interface OpenFile {
  /** Writes all of `bytes` or fails; on failure `writtenBytes` in the cause says how much got there. */
  write(bytes: Uint8Array): Result<void>;
  /**
   * fdatasync. The answer itself when the disk gave it within a moment, else a promise of it: a disk that is
   * slow or hangs stops nobody. Never retried on the same descriptor after a failure.
   */
  dataSync(): Result<void> | Promise<Result<void>>;
  truncate(sizeBytes: number): Result<void>;
  /** Reads up to `sizeBytes` at `offset`; shorter only at the end of the file. */
  read(offset: number, sizeBytes: number): Result<Uint8Array>;
  sizeBytes(): Result<number>;
  /** Reserves space up to `sizeBytes` without changing the content; not supported everywhere. */
  allocate(sizeBytes: number): Result<void>;
  /**
   * Forgets clean cached pages, so that the next read comes from the disk: after a failed sync the
   * cache may show what the disk never got. Best effort; call it after `dataSync`.
   */
  dropCache(): void;
  close(): void;
}

export interface FileLock {
  release(): void;
}

export interface FileStatus {
  readonly isDirectory: boolean;
  readonly isFile: boolean;
  /** Permission bits, e.g. 0o600. */
  readonly mode: number;
  readonly ownerUid: number;
  readonly sizeBytes: number;
  readonly inode: number;
  readonly modifiedAtMs: number;
}
