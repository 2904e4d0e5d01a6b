import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** `steward_limit` shows every bound a running agent works by: a room that exports one more must add it there, or say here why not. */

const ROOT = join(import.meta.dir, "..");

/** Rooms that a running agent does not consist of. */
const NOT_RUNNING = /^src\/(?:simulator|commands|doctor|import|install)\//;

const LIMIT = /^export const ([A-Z0-9_]*(?:_MAX|_LIMIT|_TIMEOUT_MS)(?:_[A-Z]+)?)\b/gm;

const EXCEPTIONS: Readonly<Record<string, string>> = {
  KEY_NAME_LENGTH_MAX: "part of what a name in the desired state is, as its schema says",
  VMID_MAX: "Proxmox's own: which numbers a guest may have, no bound of the agent",
};

function exportedLimits(): readonly { readonly name: string; readonly at: string }[] {
  const paths = [...new Bun.Glob("src/**/*.ts").scanSync({ cwd: ROOT })].filter((path) => !NOT_RUNNING.test(path));
  return paths.flatMap((at) => [...readFileSync(join(ROOT, at), "utf8").matchAll(LIMIT)].map((match) => ({ name: match[1] ?? "", at })));
}

test("every limit that a room exports is among those shown, or in the list of exceptions", () => {
  const shown = readFileSync(join(ROOT, "src/limits.ts"), "utf8").split("*/").at(-1) ?? "";
  const limits = exportedLimits();
  expect(limits.length).toBeGreaterThan(25);
  const forgotten = limits.filter(({ name }) => !(name in EXCEPTIONS) && !new RegExp(`\\b${name}\\b`).test(shown));
  expect(forgotten).toEqual([]);
  expect(Object.keys(EXCEPTIONS).filter((name) => !limits.some((limit) => limit.name === name))).toEqual([]);
});
