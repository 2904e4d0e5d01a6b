import type { ValueRule } from "./value-rule.ts";

const TRUE_WORD = /^(?:1|on|yes|true)$/i;
const FALSE_WORD = /^(?:0|off|no|false)$/i;

/**
 * Reads a boolean as Proxmox reads it inside property strings and config files (docs/proxmox.md rows
 * 2 and 3). Over HTTP only 1 and 0 pass, so "1" and "0" are what is written.
 */
export function canonicalBoolean(text: string): "0" | "1" | undefined {
  if (text === "1") return "1";
  if (text === "0") return "0";
  if (TRUE_WORD.test(text)) return "1";
  return FALSE_WORD.test(text) ? "0" : undefined;
}

/** A boolean that says nothing about what absent means. */
export const BOOLEAN: ValueRule = { expected: "true or false (1 or 0)", canonical: canonicalBoolean };

/** Absent means off. */
export const BOOLEAN_OFF: ValueRule = { ...BOOLEAN, byDefault: "0" };

/** Absent means on. */
export const BOOLEAN_ON: ValueRule = { ...BOOLEAN, byDefault: "1" };
