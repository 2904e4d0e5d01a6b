import type { ValueRule } from "./value-rule.ts";

/** More digits than any Proxmox value has; keeps a hostile text from costing time. */
const NUMBER_LENGTH_MAX = 40;
const DIGIT_ZERO = 0x30;
const DIGIT_NINE = 0x39;
const PLAIN_DIGITS = /^-?\d+$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?$/i;

/**
 * One spelling for an integer: `0128` is 128, `2e3` is 2000 (docs/proxmox.md rows 4 and 5: the same
 * number comes as JSON number, as string, and from some tools in scientific notation).
 */
export function canonicalInteger(text: string): string | undefined {
  if (isCanonicalNatural(text)) return text;
  if (text.length > NUMBER_LENGTH_MAX) return undefined;
  if (PLAIN_DIGITS.test(text)) return withoutLeadingZeros(text);
  if (!NUMBER.test(text)) return undefined;
  const value = Number(text);
  // Beyond 1e21 the text of a number is no longer an integer's; nothing in Proxmox is that large.
  return Number.isInteger(value) && Math.abs(value) < 1e21 ? withoutLeadingZeros(BigInt(value).toString()) : undefined;
}

/** Digits without a leading zero: nearly every number there is, recognised without a pattern. */
function isCanonicalNatural(text: string): boolean {
  if (text.length === 0 || text.length > NUMBER_LENGTH_MAX) return false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < DIGIT_ZERO || code > DIGIT_NINE) return false;
  }
  return text.length === 1 || text.charCodeAt(0) !== DIGIT_ZERO;
}

function withoutLeadingZeros(digits: string): string {
  const isNegative = digits.startsWith("-");
  const first = isNegative ? 1 : 0;
  let start = first;
  while (start < digits.length - 1 && digits.charCodeAt(start) === DIGIT_ZERO) start++;
  if (start === first && !isNegative) return digits;
  const magnitude = digits.slice(start);
  return isNegative && magnitude !== "0" ? `-${magnitude}` : magnitude;
}

/** One spelling for a number: `1.50` is 1.5. */
export function canonicalNumber(text: string): string | undefined {
  if (text.length > NUMBER_LENGTH_MAX || !NUMBER.test(text)) return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) return undefined;
  return value === 0 ? "0" : String(value);
}

interface Bounds {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly byDefault?: NonNullable<ValueRule["byDefault"]>;
}

/** An integer within Proxmox's bounds. What is there is read even when it is out of them. */
export function integer(bounds: Bounds = {}): ValueRule {
  return bounded("an integer", bounds, canonicalInteger);
}

/** A number, decimals allowed, within Proxmox's bounds. */
export function decimal(bounds: Bounds = {}): ValueRule {
  return bounded("a number", bounds, canonicalNumber);
}

function bounded(noun: string, bounds: Bounds, canonical: (text: string) => string | undefined): ValueRule {
  const { minimum = -Infinity, maximum = Infinity, byDefault } = bounds;
  const isWritable = (text: string): boolean => Number(text) >= minimum && Number(text) <= maximum;
  return { expected: noun + range(bounds), canonical, isWritable, ...(byDefault === undefined ? {} : { byDefault }) };
}

function range({ minimum, maximum }: Bounds): string {
  if (minimum === undefined) return maximum === undefined ? "" : ` up to ${maximum}`;
  return maximum === undefined ? ` of at least ${minimum}` : ` from ${minimum} to ${maximum}`;
}
