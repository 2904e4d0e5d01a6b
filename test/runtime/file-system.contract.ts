import { describe, expect, test } from "bun:test";
import type { Result } from "../../src/ports/errors.ts";
import type { FileSystem } from "../../src/ports/file-system.ts";

/** What every FileSystem promises. `make` gives a fresh one and an empty directory in it. */
export function fileSystemContract(name: string, make: () => { readonly fileSystem: FileSystem; readonly directory: string }): void {
  const valueOf = <T>(result: Result<T>): T => {
    if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
    return result.value;
  };
  const failureOf = (result: Result<unknown>): string => (result.ok ? "ok" : result.error.code);
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const textOf = (result: Result<Uint8Array>): string => new TextDecoder().decode(valueOf(result));

  describe(name, () => {
    test("appends, reads back, and knows its size", async () => {
      const { fileSystem, directory } = make();
      const file = valueOf(fileSystem.open(`${directory}/a`, "append", 0o600));
      valueOf(file.write(bytes("one ")));
      valueOf(file.write(bytes("two")));
      valueOf(await file.dataSync());
      valueOf(await fileSystem.syncDirectory(directory));
      expect(valueOf(file.sizeBytes())).toBe(7);
      expect(textOf(file.read(4, 100))).toBe("two");
      expect(textOf(file.read(100, 10))).toBe("");
      file.dropCache();
      expect(textOf(fileSystem.readFile(`${directory}/a`))).toBe("one two");
      file.close();
    });

    test("opening to append keeps what is there and writes behind it", () => {
      const { fileSystem, directory } = make();
      for (const part of ["one ", "two"]) {
        const file = valueOf(fileSystem.open(`${directory}/a`, "append"));
        valueOf(file.write(bytes(part)));
        file.close();
      }
      expect(textOf(fileSystem.readFile(`${directory}/a`))).toBe("one two");
    });

    test("after truncating, the next write goes to the new end", () => {
      const { fileSystem, directory } = make();
      const file = valueOf(fileSystem.open(`${directory}/a`, "createNew"));
      valueOf(file.write(bytes("keep lose")));
      valueOf(file.truncate(5));
      valueOf(file.write(bytes("more")));
      expect(textOf(file.read(0, 100))).toBe("keep more");
      file.close();
    });

    test("a new file must not exist, a file to read must", () => {
      const { fileSystem, directory } = make();
      valueOf(fileSystem.open(`${directory}/a`, "createNew")).close();
      expect(failureOf(fileSystem.open(`${directory}/a`, "createNew"))).toBe("file.exists");
      expect(failureOf(fileSystem.open(`${directory}/b`, "read"))).toBe("file.not_found");
      expect(failureOf(fileSystem.open(`${directory}/no/b`, "append"))).toBe("file.not_found");
      expect(failureOf(fileSystem.readFile(`${directory}/b`))).toBe("file.not_found");
      expect(failureOf(fileSystem.status(`${directory}/b`))).toBe("file.not_found");
      expect(failureOf(fileSystem.remove(`${directory}/b`))).toBe("file.not_found");
      expect(failureOf(fileSystem.rename(`${directory}/b`, `${directory}/c`))).toBe("file.not_found");
      expect(failureOf(fileSystem.list(`${directory}/no`))).toBe("file.not_found");
    });

    test("failures name the path", () => {
      const { fileSystem, directory } = make();
      const failed = fileSystem.open(`${directory}/nothing`, "read");
      expect(failed.ok ? "" : failed.error.message).toContain(`${directory}/nothing`);
    });

    test("lists, renames over what is there, and removes", () => {
      const { fileSystem, directory } = make();
      for (const file of ["a", "b"]) {
        const opened = valueOf(fileSystem.open(`${directory}/${file}`, "createNew"));
        valueOf(opened.write(bytes(file)));
        opened.close();
      }
      expect([...valueOf(fileSystem.list(directory))].sort()).toEqual(["a", "b"]);
      valueOf(fileSystem.rename(`${directory}/a`, `${directory}/b`));
      expect(textOf(fileSystem.readFile(`${directory}/b`))).toBe("a");
      valueOf(fileSystem.remove(`${directory}/b`));
      expect(valueOf(fileSystem.list(directory))).toEqual([]);
    });

    test("a file that is open stays writable after a rename, under its new name", () => {
      const { fileSystem, directory } = make();
      const file = valueOf(fileSystem.open(`${directory}/a.tmp`, "createNew"));
      valueOf(file.write(bytes("one ")));
      valueOf(fileSystem.rename(`${directory}/a.tmp`, `${directory}/a`));
      valueOf(file.write(bytes("two")));
      expect(textOf(fileSystem.readFile(`${directory}/a`))).toBe("one two");
      file.close();
    });

    test("modes, owners and inodes are told", () => {
      const { fileSystem, directory } = make();
      valueOf(fileSystem.makeDirectory(`${directory}/d`, 0o700));
      expect(failureOf(fileSystem.makeDirectory(`${directory}/d`, 0o700))).toBe("file.exists");
      expect(failureOf(fileSystem.makeDirectory(`${directory}/no/d`, 0o700))).toBe("file.not_found");
      valueOf(fileSystem.open(`${directory}/d/f`, "append", 0o600)).close();
      const made = valueOf(fileSystem.status(`${directory}/d`));
      expect(made).toMatchObject({ isDirectory: true, isFile: false, mode: 0o700, ownerUid: fileSystem.effectiveUid });
      const file = valueOf(fileSystem.status(`${directory}/d/f`));
      expect(file).toMatchObject({ isDirectory: false, isFile: true, mode: 0o600, sizeBytes: 0, ownerUid: fileSystem.effectiveUid });
      expect(file.inode).not.toBe(made.inode);
    });

    test("reserving space changes neither size nor content, or is refused", () => {
      const { fileSystem, directory } = make();
      const file = valueOf(fileSystem.open(`${directory}/a`, "createNew"));
      valueOf(file.write(bytes("text")));
      expect(["ok", "file.other"]).toContain(failureOf(file.allocate(100_000)));
      expect(textOf(file.read(0, 100))).toBe("text");
      valueOf(file.write(bytes(" more")));
      expect(textOf(fileSystem.readFile(`${directory}/a`))).toBe("text more");
      file.close();
    });

    test("free space is told", () => {
      const { fileSystem, directory } = make();
      expect(valueOf(fileSystem.freeBytes(directory))).toBeGreaterThan(0);
    });

    test("a lock is held once, names its holder, and is free after release", () => {
      const { fileSystem, directory } = make();
      const held = valueOf(fileSystem.lock(`${directory}/lock`, "the first agent"));
      const refused = fileSystem.lock(`${directory}/lock`, "the second agent");
      expect(refused.ok ? "" : `${refused.error.code}: ${refused.error.message}`).toMatch(/journal\.locked: .*lock.*the first agent/);
      held.release();
      held.release();
      valueOf(fileSystem.lock(`${directory}/lock`, "the third agent")).release();
      expect(valueOf(fileSystem.status(`${directory}/lock`)).mode).toBe(0o600);
    });
  });
}
