import { expect, test } from "bun:test";
import fc from "fast-check";
import { GUEST_KINDS, type GuestKind } from "../../src/guest/key.ts";
import { isCatalogued } from "../../src/normalize/registry.ts";
import { PROPERTY_FORMATS } from "../../src/simulator/host/formats.ts";
import { CONFIG_SCHEMAS, INDEX_COUNTS } from "../../src/simulator/host/schema.gen.ts";
import { generatedKeys } from "../support/generated-fields.ts";
import { configTextOf, GENERATED_GUEST, type GeneratedGuest } from "../support/generated-guest.ts";

/** A law says something only of what was generated: this counts it. */

const GUESTS = fc.sample(GENERATED_GUEST, { numRuns: 10_000, seed: 1 });
const FIELDS = GUESTS.flatMap(({ kind, fields }) => fields.map((field) => ({ kind, ...field })));

/** Asked for at creation only, or another name of a sub-key that is there. */
const NOT_GENERATED = /^(?:import-from|format|volume|bps.*)$/;
/** A guest's own state, which laws/generated-guest writes as lines. */
const OWN = new Set(["lock", "template"]);

function subKeysOf(kind: GuestKind, name: string): readonly string[] {
  const schema = CONFIG_SCHEMAS[kind][name];
  const format = typeof schema?.format === "string" ? PROPERTY_FORMATS[schema.format] : schema?.format;
  return Object.entries(format ?? {}).flatMap(([subKey, option]) => (option.keyAlias !== undefined || NOT_GENERATED.test(subKey) ? [] : [subKey]));
}

/** Everything that was found and declared of a key. */
function valuesOf(kind: GuestKind, name: string): readonly { readonly found: string; readonly declared: string }[] {
  const pattern = new RegExp(`^${name.replace("[n]", "\\d+")}$`);
  return FIELDS.filter((field) => field.kind === kind && pattern.test(field.key)).map(({ found, declared }) => ({ found: found ?? "", declared: declared === undefined ? "" : JSON.stringify(declared) }));
}

test("every key that Proxmox has is found on guests and declared, with every sub-key", () => {
  const missing = GUEST_KINDS.flatMap((kind) =>
    Object.entries(CONFIG_SCHEMAS[kind]).flatMap(([name, schema]) => {
      if (schema.isInternal === true || OWN.has(name)) return [];
      const values = valuesOf(kind, name);
      const keys = [...(values.some(({ found }) => found !== "") ? [] : ["found"]), ...(values.some(({ declared }) => declared !== "") ? [] : ["declared"])];
      const text = values.map(({ found, declared }) => `${found}\n${declared}`).join("\n");
      // `cdrom` has the options of ide2, most of which no CD drive takes.
      const subKeys = name === "cdrom" || name === "unused[n]" ? [] : subKeysOf(kind, name).filter((subKey) => !text.includes(`"${subKey}":`) && !text.includes(`${subKey}=`));
      return [...keys, ...subKeys].map((what) => `${kind} ${name}: ${what}`);
    }));
  expect(missing).toEqual([]);
});

test("every key of the catalogue is generated, the last of numbered ones too", () => {
  for (const kind of GUEST_KINDS) {
    const keys = generatedKeys(kind).map(({ key }) => key);
    expect(keys.filter((key) => !isCatalogued(kind, key))).toEqual([]);
    for (const [stem, count] of Object.entries(INDEX_COUNTS[kind])) expect(keys).toContain(`${stem}${count - 1}`);
  }
});

test("guests are of every sort that the laws speak of", () => {
  const share = (is: (guest: GeneratedGuest) => boolean): number => GUESTS.filter(is).length / GUESTS.length;
  const shares = [
    share(({ kind }) => kind === "qemu"), share(({ kind }) => kind === "lxc"), share(({ isRunning }) => isRunning), share(({ pveVersion }) => pveVersion.major === 8), share(({ tagStyle }) => tagStyle.isOrdered),
    share((guest) => /\[(?:PENDING|pve:pending)\]/.test(configTextOf(guest))), share((guest) => configTextOf(guest).includes("delete: ")), share(({ hasSnapshot }) => hasSnapshot), share(({ unknown }) => Object.keys(unknown).length > 0),
    share(({ ownLines }) => ownLines.includes("lock: backup")), share(({ ownLines }) => ownLines.includes("template: 1")), share(({ fields }) => fields.length > 6),
  ];
  expect(shares.filter((each) => each < 0.03)).toEqual([]);
});

test("what is found and declared differs, is equal, is null and is a map often enough", () => {
  const count = (is: (field: (typeof FIELDS)[number]) => boolean): number => FIELDS.filter(is).length;
  const counts = [
    count(({ isEqual, found }) => isEqual && found !== undefined), count(({ isEqual, declared }) => !isEqual && declared !== undefined), count(({ declared }) => declared === null),
    count(({ declared }) => Array.isArray(declared)), count(({ declared }) => typeof declared === "object" && declared !== null && !Array.isArray(declared)), count(({ declared }) => typeof declared === "boolean"), count(({ found, declared }) => found === undefined && declared !== undefined),
  ];
  expect(counts.filter((each) => each < 300)).toEqual([]);
});
