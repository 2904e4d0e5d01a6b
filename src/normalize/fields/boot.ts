import type { DeclaredScalar, DeclaredValue } from "../../guest/declared.ts";
import { ok, type Result } from "../../ports/errors.ts";
import { invalid } from "../invalid.ts";
import { splitList } from "../lists.ts";
import { parseProperties, valueOf, type Property } from "../property-string.ts";
import type { FieldNormalizer, NormalForm, NormalizeContext } from "../types.ts";
import { scalarText, textOf } from "../value-rule.ts";
import { legacyDevices } from "./boot-devices.ts";

const LEGACY = /^[acdn]{1,4}$/;
/** What Proxmox boots from when `boot` is absent. */
const LEGACY_DEFAULT = "cdn";
const DEVICE = /^(?:ide|sata|scsi|virtio|net|usb|hostpci)\d+$/;
const SHAPE = 'a list of devices, "order=scsi0;net0", or the legacy letters a, c, d, n';

/**
 * The boot order, a sequence (docs/proxmox.md rows 50, 51): `order=` lists devices, the last of
 * repetitions counts; legacy letters, where there are any, win over it. `order` and `legacy` are two
 * ways to say one thing, so what is declared replaces the whole value; where the guest's devices are
 * known, letters are compared as the devices they stand for (boot-devices.ts).
 */
export const BOOT: FieldNormalizer = {
  normalize: (raw, context) => normalizeBoot(textOf(raw), context),
  merge: (declared, context) => {
    if (declared === null) return ok(null);
    if (typeof declared === "string" && declared === context.observed) return ok(declared);
    const wanted = declaredBoot(declared);
    if (!wanted.ok || wanted.value === null) return wanted;
    const observed = context.observed;
    const isEqual = observed !== undefined && normalizeBoot(wanted.value, context) === normalizeBoot(textOf(observed), context);
    return ok(isEqual && textOf(observed) !== "" ? String(observed) : wanted.value);
  },
};

function normalizeBoot(text: string, context: NormalizeContext): NormalForm {
  const parts = parseProperties(text, "legacy");
  if (parts === undefined) return text;
  const legacy = valueOf(parts, "legacy");
  if (legacy !== undefined) return legacyForm(legacy, context);
  const order = valueOf(parts, "order");
  if (order === undefined) return text === "" ? null : text;
  const devices = splitList(order);
  return devices.length === 0 ? null : elided(`order=${lastOfEach(devices).join(";")}`, context);
}

function legacyForm(letters: string, context: NormalizeContext): NormalForm {
  const { siblings } = context;
  if (siblings === undefined) return letters === LEGACY_DEFAULT && !isEmptyThere(context) ? null : `legacy=${letters}`;
  const devices = legacyDevices(letters, siblings);
  // Letters that stand for nothing boot from nothing; that is not what an absent order says.
  return devices.length === 0 && letters !== LEGACY_DEFAULT ? `legacy=${letters}` : elided(`order=${devices.join(";")}`, context);
}

/** Absent is the legacy default, so what boots the same is absent. */
function elided(form: string, context: NormalizeContext): NormalForm {
  const { siblings } = context;
  if (siblings === undefined || isEmptyThere(context)) return form;
  return form === `order=${legacyDevices(LEGACY_DEFAULT, siblings).join(";")}` ? null : form;
}

// An empty value boots from nothing: over one, the default is not elided.
function isEmptyThere({ observed }: NormalizeContext): boolean {
  return observed !== undefined && textOf(observed) === "";
}

function lastOfEach(devices: readonly string[]): string[] {
  return devices.filter((device, index) => devices.lastIndexOf(device) === index);
}

/** The text to send, checked; null when nothing but blanks was declared. */
function declaredBoot(declared: Exclude<DeclaredValue, null>): Result<string | null> {
  if (typeof declared !== "object") return checkedText(scalarText(declared));
  if (Array.isArray(declared)) return orderText(declared);
  const known = new Set(["order", "legacy"]);
  const parts = Object.entries(declared).filter(([, value]) => value !== null);
  const unknown = Object.keys(declared).find((key) => !known.has(key));
  if (unknown !== undefined) return invalid("", "one of the sub-keys order, legacy", unknown, "correct its name");
  const [first, second] = parts;
  if (first === undefined) return ok(null);
  if (second !== undefined) return invalid("", "either order or legacy", declared, "drop legacy: it would win over order");
  const value = first[1];
  if (first[0] === "order") return orderText(typeof value === "object" ? listOf(value) : splitList(String(value)));
  return typeof value === "object" ? invalid("legacy", "letters", value) : checkedText(scalarText(value ?? ""));
}

function listOf(value: readonly DeclaredScalar[] | null): readonly DeclaredScalar[] {
  return value ?? [];
}

function orderText(devices: readonly DeclaredScalar[]): Result<string | null> {
  const names = devices.map(scalarText);
  const wrong = names.find((name) => !DEVICE.test(name));
  if (wrong !== undefined) return invalid("order", 'devices such as "scsi0", "net0"', wrong);
  return ok(names.length === 0 ? null : `order=${names.join(";")}`);
}

function checkedText(text: string): Result<string | null> {
  if (text === "") return ok(null);
  const parts = parseProperties(text, "legacy");
  if (parts === undefined || parts.length === 0 || !parts.every(isKnownPart)) return invalid("", SHAPE, text);
  const order = valueOf(parts, "order");
  if (order === undefined) return ok(text);
  const checked = orderText(splitList(order));
  return checked.ok ? ok(text) : checked;
}

function isKnownPart({ key, value }: Property): boolean {
  return key === "order" || (key === "legacy" && LEGACY.test(value));
}
