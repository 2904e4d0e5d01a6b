import { expect, test } from "bun:test";
import { Ajv } from "ajv";
import fc from "fast-check";
import { schemaText } from "../../src/commands/schema.ts";
import { parseDesiredFile } from "../../src/desired/parse.ts";
import { GUEST_KINDS } from "../../src/guest/key.ts";
import { keyNames, parameterOf, subParametersOf } from "../../src/parameters/lookup.ts";
import type { SubParameter } from "../../src/parameters/types.ts";

const accepts = new Ajv({ strict: true, allowUnionTypes: true }).compile(schemaText("desired"));

function fileOf(kind: string, config: unknown): unknown {
  return { version: 1, guests: [{ vmid: 100, kind, config }] };
}

function isTaken(file: unknown): boolean {
  return parseDesiredFile({ name: "guests.json", text: JSON.stringify(file) }).problems.length === 0;
}

/** What the schema says whole: yes or no, one of several words, a number. */
function isSaidWhole({ type, enum: choices }: SubParameter): boolean {
  return type === "boolean" || type === "integer" || type === "number" || choices !== undefined;
}

/** Paths of keys and of sub-keys in a map: `[kind, key]` and `[kind, key, sub-key]`. */
const places = GUEST_KINDS.flatMap((kind) =>
  keyNames(kind, "1").flatMap((key) => {
    const parameter = parameterOf(kind, key);
    if (parameter === undefined) return [];
    const subKeys = Object.entries(subParametersOf(parameter) ?? {});
    const own = subKeys.length === 0 && isSaidWhole(parameter) ? [{ kind, key, subKey: undefined, choices: parameter.enum ?? [] }] : [];
    return [...own, ...subKeys.filter(([, sub]) => isSaidWhole(sub)).map(([subKey, sub]) => ({ kind, key, subKey, choices: sub.enum ?? [] }))];
  }));

/**
 * The other direction, as far as JSON Schema can say it. The rest only the agent says: ranges of numbers that
 * are written as text, addresses, names and other formats of text, and everything within a value's text form.
 */
const values = fc.oneof(
  fc.integer({ min: -5, max: 70_000 }), fc.double({ min: -2, max: 200, noNaN: true }), fc.boolean(), fc.constant(null),
  fc.constantFrom("on", "off", "Yes", "no", "TRUE", "maybe", "x", "1x", "0x10", "-", ".", "1e", "", " ", "host", "none", "virtio", "SEABIOS"),
);

test("what the schema takes of flags, words and numbers, the agent takes", () => {
  expect(places.length).toBeGreaterThan(300);
  const drawn = fc.constantFrom(...places).chain((place) => fc.tuple(fc.constant(place), fc.oneof(values, ...(place.choices.length === 0 ? [] : [fc.constantFrom(...place.choices)]))));
  fc.assert(
    fc.property(drawn, ([{ kind, key, subKey }, value]) => {
      const file = fileOf(kind, { [key]: subKey === undefined ? value : { [subKey]: value } });
      expect({ file, isTaken: isTaken(file) }).toEqual({ file, isTaken: accepts(file) });
    }),
    { numRuns: 2_500 },
  );
});
