/**
 * Text that comes from guests and people (names, descriptions, task texts) on its way to a terminal:
 * nothing in it may move the cursor, colour the screen, or reverse the reading direction.
 */

// C0 and C1 controls (0x9B starts an escape sequence on some terminals), DEL, invisible and
// direction-changing characters, line and paragraph separators, the byte order mark, lone surrogates.
// eslint-disable-next-line no-control-regex, no-misleading-character-class
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|\p{Surrogate}/gu;

const NAMED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** One line of printable text; what cannot be shown becomes `\n`, `\t` or `\u{1b}`. */
export function escapeText(text: string): string {
  return text.replace(UNPRINTABLE, (character) => NAMED[character] ?? `\\u{${codePoint(character)}}`);
}

/** The same for JSON text: valid JSON before, equal JSON after. */
export function escapeJson(json: string): string {
  return json.replace(UNPRINTABLE, (character) => `\\u${codePoint(character).padStart(4, "0")}`);
}

function codePoint(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16);
}
