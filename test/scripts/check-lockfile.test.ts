import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { lockfileProblems } from "../../scripts/check-lockfile.ts";

const ROOT = join(import.meta.dir, "../..");
const MANIFEST = { dependencies: { hono: "4.0.0" }, devDependencies: { knip: "6.0.0" } };
const LOCK = `{
  "lockfileVersion": 2,
  "workspaces": { "": { "name": "x", "dependencies": { "hono": "4.0.0", }, "devDependencies": { "knip": "6.0.0", }, }, },
  "packages": {
    "hono": ["hono@4.0.0", "", {}, "sha512-aaaa"],
    "knip": ["knip@6.0.0", "", { "bin": { "knip": "bin/knip.js" } }, "sha512-bbbb"],
  }
}
`;

function problems(lock: string, manifest: object = MANIFEST): readonly string[] {
  return lockfileProblems(lock, JSON.stringify(manifest));
}

describe("the lock file", () => {
  test("of this repository is sound", () => {
    expect(lockfileProblems(readFileSync(join(ROOT, "bun.lock"), "utf8"), readFileSync(join(ROOT, "package.json"), "utf8"))).toEqual([]);
  });

  test("that fits is sound, trailing commas and all", () => {
    expect(problems(LOCK)).toEqual([]);
  });

  const broken: readonly { readonly title: string; readonly lock: string; readonly manifest?: object; readonly says: string }[] = [
    { title: "an address", lock: LOCK.replace(`"hono@4.0.0", ""`, `"hono@4.0.0", "https://mirror.example/hono.tgz"`), says: "bun.lock:5: expected no addresses, found https://mirror.example/hono.tgz" },
    { title: "a dependency that was added and not locked", lock: LOCK, manifest: { ...MANIFEST, dependencies: { hono: "4.0.0", yaml: "2.0.0" } }, says: "package.json wants yaml 2.0.0, bun.lock has nothing" },
    { title: "a dependency that was removed and is still locked", lock: LOCK, manifest: { devDependencies: { knip: "6.0.0" } }, says: "package.json wants hono (not at all), bun.lock has 4.0.0" },
    { title: "another version", lock: LOCK, manifest: { ...MANIFEST, dependencies: { hono: "4.0.1" } }, says: "package.json wants hono 4.0.1, bun.lock has 4.0.0" },
    { title: "a range instead of a version", lock: LOCK.replace(`"hono": "4.0.0"`, `"hono": "^4.0.0"`), manifest: { ...MANIFEST, dependencies: { hono: "^4.0.0" } }, says: "pin the exact version" },
    { title: "a package without a checksum", lock: LOCK.replace(`, "sha512-aaaa"`, ""), says: "hono has no sha512 checksum" },
    { title: "text that is no JSON", lock: "<<<<", says: "expected JSON" },
  ];
  for (const { title, lock, manifest, says } of broken) {
    test(`with ${title} is refused, and the message says so`, () => {
      const found = problems(lock, manifest ?? MANIFEST);
      expect(found.length).toBe(1);
      expect(found[0]).toContain(says);
    });
  }
});
