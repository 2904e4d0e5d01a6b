const UNIT_BYTES: Readonly<Record<string, number>> = { K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

/** "1.5G" → bytes; undefined when it is not a size (docs/proxmox.md row 32). */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([KMGT])?$/.exec(text);
  if (match === null) return undefined;
  return Math.trunc(Number(match[1]) * (UNIT_BYTES[match[2] ?? ""] ?? 1));
}

/** Bytes → the largest unit that divides them: 1073741824 → "1G". */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = "";
  for (const next of ["K", "M", "G", "T"]) {
    if (value % 1024 !== 0) break;
    value /= 1024;
    unit = next;
  }
  return `${value}${unit}`;
}
