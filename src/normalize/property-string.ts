/** One `key=value` of a property string. */
export interface Property {
  readonly key: string;
  readonly value: string;
}

/** More parts than any property string has; past it the text is compared as it stands. */
const PROPERTIES_MAX = 128;

/**
 * Reads `key=value,key=value` (docs/proxmox.md row 6). A part without "=" is the value of `defaultKey`.
 * Values keep what they hold: further "=", quotes, lists in ";". A value that opens with a double
 * quote runs to the closing one, commas and all.
 * @returns undefined when Proxmox could not read it: a key or a value is missing, or there is no default key
 */
export function parseProperties(text: string, defaultKey: string | undefined): Property[] | undefined {
  const properties: Property[] = [];
  const hasQuotes = text.includes('"');
  for (let start = 0; start <= text.length; ) {
    const end = partEnd(text, start, hasQuotes);
    const part = text.slice(start, end).trim();
    start = end + 1;
    if (part === "") continue; // Proxmox skips empty parts: `256,` is 256
    const property = parsePart(part, defaultKey);
    if (property === undefined || properties.length === PROPERTIES_MAX) return undefined;
    properties.push(property);
  }
  return properties;
}

function partEnd(text: string, start: number, hasQuotes: boolean): number {
  const comma = text.indexOf(",", start);
  if (comma < 0) return text.length;
  if (!hasQuotes) return comma;
  const open = text.indexOf('"', start);
  if (open < 0 || open > comma || (open > start && text[open - 1] !== "=")) return comma;
  const close = text.indexOf('"', open + 1);
  return close > 0 && (close + 1 === text.length || text[close + 1] === ",") ? close + 1 : comma;
}

function parsePart(part: string, defaultKey: string | undefined): Property | undefined {
  const equals = part.indexOf("=");
  if (equals < 0) return defaultKey === undefined ? undefined : { key: defaultKey, value: part };
  const key = part.slice(0, equals).trimEnd();
  const value = part.slice(equals + 1).trimStart();
  return key === "" || value === "" ? undefined : { key, value };
}

/** Writes a property string in the order given; the default key's value stands first and bare when it can. */
export function printProperties(properties: readonly Property[], bareKey: string | undefined): string {
  let first = "";
  let rest = "";
  for (const { key, value } of properties) {
    if (key === bareKey && first === "" && !value.includes("=")) first = value;
    else rest += rest === "" ? `${key}=${value}` : `,${key}=${value}`;
  }
  if (first === "") return rest;
  return rest === "" ? first : `${first},${rest}`;
}

/** The value behind `key`, undefined when there is none. */
export function valueOf(properties: readonly Property[], key: string): string | undefined {
  for (const property of properties) if (property.key === key) return property.value;
  return undefined;
}

/** The same properties, sorted by key with `firstKey` in front. Sorts in place: the lists are short-lived. */
export function sortProperties(properties: Property[], firstKey: string | undefined): Property[] {
  // Insertion sort: the lists are short and nearly sorted, and this runs for every value of every guest.
  for (let next = 1; next < properties.length; next++) {
    const property = properties[next];
    let place = next;
    for (; property !== undefined && place > 0; place--) {
      const before = properties[place - 1];
      if (before === undefined || !isAfter(before.key, property.key, firstKey)) break;
      properties[place] = before;
    }
    if (property !== undefined) properties[place] = property;
  }
  return properties;
}

function isAfter(left: string, right: string, firstKey: string | undefined): boolean {
  if (left === firstKey) return false;
  return right === firstKey ? true : left > right;
}
