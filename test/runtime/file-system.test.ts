import { expect, test } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { fileSystemContract } from "./file-system.contract.ts";

fileSystemContract("the real file system", () => ({ fileSystem: createFileSystem(), directory: temporaryDirectory() }));
fileSystemContract("the simulated file system", () => ({ fileSystem: new MemoryFileSystem({ capacityBytes: 10_000_000 }), directory: "/state" }));
fileSystemContract("the simulated file system that cannot reserve", () => ({
  fileSystem: new MemoryFileSystem({ capacityBytes: 10_000_000, supportsAllocate: false }), directory: "/state",
}));

test("a symbolic link is not opened for writing: somebody else put it there", () => {
  const directory = temporaryDirectory();
  writeFileSync(`${directory}/target`, "");
  symlinkSync(`${directory}/target`, `${directory}/link`);
  const fileSystem = createFileSystem();
  expect(fileSystem.open(`${directory}/link`, "append").ok).toBe(false);
  expect(fileSystem.open(`${directory}/link`, "createNew").ok).toBe(false);
  expect(fileSystem.lock(`${directory}/link`, "x").ok).toBe(false);
});

test("a full device is told as such, with how far the write got", () => {
  const opened = createFileSystem().open("/dev/full", "append");
  if (!opened.ok) throw new Error(opened.error.message);
  const written = opened.value.write(new Uint8Array(10));
  expect(written.ok ? {} : { code: written.error.code, cause: written.error.cause }).toMatchObject({ code: "file.no_space", cause: { writtenBytes: 0 } });
  opened.value.close();
});

test("a simulated full disk writes as far as there is room, then says so", () => {
  const fileSystem = new MemoryFileSystem({ capacityBytes: 6 });
  const opened = fileSystem.open("/state/a", "createNew");
  if (!opened.ok) throw new Error(opened.error.message);
  const written = opened.value.write(new Uint8Array(10));
  expect(written.ok ? {} : { code: written.error.code, cause: written.error.cause }).toMatchObject({ code: "file.no_space", cause: { writtenBytes: 6 } });
});
