import { isKeyName } from "../desired/model.ts";
import type { DeclaredMap, DeclaredScalar, DeclaredValue } from "../guest/declared.ts";
import type { GuestKind } from "../guest/key.ts";
import type { RawValue } from "../guest/observed.ts";
import { canonicalBoolean } from "../normalize/booleans.ts";
import { splitList } from "../normalize/lists.ts";
import { canonicalNumber } from "../normalize/numbers.ts";
import { parseProperties, type Property } from "../normalize/property-string.ts";
import { isBooleanKey, isBooleanSubKey } from "./boolean-keys.ts";

/**
 * The ways to write a value, friendliest first, Proxmox's own text always last. A form may turn out
 * not to mean the same; whoever asks plans each before it takes one.
 */

/** Property strings that read better as maps, and the sub-key a bare value belongs to. */
const MAP_KEYS: Readonly<Record<string, string | undefined>> = { agent: "enabled", cpu: "cputype", memory: "current", net: undefined, startup: "order" };

/** Sub-values that are lists, joined with ";". */
const LIST_SUB_KEYS: ReadonlySet<string> = new Set(["flags", "trunks"]);

/** Sub-values that are numbers, whatever zeros stand around them. */
const NUMBER_SUB_KEYS: ReadonlySet<string> = new Set(["down", "mtu", "order", "queues", "rate", "tag", "up"]);

/** Lists in one value; a single tag is a list too. */
const LIST_KEYS: ReadonlySet<string> = new Set(["nameserver", "searchdomain", "tags"]);

const NUMBER_KEYS: ReadonlySet<string> = new Set([
  "balloon", "cores", "cpulimit", "cpuunits", "memory", "shares", "sockets", "swap", "vcpus",
]);

/** The forms of the value behind `key`; none where Proxmox itself will not keep it. */
export function formsOf(kind: GuestKind, key: string, raw: RawValue): readonly DeclaredValue[] {
  const text = String(raw).trim();
  // Perl's false: a VM loses this description with the next write of whatever key (docs/proxmox.md row 15).
  if (key === "description" && kind === "qemu" && text === "0") return [];
  const friendly = key === "description" ? descriptionForm(String(raw)) : friendlyForm(kind, key, text);
  return friendly === undefined ? [raw] : [friendly, raw];
}

function friendlyForm(kind: GuestKind, key: string, text: string): DeclaredValue | undefined {
  if (isBooleanKey(kind, key)) return booleanOf(text);
  if (LIST_KEYS.has(key)) return listForm(key, text);
  if (key === "boot") return bootForm(text);
  const stem = key.replace(/\d+$/, "");
  if (stem in MAP_KEYS) {
    const properties = propertiesOf(kind, stem, text);
    return properties === undefined ? undefined : mapForm(kind, stem, properties);
  }
  return NUMBER_KEYS.has(key) ? numberOf(canonicalNumber(text)) : undefined;
}

/** One kind of line end, and one line end behind the last line where there are several. */
function descriptionForm(raw: string): string {
  const text = raw.replace(/\r+\n/g, "\n").replace(/\n+$/, "");
  return text.includes("\n") ? `${text}\n` : text;
}

function listForm(key: string, text: string): DeclaredValue | undefined {
  const items = splitList(text);
  return items.length > 1 || key === "tags" ? items : undefined;
}

function bootForm(text: string): DeclaredMap | undefined {
  const order = /^order=([^,=]+)$/.exec(text)?.[1];
  return order === undefined ? undefined : { order: splitList(order) };
}

/** Undefined where Proxmox could not read it, or a sub-key stands there twice: a map cannot say that. */
function propertiesOf(kind: GuestKind, stem: string, text: string): readonly Property[] | undefined {
  const parsed = parseProperties(text, MAP_KEYS[stem]);
  if (parsed === undefined || parsed.length === 0) return undefined;
  const plain = stem === "net" ? plainNetwork(kind, parsed) : parsed;
  const keys = new Set(plain.map((property) => property.key));
  return keys.size === plain.length && plain.every(({ key }) => isKeyName(key)) ? plain : undefined;
}

const HARDWARE_ADDRESS = /^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}$/;

/** `virtio=MAC` as model and address (docs/proxmox.md row 25); the only type of a container's NIC says nothing (row 26). */
function plainNetwork(kind: GuestKind, properties: readonly Property[]): readonly Property[] {
  if (kind === "lxc") return properties.filter(({ key }) => key !== "type");
  const plain = properties.flatMap((property) =>
    property.key === "macaddr" || !HARDWARE_ADDRESS.test(property.value)
      ? [property]
      : [{ key: "model", value: property.key }, { key: "macaddr", value: property.value }],
  );
  const isFirst = ({ key }: Property): boolean => key === "model" || key === "macaddr";
  return [...plain.filter(isFirst), ...plain.filter((property) => !isFirst(property))];
}

/** A value of the default key alone stays bare: `cpu: host`, `memory: 2048`, `agent: true`. */
function mapForm(kind: GuestKind, stem: string, properties: readonly Property[]): DeclaredValue | undefined {
  const [first, ...others] = properties;
  if (first === undefined) return undefined;
  if (others.length === 0 && first.key === MAP_KEYS[stem] && stem !== "startup") {
    return NUMBER_KEYS.has(stem) ? numberOf(canonicalNumber(first.value)) : subValueForm(kind, stem, first);
  }
  return Object.fromEntries(properties.map((property) => [property.key, subValueForm(kind, stem, property)]));
}

function subValueForm(kind: GuestKind, stem: string, { key, value }: Property): DeclaredScalar | readonly DeclaredScalar[] {
  if (isBooleanSubKey(kind, stem, key)) return booleanOf(value) ?? value;
  if (LIST_SUB_KEYS.has(key)) return value.split(";").map((item) => numberOf(item) ?? item);
  return numberOf(NUMBER_SUB_KEYS.has(key) ? canonicalNumber(value) : value) ?? value;
}

function booleanOf(text: string): boolean | undefined {
  const digit = canonicalBoolean(text);
  return digit === undefined ? undefined : digit === "1";
}

/** A number where printing it gives the same text. */
function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}(?:\.\d{1,6})?$/.test(text) && String(Number(text)) === text ? Number(text) : undefined;
}
