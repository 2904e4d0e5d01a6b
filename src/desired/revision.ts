import { createHash } from "node:crypto";
import type { DeclaredValue } from "../guest/declared.ts";
import type { DesiredGuest } from "./model.ts";

/**
 * SHA-256 (hex) of what a set of declarations means: the same for reformatted text, reordered keys,
 * guests and files, YAML and JSON, defaults written out or left out, and numbers in quotes or not (to
 * Proxmox both are text). Every declaration counts, those in conflict too: settling one is a change.
 */
export function revisionOf(declarations: readonly DesiredGuest[]): string {
  const lines = declarations.map(canonicalGuest).sort();
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}

function canonicalGuest(guest: DesiredGuest): string {
  const config = sortedEntries(guest.config).map(([key, value]) => [key, canonicalValue(value)]);
  return JSON.stringify([guest.vmid, guest.kind, guest.mode, guest.state ?? null, config]);
}

/** Scalars and null as they are (numbers as text), lists tagged "list", maps tagged "map": no two meanings print alike. */
function canonicalValue(value: DeclaredValue): unknown {
  if (typeof value === "number") return String(value);
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (isList(value)) return ["list", ...value.map(canonicalValue)];
  return ["map", ...sortedEntries(value).map(([key, sub]) => [key, canonicalValue(sub)])];
}

function isList(value: DeclaredValue): value is readonly (string | number | boolean)[] {
  return Array.isArray(value);
}

function sortedEntries<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
}
