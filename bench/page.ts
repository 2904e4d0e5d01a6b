import { markdownOf } from "./tables.ts";
import type { KeptResults } from "./contest.ts";
import { describeDisk, machineText } from "../src/bench/render.ts";

/** The parts of docs/performance.md that are made of bench/results/: between "<!-- NAME: generated -->" and "<!-- end of NAME -->". */
export function renderPage(page: string, results: readonly KeptResults[]): string {
  const parts = new Map(results.map((result) => [result.name, markdownOf(result)]));
  const [first] = results;
  if (first !== undefined) parts.set("machine", measuredOn(first));
  return page.replace(/(<!-- ([a-z-]+): generated -->\n)[^]*?(<!-- end of \2 -->)/g, (whole, begin: string, name: string, end: string) => {
    const part = parts.get(name);
    return part === undefined ? whole : `${begin}\n${part}\n\n${end}`;
  });
}

function measuredOn({ machine, fileSystem, disks }: KeptResults): string {
  const disk = disks.length === 0 ? "a disk the kernel does not name" : disks.map(describeDisk).join(" + ");
  return `Measured on: ${machineText(machine)}; Linux ${machine.kernel ?? "unknown"}, Bun ${machine.bun}; ${fileSystem ?? "unknown file system"} on ${disk}.`;
}
