/**
 * The few habits of Perl that show through Proxmox's API: what counts as true, how lists are split,
 * what looks like a number. Kept in one place so that the rest of the host can speak plainly.
 */

/** Perl's truth: "" and "0" are false, like undef. */
export function isTrue(value: string | null | undefined): boolean {
  return value !== null && value !== undefined && value !== "" && value !== "0";
}

/** A list as Proxmox splits it: by NUL if there is one, else by `,`, `;` and blanks, leading blanks dropped (docs/proxmox.md row 7). */
export function splitList(text: string | null | undefined): string[] {
  if (text === null || text === undefined) return [];
  if (text.includes("\0")) return dropTrailingEmpty(text.split("\0"));
  return dropTrailingEmpty(text.replace(/[,;]/g, " ").replace(/^\s+/, "").split(/\s+/));
}

/** Perl's split drops empty fields at the end; of an empty text it gives none. */
export function splitLines(text: string): string[] {
  return dropTrailingEmpty(text.split("\n"));
}

/** Parts between commas; empty ones at the end are dropped. */
export function splitCommas(text: string): string[] {
  return dropTrailingEmpty(text.split(","));
}

function dropTrailingEmpty(parts: readonly string[]): string[] {
  const kept = [...parts];
  while (kept.length > 0 && kept[kept.length - 1] === "") kept.pop();
  return kept;
}

/** What property strings take as a boolean; undefined for anything else (docs/proxmox.md row 3). */
export function parseBoolean(text: string): "1" | "0" | undefined {
  if (/^(1|on|yes|true)$/i.test(text)) return "1";
  if (/^(0|off|no|false)$/i.test(text)) return "0";
  return undefined;
}

/** What Proxmox takes for an integer. */
export function isInteger(text: string): boolean {
  return /^[+-]?\d+$/.test(text);
}

/** What Proxmox takes for a number. */
export function isNumber(text: string): boolean {
  return /^[+-]?(\d+\.\d+|\d+\.|\.\d+|\d+)([eE][+-]?\d+)?$/.test(text);
}

/** Byte order, as Perl's sort without locale. */
export function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
