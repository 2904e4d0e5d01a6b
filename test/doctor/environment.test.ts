import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SUBVERTING, subvertingNames } from "../../src/doctor/environment.ts";

describe("variables that subvert the binary", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["PATH=/bin\0HOME=/root\0", []],
    ["HTTPS_PROXY=http://user:secret@proxy\0PATH=/bin\0", ["HTTPS_PROXY"]],
    ["BUN_OPTIONS=--preload=/tmp/x.js", ["BUN_OPTIONS"]],
    ["BUN_BE_BUN=0\0", []],
    ["BUN_BE_BUN=1\0", ["BUN_BE_BUN"]],
    ["BUN_JSC_useJIT=0\0", ["BUN_JSC_useJIT"]],
    ["HTTPS_PROXY=\0", []],
    ["LD_PRELOAD=/x.so=y\0\0", ["LD_PRELOAD"]],
    ["NOT_BUN_OPTIONS=1\0BUN_OPTIONSX=1\0constructor=1\0__proto__=1\0", []],
    ["=x\0novalue\0", []],
  ];
  test.each(cases)("in %j", (environ, names) => {
    expect(subvertingNames(environ)).toEqual([...names]);
  });

  test("called dropped are exactly those that main.ts drops", () => {
    const source = readFileSync(join(import.meta.dir, "../../src/main.ts"), "utf8");
    const list = /SUBVERTING_VARIABLES = \[([^\]]+)\]/.exec(source)?.[1] ?? "";
    const dropped = [...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name ?? "");
    expect(dropped.length).toBeGreaterThan(5);
    expect(Object.entries(SUBVERTING).filter(([, { effect }]) => effect === "dropped").map(([name]) => name).sort()).toEqual(dropped.sort());
  });
});
