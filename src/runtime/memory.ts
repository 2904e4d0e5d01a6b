import { readFileSync } from "node:fs";
import { dropPages } from "./ffi.ts";

/**
 * Gives memory back that the start and a full read needed and the quiet time after does not: without
 * this the collector keeps its peak for hours, because an idle process gives it no reason to run.
 */

/** A line of /proc/self/maps for code of a file: "start-end r-xp offset dev inode path". */
const CODE_MAPPING = /^([0-9a-f]+)-([0-9a-f]+) r-xp [0-9a-f]+ \S+ [1-9]\d* +(\/.+)$/;

/** Collects garbage now. For the start, whose peak would otherwise stay reserved for good. */
export function collectGarbage(): void {
  Bun.gc(true);
}

/**
 * Collects, and drops what only the start used: `isAfterStart` compiled JavaScript (compiled again on
 * demand), always the runtime's own code pages (they come back from the page cache when touched).
 */
export function returnMemory(isAfterStart: boolean): void {
  Bun.gc(true);
  if (isAfterStart) {
    Bun.shrink();
    Bun.gc(true);
  }
  dropCodePages();
}

function dropCodePages(): void {
  let maps: string;
  try {
    maps = readFileSync("/proc/self/maps", "utf8");
  } catch {
    return; // Not this system: nothing is given back, and nothing is lost.
  }
  for (const line of maps.split("\n")) {
    const match = CODE_MAPPING.exec(line);
    if (match?.[3] !== process.execPath) continue;
    const [start, end] = [BigInt(`0x${match[1]}`), BigInt(`0x${match[2]}`)];
    dropPages(start, end - start);
  }
}
