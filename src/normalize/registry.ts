/**
 * normalize: what values mean to Proxmox. Two values of a key are the same exactly when their normal
 * forms are equal; merging lays what is declared over what is there and loses nothing nobody declared
 * away. One catalogue entry a key (catalogue/), one file a field that needs more than a rule (fields/).
 * Pure and total: nothing here throws, reads a clock or does IO. Which keys may be written at all is
 * gate/'s business; what differs and in what order it is sent is plan/'s.
 */
import type { GuestKind } from "../guest/key.ts";
import type { CatalogueEntry } from "./catalogue/entry.ts";
import { LXC_CATALOGUE } from "./catalogue/lxc.ts";
import { QEMU_CATALOGUE } from "./catalogue/qemu.ts";
import { FALLBACK } from "./fields/fallback.ts";
import type { FieldNormalizer } from "./types.ts";

// Numbered keys are spelled out once, so that finding a normalizer is one look-up and `net40`, which
// Proxmox does not have, is not found.
function indexOf(catalogue: readonly CatalogueEntry[]): ReadonlyMap<string, FieldNormalizer> {
  const index = new Map<string, FieldNormalizer>();
  for (const { key, count, field } of catalogue) {
    if (count === undefined) index.set(key, field);
    else for (let number = 0; number < count; number++) index.set(`${key}${number}`, field);
  }
  return index;
}

const REGISTRY: Readonly<Record<GuestKind, ReadonlyMap<string, FieldNormalizer>>> = {
  qemu: indexOf(QEMU_CATALOGUE),
  lxc: indexOf(LXC_CATALOGUE),
};

/**
 * The normalizer of a key: its own when the catalogue has one, else one that compares trimmed text.
 * @param key a config key as Proxmox writes it (`net0`, not `net[n]`)
 */
export function normalizerFor(kind: GuestKind, key: string): FieldNormalizer {
  return REGISTRY[kind].get(key) ?? FALLBACK;
}

/** True when the catalogue has an entry for the key; nothing else is known well enough to be written. */
export function isCatalogued(kind: GuestKind, key: string): boolean {
  return REGISTRY[kind].has(key);
}
