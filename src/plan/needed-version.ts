import type { DeclaredValue } from "../guest/declared.ts";
import type { PveVersion } from "../guest/host-facts.ts";
import type { GuestKind } from "../guest/key.ts";
import type { RawValue } from "../guest/observed.ts";
import { neededVersion } from "../parameters/since.ts";

/**
 * Why this host cannot hold what is declared: its release does not have the key, or a sub-key of it.
 * Undefined: it can, as far as is known, or it does already (`found`).
 */
export function versionProblem(kind: GuestKind, key: string, declared: DeclaredValue, found: RawValue | undefined, version: PveVersion): string | undefined {
  const there = found === undefined ? [] : [undefined, ...subKeysOf(String(found))];
  const names = [undefined, ...subKeysOf(declared).toSorted()].filter((name) => !there.includes(name));
  for (const subKey of names) {
    const needed = neededVersion(kind, key, subKey, version);
    if (needed === undefined) continue;
    const what = subKey === undefined ? key : `${key}: ${subKey}`;
    return `${what}: expected Proxmox VE ${needed} or later, found ${version.major}.${version.minor}; leave it out on this host`;
  }
  return undefined;
}

function subKeysOf(declared: DeclaredValue): readonly string[] {
  if (typeof declared === "string") return [...declared.matchAll(/(?:^|,)\s*([\w-]+)=/g)].flatMap(([, name]) => (name === undefined ? [] : [name]));
  if (typeof declared !== "object" || declared === null || Array.isArray(declared)) return [];
  return Object.entries(declared).flatMap(([name, value]) => (value === null ? [] : [name]));
}
