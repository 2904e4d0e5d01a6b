import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** docs/proxmox.md "Round-trip quirks": row number, and the test files that prove it. */
function documentedRows(): readonly (readonly [row: number, files: readonly string[]])[] {
  const text = readFileSync(join(import.meta.dir, "../../docs/proxmox.md"), "utf8");
  const section = text.slice(text.indexOf("## Round-trip quirks")).split(/\n## /)[0] ?? "";
  const lines = section.split("\n").filter((line) => /^\| \d+ \|/.test(line));
  return lines.map((line) => {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    return [Number(cells[1]), (cells.at(-2) ?? "").split(", ")] as const;
  });
}

/** The rows that a test file's titles name: "row 6", "rows 14 and 16", "rows 8, 67 and 81". */
function namedRows(file: string): ReadonlySet<number> {
  const text = readFileSync(join(import.meta.dir, file), "utf8");
  const titles = text.match(/\brows? \d+(?:(?:, | and )\d+)*/g) ?? [];
  return new Set(titles.flatMap((title) => (title.match(/\d+/g) ?? []).map(Number)));
}

const FILES = readdirSync(import.meta.dir).filter((file) => file.endsWith(".test.ts") && !file.startsWith("documented"));

test("every documented row is named by the tests it says prove it", () => {
  const rows = documentedRows();
  expect(rows.length).toBeGreaterThan(50);
  const unproven = rows.flatMap(([row, files]) => files.filter((file) => !namedRows(`${file}.test.ts`).has(row)).map((file) => `row ${row}: ${file}`));
  expect(unproven).toEqual([]);
});

test("every row that a test names is documented", () => {
  const documented = new Set(documentedRows().map(([row]) => row));
  const unknown = FILES.flatMap((file) => [...namedRows(file)].filter((row) => !documented.has(row)).map((row) => `${file}: row ${row}`));
  expect(unknown).toEqual([]);
});
