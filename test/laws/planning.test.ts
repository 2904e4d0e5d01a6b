import { expect, test } from "bun:test";
import fc from "fast-check";
import type { DeclaredValue } from "../../src/guest/declared.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import type { ObservedGuest, RawConfig, RawValue } from "../../src/guest/observed.ts";
import { admit, gatePlan } from "../../src/gate/admit.ts";
import { normalizerFor } from "../../src/normalize/registry.ts";
import type { NormalizeContext } from "../../src/normalize/types.ts";
import type { GuestPlanInput } from "../../src/plan/input.ts";
import { planGuest } from "../../src/plan/plan-guest.ts";
import type { FieldChange, GuestPlan } from "../../src/plan/types.ts";
import { PROPERTY_FORMATS } from "../../src/simulator/host/formats.ts";
import { configOption, type PropertySchema } from "../../src/simulator/host/schema.ts";
import { parsePropertyString } from "../../src/simulator/host/verify.ts";
import { GENERATED_GUEST, type GeneratedGuest } from "../support/generated-guest.ts";
import { Dice } from "../support/generated-values.ts";
import { LAW_TIMEOUT_MS, law } from "../support/law.ts";
import { LawHost, type PlacedGuest, type Row } from "../support/law-host.ts";

/** Laws about what is in a plan. What a value says is read with the simulated host's parser, not with a normal form. */

const host = new LawHost();

/** All that a plan would write, before the gate holds anything back. */
function plannedChanges(plan: GuestPlan): readonly FieldChange[] {
  return [...plan.actions, ...plan.withheld].flatMap((action) => (action.type === "set_config" ? action.changes : []));
}

const STARTUP: PropertySchema = { order: { type: "string", optional: 1, isDefaultKey: true }, up: { type: "string", optional: 1 }, down: { type: "string", optional: 1 } };

/** The sub-keys that a key's value may have; undefined: it is no property string, or one that is replaced as a whole. */
function propertySchema(kind: GuestKind, key: string): PropertySchema | undefined {
  if (key === "boot") return undefined;
  if (key === "startup") return STARTUP;
  const format = configOption(kind, key)?.format;
  return typeof format === "string" ? PROPERTY_FORMATS[format] : format;
}

function propertiesOf(schema: PropertySchema, text: string): ReadonlyMap<string, string> {
  const parsed = parsePropertyString(schema, text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.problem}`);
  return parsed.values.get("base64") === "1" ? decoded(parsed.values) : parsed.values;
}

/** Row 61: with base64=1 smbios1 has its texts encoded. */
function decoded(values: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const plain = [...values].filter(([key]) => key !== "base64");
  return new Map(plain.map(([key, value]) => [key, key === "uuid" ? value : Buffer.from(value, "base64").toString()]));
}

/** The sub-keys that a declaration names, whatever it says of them. */
function declaredSubKeys(schema: PropertySchema, declared: DeclaredValue): ReadonlySet<string> {
  const names = typeof declared === "object" && declared !== null ? Object.keys(declared) : [...textSubKeys(schema, String(declared))];
  return new Set(names.map((name) => schema[name]?.alias ?? name));
}

/** Not parsed as a whole: a declared text may leave out what a value must have. */
function textSubKeys(schema: PropertySchema, text: string): readonly string[] {
  const defaultKey = Object.keys(schema).find((key) => schema[key]?.isDefaultKey === true) ?? "";
  return text.split(",").flatMap((part) => {
    const [name = "", ...value] = part.split("=");
    if (value.length === 0) return [defaultKey];
    const model = schema[name]?.keyAlias;
    return model === undefined ? [name] : [name, model];
  });
}

const ADDRESS_KEYS = new Set(["macaddr", "hwaddr"]);
const VOLUME_KEYS = new Set(["file", "volume"]);

/** Rows 23, 31 and 37: what nobody declared is in the new value as it was in the old. A CD may be taken out of its drive, and its size with it (row 34). */
function expectNothingLost(kind: GuestKind, key: string, declared: DeclaredValue, before: RawValue | undefined, after: string | null | undefined): void {
  const schema = propertySchema(kind, key);
  if (schema === undefined || before === undefined || after === null || after === undefined) return;
  const [found, sent] = [propertiesOf(schema, String(before)), propertiesOf(schema, after)];
  const named = declaredSubKeys(schema, declared);
  const isCd = found.get("media") === "cdrom";
  for (const [subKey, value] of found) {
    if (isCd && subKey === "size") continue;
    const isKept = !named.has(subKey) || (VOLUME_KEYS.has(subKey) && !isCd) || (ADDRESS_KEYS.has(subKey) && !mentions(declared, value));
    if (isKept) expect([key, subKey, sent.get(subKey)]).toEqual([key, subKey, value]);
  }
}

/** Whether another hardware address is declared: that one alone may take the place of the one there is. */
function mentions(declared: DeclaredValue, address: string): boolean {
  const addresses = JSON.stringify(declared).match(/[0-9A-F]{2}(?::[0-9A-F]{2}){5}/gi) ?? [];
  return addresses.some((other) => other.toUpperCase() !== address.toUpperCase());
}

function formOf(kind: GuestKind, key: string, raw: RawValue | undefined, context: Omit<NormalizeContext, "kind" | "observed">, observed: RawValue | undefined): string | null {
  return raw === undefined ? null : normalizerFor(kind, key).normalize(raw, { ...context, kind, observed });
}

function afterChanges(merged: RawConfig, changes: readonly FieldChange[]): RawConfig {
  const after = new Map(Object.entries(merged));
  for (const { key, send } of changes) {
    if (send === undefined) after.delete(key);
    else after.set(key, send);
  }
  return Object.fromEntries(after);
}

/** Rows 30 to 46: no plan writes a volume, so what merging would write of one is looked at by itself. */
function mergedVolumes(guest: GeneratedGuest, observed: ObservedGuest): readonly (readonly [string, DeclaredValue, RawValue, string | null])[] {
  const { kind, tagStyle, pveVersion } = guest;
  return guest.fields.flatMap(({ key, declared }) => {
    const there = observed.config.merged[key === "cdrom" ? "ide2" : key];
    if (declared === undefined || declared === null || there === undefined || !/^(?:ide|sata|scsi|virtio|mp)\d+$|^(?:efidisk0|tpmstate0|rootfs)$/.test(key)) return [];
    const wanted = normalizerFor(kind, key).merge(declared, { kind, tagStyle, pveVersion, observed: there, siblings: observed.config.merged });
    return wanted.ok ? [[key, declared, there, wanted.value] as const] : [];
  });
}

/** A password is never read back (row 69); an order of tags means something where the host says so (row 19). */
function canBeEqual(guest: GeneratedGuest, key: string): boolean {
  return key !== "cipassword" && !(key === "tags" && guest.tagStyle.isOrdered);
}

const LAWS = [
  "only declared keys that differ in normal form are sent, each once",
  "what is declared in another spelling is in no plan",
  "no write drops a sub-key that nobody declared away, nor changes a hardware address or a volume",
  "keys that are not declared, known or not, are in no plan",
  "keys of a later release, declared, are reported and never sent",
];

/** A key that is not known may be declared: then it is reported, and the gate holds it. */
function expectUnknownHeld(input: GuestPlanInput, value: DeclaredValue): void {
  const config = { future_flag: value, "future-key": value };
  const plan = gatePlan(planGuest({ ...input, desired: { ...input.desired, config } }), input.observed);
  expect(plannedChanges(plan)).toEqual([]);
}

test("rows 6, 8, 22 to 24, 31, 37 and O5: a plan has what differs, and of that nothing but what was declared", async () => {
  let changed = 0;
  let equal = 0;
  await law(LAWS, fc.tuple(GENERATED_GUEST, fc.constantFrom<DeclaredValue>("x", 1, null, { a: 1 }, ["b"])), async ([guest, future]) => {
    const placed = await host.place(guest);
    const observed = await placed.read();
    const input = placed.input(observed);
    const ungated = planGuest(input);
    const declared = input.desired.config;
    const changes = plannedChanges(ungated);
    const after = afterChanges(observed.config.merged, changes);
    expect(new Set(changes.map(({ key }) => key)).size).toBe(changes.length);
    for (const { key, send } of changes) {
      expect(Object.keys(declared)).toContain(key);
      const context = { tagStyle: guest.tagStyle, pveVersion: guest.pveVersion, siblings: after };
      const before = observed.config.merged[key];
      expect([key, formOf(guest.kind, key, send, context, before)]).not.toEqual([key, formOf(guest.kind, key, before, context, before)]);
      expectNothingLost(guest.kind, key, declared[key] ?? null, before, send);
    }
    for (const [key, wanted, before, text] of mergedVolumes(guest, observed)) expectNothingLost(guest.kind, key, wanted, before, text);
    const named = [...changes, ...ungated.deferred].map(({ key }) => key);
    const same = guest.fields.filter(({ key, isEqual }) => isEqual && canBeEqual(guest, key)).map(({ key }) => key);
    expect(named.filter((key) => same.includes(key))).toEqual([]);
    expect([...named, ...ungated.restartPending.map(({ key }) => key)].filter((key) => !Object.hasOwn(declared, key))).toEqual([]);
    expectUnknownHeld(input, future);
    changed += changes.length;
    equal += same.length;
  }, { remark: () => `${changed} values that differ, ${equal} declared in another spelling` });
}, LAW_TIMEOUT_MS);

/** Rows 4, 13 and R1: the same answer, as another moment's Perl would give it. */
function otherwise(rows: readonly Row[], dice: Dice): readonly Row[] {
  const loosely = (value: string | number): string | number => {
    if (typeof value === "number") return dice.pick<string | number>(value, String(value));
    return /^(?:0|[1-9]\d{0,8})$/.test(value) ? dice.pick<string | number>(value, Number(value)) : value;
  };
  return dice.shuffled(rows).map((row) => Object.fromEntries(dice.shuffled(Object.entries(row)).map(([name, value]) => [name, name === "key" ? value : loosely(value as string | number)])) as unknown as Row);
}

/** Rows 6 and 44: property strings in another order of sub-keys. */
function reordered(kind: GuestKind, rows: readonly Row[], dice: Dice): readonly Row[] {
  const turned = (key: string, value: string | number): string | number => (typeof value === "string" && propertySchema(kind, key) !== undefined ? dice.shuffled(value.split(",")).join(",") : value);
  return rows.map((row) => ({
    ...row,
    ...(row.value === undefined ? {} : { value: turned(row.key, row.value) }),
    ...(row.pending === undefined ? {} : { pending: turned(row.key, row.pending) }),
  }));
}

function differencesOf(plan: GuestPlan): unknown {
  return plannedChanges(plan).map(({ key, change, declared, found }) => [key, change, declared, found]);
}

/** The plan before the gate, and the requests that come of it. */
function planned(placed: PlacedGuest, observed: ObservedGuest): { readonly plan: GuestPlan; readonly requests: unknown } {
  const plan = planGuest(placed.input(observed));
  return { plan, requests: admit(plan.actions, observed).approved.map((action) => placed.requestOf(action, observed)) };
}

test("rows 4, 6, 13 and R1: the order in which Proxmox answers changes neither plan nor requests", async () => {
  await law(["reordering what Proxmox answers changes nothing", "reordering sub-keys that Proxmox answers changes no difference"], fc.tuple(GENERATED_GUEST, fc.integer({ min: 1, max: 0xffff })), async ([guest, style]) => {
    const placed = await host.place(guest);
    const rows = await placed.rows();
    const before = planned(placed, placed.observe(rows));
    const after = planned(placed, placed.observe(otherwise(rows, new Dice(style))));
    if (!Bun.deepEquals(after, before)) expect(after).toEqual(before);
    const turned = planGuest(placed.input(placed.observe(reordered(guest.kind, rows, new Dice(style)))));
    expect(differencesOf(turned)).toEqual(differencesOf(before.plan));
  });
}, LAW_TIMEOUT_MS);
