import { DEFAULT_LIMITS } from "../journal/limits.ts";
import { LiveTable } from "../journal/live-table.ts";
import { scanSegment } from "../journal/scan.ts";
import { segmentNames } from "../journal/segment.ts";
import type { Journal } from "../journal/types.ts";
import { fault, type Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";

/**
 * The journal as it is on disk, for commands that only look: pauses and open acts count in a plan, and
 * nothing is ever written. No lock is taken, so a running agent is not in the way. Only the last
 * segment is read: it begins with the whole live state. No journal yet is an empty one.
 */
export function openReadOnlyJournal(fileSystem: FileSystem, directory: string): Journal {
  const table = new LiveTable(DEFAULT_LIMITS);
  const listed = fileSystem.list(directory);
  const last = listed.ok ? segmentNames(listed.value).at(-1) : undefined;
  const bytes = last === undefined ? undefined : fileSystem.readFile(`${directory}/${last}`);
  const scan = last === undefined || bytes === undefined || !bytes.ok ? undefined : scanSegment(last, bytes.value);
  for (const frame of scan?.frames ?? []) table.apply(frame.record);
  const refuse = (): Promise<Result<never>> => Promise.resolve(fault("journal.closed", "only a running agent settles and records acts; this command reads the journal"));
  return {
    health: () => ({ state: "healthy", message: "" }),
    head: () => ({ segment: last ?? "", sequence: scan?.lastSequence ?? 0, hash: scan?.lastHash ?? "" }),
    lastRecordedAtMs: () => undefined,
    foundAtOpening: () => undefined,
    recordRestored: refuse,
    appendedCount: () => 0,
    repairedCount: () => 0,
    plan: refuse,
    apply: refuse,
    begin: refuse,
    operation: (id) => table.operation(id),
    openOperations: () => table.openOperations(),
    recentOperations: () => table.recentOperations(),
    keyHolder: (key) => table.keyHolder(key),
    epochs: () => table.epochs(),
    putFact: refuse,
    fact: (namespace, key) => table.facts(namespace).get(key),
    facts: (namespace) => table.facts(namespace),
    recordVerdict: refuse,
    compact: refuse,
    reopen: () => Promise.resolve({ state: "healthy", message: "" }),
    close: () => Promise.resolve(),
  };
}
