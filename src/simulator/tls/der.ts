/**
 * DER, as far as an X.509 certificate needs it (ITU-T X.690 §8, §10). Encoding only: reading
 * certificates is node:crypto's. Every function returns one complete tag-length-value element.
 * Written here because the one maintained npm generator needs a global Reflect polyfill and 19 packages.
 */

const TAG_BOOLEAN = 0x01;
const TAG_INTEGER = 0x02;
const TAG_BIT_STRING = 0x03;
const TAG_OCTET_STRING = 0x04;
const TAG_OBJECT_IDENTIFIER = 0x06;
const TAG_UTF8_STRING = 0x0c;
const TAG_SEQUENCE = 0x30;
const TAG_SET = 0x31;
const TAG_UTC_TIME = 0x17;
const TAG_GENERALIZED_TIME = 0x18;

/** One element from its tag and content. */
function element(tag: number, content: Uint8Array): Uint8Array {
  return concatenate([Uint8Array.of(tag), lengthOctets(content.length), content]);
}

export function sequence(...items: readonly Uint8Array[]): Uint8Array {
  return element(TAG_SEQUENCE, concatenate(items));
}

/** A SET of one element: sorting is only needed from two on. */
export function setOfOne(item: Uint8Array): Uint8Array {
  return element(TAG_SET, item);
}

export function boolean(value: boolean): Uint8Array {
  return element(TAG_BOOLEAN, Uint8Array.of(value ? 0xff : 0x00));
}

/** A non-negative integer from its big-endian bytes: shortest form, never read as negative. */
export function unsignedInteger(bigEndian: Uint8Array): Uint8Array {
  const firstUsed = bigEndian.findIndex((octet) => octet !== 0);
  const shortest = firstUsed === -1 ? Uint8Array.of(0) : bigEndian.subarray(firstUsed);
  const isHighBitSet = (shortest[0] ?? 0) >= 0x80;
  return element(TAG_INTEGER, isHighBitSet ? concatenate([Uint8Array.of(0), shortest]) : shortest);
}

/** A BIT STRING of whole octets, or with `unusedBits` low bits of the last octet unused. */
export function bitString(octets: Uint8Array, unusedBits = 0): Uint8Array {
  return element(TAG_BIT_STRING, concatenate([Uint8Array.of(unusedBits), octets]));
}

export function octetString(octets: Uint8Array): Uint8Array {
  return element(TAG_OCTET_STRING, octets);
}

export function utf8String(text: string): Uint8Array {
  return element(TAG_UTF8_STRING, new TextEncoder().encode(text));
}

/** "2.5.4.3" → its encoding: the first two arcs share an octet, the others are base 128 (X.690 §8.19). */
export function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const arcs = [first * 40 + second, ...rest];
  return element(TAG_OBJECT_IDENTIFIER, Uint8Array.from(arcs.flatMap(base128)));
}

/** UTCTime up to 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). Milliseconds are dropped. */
export function time(epochMs: number): Uint8Array {
  const digits = new Date(epochMs).toISOString().slice(0, 19).replace(/[-:T]/g, "");
  const isBefore2050 = Number(digits.slice(0, 4)) < 2050;
  const text = `${isBefore2050 ? digits.slice(2) : digits}Z`;
  return element(isBefore2050 ? TAG_UTC_TIME : TAG_GENERALIZED_TIME, new TextEncoder().encode(text));
}

/** `[number] EXPLICIT`: wraps a whole element. */
export function explicit(number: number, item: Uint8Array): Uint8Array {
  return element(0xa0 + number, item);
}

/** `[number] IMPLICIT` of a primitive type: replaces the tag, so it takes the bare content. */
export function implicit(number: number, content: Uint8Array): Uint8Array {
  return element(0x80 + number, content);
}

function lengthOctets(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return Uint8Array.of(0x80 + octets.length, ...octets);
}

function base128(arc: number): number[] {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) octets.unshift(0x80 + (rest % 128));
  return octets;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
