import { dlopen, FFIType, read } from "bun:ffi";

/**
 * The few system calls that neither Bun nor Node offers: flock (the one-writer lock), fallocate (room
 * for outcomes), posix_fadvise (read from the disk, not from the cache), madvise (code that only the start used). Loaded on first use, so that
 * commands that touch no journal pay nothing. A system without one of them answers "unsupported".
 */

/** What a call came to: done, or the error number. */
export type SystemCallResult = { readonly ok: true } | { readonly ok: false; readonly errorNumber: number };

/** Linux error numbers this room tells apart (asm-generic/errno-base.h, errno.h). */
export const ERROR_NUMBER = { interrupted: 4, io: 5, again: 11, noSpace: 28, notSupported: 95, quota: 122 } as const;

const LOCK_EXCLUSIVE_NONBLOCKING = 2 | 4;
const FALLOCATE_KEEP_SIZE = 1;
const FADVISE_DONTNEED = 4;
const MADVISE_DONTNEED = 4;
/** An interrupted call is repeated this often before it counts as failed. */
const INTERRUPTED_TRIES = 10;
/** glibc, then musl by architecture; the dynamic loader knows where they are. */
export const C_LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

type Library = ReturnType<typeof load>;
let library: Library | undefined;

function load(name: string) {
  return dlopen(name, {
    flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    fallocate: { args: [FFIType.i32, FFIType.i32, FFIType.i64, FFIType.i64], returns: FFIType.i32 },
    posix_fadvise: { args: [FFIType.i32, FFIType.i64, FFIType.i64, FFIType.i32], returns: FFIType.i32 },
    madvise: { args: [FFIType.u64, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
    __errno_location: { args: [], returns: FFIType.ptr },
  }).symbols as {
    flock(descriptor: number, operation: number): number;
    fallocate(descriptor: number, mode: number, offset: number, length: number): number;
    posix_fadvise(descriptor: number, offset: number, length: number, advice: number): number;
    madvise(address: bigint, length: bigint, advice: number): number;
    __errno_location(): Parameters<typeof read.i32>[0];
  };
}

function symbols(): Library | undefined {
  for (const name of C_LIBRARIES) {
    if (library !== undefined) break;
    try {
      library = load(name);
    } catch {
      // Not this C library: the next one is tried, and without any the caller hears "unsupported".
    }
  }
  return library;
}

function call(run: (library: Library) => number): SystemCallResult {
  const loaded = symbols();
  if (loaded === undefined) return { ok: false, errorNumber: ERROR_NUMBER.notSupported };
  let errorNumber = 0;
  for (let attempt = 0; attempt < INTERRUPTED_TRIES; attempt++) {
    if (run(loaded) === 0) return { ok: true };
    errorNumber = read.i32(loaded.__errno_location(), 0);
    if (errorNumber !== ERROR_NUMBER.interrupted) break;
  }
  return { ok: false, errorNumber };
}

/** flock(2), exclusive, without waiting; `again` when another open file holds it. */
export function lockExclusively(descriptor: number): SystemCallResult {
  return call((library) => library.flock(descriptor, LOCK_EXCLUSIVE_NONBLOCKING));
}

/** fallocate(2) with KEEP_SIZE: blocks up to `sizeBytes` are this file's; its size stays. */
export function reserveBlocks(descriptor: number, sizeBytes: number): SystemCallResult {
  return call((library) => library.fallocate(descriptor, FALLOCATE_KEEP_SIZE, 0, sizeBytes));
}

/** posix_fadvise(2) DONTNEED for the whole file: clean pages leave the cache. Best effort. */
export function forgetCachedPages(descriptor: number): void {
  symbols()?.posix_fadvise(descriptor, 0, 0, FADVISE_DONTNEED);
}

/**
 * Unmaps the pages of a file mapping that nobody ever writes; each comes back from the page cache when
 * it is touched. Only for read-only, executable mappings: elsewhere it would undo what was written.
 */
export function dropPages(address: bigint, lengthBytes: bigint): SystemCallResult {
  return call((loaded) => loaded.madvise(address, lengthBytes, MADVISE_DONTNEED));
}
