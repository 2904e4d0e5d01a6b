import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { ApiToken, readToken, type TokenReader } from "../../src/config/token.ts";
import { fault, ok } from "../../src/ports/errors.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SECRET = "0a1b2c3d-1111-4222-8333-444455556666";
const TOKEN = `steward@pve!agent=${SECRET}`;
const USER = 1234;

/** A file as a host might have it: mode, owner and content. */
function reader(content: string, { mode = 0o600, ownerUid = USER, isFile = true } = {}): TokenReader {
  const bytes = new TextEncoder().encode(content);
  return {
    userId: USER,
    files: {
      status: () => ok({ isDirectory: !isFile, isFile, mode, ownerUid, sizeBytes: bytes.byteLength, inode: 1, modifiedAtMs: 0 }),
      readFile: () => ok(bytes),
    },
  };
}

const read = (content: string, facts = {}) => readToken("/etc/steward/token", reader(content, facts));

describe("a token file", () => {
  test.each([TOKEN, `${TOKEN}\n`, `  ${TOKEN}\r\n`, `root@pam!a.b-c_d=${SECRET.toUpperCase()}`, `jane@example.org@ldap!x1=${SECRET}`])("with %j is read", (content) => {
    const result = read(content);
    expect(result.ok && result.value.reveal()).toBe(content.trim());
  });

  test.each([0o600, 0o400, 0o700])("with mode %o of the agent's user or root is taken", (mode) => {
    expect(read(TOKEN, { mode }).ok).toBe(true);
    expect(read(TOKEN, { mode, ownerUid: 0 }).ok).toBe(true);
  });

  test.each([0o640, 0o620, 0o604, 0o602, 0o644, 0o666, 0o777])("with mode %o is refused", (mode) => {
    const result = read(TOKEN, { mode });
    expect(result).toMatchObject({ ok: false, error: { code: "config.insecure" } });
    expect(result.ok ? "" : result.error.message).toContain(`found mode 0${mode.toString(8)}; run chmod 600`);
  });

  test("of another user is refused", () => {
    expect(read(TOKEN, { ownerUid: 1000 })).toMatchObject({ ok: false, error: { code: "config.insecure", message: expect.stringContaining("found one of uid 1000") } });
  });

  test.each([
    ["", "nothing"], ["\n\n", "nothing"], [`PVEAPIToken=${TOKEN}`, "`PVEAPIToken=` in front of it"], [`${TOKEN}\n${TOKEN}`, "several lines"], [SECRET, "something else"],
    [`steward@pve=${SECRET}`, "something else"], [`steward!agent=${SECRET}`, "something else"], ["steward@pve!agent=secret", "something else"], [`steward@pve!agent= ${SECRET}`, "something else"], [`${TOKEN}0`, "something else"],
    ["x".repeat(5000), "5000 bytes"],
  ])("with %j is refused, saying what was found and nothing of it", (content, found) => {
    const result = read(content);
    expect(result).toMatchObject({ ok: false, error: { code: "config.schema", message: expect.stringContaining(`found ${found}; write what \`pveum user token add\` printed`) } });
    expect(JSON.stringify(result)).not.toContain(SECRET.slice(0, 8));
  });

  test("that is not there, or no file, or fails while it is read, is unreadable", () => {
    const absent = { status: () => fault("file.not_found", "no such file"), readFile: () => fault("file.not_found", "no such file") };
    expect(readToken("/t", { userId: USER, files: absent })).toMatchObject({ ok: false, error: { code: "config.unreadable" } });
    expect(read(TOKEN, { isFile: false })).toMatchObject({ ok: false, error: { code: "config.unreadable", message: expect.stringContaining("it is not a file") } });
    const failing = { ...reader(TOKEN).files, readFile: () => fault("file.io", "input/output error") };
    expect(readToken("/t", { userId: USER, files: failing })).toMatchObject({ ok: false, error: { code: "config.unreadable" } });
  });
});

test("on the real file system, mode and owner are judged as they are", () => {
  const path = join(temporaryDirectory(), "token");
  const userId = process.getuid?.() ?? 0;
  writeFileSync(path, TOKEN, { mode: 0o600 });
  const files = createFileSystem();
  expect(readToken(path, { files, userId }).ok).toBe(true);
  chmodSync(path, 0o644);
  expect(readToken(path, { files, userId })).toMatchObject({ ok: false, error: { code: "config.insecure" } });
  chmodSync(path, 0o600);
  if (userId === 0) {
    chownSync(path, 12_345, 0);
    // Root looks on behalf of the agent's own user; another user does not.
    expect(readToken(path, { files, userId }).ok).toBe(true);
    expect(readToken(path, { files, userId: 54_321 })).toMatchObject({ ok: false, error: { code: "config.insecure" } });
  }
  const directory = join(temporaryDirectory(), "token");
  mkdirSync(directory, { mode: 0o700 });
  expect(readToken(directory, { files, userId })).toMatchObject({ ok: false, error: { code: "config.unreadable" } });
});

test("a token shows who it is, and its secret only when asked by name", () => {
  const token = new ApiToken("steward@pve!agent", SECRET);
  const shown = [String(token), token.toString(), JSON.stringify({ token }), inspect(token), inspect({ deep: { token } }, { showHidden: true, depth: 9 }), Bun.inspect(token), JSON.stringify(Object.entries(token)), JSON.stringify(Object.assign({}, token))];
  for (const text of shown) {
    expect(text).toContain("steward@pve!agent");
    expect(text).not.toContain(SECRET.slice(0, 8));
  }
  expect(token.reveal()).toBe(TOKEN);
});
