import { describe, expect, test } from "bun:test";
import { decodeText } from "../../src/document/decode.ts";

function decode(bytes: Uint8Array, maxBytes = 1000): string {
  const result = decodeText("a.yaml", bytes, maxBytes);
  return result.ok ? `text ${result.text}` : `${result.problem.kind} ${result.problem.message}`;
}

const utf8 = (text: string) => new TextEncoder().encode(text);

describe("decoding a file", () => {
  test("UTF-8 comes back as text", () => {
    expect(decode(utf8("a: ünï 😀\n"))).toBe("text a: ünï 😀\n");
  });

  test("the limit is the last size that is taken", () => {
    expect(decode(utf8("12345"), 5)).toBe("text 12345");
    expect(decode(utf8("123456"), 5)).toStartWith("too_large a.yaml:1:1: expected at most 5 bytes");
  });

  test.each([
    ["a NUL in the middle", utf8("a: 1\nb: \0"), "syntax a.yaml:2:4: expected text, found a NUL byte"],
    ["a hole of NULs, as a crash leaves it", new Uint8Array(100), "syntax a.yaml:1:1: expected text, found a NUL byte"],
    ["UTF-16", Uint8Array.from([0xff, 0xfe, 0x61, 0x00]), "syntax a.yaml:1:1: expected UTF-8 text, found the mark of UTF-16; save the file as UTF-8"],
    ["UTF-16, the other way round", Uint8Array.from([0xfe, 0xff, 0x00, 0x61]), "syntax a.yaml:1:1: expected UTF-8 text, found the mark of UTF-16; save the file as UTF-8"],
    ["UTF-16 without a mark", Uint8Array.from([0x61, 0x00, 0x3a, 0x00]), "syntax a.yaml:1:2: expected text, found a NUL byte"],
    ["Latin-1", Uint8Array.from([0x61, 0x0a, 0x62, 0xe4, 0x63]), "syntax a.yaml:2:2: expected UTF-8 text, found a byte that is not (0xe4)"],
    ["Latin-1 after a genuine replacement character", Uint8Array.from([...utf8("a\uFFFDb"), 0xe4, 0x63]), "syntax a.yaml:1:6: expected UTF-8 text, found a byte that is not (0xe4)"],
    ["a character cut off at the end", utf8("a: ü").subarray(0, 4), "syntax a.yaml:1:4: expected UTF-8 text"],
  ])("%s is refused with its place", (_, bytes, message) => {
    expect(decode(bytes)).toStartWith(message);
  });
});
