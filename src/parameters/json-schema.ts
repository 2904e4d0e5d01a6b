import type { GuestKind } from "../guest/key.ts";
import { describeKey } from "./descriptions.ts";
import { ALL_PARAMETERS, countOf, subParametersOf } from "./lookup.ts";
import type { Parameter, SubParameter, SubParameters } from "./types.ts";

/**
 * The same facts as JSON Schema (draft 7, what editors' YAML servers know best), for completion and for
 * checks in an editor. It takes everything that the agent takes; what it cannot say (lists within values,
 * addresses, the text form's sub-keys) the agent checks itself.
 */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What `config` of a guest of this kind may hold, its parts among `definitions`. `noteOf` adds to a key's description. */
export function configJsonSchema(kind: GuestKind, noteOf: (key: string) => string): { readonly config: JsonSchema; readonly definitions: Readonly<Record<string, JsonSchema>> } {
  const properties: Record<string, JsonSchema> = {};
  const patternProperties: Record<string, JsonSchema> = {};
  const definitions: Record<string, JsonSchema> = { truth: TRUTH };
  for (const [name, parameter] of Object.entries(ALL_PARAMETERS[kind])) {
    const stem = name.replace("[n]", "");
    const isNumbered = name !== stem;
    const sample = isNumbered ? `${stem}0` : name;
    const description = [describeKey(kind, name), noteOf(sample)].filter((text) => text !== "").join(" ");
    definitions[`${kind}.${sample}`] = { description, ...valueSchema(parameter) };
    const reference = { $ref: `#/definitions/${kind}.${sample}` };
    // Editors complete names, not patterns: the first of each is spelled out.
    properties[sample] = reference;
    if (isNumbered) patternProperties[`^${stem}(?:${numbersBelow(countOf(kind, stem) ?? 0)})$`] = reference;
  }
  return { config: { type: "object", properties, patternProperties, additionalProperties: false }, definitions };
}

/** A pattern for the numbers from 1 to `count` - 1: 0 has a property of its own. */
function numbersBelow(count: number): string {
  return Array.from({ length: count - 1 }, (_, index) => String(index + 1)).join("|");
}

/** Every way to say yes and no, null (must be absent) included. */
const TRUTH = {
  anyOf: [{ type: "boolean" }, { enum: [0, 1, null] }, { type: "string", pattern: "^\\s*(?:[01]|[oO][nN]|[oO][fF][fF]|[yY][eE][sS]|[nN][oO]|[tT][rR][uU][eE]|[fF][aA][lL][sS][eE])?\\s*$" }],
} as const;

const TEXT_OR_LIST = { type: ["string", "number", "boolean", "array", "null"] } as const;

function valueSchema(parameter: Parameter): JsonSchema {
  const subParameters = subParametersOf(parameter);
  if (subParameters === undefined) return scalarSchema(parameter);
  // A boot order may be a list as well.
  const others = parameter.format === "pve-qm-boot" ? TEXT_OR_LIST : { type: ["string", "number", "boolean", "null"] };
  return { anyOf: [mapSchema(subParameters), others] };
}

function mapSchema(subParameters: SubParameters): JsonSchema {
  const entries = Object.entries(subParameters).map(([name, sub]) => [name, subSchema(subParameters, sub)] as const);
  return { type: "object", properties: Object.fromEntries(entries), additionalProperties: false };
}

function subSchema(subParameters: SubParameters, sub: SubParameter): JsonSchema {
  const meant = sub.alias === undefined ? sub : (subParameters[sub.alias] ?? sub);
  return { anyOf: [scalarSchema(meant), { type: "array" }] };
}

/** A number as text, or blank: what its range is the agent says. */
const NUMBER_TEXT = "^\\s*(?:[+-]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?)?\\s*$";

function scalarSchema({ type = "string", enum: choices, minimum, maximum, maxLength }: Partial<Parameter>): JsonSchema {
  const range = { minimum, maximum };
  switch (type) {
    case "boolean":
      return { $ref: "#/definitions/truth" };
    case "integer":
    case "number":
      return { anyOf: [{ type, ...range }, { type: "null" }, { type: "string", pattern: NUMBER_TEXT }] };
    case "string":
      if (choices !== undefined) return { anyOf: [{ enum: [...choices, ...choices.filter(isDigits).map(Number), null] }, { type: "string", pattern: `^\\s*(?:${choices.map(escaped).join("|")})?\\s*$` }] };
      return maxLength === undefined ? TEXT_OR_LIST : { ...TEXT_OR_LIST, maxLength: maxLength + OUTER_BLANKS };
  }
}

/** Outer blanks do not count, and how many there are a schema cannot say. */
const OUTER_BLANKS = 64;

function isDigits(text: string): boolean {
  return /^\d+$/.test(text);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
