import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { parseDesiredFiles } from "../../src/desired/parse.ts";
import type { DeclaredValue } from "../../src/guest/declared.ts";

interface Written {
  readonly vmid: number;
  readonly kind: "qemu" | "lxc";
  readonly mode?: "enforce" | "observe";
  readonly state?: "running" | "stopped";
  readonly config?: Readonly<Record<string, DeclaredValue>>;
}

const revisionOf = (...texts: string[]) => {
  const set = parseDesiredFiles(texts.map((text, index) => ({ name: `${index}.yaml`, text })));
  if (set.problems.length > 0) throw new Error(set.problems.map(({ message }) => message).join("\n"));
  return set.revision;
};
const file = (guests: readonly Written[]) => ({ version: 1, guests });

const scalar = fc.oneof(fc.string({ unit: "grapheme", maxLength: 12 }).filter((text) => !text.includes("\0")), fc.integer(), fc.boolean());
/** Keys whose values may be anything that can be written, so that what is compared here is the writing. */
const config = fc.record<Record<string, DeclaredValue>>(
  {
    description: fc.oneof(scalar, fc.constant(null)),
    hookscript: fc.oneof(scalar, fc.constant(null), fc.array(scalar, { maxLength: 3 })),
    startup: fc.record({ order: fc.nat(), up: fc.nat(), down: fc.constant(null) }, { requiredKeys: [], noNullPrototype: true }),
    tags: fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/), { maxLength: 3 }),
  },
  { requiredKeys: [], noNullPrototype: true },
);
const guest: fc.Arbitrary<Written> = fc.record(
  {
    vmid: fc.integer({ min: 100, max: 120 }),
    kind: fc.constantFrom("qemu", "lxc"),
    mode: fc.constantFrom("enforce", "observe"),
    state: fc.constantFrom("running", "stopped"),
    config,
  },
  { requiredKeys: ["vmid", "kind"], noNullPrototype: true },
);
const guests = fc.array(guest, { maxLength: 6 });

/** The same content with the keys of every map in reverse. */
function reversed(content: unknown): unknown {
  if (Array.isArray(content)) return content.map(reversed);
  if (typeof content !== "object" || content === null) return content;
  return Object.fromEntries(Object.entries(content).reverse().map(([name, inner]) => [name, reversed(inner)]));
}

describe("a revision depends on the meaning alone", () => {
  test("JSON, block YAML and flow YAML, with keys in any order", () => {
    fc.assert(
      fc.property(guests, (declared) => {
        const plain = JSON.stringify(file(declared));
        const revision = revisionOf(plain);
        expect(revisionOf(JSON.stringify(file(declared), null, 4))).toBe(revision);
        expect(revisionOf(stringify(file(declared), { aliasDuplicateObjects: false }))).toBe(revision);
        expect(revisionOf(stringify(file(declared), { aliasDuplicateObjects: false, collectionStyle: "flow", defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" }))).toBe(revision);
        expect(revisionOf(JSON.stringify(reversed(file(declared))))).toBe(revision);
      }),
    );
  });

  test("any order of guests and any split over files, conflicts included", () => {
    fc.assert(
      fc.property(guests, fc.nat({ max: 6 }), (declared, at) => {
        const revision = revisionOf(JSON.stringify(file(declared)));
        expect(revisionOf(JSON.stringify(file(declared.toReversed())))).toBe(revision);
        expect(revisionOf(JSON.stringify(file(declared.slice(at))), JSON.stringify(file(declared.slice(0, at))))).toBe(revision);
      }),
    );
  });

  test.each([
    ["comments and quotes", 'version: 1 # here\nguests:\n- "vmid": 101\n  kind: "qemu"\n  config: {cores: "4"}\n'],
    ["a default written out", "version: 1\nguests:\n- {vmid: 101, kind: qemu, mode: enforce, config: {cores: 4}}\n"],
    ["an alias", "version: 1\nguests:\n- vmid: 101\n  kind: qemu\n  config: {cores: 4}\n"],
  ])("%s", (_, text) => {
    expect(revisionOf(text)).toBe(revisionOf('{"version":1,"guests":[{"vmid":101,"kind":"qemu","config":{"cores":4}}]}'));
  });
});

describe("a revision changes with the meaning", () => {
  const variants = [
    "{ vmid: 101, kind: qemu }",
    "{ vmid: 102, kind: qemu }",
    "{ vmid: 101, kind: lxc }",
    "{ vmid: 101, kind: qemu, mode: observe }",
    "{ vmid: 101, kind: qemu, state: running }",
    "{ vmid: 101, kind: qemu, config: { cores: 1 } }",
    "{ vmid: 101, kind: qemu, config: { cores: 2 } }",
    "{ vmid: 101, kind: qemu, config: { onboot: true } }",
    "{ vmid: 101, kind: qemu, config: { cores: null } }",
    "{ vmid: 101, kind: qemu, config: { ciuser: 'null' } }",
    "{ vmid: 101, kind: qemu, config: { tags: [] } }",
    "{ vmid: 101, kind: qemu, config: { agent: {} } }",
    "{ vmid: 101, kind: qemu, config: { tags: [list] } }",
    "{ vmid: 101, kind: qemu, config: { tags: [b, c] } }",
    "{ vmid: 101, kind: qemu, config: { tags: [c, b] } }",
    "{ vmid: 101, kind: qemu, config: { net0: { bridge: c } } }",
    "{ vmid: 101, kind: qemu, config: { net0: { bridge: null } } }",
    "{ vmid: 101, kind: qemu, config: { tags: [b] } }",
    "{ vmid: 101, kind: qemu, config: { sockets: 1 } }",
    "{ vmid: 101, kind: qemu, config: { ciuser: 'x' } }, { vmid: 101, kind: qemu }",
    "{ vmid: 101, kind: qemu }, { vmid: 101, kind: qemu }",
    "",
  ];

  test("every one of these differs from every other", () => {
    const revisions = variants.map((variant) => revisionOf(`version: 1\nguests: [${variant}]\n`));
    expect(new Set(revisions).size).toBe(variants.length);
  });

  test("it is a SHA-256 in hex", () => {
    expect(revisionOf("version: 1\nguests: []\n")).toMatch(/^[0-9a-f]{64}$/);
  });
});
