import type { NormalizeContext } from "./types.ts";
import { defaultOf, type ValueRule } from "./value-rule.ts";

const SEPARATORS = /[,;\s]+/;
const OTHER_SEPARATORS = /[,\s]/;

/**
 * Splits as Proxmox splits (docs/proxmox.md row 7): at NUL when there is one, else at commas,
 * semicolons and white space; leading separators are dropped, and so are empty items.
 */
export function splitList(text: string): string[] {
  if (!SEPARATORS.test(text)) return text.includes("\0") ? withoutEmpty(text.split("\0")) : text === "" ? [] : [text];
  if (text.includes("\0")) return withoutEmpty(text.split("\0"));
  // Semicolons alone are the usual case, and cheaper to split at than a pattern.
  return withoutEmpty(OTHER_SEPARATORS.test(text) ? text.split(SEPARATORS) : text.split(";"));
}

function withoutEmpty(items: string[]): string[] {
  return items.includes("") ? items.filter((item) => item !== "") : items;
}

/** True when `text` is one item: not empty, and nothing in it that would split it. */
export function isOneItem(text: string): boolean {
  return text !== "" && !SEPARATORS.test(text) && !text.includes("\0");
}

interface ListShape {
  /** Said of the items: "tags", "IP addresses". */
  readonly noun: string;
  readonly item: ValueRule;
  /** What stands between items in the canonical spelling. */
  readonly joiner: string;
  /** A sequence (order has meaning) or a set (it has none, and neither have repetitions). */
  readonly order: "sequence" | "set";
  readonly split?: (text: string) => readonly string[];
  readonly byDefault?: string;
}

/** A list in one value. An item that is not of its form makes the whole list not of this form. */
export function listOf(shape: ListShape): ValueRule {
  const split = shape.split ?? splitList;
  return {
    expected: `${shape.noun} (each ${shape.item.expected})`,
    joiner: shape.joiner,
    ...(shape.byDefault === undefined ? {} : { byDefault: shape.byDefault }),
    canonical: (text, context) => {
      const items = canonicalItems(split(text), shape.item, context);
      if (items === undefined) return undefined;
      return (shape.order === "set" ? uniqueSorted(items) : items).join(shape.joiner);
    },
    isWritable: (canonical) => {
      const isItemWritable = shape.item.isWritable;
      return isItemWritable === undefined || split(canonical).every((item) => isItemWritable(item));
    },
  };
}

function canonicalItems(items: readonly string[], rule: ValueRule, context: NormalizeContext): string[] | undefined {
  const canonical: string[] = [];
  for (const item of items) {
    // Split at NUL, an item may hold what would split it further once it is joined.
    const one = SEPARATORS.test(item) ? undefined : rule.canonical(item, context);
    if (one === undefined) return undefined;
    if (one !== defaultOf(rule, context)) canonical.push(one);
  }
  return canonical;
}

/** Sorted by code unit (what Proxmox's byte order is for ASCII), repetitions dropped. */
export function uniqueSorted(items: readonly string[]): string[] {
  for (let index = 1; index < items.length; index++) {
    if ((items[index - 1] ?? "") >= (items[index] ?? "")) return [...new Set(items)].sort();
  }
  return [...items];
}
