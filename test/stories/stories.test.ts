import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readStory } from "./format.ts";
import { play } from "./play.ts";

/**
 * Whole stories, each a directory with its whole log. A story without its expected log fails:
 * STEWARD_WRITE_GOLDEN=1 writes the logs anew, to be read before they are kept.
 */

const DIRECTORY = import.meta.dir;
const isWriting = process.env["STEWARD_WRITE_GOLDEN"] === "1";
const names = readdirSync(DIRECTORY, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name).sort();

test.each(names)("%s", async (name) => {
  const directory = join(DIRECTORY, name);
  const log = await play(readStory(directory));
  const path = join(directory, "expected.log");
  if (isWriting) writeFileSync(path, log);
  if (!existsSync(path)) throw new Error(`test/stories/${name} has no expected.log; STEWARD_WRITE_GOLDEN=1 writes it`);
  expect(log.split("\n")).toEqual(readFileSync(path, "utf8").split("\n"));
});

test("docs/stories.md lists every story with what it asserts, and no other", () => {
  const text = readFileSync(join(DIRECTORY, "../../docs/stories.md"), "utf8");
  const listed = [...text.matchAll(/^\| \[([^\]]+)\]\(\.\.\/test\/stories\/\1\/expected\.log\) \| ([^|]+) \|/gm)].map(([, name, story]) => `${name}: ${story}`);
  expect(listed.sort()).toEqual(names.map((name) => `${name}: ${readStory(join(DIRECTORY, name)).host.story}`).sort());
});

test("what is misspelt in a story is refused with its place", () => {
  const directory = mkdtempSync(join(tmpdir(), "story-"));
  try {
    writeFileSync(join(directory, "host.json"), '{ "story": "what it asserts",\n  "guests": [] }');
    writeFileSync(join(directory, "commands.json"), '[\n  { "at": "soon", "do": [] }\n]');
    expect(() => readStory(directory)).toThrow(/commands\.json:2:11: 0\.at: expected a time such as "30s", found "soon"/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
