import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type DocumentResult, NODES_MAX, PROBLEMS_MAX, toPlain } from "../../src/document/document.ts";
import { parseDocument, parseInSteps } from "../../src/document/parse.ts";
import { finish, STEP_WORK, VALUE_LENGTH_MAX } from "../../src/document/steps.ts";
import { TOKENS_MAX } from "../../src/document/tokens.ts";

/** An eighth of the largest file that is parsed: enough for several steps. */
const TEXT_LENGTH = 128 * 1024;

/** Work of one step: what fits, and the one item that did not. */
const STEP_WORK_BOUND = 4 * STEP_WORK;

interface Measured {
  readonly result: DocumentResult;
  readonly steps: number;
  readonly mostWork: number;
  readonly longestMs: number;
}

function measure(text: string): Measured {
  const steps = parseInSteps("a.yaml", text);
  let mostWork = 0;
  let longestMs = 0;
  for (let count = 1; ; count++) {
    const startMs = performance.now();
    const step = steps.next();
    longestMs = Math.max(longestMs, performance.now() - startMs);
    if (step.done === true) return { result: step.value, steps: count, mostWork, longestMs };
    mostWork = Math.max(mostWork, step.value);
  }
}

const filled = (piece: string, before = "", after = "", length = TEXT_LENGTH) => before + piece.repeat(Math.floor((length - before.length - after.length) / piece.length)) + after;
const guest: string = "  - vmid: 101\n    kind: qemu\n    config:\n      name: web\n      memory: 4096\n      net0: { model: virtio, bridge: vmbr0, tag: 20 }\n      tags: [a, b]\n";

describe("a large text is parsed in steps of bounded work", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["guests in JSON", filled('{"vmid":101,"kind":"qemu","config":{"memory":4096}},', '{"version":1,"guests":[', "{}]}")],
    ["brackets that close nothing", filled("]")],
    ["brackets that are not closed", filled("[")],
    ["maps that are not closed", filled("{a: ")],
    ["lists in lists", filled("- ")],
    ["keys in keys", filled("? ")],
    ["one key again and again", filled("a: 1\n")],
    ["anchors of one node", filled("&a ")],
    ["tags of one node", filled("!a ", "a: ")],
    ["aliases of nothing", filled("*a,", "[", "]")],
    ["commas", filled(",", "[", "]")],
    ["documents", filled("---\na\n")],
    ["document ends", filled("...\n")],
    ["directives", filled("%\n")],
    ["comments", filled("  # x\n", "a:\n", "  b\n")],
    ["empty lines", filled("\n")],
    ["quotes", filled('"')],
    ["quoted words side by side", filled('"a" ')],
    ["a value of many lines", filled("a\n ")],
    ["a block of many lines", filled("  x\n", "a: |\n")],
    ["white space", filled(" ")],
    ["merge keys", filled("<<: *a\n")],
  ];

  test.each(cases)("%s", (name, text) => {
    const { result, steps, mostWork, longestMs } = measure(text);
    // Told, not judged: how long a step takes depends on what else the machine does.
    if (longestMs > 250) console.log(`${name}: the longest of ${steps} steps took ${Math.round(longestMs)} ms`);
    expect(mostWork).toBeLessThanOrEqual(STEP_WORK_BOUND);
    if (!result.ok) expect(result.problems.length).toBeLessThanOrEqual(PROBLEMS_MAX);
    if (result.ok) expect(steps).toBeGreaterThan(TEXT_LENGTH / 16 / STEP_WORK);
  });

  test("a megabyte of everyday guests", () => {
    const { result, mostWork } = measure(filled(guest, "version: 1\nguests:\n", "", 1024 * 1024));
    expect(result.ok).toBe(true);
    expect(mostWork).toBeLessThanOrEqual(STEP_WORK_BOUND);
  });

  test("a word more than the limit is refused with its place, the limit is not", () => {
    // Each line is a value mark, a value and a line end.
    const lines = Math.floor(TOKENS_MAX / 3) - 1;
    expect(finish(parseInSteps("a.yaml", "- a\n".repeat(10)))).toMatchObject({ ok: true });
    const result = parseDocument("a.yaml", "\n".repeat(lines * 3 + 10));
    expect(result).toMatchObject({ ok: false, problems: [{ kind: "too_large", message: expect.stringMatching(/^a\.yaml:\d+:1: expected at most 700000 words and signs/) }] });
  });

  test.each(["", "'", '"', "|\n  ", "&", "*", "!"])("a value that begins with %j may have so many characters and no more", (mark) => {
    const told = (length: number) => {
      const result = parseDocument("a.yaml", `a: ${mark}${"x".repeat(length)}`);
      return result.ok ? [] : result.problems.map(({ message }) => message);
    };
    expect(told(VALUE_LENGTH_MAX - 4).join()).not.toContain("characters in one value");
    expect(told(VALUE_LENGTH_MAX + 4).join()).toMatch(/^a\.yaml:[12]:\d: expected at most 65536 characters in one value, found \d+; look for a quote that is not closed$/);
  });

  test("a comment may be longer than a value", () => {
    expect(parseDocument("a.yaml", `a: 1 # ${"x".repeat(2 * VALUE_LENGTH_MAX)}\n#${"-".repeat(2 * VALUE_LENGTH_MAX)}\n`)).toMatchObject({ ok: true });
  });
});

/** What is wrong, or the tree. */
function outcome(result: DocumentResult): object {
  return result.ok ? { plain: toPlain(result.tree.root), root: result.tree.root, size: result.tree.size } : { problems: result.problems.map(({ kind, message }) => `${kind} ${message}`) };
}

describe("how a text is cut into steps changes nothing", () => {
  const key = fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "net0", "'x y'", '"z"');
  const leaf = fc.constantFrom("1", "text", "'quoted'", '"q"', "*anchor", "&anchor v", "null", "9.0", "", "true # comment");
  const flow = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaf.map((text) => text.replace(/ #.*/, "")),
      fc.array(tie("node"), { maxLength: 6 }).map((items) => `[${items.join(", ")}]`),
      fc.array(fc.tuple(key, tie("node")), { maxLength: 6 }).map((entries) => `{ ${entries.map(([name, value]) => `${name}: ${value}`).join(", ")} }`),
    ),
  })).node;
  const indented = (text: string) => text.replaceAll("\n", "\n  ");
  const block = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaf.map((text) => ` ${text}`),
      flow.map((text) => ` ${text}`),
      fc.array(tie("node"), { minLength: 1, maxLength: 5 }).map((items) => items.map((item) => `\n-${indented(item)}`).join("")),
      fc.uniqueArray(fc.tuple(key, tie("node")), { minLength: 1, maxLength: 5, selector: ([name]) => name }).map((entries) => entries.map(([name, value]) => `\n${name}:${indented(value)}`).join("")),
    ),
  })).node;
  const stepWork = fc.integer({ min: 2, max: 40 });

  test("whole texts give the same tree", () => {
    let trees = 0;
    fc.assert(
      fc.property(fc.oneof(block, flow), stepWork, (text, work) => {
        const whole = finish(parseInSteps("a.yaml", text, Number.POSITIVE_INFINITY));
        trees += whole.ok ? 1 : 0;
        const cut = finish(parseInSteps("a.yaml", text, work));
        expect(cut.ok).toBe(whole.ok);
        if (whole.ok) expect(outcome(cut)).toEqual(outcome(whole));
      }),
      { numRuns: 700 },
    );
    expect(trees).toBeGreaterThan(100);
  });

  test.each([
    "[a, b,, c, d]", "{a: 1, b: 2,, c: 3, d: 4}", "[a, b 'c', d]", "[a, 'b' 'c', d]", "{a: 1, b: 2 'c', d: 3}", "[a, b, c, ]", "{a: 1, b: 2, }", "[, a, b]", "[a, b: c, d: [e, f]]", "{a, b, c, d}", 
    "[a, &x b, *x, !t c]", "- a\n- b\n- c\n - d\n- e\n", "- a\n- b\n-c\n- d\n", "a: 1\nb: 2\n c: 3\nd: 4\n", "a: 1\nb\nc: 3\n", "a: 1\nb: 2\na: 3\n", "- a\n- - b\n  - c\n- &x\n- *x\n- d: e\n  f: g\n", "a:\n# one\n\n  b: 1\n# two\n  c: 2\n# three\n",
    "a: 1\n? b\n: 2\n? [c]\n: 3\n", "[a #c\n, b, #d\n c]", "[a,#c\n b]", "a: {b: 1, c: [1, 2,\n\n 3]}\n", "[[a, b], [c,, d], [e f]]",
  ])("%j, whatever fits into a step, gives the same tree or the same problems", (text) => {
    const whole = outcome(finish(parseInSteps("a.yaml", text, Number.POSITIVE_INFINITY)));
    for (let work = 1; work <= 20; work++) expect({ work, ...outcome(finish(parseInSteps("a.yaml", text, work))) }).toEqual({ work, ...whole });
  });

  test("a bracket that is not closed is told where it opens when what it holds does not fit into a step, else where the end is missed", () => {
    const told = (text: string, work: number) => outcome(finish(parseInSteps("a.yaml", text, work)));
    expect(told("[a, b, c", 100)).toEqual({ problems: ["syntax a.yaml:1:9: expected valid YAML, found: Flow sequence must end with a ]"] });
    expect(told("[a, b, c", 2)).toEqual({ problems: ["syntax a.yaml:1:2: expected valid YAML, found: Flow sequence must end with a ]"] });
  });

  test("texts with something wrong in them are refused either way", () => {
    const spoilt = fc.tuple(fc.oneof(block, flow), fc.nat(), fc.constantFrom(",", ",,", "]", "}", ": ", "\n", "&x ", "'", "\t", "[", "# c", "- ", "? ", "!t "), fc.nat({ max: 3 })).map(([text, at, piece, cut]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + piece + text.slice(place + cut);
    });
    let refused = 0;
    fc.assert(
      fc.property(spoilt, stepWork, (text, work) => {
        const whole = finish(parseInSteps("a.yaml", text, Number.POSITIVE_INFINITY));
        const cut = finish(parseInSteps("a.yaml", text, work));
        refused += whole.ok ? 0 : 1;
        expect(cut.ok).toBe(whole.ok);
        if (whole.ok) expect(outcome(cut)).toEqual(outcome(whole));
      }),
      { numRuns: 1_000 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});

describe("any text gives a tree, or problems with places inside of it", () => {
  const valid = filled(guest, "version: 1\nguests:\n", "", 900);
  const pieces = fc.array(fc.constantFrom("a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", "&x ", "*x", "!t ", "|", ">", "'", '"', "#", "?", "\t", "%", "---\n", "...\n", "é", "\u2028", "\uFEFF", "\r", "1.5", "~", "<<: *x"), { maxLength: 60 }).map((list) => list.join(""));
  const mutated = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 30 }), fc.oneof(pieces, fc.string({ unit: "binary", maxLength: 4 }))), { minLength: 1, maxLength: 4 })
    .map((edits) => edits.reduce((text, [at, length, piece]) => text.slice(0, at % (text.length + 1)) + piece + text.slice((at % (text.length + 1)) + length), valid));

  function judge(file: string, text: string): void {
    const result = parseDocument(file, text);
    if (result.ok) {
      expect(result.tree.size).toBeLessThanOrEqual(NODES_MAX);
      return;
    }
    expect(result.problems.length).toBeGreaterThan(0);
    expect(result.problems.length).toBeLessThanOrEqual(PROBLEMS_MAX);
    const lines = text.split("\n");
    for (const { message } of result.problems) {
      const [, line = "0", column = "0"] = /^a\.\w+:(\d+):(\d+): expected /.exec(message) ?? [];
      expect(Number(line)).toBeGreaterThanOrEqual(1);
      expect(Number(line)).toBeLessThanOrEqual(lines.length);
      expect(Number(column)).toBeGreaterThanOrEqual(1);
      // One behind the end of a line is where something is missing.
      expect(Number(column)).toBeLessThanOrEqual((lines[Number(line) - 1]?.length ?? 0) + 1);
    }
  }

  test.each([["random characters", fc.string({ unit: "binary", maxLength: 200 })], ["signs of YAML", pieces], ["a valid file with edits", mutated]] as const)("%s", (_, texts) => {
    fc.assert(fc.property(texts, fc.constantFrom("a.yaml", "a.json"), (text, file) => judge(file, text)), { numRuns: 700 });
  });

  test("random bytes, decoded as a careless reader would", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => judge("a.yaml", new TextDecoder().decode(bytes))), { numRuns: 1_000 });
  });
});
