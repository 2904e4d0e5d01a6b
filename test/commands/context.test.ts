import { describe, expect, test } from "bun:test";
import { json } from "../../src/commands/context.ts";

describe("-o json of every command", () => {
  const hostile = { name: "a\u009b2J", "key\u202e": ["\u001b[31m", "\u007f", "\u2028", "two\nlines"], plain: "Grüße 🙂" };

  test("carries no control or direction-changing character to a terminal, and says the same to a program", () => {
    const text = json(hostile);
    // The line ends between JSON's parts are the only ones.
    expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
    expect(text).toContain('"name": "a\\u009b2J"');
    expect(text).toContain('"key\\u202e"');
    expect(JSON.parse(text)).toEqual(hostile);
  });

  test("stays indented, ends its last line, and leaves what can be shown as it is", () => {
    expect(json({ plain: "Grüße 🙂" })).toBe('{\n  "plain": "Grüße 🙂"\n}\n');
  });
});
