const TIME = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:\d{2})?)?$/;

/** Milliseconds since the epoch of "2026-01-31", "2026-01-31T14:00:00Z" and the like; without a zone it is UTC. Undefined for anything else. */
export function parseTime(text: string): number | undefined {
  const match = TIME.exec(text);
  if (match === null) return undefined;
  const atMs = Date.parse(`${match[1] ?? ""}T${match[2] ?? "00:00"}${match[3] ?? "Z"}`);
  return Number.isNaN(atMs) ? undefined : atMs;
}
