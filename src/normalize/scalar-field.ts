import type { DeclaredScalar, DeclaredValue } from "../guest/declared.ts";
import { ok, type Result } from "../ports/errors.ts";
import { invalid } from "./invalid.ts";
import { listText } from "./property-merge.ts";
import type { FieldNormalizer, NormalForm, NormalizeContext } from "./types.ts";
import { defaultOf, hasControlCharacter, scalarText, textOf, type ValueRule } from "./value-rule.ts";

interface ScalarOptions {
  /** Proxmox takes an empty value, and it means the same as absent (docs/proxmox.md row 1). */
  readonly isBlankAbsent?: boolean;
  /** Proxmox refuses to delete the key. */
  readonly isRequired?: boolean;
}

/** A key whose value is one value (or one list) of a rule. */
export function scalarField(rule: ValueRule, options: ScalarOptions = {}): FieldNormalizer {
  return {
    normalize: (raw, context) => normalizeScalar(textOf(raw), rule, context),
    merge: (declared, context) => mergeScalar(declared, rule, options, context),
  };
}

function normalizeScalar(text: string, rule: ValueRule, context: NormalizeContext): NormalForm {
  if (text === "") return null;
  const canonical = rule.canonical(text, context) ?? text;
  return canonical === "" || canonical === defaultOf(rule, context) ? null : canonical;
}

function mergeScalar(declared: DeclaredValue, rule: ValueRule, options: ScalarOptions, context: NormalizeContext): Result<string | null> {
  const observed = context.observed;
  if (declared === null) return mergeAbsent(rule, options, context);
  if (typeof declared !== "object" && declared === observed) return ok(String(declared));
  const text = declaredText(declared, rule);
  if (!text.ok) return text;
  if (text.value === "") return options.isBlankAbsent === true ? ok(null) : refused(rule, "", "write null to have it absent");
  const canonical = rule.canonical(text.value, context);
  if (canonical === "" && options.isBlankAbsent === true) return ok(null);
  const there = observed === undefined ? "" : textOf(observed);
  if (there !== "" && canonical !== undefined) {
    const seen = rule.canonical(there, context) ?? there;
    if (seen === canonical || rule.covers?.(canonical, seen) === true) return ok(String(observed));
  }
  if (canonical === undefined || canonical === "" || rule.isWritable?.(canonical) === false) return refused(rule, text.value);
  return ok(canonical);
}

function mergeAbsent(rule: ValueRule, options: ScalarOptions, context: NormalizeContext): Result<null> {
  const there = textOf(context.observed);
  if (options.isRequired !== true || normalizeScalar(there, rule, context) === null) return ok(null);
  return invalid("", rule.expected, null, "declare a value, or leave the key out: Proxmox does not let it be removed");
}

/** The declared value as one line of text; lists joined where the rule knows how. */
function declaredText(declared: Exclude<DeclaredValue, null>, rule: ValueRule): Result<string> {
  if (typeof declared === "object") return joined(declared, rule);
  const text = scalarText(declared);
  return hasControlCharacter(text) ? refused(rule, text) : ok(text);
}

function joined(declared: object, rule: ValueRule): Result<string> {
  if (!isList(declared) || rule.joiner === undefined) return refused(rule, declared);
  const text = listText(declared, rule.joiner);
  return text === undefined || hasControlCharacter(text) ? refused(rule, declared, "write one value an item and no empty item") : ok(text);
}

function isList(value: object): value is readonly DeclaredScalar[] {
  return Array.isArray(value);
}

function refused(rule: ValueRule, found: unknown, remedy?: string): ReturnType<typeof invalid> {
  return invalid("", rule.expected, found, remedy);
}
