import type { DeclaredScalar, DeclaredValue } from "../../guest/declared.ts";
import { ok, type Result } from "../../ports/errors.ts";
import { invalid } from "../invalid.ts";
import type { FieldNormalizer, NormalForm } from "../types.ts";

/** What Proxmox takes between NULs: a name, and a value of one line. */
// eslint-disable-next-line no-control-regex
const ASSIGNMENT = /^\w+=[^\u0000-\u0008\u000a-\u001f\u007f]*$/;
const SEPARATOR = "\0";
/** Values are commonly secrets and stand in no message. */
const NOT_SHOWN = "one that is not (values are not shown)";

/**
 * A container's environment: assignments joined with NUL, blanks and all (docs/proxmox.md row 79). The last
 * of repetitions counts, and their order means nothing. What is declared is the whole of it.
 */
export const ENVIRONMENT: FieldNormalizer = {
  normalize: (raw) => formOf(String(raw)),
  merge: (declared, context) => {
    const wanted = assignments(declared);
    if (!wanted.ok || wanted.value === null) return wanted;
    const { observed } = context;
    return ok(observed !== undefined && formOf(wanted.value) === formOf(String(observed)) ? String(observed) : wanted.value);
  },
};

function assignments(declared: DeclaredValue): Result<string | null> {
  if (declared === null || declared === "") return ok(null);
  if (!isList(declared) && typeof declared !== "string") return refused();
  const items = typeof declared === "string" ? declared.split(SEPARATOR) : declared.map(String);
  if (!items.every((item) => ASSIGNMENT.test(item))) return refused();
  return ok(items.length === 0 ? null : items.join(SEPARATOR));
}

function refused(): Result<never> {
  return invalid("", 'a list of assignments such as "NAME=value", each in one line', NOT_SHOWN);
}

function formOf(text: string): NormalForm {
  const byName = new Map(text.split(SEPARATOR).filter((item) => item.trim() !== "").map((item) => [item.split("=")[0], item] as const));
  return byName.size === 0 ? null : [...byName.values()].sort().join(SEPARATOR);
}

function isList(declared: DeclaredValue): declared is readonly DeclaredScalar[] {
  return Array.isArray(declared);
}
