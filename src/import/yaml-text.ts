import { parseDocument } from "../document/parse.ts";
import { toPlain } from "../document/document.ts";
import type { DeclaredMap, DeclaredScalar, DeclaredValue } from "../guest/declared.ts";

/**
 * Declared values as YAML that every reader takes for the same: text stands bare only where no version
 * of YAML could see something else in it.
 */

/** A map longer than this is written one part a line, in characters. */
const FLOW_LENGTH_MAX = 100;

/** One level of indentation. */
const STEP = "  ";

/** Whether `value`, written and read again, is the same value. */
export function isReadBackAlike(value: DeclaredValue): boolean {
  const parsed = parseDocument("value.yaml", `${entryLines("value", value).join("\n")}\n`);
  return parsed.ok && Bun.deepEquals(toPlain(parsed.tree.root), { value }, true);
}

/** `key: value` as lines, each without indentation of its own. */
export function entryLines(key: string, value: DeclaredValue): readonly string[] {
  if (typeof value === "string" && isBlock(value)) return [`${key}: ${blockHeader(value)}`, ...blockLines(value)];
  const line = `${key}: ${flowText(value)}`;
  if (line.length <= FLOW_LENGTH_MAX || !isMap(value)) return [line];
  return [`${key}:`, ...Object.entries(value).map(([subKey, sub]) => `${STEP}${scalarText(subKey)}: ${flowText(sub)}`)];
}

/** A value in one line. */
export function flowText(value: DeclaredValue): string {
  if (value === null) return "null";
  if (typeof value === "string") return scalarText(value);
  if (typeof value !== "object") return String(value);
  if (!isMap(value)) return `[${value.map(flowText).join(", ")}]`;
  return `{ ${Object.entries(value).map(([key, sub]) => `${scalarText(key)}: ${flowText(sub)}`).join(", ")} }`;
}

function isMap(value: DeclaredValue): value is DeclaredMap {
  return typeof value === "object" && value !== null && !isList(value);
}

function isList(value: DeclaredMap | readonly DeclaredScalar[]): value is readonly DeclaredScalar[] {
  return Array.isArray(value);
}

/** Lines of several words of harmless characters; none ends in a colon, none starts like something else. */
const PLAIN = /^[\p{L}\d_/](?:[\p{L}\d_/.:+@%=;~()-]*[\p{L}\d_/.+@%=;~()-])?(?: [\p{L}\d_/(](?:[\p{L}\d_/.:+@%=;~()-]*[\p{L}\d_/.+@%=;~()-])?)*$/u;

/** Words that are no text in some version of YAML. */
const WORD = /^(?:y|n|yes|no|on|off|true|false|null)$/i;

/** What begins with a digit is bare only when it is an IPv4 address or has a letter that no number and no date has. */
const NUMBER_LIKE = /^\d(?!.*[g-wyzG-WYZ])/;
const PREFIXED_NUMBER = /^0[xob]/i;
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}(?:\/\d{1,2})?$/;

function scalarText(text: string): string {
  const isNumberLike = (NUMBER_LIKE.test(text) || PREFIXED_NUMBER.test(text)) && !IPV4.test(text);
  return PLAIN.test(text) && !WORD.test(text) && !isNumberLike ? text : quoted(text);
}

/** Everything that does not print, and every blank but the plain one. */
const ESCAPED = /["\\\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;
const SHORT_ESCAPES: Readonly<Record<string, string>> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function quoted(text: string): string {
  return `"${text.replace(ESCAPED, (character) => SHORT_ESCAPES[character] ?? escape(character.codePointAt(0) ?? 0))}"`;
}

function escape(code: number): string {
  const hex = code.toString(16).toUpperCase();
  return code > 0xffff ? `\\U${hex.padStart(8, "0")}` : `\\u${hex.padStart(4, "0")}`;
}

/** Several lines that print, none of blanks alone, at most one line end behind the last. */
function isBlock(text: string): boolean {
  const body = text.replace(/\n$/, "");
  return body.includes("\n") && !body.startsWith("\n") && !body.endsWith("\n") && !/[^\P{C}\n]|\p{Zl}|\p{Zp}|^[ \t]+$/mu.test(body);
}

/** The indentation is said where the first line has one of its own. */
function blockHeader(text: string): string {
  return `|${text.startsWith(" ") ? STEP.length : ""}${text.endsWith("\n") ? "" : "-"}`;
}

function blockLines(text: string): readonly string[] {
  return text.replace(/\n$/, "").split("\n").map((line) => (line === "" ? "" : STEP + line));
}
