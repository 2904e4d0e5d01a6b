import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DEPTH_MAX, PROBLEMS_MAX, offsetOf, toPlain } from "../../src/document/document.ts";
import { parseDocument } from "../../src/document/parse.ts";

function plain(text: string, file = "a.yaml"): unknown {
  const result = parseDocument(file, text);
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join("\n"));
  return toPlain(result.tree.root);
}

function problems(text: string, file = "a.yaml"): string[] {
  const result = parseDocument(file, text);
  return result.ok ? [] : result.problems.map(({ kind, message }) => `${kind} ${message}`);
}

describe("values", () => {
  test.each([
    ["4", 4],
    ["-3", -3],
    ["0.5", 0.5],
    ["9.0", "9.0"],
    ["1.10", "1.10"],
    ["007", "007"],
    ["0x10de", "0x10de"],
    ["0o17", "0o17"],
    ["1e3", "1e3"],
    ["+5", "+5"],
    [".inf", ".inf"],
    [".nan", ".nan"],
    ["9007199254740993", "9007199254740993"],
    ["99999999999999999999999", "99999999999999999999999"],
    ["true", true],
    ["False", false],
    ["yes", "yes"],
    ["off", "off"],
    ["2001-12-14", "2001-12-14"],
    ["2001-12-14T21:59:43Z", "2001-12-14T21:59:43Z"],
    ["12:34:56", "12:34:56"],
    ["BC:24:11:00:01:00", "BC:24:11:00:01:00"],
    ["null", null],
    ["~", null],
    ["", null],
    ["'4'", "4"],
    ["!!str 4", "4"],
  ])("%s is read as %p", (written, value) => {
    expect(plain(`key: ${written}\n`)).toEqual({ key: value });
  });

  test("windows line ends and a byte order mark change nothing", () => {
    expect(plain("\uFEFFa: |\r\n  x\r\n  y\r\nb: 1\r\n")).toEqual({ a: "x\ny\n", b: 1 });
  });

  test("an alias stands for what its anchor holds", () => {
    expect(plain("a: &x [1, {b: c}]\nd: *x\n")).toEqual({ a: [1, { b: "c" }], d: [1, { b: "c" }] });
  });

  test("an anchor that is set again means the newer value from there on", () => {
    expect(plain("a: &x 1\nb: *x\nc: &x 2\nd: *x\n")).toEqual({ a: 1, b: 1, c: 2, d: 2 });
  });

  test("JSON with tabs, escapes and surrogate pairs is read as JSON.parse would", () => {
    const text = '{\n\t"a\\/b": "\\ud83d\\ude00\\u00e4",\n\t"list": [1,\t2.5, true, null, {}, []]\n}\n';
    expect(plain(text, "a.json")).toEqual(JSON.parse(text));
  });

  test("whatever JSON.stringify prints is read back the same", () => {
    const key = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => !["__proto__", "constructor", "prototype"].includes(text));
    const text = fc.string({ unit: "grapheme", maxLength: 30 });
    const { value } = fc.letrec<{ value: unknown; leaf: unknown }>((tie) => ({
      leaf: fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)),
      value: fc.oneof({ maxDepth: 4 }, tie("leaf"), fc.array(tie("value"), { maxLength: 4 }), fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true })),
    }));
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 2, "\t"), (content, indent) => {
        const document = { content };
        const written = JSON.stringify(document, null, indent);
        fc.pre(!written.includes("\\u0000"));
        expect(plain(written, "a.json")).toEqual(JSON.parse(written));
      }),
    );
  });
});

describe("refused", () => {
  test.each([
    ["", "empty a.yaml:1:1: expected a document"],
    ["# only a comment\n", "empty a.yaml:1:1"],
    ["---\n", "empty a.yaml:1:"],
    ["a: 1\na: 2\n", "syntax a.yaml:2:1: expected each key once, found `a` again (first at a.yaml:1:1)"],
    ["b:\n  - {c: 1, 'c': 2}\n", "syntax a.yaml:2:12: expected each key once, found `c` again (first at a.yaml:2:6)"],
    ["a: 1\n---\nb: 2\n", "syntax a.yaml:2:1: expected one document"],
    ["a:\n\tb: 1\n", "syntax a.yaml:2:1: expected spaces, found a tab"],
    ["a: [1, 2\n", "syntax a.yaml:2:1: expected valid YAML, found: Flow sequence"],
    ["a: 'x\n", "syntax a.yaml:2:1: expected valid YAML, found: Missing closing 'quote"],
    ["a: b: c\n", "syntax a.yaml:1:4"],
    ["a: @x\n", "syntax a.yaml:1:4: expected a value, found a character that cannot start one"],
    ["a: !secret x\n", "syntax a.yaml:1:4: expected a plain value, found a tag"],
    ["a: !!timestamp 2001-12-14\n", "syntax a.yaml:1:4: expected a plain value, found a tag"],
    ["%YAML 1.1\n---\na: yes\n", "syntax a.yaml:1:1: expected YAML 1.2"],
    ["%TAG ! tag:yaml.org,2002:\n---\na: !str 1\n", "syntax a.yaml:1:1: expected YAML 1.2 without directives"],
    ["a: *nowhere\n", "syntax a.yaml:1:4: expected an alias of an anchor further up"],
    ["a: &a [*a]\n", "syntax a.yaml:1:8: expected an alias of something complete"],
    ["__proto__: 1\n", "syntax a.yaml:1:1: expected a key that is a name"],
    ["a: {constructor: 1}\n", "syntax a.yaml:1:5: expected a key that is a name"],
    ["? [a]\n: 1\n", "syntax a.yaml:1:3: expected a key that is a name"],
    ["~: 1\n", "syntax a.yaml:1:1: expected a key that is a name"],
    ['a: "\\0"\n', "syntax a.yaml:1:4: expected text, found a NUL"],
    ['a: "\\ud800"\n', "syntax a.yaml:1:4: expected text, found a NUL or half a surrogate pair"],
  ])("%j", (text, message) => {
    expect(problems(text)[0]).toStartWith(message);
  });

  test("YAML in a file that says it is JSON", () => {
    expect(problems("a: 1\n", "a.json")[0]).toStartWith("syntax a.json:1:1: expected JSON");
  });

  test("more levels than the limit, and not one fewer", () => {
    const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
    expect(problems(nested(DEPTH_MAX + 1))).toEqual([]);
    expect(problems(nested(DEPTH_MAX + 2))[0]).toContain(`expected at most ${DEPTH_MAX} levels`);
  });

  test("a hundred thousand levels, without exhausting the stack", () => {
    expect(problems("[".repeat(100_000)).length).toBeGreaterThan(0);
    expect(problems("- ".repeat(100_000)).length).toBeGreaterThan(0);
    expect(problems("{a: ".repeat(100_000)).length).toBeGreaterThan(0);
  });

  test("aliases that multiply, in bounded time", () => {
    const levels = Array.from({ length: 20 }, (_, level) => `a${level + 1}: &a${level + 1} [${`*a${level},`.repeat(9)}]`);
    expect(problems(`a0: &a0 x\n${levels.join("\n")}\n`)[0]).toContain("too_large a.yaml:");
  });

  test("all problems of a file are told, up to a number a person can read", () => {
    expect(problems("a: 1\nb: 1\na: 2\nb: 2\n")).toHaveLength(2);
    const many = Array.from({ length: 500 }, () => "a: 1").join("\n");
    expect(problems(many)).toHaveLength(PROBLEMS_MAX);
  });

  test("no message quotes a value", () => {
    const secret = "hunter2";
    for (const text of [`a: ${secret}: b`, `a: "${secret}`, `a: [${secret}`, `a: ${secret}\n b: c`, `- ${secret}\na: b`, `a: "${secret}" x`, `'${secret}' ${secret}`, `a: |${secret}\n`, `]${secret}`, `a: "\\${secret}"`]) {
      const told = problems(text).join("\n");
      expect(told).not.toBe("");
      expect(told).not.toContain(secret);
    }
  });

  test("any text at all gives a tree or a problem, never an exception", () => {
    const noise = fc.array(fc.constantFrom("a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", "&x ", "*x", "!t ", "|", ">", "'", '"', "#", "?", "\t", "%", "---\n", "é", "\0", "1.5", "~"), { maxLength: 40 });
    fc.assert(
      fc.property(noise, (pieces) => {
        const result = parseDocument("a.yaml", pieces.join(""));
        expect(result.ok || result.problems.length > 0).toBe(true);
      }),
    );
  });

  test("lines are counted right after what is wrong, too", () => {
    expect(problems("*x\na---\n<<: *x").map((line) => line.split(": ")[0])).toEqual(["syntax a.yaml:2:1", "syntax a.yaml:3:3", "syntax a.yaml:3:5"]);
  });

  test("a file name with a line feed cannot forge a log line", () => {
    expect(problems("", "a\nerror: b.yaml")[0]).toStartWith('empty "a\\nerror: b.yaml":1:1');
  });
});

describe("positions", () => {
  const text = "guests:\n  - vmid: 101\n    config:\n      net0: { tag: 20 }\n";
  const result = parseDocument("a.yaml", text);
  if (!result.ok) throw new Error("expected a tree");
  const { tree } = result;

  test.each([
    [["guests"], "key", 1, 1],
    [["guests", 0], "value", 2, 5],
    [["guests", 0, "vmid"], "key", 2, 5],
    [["guests", 0, "vmid"], "value", 2, 11],
    [["guests", 0, "config", "net0", "tag"], "value", 4, 20],
    [["guests", 0, "kind"], "value", 2, 5],
    [["version"], "value", 1, 1],
  ] as const)("%j (%s) is at %d:%d", (path, what, line, column) => {
    expect(tree.positionAt(offsetOf(tree.root, path, what))).toEqual({ file: "a.yaml", line, column });
  });
});
