import type { DeclaredScalar } from "../guest/declared.ts";
import type { RawValue } from "../guest/observed.ts";
import type { NormalizeContext } from "./types.ts";

/**
 * How one value is read, compared and written, be it a whole key (`cores`) or a sub-key of a
 * property string (`tag` of net0). The rest of the room is made of these.
 */
export interface ValueRule {
  /** Completes "expected …" in messages. */
  readonly expected: string;
  /** The one spelling of everything that means the same; undefined when `text` is not of this form. */
  readonly canonical: (text: string, context: NormalizeContext) => string | undefined;
  /** False for what can be read but Proxmox would refuse to take (a range, an enumeration). Left out: all of it. */
  readonly isWritable?: (canonical: string) => boolean;
  /** What absent means, in canonical spelling (docs/proxmox.md row 8). Left out: absent equals nothing. */
  readonly byDefault?: string | ((context: NormalizeContext) => string | undefined);
  /** How the items of a declared list become text. Left out: lists are refused. */
  readonly joiner?: string;
  /** True when what is there satisfies what is declared though they are not equal (a pinned machine version). */
  readonly covers?: (declared: string, observed: string) => boolean;
}

/** What absent means for a rule, in canonical spelling. */
export function defaultOf(rule: ValueRule, context: NormalizeContext): string | undefined {
  return typeof rule.byDefault === "function" ? rule.byDefault(context) : rule.byDefault;
}

/** A rule with its default said: absent is then equal to it. */
export function withDefault(rule: ValueRule, byDefault: NonNullable<ValueRule["byDefault"]>): ValueRule {
  return { ...rule, byDefault };
}

/** What Proxmox holds, as text without outer blanks; "" when absent (docs/proxmox.md row 1: an empty value reads as one blank). */
export function textOf(raw: RawValue | undefined): string {
  if (raw === undefined) return "";
  return typeof raw === "number" ? String(raw) : raw.trim();
}

/** A declared scalar as text, outer blanks dropped. Booleans become words, which boolean rules read. */
export function scalarText(value: DeclaredScalar): string {
  return typeof value === "string" ? value.trim() : String(value);
}

// One line of a config file is one value: a control character could end it and start another key.
// eslint-disable-next-line no-control-regex
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/;

/** True when `text` cannot stand in one line of a config file. */
export function hasControlCharacter(text: string): boolean {
  return CONTROL_CHARACTER.test(text);
}
