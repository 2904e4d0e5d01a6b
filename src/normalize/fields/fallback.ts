import type { DeclaredValue } from "../../guest/declared.ts";
import { ok, type Result } from "../../ports/errors.ts";
import { invalid } from "../invalid.ts";
import { normalizeProperties, type PropertyFormat } from "../property-format.ts";
import { listText, mergeProperties } from "../property-merge.ts";
import type { FieldNormalizer, NormalizeContext } from "../types.ts";
import { hasControlCharacter, scalarText, textOf } from "../value-rule.ts";

/** Anything may stand in it; a part without a key is kept as one without a key. */
const ANY_PROPERTIES: PropertyFormat = { defaultKey: "", isOpen: true, subKeys: new Map() };

/** `key=value` somewhere: only then is text taken for a property string, so that lists keep their order. */
const HAS_PROPERTY = /(?:^|,)[\w-]+=/;

/**
 * For keys without an entry of their own: text, trimmed; a property string in any order
 * (docs/proxmox.md row 6); absent, "" and " " are one (row 1).
 */
export const FALLBACK: FieldNormalizer = {
  normalize: (raw, context) => {
    const text = textOf(raw);
    if (!HAS_PROPERTY.test(text)) return text === "" ? null : text;
    return normalizeProperties(text, ANY_PROPERTIES, context);
  },
  merge: mergeAny,
};

function mergeAny(declared: DeclaredValue, context: NormalizeContext): Result<string | null> {
  if (declared === null) return ok(null);
  if (typeof declared === "object" && !Array.isArray(declared)) return mergeProperties(declared, ANY_PROPERTIES, context);
  const text = Array.isArray(declared) ? listText(declared, ",") : booleanAsDigit(scalarText(declared), declared);
  if (text === undefined || hasControlCharacter(text)) return invalid("", "one line of text", declared);
  if (text === "") return ok(null);
  const there = context.observed;
  return ok(there !== undefined && FALLBACK.normalize(text, context) === FALLBACK.normalize(there, context) ? String(there) : text);
}

function booleanAsDigit(text: string, declared: unknown): string {
  return typeof declared === "boolean" ? (declared ? "1" : "0") : text;
}
