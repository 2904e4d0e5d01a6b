import { normalizeProperties, type PropertyFormat } from "./property-format.ts";
import { mergeProperties } from "./property-merge.ts";
import type { FieldNormalizer } from "./types.ts";
import { textOf } from "./value-rule.ts";

/** A key whose value is a property string of a known format. */
export function propertyField(format: PropertyFormat): FieldNormalizer {
  return {
    normalize: (raw, context) => normalizeProperties(textOf(raw), format, context),
    merge: (declared, context) => mergeProperties(declared, format, context),
  };
}
