import {
  chmodSync, chownSync, closeSync, copyFileSync, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync,
  readSync, renameSync, rmdirSync, rmSync, unlinkSync, writeFileSync, type Stats,
} from "node:fs";
import { dirname, join } from "node:path";

/** What is at a path; symbolic links are not followed. */
export interface Entry {
  readonly kind: "file" | "directory" | "other";
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
}

export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/** A piece of a file at a time: the binary has a hundred megabytes. */
const COMPARED_BYTES = 1024 * 1024;

const PARENT_MODE = 0o755;
const PERMISSION_BITS = 0o7777;

/**
 * The file system below a root ("/" is this machine's). Paths are absolute, as they will be when the
 * root is the machine's. Throws what node:fs throws; steps turn that into faults.
 */
export class Tree {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** Where `path` is on this machine. */
  real(path: string): string {
    return join(this.root, path);
  }

  look(path: string): Entry | undefined {
    const found = this.#stat(path);
    if (found === undefined) return undefined;
    const kind = found.isFile() ? "file" : found.isDirectory() ? "directory" : "other";
    return { kind, mode: found.mode & PERMISSION_BITS, uid: found.uid, gid: found.gid, sizeBytes: found.size };
  }

  #stat(path: string): Stats | undefined {
    try {
      return lstatSync(this.real(path), { throwIfNoEntry: false });
    } catch (error) {
      // Something above is a file: then there is nothing here.
      if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return undefined;
      throw error;
    }
  }

  isFile(path: string): boolean {
    return this.look(path)?.kind === "file";
  }

  /** A file's text; undefined when there is no file. */
  readText(path: string): string | undefined {
    return this.isFile(path) ? readFileSync(this.real(path), "utf8") : undefined;
  }

  list(directory: string): readonly string[] {
    return this.look(directory)?.kind === "directory" ? readdirSync(this.real(directory)).sort() : [];
  }

  /** Whether the file holds exactly this. */
  holds(path: string, content: string | { readonly copyOf: string }): boolean {
    if (typeof content === "string") return this.readText(path) === content;
    return this.isFile(path) && haveSameBytes(this.real(path), content.copyOf);
  }

  /** Puts a whole file in place with one rename: whoever reads it sees the old or the new one. Nobody else can read it before its mode is set. */
  write(path: string, content: string | { readonly copyOf: string }, mode: number, ids: Ids | undefined): void {
    const place = this.real(path);
    const beside = `${place}.steward-new`;
    rmSync(beside, { force: true });
    try {
      if (typeof content === "string") writeFileSync(beside, content, { mode: 0o600, flag: "wx" });
      else copyFileSync(content.copyOf, beside);
      if (ids !== undefined) chownSync(beside, ids.uid, ids.gid);
      chmodSync(beside, mode);
      sync(beside);
      renameSync(beside, place);
    } catch (error) {
      rmSync(beside, { force: true });
      throw error;
    }
  }

  /** Makes the directories above `path` that are missing and says which, outermost first. */
  makeParents(path: string): readonly string[] {
    const parent = dirname(path);
    if (parent === path || this.look(parent) !== undefined) return [];
    const made = this.makeParents(parent);
    mkdirSync(this.real(parent));
    chmodSync(this.real(parent), PARENT_MODE);
    return [...made, parent];
  }

  makeDirectory(path: string): void {
    mkdirSync(this.real(path), { mode: 0o700 });
  }

  setRights(path: string, mode: number, ids: Ids | undefined): void {
    if (ids !== undefined) chownSync(this.real(path), ids.uid, ids.gid);
    chmodSync(this.real(path), mode);
  }

  removeFile(path: string): void {
    unlinkSync(this.real(path));
  }

  removeTree(path: string): void {
    rmSync(this.real(path), { recursive: true });
  }

  /** Removes a directory that is there and empty; leaves any other alone. */
  removeEmpty(path: string): void {
    if (this.look(path)?.kind === "directory" && this.list(path).length === 0) rmdirSync(this.real(path));
  }
}

function sync(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function haveSameBytes(left: string, right: string): boolean {
  const [a, b] = [openSync(left, "r"), openSync(right, "r")];
  try {
    const [one, other] = [Buffer.alloc(COMPARED_BYTES), Buffer.alloc(COMPARED_BYTES)];
    for (;;) {
      const [read, readOther] = [readFully(a, one), readFully(b, other)];
      if (read !== readOther || !one.subarray(0, read).equals(other.subarray(0, read))) return false;
      if (read < COMPARED_BYTES) return true;
    }
  } finally {
    closeSync(a);
    closeSync(b);
  }
}

/** A read may give less than there is. */
function readFully(fd: number, into: Buffer): number {
  let filled = 0;
  while (filled < into.length) {
    const count = readSync(fd, into, filled, into.length - filled, null);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}
