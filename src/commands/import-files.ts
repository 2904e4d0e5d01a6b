import fs from "node:fs";
import { dirname, join } from "node:path";
import { fault, ok, type Result } from "../ports/errors.ts";

/** A file to write; `vmid`: whose declaration it is. */
export interface NewFile {
  readonly name: string;
  readonly vmid: number;
  readonly text: string;
}

/** Readable for the group that keeps the declarations, writable for their owner. */
const FILE_MODE = 0o640;
const DIRECTORY_MODE = 0o750;

/** What a file system without hard links answers (pmxcfs, FAT, some network ones). */
const WITHOUT_LINKS: ReadonlySet<string> = new Set(["EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EMLINK"]);

/**
 * Writes new files, all of them or none. Each is complete under a hidden name before its own name
 * appears, and appears by a link, which never replaces a file. `file.exists` names what is in the way:
 * a file of that name, or another declaration of the same guest.
 */
export function writeNewFiles(directory: string, files: readonly NewFile[], processId: number): Result<void> {
  const made: string[] = [];
  try {
    // Only the last one: a mistyped path must not become a tree of its own.
    if (!fs.existsSync(directory)) fs.mkdirSync(directory, { mode: DIRECTORY_MODE });
    const inTheWay = collisions(fs.readdirSync(directory), files);
    if (inTheWay.length > 0) return exists(directory, inTheWay);
    const staged = files.map((file) => ({ from: join(directory, `.${file.name}.${processId}.new`), to: join(directory, file.name), file }));
    try {
      const { gid } = fs.statSync(directory);
      for (const { from, file } of staged) writeWhole(from, file.text, gid);
      for (const { from, to } of staged) {
        publish(from, to);
        made.push(to);
      }
    } finally {
      for (const { from } of staged) fs.rmSync(from, { force: true });
    }
    syncDirectory(directory);
    return ok(undefined);
  } catch (error) {
    for (const path of made) fs.rmSync(path, { force: true });
    if (codeOf(error) === "ENOENT" && !fs.existsSync(dirname(directory))) {
      return fault("file.not_found", `expected ${dirname(directory)} to be there, to make ${directory} in it, found none; make it first, or choose another directory with --out`, error);
    }
    if (codeOf(error) === "EEXIST") return exists(directory, [error instanceof Error ? error.message : String(error)]);
    return fault("file.other", `expected to write ${files.length} new file${files.length === 1 ? "" : "s"} to ${directory}: ${error instanceof Error ? error.message : String(error)}; nothing was left there`, error);
  }
}

/** Names that stand where a file would, and other files that by their names declare one of these guests. */
function collisions(there: readonly string[], files: readonly NewFile[]): readonly string[] {
  const names = new Set(files.map(({ name }) => name));
  const vmids = new Set(files.map(({ vmid }) => String(vmid)));
  return there.filter((name) => {
    const vmid = /^(\d+)(?:-.*)?\.(?:ya?ml|json)$/.exec(name)?.[1];
    return names.has(name) || (vmid !== undefined && vmids.has(vmid));
  });
}

function exists(directory: string, found: readonly string[]): Result<never> {
  return fault("file.exists", `expected no declarations of these guests in ${directory}, found ${found.toSorted().join(", ")}; nothing was written: move them away, or choose another directory with --out`);
}

function writeWhole(path: string, text: string, gid: number): void {
  const descriptor = fs.openSync(path, "wx", FILE_MODE);
  try {
    // The agent's umask would take the group's right away again.
    fs.fchmodSync(descriptor, FILE_MODE);
    giveToGroup(descriptor, gid);
    fs.writeFileSync(descriptor, text);
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Root writes into a directory of root and the agent's group: without that group the agent could not read what was written. */
function giveToGroup(descriptor: number, gid: number): void {
  if (fs.fstatSync(descriptor).gid === gid) return;
  try {
    fs.fchownSync(descriptor, -1, gid);
  } catch (error) {
    // Who is not in the directory's group may not give a file to it: it is theirs then, as any other they write.
    if (codeOf(error) !== "EPERM") throw error;
  }
}

function publish(from: string, to: string): void {
  try {
    fs.linkSync(from, to);
  } catch (error) {
    if (!WITHOUT_LINKS.has(codeOf(error)) || fs.existsSync(to)) throw error;
    fs.renameSync(from, to);
  }
}

function syncDirectory(path: string): void {
  const descriptor = fs.openSync(path, "r");
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
