import type { ValueRule } from "./value-rule.ts";

const RANGE = /^(\d{1,9})(?:-(\d{1,9}))?$/;

type Range = readonly [from: number, to: number];

/**
 * A set of numbers written as ranges (`0-1;3`), as a VM's trunks, NUMA nodes and CPU pinning use it
 * (docs/proxmox.md rows 28 and 58). Ranges that touch are one range; order has no meaning.
 * @param joiner what Proxmox writes between ranges: ";" inside property strings, "," in affinity
 */
export function rangeSet(joiner: ";" | ","): ValueRule {
  return {
    expected: `numbers or ranges such as "1${joiner}4-7"`,
    joiner,
    canonical: (text) => {
      const ranges = parseRanges(text);
      return ranges === undefined ? undefined : joinTouching(ranges).map(formatRange).join(joiner);
    },
  };
}

/**
 * A set of single numbers (`5;6;7`), as a container's trunks use it: its schema refuses ranges (docs/proxmox.md
 * row 28). A range that is declared all the same is written out.
 * @param maximum the highest number; it also bounds what a range is written out to
 */
export function numberSet(maximum: number): ValueRule {
  return {
    expected: `numbers up to ${maximum} such as "5;6"`,
    joiner: ";",
    canonical: (text) => {
      const ranges = parseRanges(text);
      if (ranges === undefined || ranges.some(([, to]) => to > maximum)) return undefined;
      // Joined first, so that each number is written out once however often it was said.
      return joinTouching(ranges).flatMap(numbersOf).join(";");
    },
  };
}

function numbersOf([from, to]: Range): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function parseRanges(text: string): Range[] | undefined {
  const ranges: Range[] = [];
  for (const part of text.split(/[;,\s]+/)) {
    if (part === "") continue;
    const match = RANGE.exec(part);
    if (match === null) return undefined;
    const from = Number(match[1]);
    const to = match[2] === undefined ? from : Number(match[2]);
    if (to < from) return undefined;
    ranges.push([from, to]);
  }
  return ranges.length === 0 ? undefined : ranges.sort((left, right) => left[0] - right[0]);
}

function joinTouching(sorted: readonly Range[]): Range[] {
  const joined: Range[] = [];
  for (const range of sorted) {
    const last = joined.at(-1);
    if (last !== undefined && range[0] <= last[1] + 1) joined[joined.length - 1] = [last[0], Math.max(last[1], range[1])];
    else joined.push(range);
  }
  return joined;
}

function formatRange([from, to]: Range): string {
  return from === to ? String(from) : `${from}-${to}`;
}
