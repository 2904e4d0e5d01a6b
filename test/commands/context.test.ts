import { describe, expect, test } from "bun:test";
import { complainAbout, EXIT, json, type CommandContext } from "../../src/commands/context.ts";

describe("a complaint", () => {
  test("carries other people's words to a terminal as text, its own lines as lines", () => {
    let complaints = "";
    const context = { complain: (text: string) => void (complaints += text) } as CommandContext;
    expect(complainAbout(context, { code: "proxmox.other", message: "refused: \u001b[2J\u009b31m\u202etxt\nsecond" })).toBe(EXIT.error);
    expect(complaints).toBe("agent: refused: \\u{1b}[2J\\u{9b}31m\\u{202e}txt\nsecond\n");
  });
});

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
