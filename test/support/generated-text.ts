import type { DesiredGuest } from "../../src/desired/model.ts";
import type { DesiredFile } from "../../src/desired/parse.ts";
import { Dice } from "./generated-values.ts";

/**
 * One desired state, written in as many ways as YAML and JSON have: block and flow, quotes, order of keys,
 * comments, anchors, line ends, split over files. All of them mean the same.
 */
type Plain = string | number | boolean | null | readonly Plain[] | { readonly [key: string]: Plain };

interface Writer {
  readonly dice: Dice;
  /** Names of what was said already, by its JSON. */
  readonly anchors: Map<string, string>;
  readonly hasAnchors: boolean;
  readonly hasComments: boolean;
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value);
}

function isNested(value: Plain): value is readonly Plain[] | { readonly [key: string]: Plain } {
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}

/** Words that YAML, of one version or another, reads as something else than text. */
const RESERVED = /^(?:null|true|false|yes|no|on|off|y|n)$/i;
const PLAIN_TEXT = /^[A-Za-z][A-Za-z0-9-]*$/;
// A CR, a tab or what cannot be seen is written escaped only.
const SIMPLE_TEXT = /^[ -~]+$/;

/** A number of a config value may be text: that is one declaration. `version` and vmids may not. */
const OWN_NUMBERS = new Set(["version", "vmid"]);

function scalar(value: string | number | boolean | null, { dice }: Writer, isOwn = false): string {
  if (typeof value === "number" && isOwn) return String(value);
  if (value === null) return dice.pick("null", "~");
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number") return dice.pick(String(value), `"${value}"`, `'${value}'`);
  const isPlain = PLAIN_TEXT.test(value) && !RESERVED.test(value);
  const quoted = JSON.stringify(value);
  return dice.pick(quoted, isPlain ? value : quoted, SIMPLE_TEXT.test(value) ? `'${value.replaceAll("'", "''")}'` : quoted);
}

function keyText(key: string, { dice }: Writer): string {
  return dice.pick(RESERVED.test(key) ? `"${key}"` : key, `"${key}"`, `'${key}'`);
}

/** The anchor or alias of a value: the same value, said again, may stand for itself. */
function anchored(value: Plain, writer: Writer): { readonly alias: string } | { readonly anchor: string } {
  if (!writer.hasAnchors || value === null || writer.dice.below(3) !== 1) return { anchor: "" };
  const text = JSON.stringify(value);
  const known = writer.anchors.get(text);
  if (known !== undefined) return { alias: `*${known}` };
  const name = `a${writer.anchors.size}`;
  writer.anchors.set(text, name);
  return { anchor: `&${name} ` };
}

function entriesOf(value: { readonly [key: string]: Plain }, { dice }: Writer): readonly (readonly [string, Plain])[] {
  return dice.shuffled(Object.entries(value));
}

function flow(value: Plain, writer: Writer, key?: string): string {
  const isOwn = key !== undefined && OWN_NUMBERS.has(key);
  const name = isOwn ? { anchor: "" } : anchored(value, writer);
  if ("alias" in name) return `${name.alias} `;
  if (typeof value !== "object" || value === null) return name.anchor + scalar(value, writer, isOwn);
  if (isList(value)) return `${name.anchor}[${value.map((item) => flow(item, writer)).join(", ")}]`;
  return `${name.anchor}{${entriesOf(value, writer).map(([key, item]) => `${keyText(key, writer)}: ${flow(item, writer, key)}`).join(", ")}}`;
}

function comment({ dice, hasComments }: Writer, before: string): string {
  return hasComments && dice.below(4) === 1 ? `${before}# a: comment, [with] {marks} & "quotes"` : "";
}

/** Lines of a value that is nested, each `indent` deep. */
function block(value: readonly Plain[] | { readonly [key: string]: Plain }, indent: string, writer: Writer): string[] {
  const parts = isList(value) ? value.map((item) => ["-", item, undefined] as const) : entriesOf(value, writer).map(([key, item]) => [`${keyText(key, writer)}:`, item, key] as const);
  return parts.flatMap(([head, item, key]) => [...(comment(writer, indent) === "" ? [] : [`${indent}# before`, ""]), ...blockItem(indent, [head, key], item, writer)]);
}

function blockItem(indent: string, [head, key]: readonly [string, string | undefined], item: Plain, writer: Writer): string[] {
  const { dice } = writer;
  if (typeof item === "string" && isLiteral(item) && dice.below(2) === 1) return [`${indent}${head} |-`, ...item.split("\n").map((line) => (line === "" ? "" : `${indent}  ${line}`))];
  if (!isNested(item) || dice.below(3) === 1) return [`${indent}${head} ${flow(item, writer, key)}${comment(writer, " ")}`];
  const name = anchored(item, writer);
  if ("alias" in name) return [`${indent}${head} ${name.alias}`];
  return [`${indent}${head} ${name.anchor}`.trimEnd() + comment(writer, " "), ...block(item, `${indent}${dice.pick("  ", "    ")}`, writer)];
}

/** Text that a literal block gives back as it was. */
function isLiteral(text: string): boolean {
  return text.includes("\n") && /^[!-~]/.test(text) && /[!-~]$/.test(text) && /^[ -~\n]+$/.test(text) && !/[ \t]$/m.test(text);
}

function guestMap(guest: DesiredGuest, writer: Writer): Plain {
  const { vmid, kind, mode, state, config } = guest;
  const isModeSaid = mode !== "enforce" || writer.dice.below(2) === 1;
  return { vmid, kind, ...(isModeSaid ? { mode } : {}), ...(state === undefined ? {} : { state }), ...(Object.keys(config).length === 0 && writer.dice.below(2) === 1 ? {} : { config }) };
}

function fileText(guests: readonly DesiredGuest[], writer: Writer): { readonly text: string; readonly ending: string } {
  const { dice } = writer;
  const file = { version: 1, guests: dice.shuffled(guests).map((guest) => guestMap(guest, writer)) };
  if (dice.below(4) === 1) return { text: JSON.stringify(file, null, dice.pick(0, 2)), ending: "json" };
  const lines = dice.below(5) === 1 ? [flow(file, { ...writer, hasAnchors: false })] : block(file, "", writer);
  const text = [...dice.pick([], ["---"], ["# desired state", ""]), ...lines, ""].join("\n");
  return { text: dice.below(3) === 1 ? text.replaceAll("\n", "\r\n") : text, ending: dice.pick("yaml", "yml") };
}

/** One way of them all, which follows from `style`. */
export function styledFiles(guests: readonly DesiredGuest[], style: number): readonly DesiredFile[] {
  const dice = new Dice(style);
  const files = 1 + dice.below(guests.length);
  const shares = Array.from({ length: files }, (_, index) => guests.filter((__, place) => place % files === index));
  return shares.map((share, index) => {
    const writer: Writer = { dice, anchors: new Map(), hasAnchors: dice.below(2) === 1, hasComments: dice.below(2) === 1 };
    const { text, ending } = fileText(share, writer);
    return { name: `part-${index}.${ending}`, text };
  });
}
