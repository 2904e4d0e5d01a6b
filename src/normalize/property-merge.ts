import type { DeclaredMap, DeclaredScalar, DeclaredValue } from "../guest/declared.ts";
import { fail, ok, type Fault, type Result } from "../ports/errors.ts";
import { invalid } from "./invalid.ts";
import { isOneItem } from "./lists.ts";
import { canonicalValue, plainProperties, readProperties, writeProperties, type PropertyFormat } from "./property-format.ts";
import { parseProperties, type Property } from "./property-string.ts";
import type { NormalizeContext } from "./types.ts";
import { defaultOf, hasControlCharacter, scalarText, textOf, type ValueRule } from "./value-rule.ts";

/** What is declared of a property string: sub-keys to have and sub-keys to be without. */
export interface Declared {
  readonly wanted: Property[];
  readonly unwanted: readonly string[];
}

// A name with "," or "=" in it would smuggle in further sub-keys.
const SUB_KEY = /^[A-Za-z0-9][\w-]*$/;

const SHAPE = 'a map or text such as "key=value,key=value"';

/** Lays a declared property string over what is there: the whole of `FieldNormalizer.merge` for one. */
export function mergeProperties(declared: DeclaredValue, format: PropertyFormat, context: NormalizeContext): Result<string | null> {
  if (declared === null) return ok(null);
  const observed = context.observed;
  if (typeof declared === "string" && declared === observed) return ok(declared);
  const read = readDeclared(declared, format);
  if (!read.ok) return read;
  const text = textOf(observed);
  const current = text === "" ? [] : readProperties(text, format);
  if (current === undefined && format.isGuarded === true) {
    return invalid("", "what is there to be readable", text, "correct it on the host first, so that nothing in it is lost");
  }
  const laid = overlay(current ?? [], read.value, format, context);
  if (!laid.ok) return laid;
  if (text !== "" && !laid.value.isChanged) return ok(String(observed));
  return ok(laid.value.properties.length === 0 ? null : writeProperties(laid.value.properties, format));
}

/** Reads what is declared, text or map, into plain sub-keys. */
export function readDeclared(declared: Exclude<DeclaredValue, null>, format: PropertyFormat): Result<Declared> {
  if (typeof declared !== "object") return readDeclaredText(scalarText(declared), format);
  if (isList(declared)) return invalid("", SHAPE, declared);
  return readDeclaredMap(declared, format);
}

function isList(declared: DeclaredMap | readonly DeclaredScalar[]): declared is readonly DeclaredScalar[] {
  return Array.isArray(declared);
}

function readDeclaredText(text: string, format: PropertyFormat): Result<Declared> {
  if (text === "" || hasControlCharacter(text)) return invalid("", SHAPE, text, "write null to have it absent");
  const wanted = readProperties(text, format);
  if (wanted !== undefined && wanted.length > 0) return ok({ wanted, unwanted: [] });
  const isRepeated = parseProperties(text, format.defaultKey) !== undefined;
  return invalid("", isRepeated ? "every sub-key once" : SHAPE, text);
}

function readDeclaredMap(declared: DeclaredMap, format: PropertyFormat): Result<Declared> {
  const wanted: Property[] = [];
  const unwanted: string[] = [];
  // In whatever order they were written down: what is sent, and approved, must not depend on it.
  for (const key of Object.keys(declared).sort()) {
    if (!SUB_KEY.test(key)) return invalid("", "names of sub-keys (letters, digits, hyphens, underscores)", key, "correct the name");
    const value = declared[key];
    if (value === null || value === undefined) {
      unwanted.push(format.aliases?.get(key) ?? key);
      continue;
    }
    const text = subValueText(key, value, format);
    if (!text.ok) return text;
    wanted.push({ key, value: text.value });
  }
  const plain = plainProperties(wanted, format);
  return plain === undefined ? invalid("", "every sub-key once", declared) : ok({ wanted: plain, unwanted });
}

function subValueText(key: string, value: DeclaredScalar | readonly DeclaredScalar[], format: PropertyFormat): Result<string> {
  const rule = format.subKeys.get(format.aliases?.get(key) ?? key);
  const text = typeof value === "object" ? listText(value, rule?.joiner ?? ";") : subScalarText(value, rule);
  if (text === undefined) return invalid(key, "a list without empty items", value);
  if (text === "" || hasControlCharacter(text)) return invalid(key, "one line of text", value, "write null to have it absent");
  const isQuoted = text.startsWith('"') && text.endsWith('"') && text.length > 1;
  return text.includes(",") && !isQuoted ? invalid(key, "text without a comma", text) : ok(text);
}

// A sub-key nobody knows gets Proxmox's spelling of a boolean; a known one reads the word itself.
function subScalarText(value: DeclaredScalar, rule: ValueRule | undefined): string {
  return typeof value === "boolean" && rule === undefined ? (value ? "1" : "0") : scalarText(value);
}

/** The items joined; undefined when one is empty or Proxmox would split it further. */
export function listText(items: readonly DeclaredScalar[], joiner: string): string | undefined {
  const texts = items.map(scalarText);
  return texts.every(isOneItem) ? texts.join(joiner) : undefined;
}

/** `current` with `declared` laid over it; what is equal in meaning keeps the spelling and the place it has. */
export function overlay(
  current: readonly Property[], declared: Declared, format: PropertyFormat, context: NormalizeContext,
): Result<{ readonly properties: Property[]; readonly isChanged: boolean }> {
  const properties = [...current];
  const unknown = declared.unwanted.find((key) => !isKnown(key, format));
  if (unknown !== undefined) return unknownSubKey(unknown, format);
  let isChanged = removeUnwanted(properties, declared.unwanted, format, context);
  for (const wanted of declared.wanted) {
    if (format.ignored?.has(wanted.key) === true) continue;
    const laid = layOne(properties, wanted, format, context);
    if (!laid.ok) return laid;
    isChanged = laid.value || isChanged;
  }
  const missing = format.required?.find((key) => !properties.some((property) => property.key === key));
  if (missing !== undefined && (isChanged || current.length === 0) && properties.length + declared.wanted.length > 0) {
    return invalid(missing, format.subKeys.get(missing)?.expected ?? "a value", undefined, "declare it: Proxmox requires it");
  }
  const alone = isChanged ? aloneIn(properties, format) : undefined;
  if (alone !== undefined) {
    const [key, needed] = alone;
    return invalid(needed, format.subKeys.get(needed)?.expected ?? "a value", undefined, `declare it, or ${key} as null: Proxmox takes ${key} only beside ${needed}`);
  }
  return ok({ properties, isChanged });
}

/** A sub-key that is there without the one it needs, and that one. */
function aloneIn(properties: readonly Property[], { requires }: PropertyFormat): readonly [string, string] | undefined {
  if (requires === undefined) return undefined;
  const has = (key: string): boolean => properties.some((property) => property.key === key);
  return [...requires].find(([key, needed]) => has(key) && !has(needed));
}

// A misspelt sub-key that "must be absent" would be absent, and the person's wish unheard.
function isKnown(key: string, format: PropertyFormat): boolean {
  return format.isOpen === true || format.subKeys.has(key);
}

function removeUnwanted(properties: Property[], unwanted: readonly string[], format: PropertyFormat, context: NormalizeContext): boolean {
  let isChanged = false;
  for (const key of unwanted) {
    const index = properties.findIndex((property) => property.key === key);
    const found = properties[index];
    if (found === undefined || format.kept?.includes(key) === true || format.ignored?.has(key) === true) continue;
    if (isDefault(found, format, context)) continue; // absent and default mean the same: nothing to write
    properties.splice(index, 1);
    isChanged = true;
  }
  return isChanged;
}

/** Lays one declared sub-key; true when that changed the meaning. */
function layOne(properties: Property[], wanted: Property, format: PropertyFormat, context: NormalizeContext): Result<boolean> {
  const index = properties.findIndex((property) => property.key === wanted.key);
  const found = properties[index];
  // What is there may be out of bounds that have become narrower since: declared all the same, it is no change.
  if (found !== undefined && (found.value === wanted.value || canonicalValue(found, format, context) === canonicalValue(wanted, format, context))) return ok(false);
  const checked = checkedValue(wanted, format, context, found !== undefined);
  if (!checked.ok) return checked;
  const property = { key: wanted.key, value: checked.value };
  if (found === undefined) {
    if (isDefault(property, format, context) && format.required?.includes(wanted.key) !== true) return ok(false);
    properties.push(property);
    return ok(true);
  }
  const observed = canonicalValue(found, format, context);
  const covers = format.subKeys.get(wanted.key)?.covers;
  if (observed === checked.value || covers?.(checked.value, observed) === true) return ok(false);
  properties[index] = property;
  return ok(true);
}

function isDefault(property: Property, format: PropertyFormat, context: NormalizeContext): boolean {
  const rule = format.subKeys.get(property.key);
  return rule !== undefined && canonicalValue(property, format, context) === defaultOf(rule, context);
}

function checkedValue(wanted: Property, format: PropertyFormat, context: NormalizeContext, isThere: boolean): Result<string, Fault> {
  const rule = format.subKeys.get(wanted.key);
  if (rule === undefined) return isThere || format.isOpen === true ? ok(wanted.value) : unknownSubKey(wanted.key, format);
  const canonical = rule.canonical(wanted.value, context);
  if (canonical === undefined || canonical === "" || rule.isWritable?.(canonical) === false) return fail(invalid(wanted.key, rule.expected, wanted.value).error);
  return ok(canonical);
}

function unknownSubKey(key: string, format: PropertyFormat): Result<never> {
  const known = [...format.subKeys.keys(), ...(format.aliases?.keys() ?? [])].filter((name) => format.ignored?.has(name) !== true);
  return invalid("", `one of the sub-keys ${known.join(", ")}`, key, "correct its name");
}
