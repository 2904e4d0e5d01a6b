import type { ValueRule } from "./value-rule.ts";

const UNITS = ["", "K", "M", "G", "T"] as const;
const UNIT_STEP = 1024;
const SIZE = /^(\d{1,16}(?:\.\d{1,9})?)([KMGT]?)$/;

/**
 * LVM hands out whole extents of 4 MiB, so a volume may come back that much larger than it was asked
 * to be (docs/proxmox.md row 33).
 */
const EXTENT_BYTES = 4 * UNIT_STEP * UNIT_STEP;

/** Bytes of a Proxmox size: digits, decimals allowed, then K, M, G, T or nothing for bytes (docs/proxmox.md row 32). */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  if (match === null) return undefined;
  const power = UNITS.indexOf((match[2] ?? "") as (typeof UNITS)[number]);
  const sizeBytes = Math.round(Number(match[1]) * UNIT_STEP ** power);
  return Number.isSafeInteger(sizeBytes) ? sizeBytes : undefined;
}

/** The largest unit that says it exactly, as Proxmox prints it: 1024G is `1T`, 10.5G is `10752M`. */
export function formatSize(sizeBytes: number): string {
  let value = sizeBytes;
  let power = 0;
  while (power < UNITS.length - 1 && value !== 0 && value % UNIT_STEP === 0) {
    value /= UNIT_STEP;
    power++;
  }
  return `${value}${UNITS[power] ?? ""}`;
}

// 1 to 1023 of a unit, whole and without leading zero, is as Proxmox prints it: most sizes are.
const CANONICAL_SIZE = /^(?:[1-9]\d{0,2}|10[01]\d|102[0-3])[KMGT]$/;

/** A disk size; what is there may be larger by less than one storage extent. */
export const SIZE_RULE: ValueRule = {
  expected: 'a size such as "32G", "512M" or "1.5T"',
  canonical: (text) => {
    if (CANONICAL_SIZE.test(text)) return text;
    const sizeBytes = parseSize(text);
    return sizeBytes === undefined ? undefined : formatSize(sizeBytes);
  },
  covers: (declared, observed) => {
    const excessBytes = (parseSize(observed) ?? 0) - (parseSize(declared) ?? 0);
    return excessBytes >= 0 && excessBytes < EXTENT_BYTES;
  },
};
