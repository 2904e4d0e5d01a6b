import { describe, expect, test } from "bun:test";
import { Ajv } from "ajv";
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { schemaText } from "../../src/commands/schema.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import { toPlain } from "../../src/document/document.ts";
import { parseDocument } from "../../src/document/parse.ts";
import { parseDesiredFile } from "../../src/desired/parse.ts";
import { keyNames, parameterOf, subParametersOf } from "../../src/parameters/lookup.ts";
import { GUEST_KINDS } from "../../src/guest/key.ts";

const ROOT = join(import.meta.dir, "../..");
const desired = schemaText("desired");
// Unknown formats and union types are part of how editors read it, not mistakes.
const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true });
const accepts = ajv.compile(desired);
const acceptsConfig = ajv.compile(schemaText("config"));

function fileOf(kind: string, config: unknown): unknown {
  return { version: 1, guests: [{ vmid: 100, kind, config }] };
}

/** Whether the agent takes the same file. */
function isTaken(file: unknown): boolean {
  return parseDesiredFile({ name: "guests.json", text: JSON.stringify(file) }).problems.length === 0;
}

describe("the schema of the desired state", () => {
  const examples = readdirSync(join(ROOT, "examples"), { recursive: true }).map(String).filter((name) => /\.(?:yaml|json)$/.test(name) && name !== "agent.yaml");
  for (const name of examples) {
    test(`takes examples/${name}`, () => {
      const document = parseDocument(name, readFileSync(join(ROOT, "examples", name), "utf8"));
      if (!document.ok) throw new Error(document.problems[0]?.message);
      expect({ isValid: accepts(toPlain(document.tree.root)), errors: accepts.errors }).toEqual({ isValid: true, errors: null });
    });
  }

  test("there are examples to take", () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  const refused: readonly (readonly [string, unknown])[] = [
    ["a mistyped key", fileOf("qemu", { memroy: 2048 })],
    ["a container's key of a machine", fileOf("qemu", { swap: 512 })],
    ["a number beyond those there are", fileOf("qemu", { net40: "virtio" })],
    ["a mistyped sub-key", fileOf("qemu", { net0: { brigde: "vmbr0" } })],
    ["a value that is none of those there are", fileOf("qemu", { ostype: "linux" })],
    ["a number out of range", fileOf("lxc", { tty: 7 })],
    ["a word for a number", fileOf("qemu", { cores: "many" })],
    ["a word for yes and no", fileOf("qemu", { onboot: "maybe" })],
    ["an unknown field", { version: 1, guests: [{ vmid: 100, kind: "qemu", nmae: "x" }] }],
    ["another version", { version: 2, guests: [] }],
    ["a guest without a kind", { version: 1, guests: [{ vmid: 100 }] }],
    ["a number that is no vmid", { version: 1, guests: [{ vmid: 99, kind: "qemu" }] }],
  ];
  for (const [what, file] of refused) {
    test(`refuses ${what}, as the agent does`, () => {
      expect({ schema: accepts(file), agent: isTaken(file) }).toEqual({ schema: false, agent: false });
    });
  }

  test("describes every field and every key, each in words", () => {
    const { definitions } = desired as { readonly definitions: Readonly<Record<string, { readonly description?: string }>> };
    const names = Object.keys(definitions).filter((name) => name !== "truth");
    expect(names.length).toBeGreaterThan(100);
    expect(names.filter((name) => (definitions[name]?.description ?? "").length < 10)).toEqual([]);
  });

  test("has the keys that the agent takes, numbered ones by their first and by a pattern", () => {
    for (const kind of GUEST_KINDS) {
      for (const number of ["0", "1"]) {
        const taken = keyNames(kind, number).filter((key) => parameterOf(kind, key) !== undefined);
        expect(taken.filter((key) => !accepts(fileOf(kind, { [key]: null })))).toEqual([]);
      }
    }
  });

  test("says of a key that is never written by itself that it is not", () => {
    const { definitions } = desired as { readonly definitions: Readonly<Record<string, { readonly description: string }>> };
    expect(definitions["qemu.scsi0"]?.description).toContain("does not change it by itself");
    expect(definitions["qemu.cores"]?.description).not.toContain("by itself");
  });
});

const scalars = fc.oneof(
  fc.integer({ min: -10, max: 100_000 }), fc.boolean(), fc.constantFrom("1", "0", "on", "No", "2.5", "1e3", "x", "host", "virtio", "scsi0", "", " ", "ovmf", "l26", "dhcp"),
);

/** A key of the kind with some value: text, number, list, or a map of its own sub-keys. */
const entries = fc.constantFrom(...GUEST_KINDS).chain((kind) =>
  fc.constantFrom(...keyNames(kind, "0")).chain((key) => {
    const parameter = parameterOf(kind, key);
    const subKeys = parameter === undefined ? undefined : subParametersOf(parameter);
    const map = subKeys === undefined ? fc.dictionary(fc.constantFrom("a", "type"), scalars) : fc.dictionary(fc.constantFrom(...Object.keys(subKeys)), fc.oneof(scalars, fc.constant(null), fc.array(scalars, { maxLength: 2 })), { maxKeys: 3 });
    return fc.tuple(fc.constant(kind), fc.constant(key), fc.oneof(scalars, fc.constant(null), fc.array(scalars, { maxLength: 3 }), map));
  }));

test("what the agent takes, the schema takes: an editor never marks what is right", () => {
  fc.assert(
    fc.property(entries, ([kind, key, value]) => {
      const file = fileOf(kind, { [key]: value });
      if (isTaken(file)) expect({ file, isValid: accepts(file), errors: accepts.errors }).toMatchObject({ isValid: true });
    }),
    { numRuns: 3_000 },
  );
});

describe("the schema of the settings", () => {
  test("has every setting, and nothing else", () => {
    const names = new Set<string>();
    collect(schemaText("config"), "", names);
    for (const { key } of SETTINGS) expect([...names]).toContain(key);
    expect(acceptsConfig({ nodee: "pve1" })).toBe(false);
    expect(acceptsConfig({ proxmox: { tls: { caFiel: "/x" } } })).toBe(false);
  });

  test("takes the example and both ways to write what has two", () => {
    const document = parseDocument("agent.yaml", readFileSync(join(ROOT, "examples/agent.yaml"), "utf8"));
    if (!document.ok) throw new Error(document.problems[0]?.message);
    for (const file of [toPlain(document.tree.root), { proxmox: { tls: "auto" } }, { proxmox: { tls: { caFile: "/x" } } }, { dryRun: true }, { dryRun: "yes" }, { maxConcurrentActs: 4 }, { pollInterval: "1.5s" }, { host: { enabled: "auto" } }]) {
      expect({ file, isValid: acceptsConfig(file), errors: acceptsConfig.errors }).toMatchObject({ isValid: true });
    }
  });

  for (const file of [{ pollInterval: "soon" }, { log: { level: "loud" } }, { dryRun: "perhaps" }, { maxConcurrentActs: "many" }, { proxmox: "https://x" }]) {
    test(`refuses ${JSON.stringify(file)}`, () => {
      expect(acceptsConfig(file)).toBe(false);
    });
  }
});

function collect(schema: unknown, path: string, names: Set<string>): void {
  if (typeof schema !== "object" || schema === null) return;
  if (path !== "") names.add(path);
  const { properties = {}, anyOf = [] } = schema as { readonly properties?: object; readonly anyOf?: readonly unknown[] };
  for (const [name, value] of Object.entries(properties)) collect(value, path === "" ? name : `${path}.${name}`, names);
  for (const option of anyOf) collect(option, path, names);
}
