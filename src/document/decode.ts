import { type DocumentProblem, printableName } from "./document.ts";

/** U+FFFD, three bytes in UTF-8. */
const REPLACEMENT = "\uFFFD";

/** The first two bytes of a text in UTF-16; none is valid in UTF-8. */
const UTF_16_LITTLE = "255 254";
const UTF_16_BIG = "254 255";

export type DecodeResult = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly problem: DocumentProblem };

/**
 * The text behind a file's bytes. Refused: more than `maxBytes`, bytes that are not UTF-8, and NUL
 * (UTF-16, a binary, or the hole a crash left where the text should be).
 */
export function decodeText(file: string, bytes: Uint8Array, maxBytes: number): DecodeResult {
  if (bytes.byteLength > maxBytes) return refuse("too_large", `${printableName(file)}:1:1: expected at most ${maxBytes} bytes, found ${bytes.byteLength}`);
  const byteOrder = `${bytes[0]} ${bytes[1]}`;
  if (byteOrder === UTF_16_LITTLE || byteOrder === UTF_16_BIG) {
    return refuse("syntax", `${printableName(file)}:1:1: expected UTF-8 text, found the mark of UTF-16; save the file as UTF-8`);
  }
  const zeroAt = bytes.indexOf(0);
  if (zeroAt >= 0) {
    return refuse("syntax", `${place(file, bytes, zeroAt)}: expected text, found a NUL byte; save the file as UTF-8 text`);
  }
  try {
    return { ok: true, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    const at = firstInvalidByte(bytes);
    return refuse("syntax", `${place(file, bytes, at)}: expected UTF-8 text, found a byte that is not (0x${(bytes[at] ?? 0).toString(16)}); save the file as UTF-8`);
  }
}

function refuse(kind: DocumentProblem["kind"], message: string): DecodeResult {
  return { ok: false, problem: { kind, message } };
}

/** Counts bytes, not characters: a text that cannot be decoded has none. */
function place(file: string, bytes: Uint8Array, at: number): string {
  const before = bytes.subarray(0, at);
  const lineStart = before.lastIndexOf(0x0a) + 1;
  const line = before.reduce((count, byte) => (byte === 0x0a ? count + 1 : count), 1);
  return `${printableName(file)}:${line}:${at - lineStart + 1}`;
}

/** What a lenient decoder replaces first, unless the character it replaces by was written there itself. */
function firstInvalidByte(bytes: Uint8Array): number {
  const lenient = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  let byteOffset = 0;
  let from = 0;
  for (let at = lenient.indexOf(REPLACEMENT); at >= 0; at = lenient.indexOf(REPLACEMENT, from)) {
    byteOffset += Buffer.byteLength(lenient.slice(from, at));
    if (bytes[byteOffset] !== 0xef || bytes[byteOffset + 1] !== 0xbf || bytes[byteOffset + 2] !== 0xbd) return byteOffset;
    byteOffset += 3;
    from = at + 1;
  }
  return byteOffset;
}
