import { describe, expect, test } from "bun:test";
import { chownSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeNewFiles } from "../../src/commands/import-files.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const file = (vmid: number, name = `${vmid}-web.yaml`) => ({ vmid, name, text: `of ${vmid}\n` });

describe("new files", () => {
  test("are whole, readable for their group, and leave nothing beside them", () => {
    const directory = temporaryDirectory();
    const umask = process.umask(0o077);
    try {
      expect(writeNewFiles(directory, [file(101), file(102)], 7)).toEqual({ ok: true, value: undefined });
    } finally {
      process.umask(umask);
    }
    expect(readdirSync(directory).sort()).toEqual(["101-web.yaml", "102-web.yaml"]);
    expect(readFileSync(join(directory, "102-web.yaml"), "utf8")).toBe("of 102\n");
    expect(statSync(join(directory, "101-web.yaml")).mode & 0o777).toBe(0o640);
  });

  test.skipIf(process.getuid?.() !== 0)("belong to the group of their directory, and to who writes them (needs root)", () => {
    const directory = temporaryDirectory();
    const group = 54_321;
    chownSync(directory, -1, group);
    expect(writeNewFiles(directory, [file(101)], 7).ok).toBe(true);
    const { uid, gid, mode } = statSync(join(directory, "101-web.yaml"));
    expect([uid, gid, mode & 0o777]).toEqual([process.getuid?.() ?? -1, group, 0o640]);
  });

  const inTheWay = ["101-web.yaml", "101.json", "101-.yml", "101-other.yaml"];
  for (const name of inTheWay) {
    test(`are not written beside ${name}`, () => {
      const directory = temporaryDirectory();
      writeFileSync(join(directory, name), "mine");
      const written = writeNewFiles(directory, [file(100), file(101)], 7);
      expect(written).toMatchObject({ ok: false, error: { code: "file.exists", message: expect.stringContaining(name) } });
      expect([readdirSync(directory), readFileSync(join(directory, name), "utf8")]).toEqual([[name], "mine"]);
    });
  }

  test.each(["1010-web.yaml", "101-web.yaml~", ".101-web.yaml", "101-web.txt", "web-101.yaml"])("are written beside %s", (name) => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, name), "mine");
    expect(writeNewFiles(directory, [file(101)], 7).ok).toBe(true);
  });

  test("of which one fails leave nothing of the others", () => {
    const directory = temporaryDirectory();
    const written = writeNewFiles(directory, [file(101), file(102, `102-${"x".repeat(300)}.yaml`)], 7);
    expect(written).toMatchObject({ ok: false, error: { code: "file.other" } });
    expect(readdirSync(directory)).toEqual([]);
  });

  test("never take over what appears under their names meanwhile", () => {
    const directory = temporaryDirectory();
    // A name twice: the second one finds the first, as it would somebody else's.
    const written = writeNewFiles(directory, [file(101), { ...file(101), text: "other" }], 7);
    expect(written.ok).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
  });
});
