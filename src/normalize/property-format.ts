import { parseProperties, printProperties, sortProperties, type Property } from "./property-string.ts";
import type { NormalForm, NormalizeContext } from "./types.ts";
import { defaultOf, type ValueRule } from "./value-rule.ts";

/** What is known of one kind of property string. Data; the behaviour is here and in property-merge.ts. */
export interface PropertyFormat {
  /** The sub-key a bare value belongs to. */
  readonly defaultKey?: string;
  readonly subKeys: ReadonlyMap<string, ValueRule>;
  /** Other names of sub-keys (`guest-fsfreeze` is `freeze-fs`). */
  readonly aliases?: ReadonlyMap<string, string>;
  /** Sub-keys Proxmox refuses to be without. */
  readonly required?: readonly string[];
  /** Sub-keys Proxmox takes only beside another one (`gw` beside `ip`). */
  readonly requires?: ReadonlyMap<string, string>;
  /** Sub-keys that are never lost, whatever is declared: hardware addresses. */
  readonly kept?: readonly string[];
  /** Sub-keys that say nothing: Proxmox writes them itself. */
  readonly ignored?: ReadonlySet<string>;
  /** Write the default key with its name (`order=5`). */
  readonly isDefaultKeyNamed?: true;
  /** The last of repeated sub-keys counts; without it a repetition makes the text unreadable. */
  readonly isLastCounting?: true;
  /** Text that cannot be read stays as it is, and nothing is written over it: it may hold what must not be lost. */
  readonly isGuarded?: true;
  /** Sub-keys that are not listed are let through: Proxmox has more of them than this table. */
  readonly isOpen?: true;
  /** Turns what was read into plain sub-keys (`virtio=X` is model=virtio, macaddr=X). */
  readonly expand?: (properties: Property[]) => Property[];
  /** The opposite of `expand`, before printing. */
  readonly contract?: (properties: readonly Property[]) => readonly Property[];
  /** Last word on the normal form (a disabled agent has no other properties). */
  readonly conclude?: (properties: Property[]) => Property[];
}

/** The rules of a format, written as a plain object. */
export function subKeys(rules: Readonly<Record<string, ValueRule>>): ReadonlyMap<string, ValueRule> {
  return new Map(Object.entries(rules));
}

/** Reads text into plain sub-keys; undefined when Proxmox could not. */
export function readProperties(text: string, format: PropertyFormat): Property[] | undefined {
  const parsed = parseProperties(text, format.defaultKey);
  return parsed === undefined ? undefined : plainProperties(parsed, format);
}

/** Aliases replaced, short forms expanded; undefined when a sub-key stands there twice. */
export function plainProperties(parsed: Property[], format: PropertyFormat): Property[] | undefined {
  const { aliases } = format;
  const named = aliases === undefined || !parsed.some(({ key }) => aliases.has(key)) ? parsed : parsed.map((property) => withoutAlias(property, aliases));
  const expanded = format.expand === undefined ? named : format.expand(named);
  return format.isLastCounting === true ? lastOfEach(expanded) : hasRepetition(expanded) ? undefined : expanded;
}

function withoutAlias(property: Property, aliases: ReadonlyMap<string, string>): Property {
  const key = aliases.get(property.key);
  return key === undefined ? property : { key, value: property.value };
}

function hasRepetition(properties: readonly Property[]): boolean {
  let index = 0;
  for (const { key } of properties) {
    for (let earlier = 0; earlier < index; earlier++) if (properties[earlier]?.key === key) return true;
    index++;
  }
  return false;
}

function lastOfEach(properties: readonly Property[]): Property[] {
  return properties.filter(({ key }, index) => properties.findLastIndex((other) => other.key === key) === index);
}

/** Text to send, in the order given. */
export function writeProperties(properties: readonly Property[], format: PropertyFormat): string {
  const written = format.contract === undefined ? properties : format.contract(properties);
  return printProperties(written, format.isDefaultKeyNamed === true ? undefined : format.defaultKey);
}

/** The one spelling of a sub-value; text that is not of its form stands for itself. */
export function canonicalValue(property: Property, format: PropertyFormat, context: NormalizeContext): string {
  const rule = format.subKeys.get(property.key);
  return rule?.canonical(property.value, context) ?? property.value;
}

/** The normal form of a property string: aliases, spellings, order and defaults evened out. */
export function normalizeProperties(text: string, format: PropertyFormat, context: NormalizeContext): NormalForm {
  if (text === "") return null;
  const properties = readProperties(text, format);
  return properties === undefined ? text : formOf(properties, format, context);
}

/** The normal form of sub-keys already read. */
export function formOf(properties: readonly Property[], format: PropertyFormat, context: NormalizeContext): NormalForm {
  const meaningful = withoutDefaults(properties, format, context);
  const concluded = format.conclude === undefined ? meaningful : format.conclude(meaningful);
  if (concluded.length === 0) return null;
  return writeProperties(sortProperties(concluded, format.defaultKey), format);
}

function withoutDefaults(properties: readonly Property[], format: PropertyFormat, context: NormalizeContext): Property[] {
  const meaningful: Property[] = [];
  for (const property of properties) {
    if (format.ignored?.has(property.key) === true) continue;
    const rule = format.subKeys.get(property.key);
    if (rule === undefined) {
      meaningful.push(property);
      continue;
    }
    const value = rule.canonical(property.value, context) ?? property.value;
    if (value === "" || value === defaultOf(rule, context)) continue;
    meaningful.push(value === property.value ? property : { key: property.key, value });
  }
  return meaningful;
}
