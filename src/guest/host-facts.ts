/** datacenter.cfg `tag-style`, as far as it changes what tags read back as. */
export interface TagStyle {
  /** `ordering=config` keeps the order; the default sorts. */
  readonly isOrdered: boolean;
  /** `case-sensitive=1` keeps upper case; the default lowers it. */
  readonly isCaseSensitive: boolean;
}

/** Proxmox's defaults, in force when datacenter.cfg says nothing about tags. */
export const DEFAULT_TAG_STYLE: TagStyle = { isOrdered: false, isCaseSensitive: false };

/** A Proxmox VE version, e.g. 9.2.11. */
export interface PveVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** Parses "9.2.11" or "8.4-1"; undefined when the text does not start like a version. */
export function parsePveVersion(text: string): PveVersion | undefined {
  const match = /^(\d+)\.(\d+)(?:[.-](\d+))?/.exec(text);
  if (match === null) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) };
}
