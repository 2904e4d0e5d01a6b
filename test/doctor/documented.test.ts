import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CHECKS } from "../../src/doctor/doctor.ts";
import { SUBVERTING } from "../../src/doctor/environment.ts";
import { needsOfKey } from "../../src/doctor/privileges.ts";
import { allowedKeys } from "../../src/gate/allow-list.ts";

const PAGE = readFileSync(join(import.meta.dir, "../../docs/doctor.md"), "utf8");

/** The cells of a section's table, header and rule left out. */
function rowsOf(title: string): string[][] {
  const section = PAGE.split(`## ${title}\n`)[1]?.split("\n## ")[0] ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

const code = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text ?? "");

describe("docs/doctor.md", () => {
  test("lists every check, in the order of the report", () => {
    expect(rowsOf("The checks").map(([name]) => code(name ?? "")[0])).toEqual(CHECKS.map(({ name }) => name));
  });

  test("lists every variable, and whether it fails, warns or is dropped", () => {
    const words: Readonly<Record<string, string>> = { runs: "fails", changes: "warns", dropped: "dropped; warns" };
    const listed = rowsOf("Variables that subvert the binary").flatMap(([names, , effect]) => code(names ?? "").map((name) => [name.replace("…", ""), effect]));
    const small = ["http_proxy", "https_proxy", "all_proxy"].map((name) => [name, "dropped; warns"]);
    expect(new Set([...listed, ...small].map(String))).toEqual(new Set(Object.entries(SUBVERTING).map(([name, { effect }]) => `${name},${words[effect]}`)));
  });

  test.each([["qemu", 1], ["lxc", 2]] as const)("lists what each key of a %s needs", (kind, column) => {
    const listed = rowsOf("Privileges").flatMap((row) => code(row[column] ?? "").map((key) => `${key}: ${code(row[0] ?? "").join("|")}`));
    const needed = allowedKeys(kind).map(([key]) => {
      const needs = needsOfKey(kind, 101, key.replace("[n]", "0"), null);
      const own = needs.type === "privileges" ? needs.needs.find(({ path }) => path === "/vms/101") : undefined;
      return `${key.replace("[n]", "0")}: ${own?.anyOf.join("|")}`;
    });
    expect(new Set(listed)).toEqual(new Set(needed));
  });
});
