import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DEPTH_MAX, NODES_MAX } from "../../src/document/document.ts";
import { VALUE_LENGTH_MAX } from "../../src/document/steps.ts";
import { TOKENS_MAX } from "../../src/document/tokens.ts";
import { isDesiredFileName, FILE_BYTES_MAX, FILES_MAX, SET_BYTES_MAX } from "../../src/desired/directory-scan.ts";
import { parseDesiredFiles } from "../../src/desired/parse.ts";
import { ERROR_CODES } from "../../src/ports/errors.ts";
import { DESIRED_MODES, DESIRED_RUN_STATES } from "../../src/desired/model.ts";
import { GUESTS_PER_FILE_MAX, RESERVED_GUEST_FIELDS, RESERVED_TOP_FIELDS } from "../../src/desired/schema.ts";

const EXAMPLES = join(import.meta.dir, "../../examples");
const directories = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);

const load = (directory: string) => {
  const names = readdirSync(join(EXAMPLES, directory)).filter(isDesiredFileName);
  return parseDesiredFiles(names.map((name) => ({ name, text: readFileSync(join(EXAMPLES, directory, name), "utf8") })));
};

describe("examples", () => {
  test.each(directories)("%s is a desired state without a problem", (directory) => {
    const set = load(directory);
    expect({ problems: set.problems, conflicts: set.conflicts }).toEqual({ problems: [], conflicts: [] });
    expect(set.guests.size).toBeGreaterThan(0);
  });

  test("homelab has both kinds, and guests whose run state is managed and left alone", () => {
    const guests = [...load("homelab").guests.values()];
    expect(guests.map(({ vmid }) => vmid)).toEqual([100, 101, 102, 103, 104, 105]);
    expect(new Set(guests.map(({ kind }) => kind))).toEqual(new Set(["qemu", "lxc"]));
    expect(new Set(guests.map(({ state }) => state))).toEqual(new Set(["running", "stopped", undefined]));
  });

  test("edge-site shows every mode and a null", () => {
    const guests = [...load("edge-site").guests.values()];
    expect(new Set(guests.map(({ mode }) => mode))).toEqual(new Set(DESIRED_MODES));
    expect(guests.some(({ config }) => Object.values(config).includes(null))).toBe(true);
  });
});

describe("docs/desired-state.md", () => {
  const text = readFileSync(join(import.meta.dir, "../../docs/desired-state.md"), "utf8");
  const words = [...DESIRED_MODES, ...DESIRED_RUN_STATES, ...RESERVED_GUEST_FIELDS, ...RESERVED_TOP_FIELDS, ...ERROR_CODES.filter((code) => code.startsWith("desired."))];

  test.each(words)("names %s", (word) => {
    expect(text).toContain(`\`${word}\``);
  });

  test.each([
    ["bytes in a file", `${FILE_BYTES_MAX / 1024 ** 2} MiB`],
    ["guests in a file", GUESTS_PER_FILE_MAX.toLocaleString("en")],
    ["files", FILES_MAX.toLocaleString("en")],
    ["bytes in all files", `${SET_BYTES_MAX / 1024 ** 2} MiB`],
    ["words and signs in a file", TOKENS_MAX.toLocaleString("en")],
    ["characters in one value", VALUE_LENGTH_MAX.toLocaleString("en")],
    ["levels inside one another", String(DEPTH_MAX)],
    ["values, aliases written out", NODES_MAX.toLocaleString("en")],
  ])("gives the limit of %s as %s", (limit, value) => {
    expect(text).toContain(`| ${limit} | ${value} |`);
  });

  test("what is wrong is told as it says", () => {
    const [, wrong = "", messages = ""] = /```yaml\n(version: 1\n.*?)```.*?```text\n(.*?)```/s.exec(text) ?? [];
    const { problems } = parseDesiredFiles([{ name: "web.yaml", text: wrong }]);
    expect(problems.map(({ message }) => `${message}\n`).join("")).toBe(messages);
    expect(problems.length).toBeGreaterThan(5);
  });

  test("its complete examples are read without a problem", () => {
    const blocks = text.split("\n\n").filter((block) => /^ {4}(?:version: 1|guests:)/.test(block)).map((block) => block.replace(/^ {4}/gm, ""));
    expect(blocks).toHaveLength(2);
    for (const block of blocks) {
      const whole = block.startsWith("version") ? block : `version: 1\n${block}`;
      expect(parseDesiredFiles([{ name: "docs.yaml", text: `${whole}\n` }]).problems).toEqual([]);
    }
  });
});
