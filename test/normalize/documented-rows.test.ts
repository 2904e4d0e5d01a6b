import { expect, test } from "bun:test";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";

const TESTS = join(import.meta.dir, "..");

/** One row of a table in docs/proxmox.md: its id, and the test files that prove it, as paths below test/. */
interface DocumentedRow {
  readonly id: string;
  readonly files: readonly string[];
}

/** Tables of rows, and lines that look like rows of a table without ids. */
function documentedRows(): { readonly rows: readonly DocumentedRow[]; readonly strays: readonly string[] } {
  const lines = readFileSync(join(TESTS, "../docs/proxmox.md"), "utf8").split("\n");
  const rows: DocumentedRow[] = [];
  const strays: string[] = [];
  for (const line of lines.filter((each) => each.startsWith("|") && !/^\| row \||^\|[-|]+$/.test(each))) {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    const id = /^(?:\d+|[AHORT]\d+)$/.exec(cells[1] ?? "")?.[0];
    if (id === undefined) strays.push(line);
    else rows.push({ id, files: (cells.at(-2) ?? "").split(", ").map((file) => (file.includes("/") ? file : `normalize/${file}`)) });
  }
  return { rows, strays };
}

const STRINGS = /"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g;
const NAMES = /\brows? [AHORT]?\d+(?:(?:, | and )[AHORT]?\d+)*/g;

/** The rows that a test file names, in its titles and not in its comments: "row 6", "rows 14 and O2", "rows 8, 67 and 81". */
function namedRows(file: string): ReadonlySet<string> {
  const code = readFileSync(join(TESTS, file), "utf8").replace(/^\s*(?:\/\/|\*|\/\*).*$/gm, "");
  return new Set((code.match(STRINGS) ?? []).flatMap((text) => text.match(NAMES) ?? []).flatMap((name) => name.match(/[AHORT]?\d+/g) ?? []));
}

const { rows: ROWS, strays: STRAYS } = documentedRows();

test("every table of docs/proxmox.md has rows with an id, no id twice, and a test for each", () => {
  expect(STRAYS).toEqual([]);
  expect(ROWS.length).toBeGreaterThan(140);
  const ids = ROWS.map(({ id }) => id);
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  const missing = ROWS.flatMap(({ id, files }) => files.filter((file) => !existsSync(join(TESTS, `${file}.test.ts`))).map((file) => `${id}: ${file}`));
  expect(missing).toEqual([]);
});

test("every documented row is named by the tests it says prove it", () => {
  const unproven = ROWS.flatMap(({ id, files }) => files.filter((file) => !namedRows(`${file}.test.ts`).has(id)).map((file) => `row ${id}: ${file}`));
  expect(unproven).toEqual([]);
});

test("every row that a test names is documented", () => {
  const documented = new Set(ROWS.map(({ id }) => id));
  const files = globSync("**/*.test.ts", { cwd: TESTS }).filter((file) => !file.endsWith("documented-rows.test.ts"));
  const unknown = files.flatMap((file) => [...namedRows(file)].filter((id) => !documented.has(id)).map((id) => `${file}: row ${id}`));
  expect(unknown).toEqual([]);
});

test("every row of the catalogue of round trips is there: none was dropped and none stands beside it", () => {
  const numbers = ROWS.map(({ id }) => Number(id)).filter((number) => !Number.isNaN(number));
  expect(numbers).toEqual(Array.from({ length: 85 }, (_, index) => index + 1));
});
