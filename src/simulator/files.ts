import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * The simulator's only door to the disk: the token file, the certificates and the files of a host.
 * None of them is durable state, so nothing is synced; every write is a rename, so that a reader never
 * sees half a file.
 */

/** Replaces `path` with `content`; makes its directory. Throws on failure: the simulator cannot go on. */
export function replaceFile(path: string, content: string, mode: number): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.tmp`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, content, { mode, flag: "wx" });
  renameSync(temporary, path);
}

export function makeDirectory(path: string): void {
  mkdirSync(path, { recursive: true });
}

/** Removes a file or an empty-or-not directory; fine when it is not there. */
export function removePath(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** The text of a file, undefined where there is none. */
export function readFileIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

/** Whether there is nothing in a directory, or no directory. */
export function isEmptyOrMissing(path: string): boolean {
  return !existsSync(path) || readdirSync(path).length === 0;
}
