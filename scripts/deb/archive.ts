import { gzipSync } from "node:zlib";

/**
 * The two formats a .deb is made of: ar around two gzipped tars (deb(5), ar(5), POSIX ustar). Written here
 * so that any machine that builds the agent can package it, and the same tree gives the same bytes: no
 * time but the one given, no owner but root, entries in the order of their names.
 */

/** A file or directory of a package; paths are absolute. */
export interface PackedFile {
  readonly path: string;
  readonly mode: number;
  readonly content: Uint8Array;
}

const BLOCK_BYTES = 512;
/** ustar's name field; what is longer would need its prefix field, and nothing here is. */
const NAME_BYTES = 100;
const DIRECTORY_MODE = 0o755;
const GZIP_LEVEL = 9;

/** A gzipped tar of the files, with every directory above them. Modes of directories are 0755 unless given. */
export function gzippedTar(files: readonly PackedFile[], directoryModes: ReadonlyMap<string, number>, modifiedAt: number): Uint8Array {
  const directories = new Set([...directoryModes.keys(), ...files.flatMap(({ path }) => parentsOf(path))]);
  for (const path of directoryModes.keys()) for (const parent of parentsOf(path)) directories.add(parent);
  const entries = [
    ...[...directories].map((path) => ({ name: path === "/" ? "./" : `.${path}/`, mode: directoryModes.get(path) ?? DIRECTORY_MODE, content: undefined })),
    ...files.map(({ path, mode, content }) => ({ name: `.${path}`, mode, content })),
  ].sort((a, b) => (a.name < b.name ? -1 : 1));
  const blocks = entries.flatMap(({ name, mode, content }) => [header(name, mode, content, modifiedAt), ...(content === undefined ? [] : [content, padding(content.length)])]);
  return gzipSync(Buffer.concat([...blocks, new Uint8Array(2 * BLOCK_BYTES)]), { level: GZIP_LEVEL });
}

function parentsOf(path: string): readonly string[] {
  const parent = path.slice(0, path.lastIndexOf("/"));
  return path === "/" ? [] : parent === "" ? ["/"] : [parent, ...parentsOf(parent)];
}

function padding(length: number): Uint8Array {
  return new Uint8Array((BLOCK_BYTES - (length % BLOCK_BYTES)) % BLOCK_BYTES);
}

function header(name: string, mode: number, content: Uint8Array | undefined, modifiedAt: number): Uint8Array {
  if (Buffer.byteLength(name) > NAME_BYTES) throw new Error(`${name}: expected a path of at most ${NAME_BYTES} bytes`);
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, at: number, width: number): void => void block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  block.write(name, 0, "utf8");
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(content?.length ?? 0, 124, 12);
  octal(modifiedAt, 136, 12);
  block.write("        ", 148, "latin1");
  block.write(content === undefined ? "5" : "0", 156, "latin1");
  block.write("ustar\u000000root", 257, "latin1");
  block.write("root", 297, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** An ar archive as dpkg reads it. */
export function arArchive(members: readonly (readonly [string, Uint8Array])[], modifiedAt: number): Uint8Array {
  const parts = members.flatMap(([name, content]) => {
    const head = `${name.padEnd(16)}${String(modifiedAt).padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(content.length).padEnd(10)}\`\n`;
    return [Buffer.from(head, "latin1"), content, Buffer.from(content.length % 2 === 0 ? "" : "\n")];
  });
  return Buffer.concat([Buffer.from("!<arch>\n"), ...parts]);
}
