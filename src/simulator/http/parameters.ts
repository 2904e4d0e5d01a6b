import type { Parameters, ParameterValue } from "../api.ts";

/**
 * Request parameters as pveproxy decodes them, quirks included: pairs are split at `&` and `;`, a pair
 * at every `=` with all after the second dropped, what is not a valid %XX stays as it is, and a repeated
 * key becomes a list. (Recorded: `description=a=b` stores "a", `tags=x;y` is two parameters.)
 */

export type BodyResult =
  | { readonly ok: true; readonly parameters: Parameters }
  /** The text of a 500, as Perl dies. */
  | { readonly ok: false; readonly reason: string };

/** A form or query string. A key without `=` has no value: null. */
export function decodeForm(text: string): Parameters {
  const values = new Map<string, ParameterValue>();
  for (const pair of text.split(/[&;]/)) {
    if (pair === "") continue;
    const [key = "", value] = pair.split("=");
    const name = unescapeBytes(key).toString("latin1");
    const decoded = value === undefined ? null : unescapeBytes(value).toString("utf8");
    values.set(name, append(values.get(name), decoded));
  }
  return toRecord(values);
}

/** A JSON body. Proxmox expects an object; anything else dies in Perl, where the recorded text comes from. */
export function decodeJson(text: string): BodyResult {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { ok: false, reason: "malformed JSON string, neither tag, array, object, number, string or atom" };
  }
  if (!isObject(parsed)) {
    return { ok: false, reason: "Not a HASH reference at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 978." };
  }
  return { ok: true, parameters: toRecord(new Map(Object.entries(parsed))) };
}

/** Body and query together: the query wins, and the cache breaker `_dc` of the GUI is dropped. */
export function mergeParameters(body: Parameters, query: Parameters): Parameters {
  const merged = new Map([...Object.entries(body), ...Object.entries(query)]);
  merged.delete("_dc");
  return toRecord(merged);
}

/** %XX and "+" to bytes; anything else, a broken escape too, stays. */
function unescapeBytes(text: string): Buffer {
  const latin1 = text
    .replaceAll("+", " ")
    .replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(latin1, "latin1");
}

function append(before: ParameterValue | undefined, value: string | null): ParameterValue {
  if (before === undefined || before === null || value === null) return value;
  return isList(before) ? [...before, value] : [before, value];
}

function isList(value: ParameterValue): value is readonly ParameterValue[] {
  return Array.isArray(value);
}

function isObject(value: unknown): value is Readonly<Record<string, ParameterValue>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Own properties whatever the keys are called ("__proto__" too). */
function toRecord(values: ReadonlyMap<string, ParameterValue>): Parameters {
  return Object.fromEntries(values);
}
