import type { FieldNormalizer } from "../types.ts";

/** One line of a catalogue: a key, or the stem of numbered keys, and how its values are read. */
export interface CatalogueEntry {
  readonly key: string;
  /** For numbered keys (`net0` …): how many Proxmox has, counted from 0. */
  readonly count?: number;
  readonly field: FieldNormalizer;
}

/** A key. */
export function field(key: string, normalizer: FieldNormalizer): CatalogueEntry {
  return { key, field: normalizer };
}

/** Numbered keys, `stem0` to `stem<count - 1>`. */
export function fields(stem: string, count: number, normalizer: FieldNormalizer): CatalogueEntry {
  return { key: stem, count, field: normalizer };
}
