import { fault, type Fault } from "../ports/errors.ts";

/** Longest piece of a declared value that a message repeats, in characters. */
const QUOTED_LENGTH_MAX = 60;

/**
 * "This cannot be written for this key": what was expected, what was found, what to do. Callers that
 * know the key and the line put them in front.
 * @param where a sub-key ("tag"), or "" for the whole value
 */
export function invalid(where: string, expected: string, found: unknown, remedy = "correct the declared value"): { readonly ok: false; readonly error: Fault } {
  const place = where === "" ? "" : `${where}: `;
  return fault("normalize.invalid", `${place}expected ${expected}, found ${quote(found)}; ${remedy}`);
}

/** A value as a message shows it: quoted, one line, bounded. */
function quote(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : describe(value);
  return text.length > QUOTED_LENGTH_MAX ? `${text.slice(0, QUOTED_LENGTH_MAX)}…` : text;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return typeof value === "object" ? JSON.stringify(value) : `${value as string | number | boolean}`;
}
