import { expect, test } from "bun:test";
import type { RawConfig, RawValue } from "../../src/guest/observed.ts";
import { normalizerFor } from "../../src/normalize/registry.ts";
import type { NormalizeContext } from "../../src/normalize/types.ts";
import { GENERATED_GUEST, type GeneratedField, type GeneratedGuest } from "../support/generated-guest.ts";
import { LAW_TIMEOUT_MS, law } from "../support/law.ts";

/** Laws about normal forms, over every key that Proxmox has and in the company of a guest's other keys. */

function siblingsOf({ fields }: GeneratedGuest): RawConfig {
  return Object.fromEntries(fields.flatMap(({ key, found }) => (found === undefined ? [] : [[key, found] as const])));
}

/** What merging sees: the guest's values, as text or as the numbers that JSON has. */
function contextOf({ kind, tagStyle, pveVersion }: GeneratedGuest, siblings: RawConfig, observed: RawValue | undefined): NormalizeContext {
  return { kind, tagStyle, pveVersion, siblings, observed };
}

function expectStable(guest: GeneratedGuest, siblings: RawConfig, { key, found, other, declared }: GeneratedField): void {
  const normalizer = normalizerFor(guest.kind, key);
  for (const raw of [found, other]) {
    if (raw === undefined) continue;
    const context = contextOf(guest, siblings, raw);
    const form = normalizer.normalize(raw, context);
    expect(form).not.toBe("");
    if (form !== null) expect([key, normalizer.normalize(form, context)]).toEqual([key, form]);
  }
  if (declared === undefined) return;
  const merged = normalizer.merge(declared, contextOf(guest, siblings, found));
  if (!merged.ok || merged.value === null) return;
  const { value } = merged;
  const context = contextOf(guest, { ...siblings, [key]: value }, value);
  const form = normalizer.normalize(value, context);
  if (form !== null) expect([key, normalizer.normalize(form, context)]).toEqual([key, form]);
  const again = normalizer.merge(declared, context);
  expect([key, again.ok]).toEqual([key, true]);
  if (again.ok) expect([key, again.value === null ? null : normalizer.normalize(again.value, context)]).toEqual([key, form]);
}

/** Spellings of one number are one value, whether JSON has a number or text. */
function expectNumbersAlike(guest: GeneratedGuest, siblings: RawConfig, { key, found }: GeneratedField): void {
  if (found === undefined || !/^(?:0|[1-9]\d{0,8})$/.test(found)) return;
  const normalizer = normalizerFor(guest.kind, key);
  const context = contextOf(guest, siblings, found);
  expect([key, normalizer.normalize(Number(found), { ...context, observed: Number(found) })]).toEqual([key, normalizer.normalize(found, context)]);
}

test("rows 4 and 6: a normal form is its own, and merging what was merged changes nothing", async () => {
  let values = 0;
  await law(["normalizing is idempotent", "merging is stable", "numbers and their text are one value"], GENERATED_GUEST, (guest) => {
    const siblings = siblingsOf(guest);
    for (const field of guest.fields) {
      values++;
      expectStable(guest, siblings, field);
      expectNumbersAlike(guest, siblings, field);
    }
  }, { remark: () => `${values} values` });
}, LAW_TIMEOUT_MS);
