import { CONFIG_DIRECTORY, RECORD_FILE } from "./layout.ts";
import type { Tree } from "./tree.ts";

const RECORD_MODE = 0o644;
const PACKAGE_LIST = "/var/lib/dpkg/info/steward.list";

/** What installing made besides files, a line each: "user steward", "directory /usr/local/share/zsh". */
export function readRecord(tree: Tree): readonly string[] {
  return (tree.readText(RECORD_FILE) ?? "").split("\n").filter((line) => line !== "");
}

/** Directories that installing made, as far as they are written down. */
export function recordedDirectories(tree: Tree): readonly string[] {
  return readRecord(tree).flatMap((line) => (line.startsWith("directory /") ? [line.slice("directory ".length)] : []));
}

/** The list of files of the Debian package; undefined when that is not installed. */
export function packageRecord(tree: Tree): string | undefined {
  return tree.isFile(PACKAGE_LIST) ? PACKAGE_LIST : undefined;
}

/** Collects what is made and writes it down at the end, once there is a place for it. */
export class Recorder {
  readonly #tree: Tree;
  readonly #lines: Set<string>;
  #isNew = false;

  constructor(tree: Tree) {
    this.#tree = tree;
    this.#lines = new Set(readRecord(tree));
  }

  add(line: string): void {
    if (this.#lines.has(line)) return;
    this.#lines.add(line);
    this.#isNew = true;
  }

  write(): void {
    // Something else stands where its directory belongs: the step that found it has said so.
    if (!this.#isNew || (this.#tree.look(CONFIG_DIRECTORY)?.kind ?? "directory") !== "directory") return;
    this.#tree.makeParents(RECORD_FILE);
    this.#tree.write(RECORD_FILE, [...this.#lines].sort().map((line) => `${line}\n`).join(""), RECORD_MODE, undefined);
  }
}
