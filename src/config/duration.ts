const UNITS_MS: ReadonlyMap<string, number> = new Map([["ms", 1], ["s", 1_000], ["m", 60_000], ["h", 3_600_000], ["d", 86_400_000]]);

/**
 * Milliseconds from `250ms`, `1.5s`, `10m`, `2h`, `3d`; undefined for anything else. One way to write a
 * time, in settings and on the command line.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,3})?)([a-z]+)$/.exec(text);
  const unitMs = UNITS_MS.get(match?.[2] ?? "");
  if (match === null || unitMs === undefined) return undefined;
  const durationMs = Math.round(Number(match[1]) * unitMs);
  return Number.isSafeInteger(durationMs) ? durationMs : undefined;
}
