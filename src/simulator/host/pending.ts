import type { GuestConfigFile, Section } from "./config-file.ts";
import { compareText } from "./perl.ts";

/**
 * The [PENDING] section's own rules: its `delete` list ("key" or "!key" for forced), and what of it is
 * dropped because nothing would change.
 */

/** Keys waiting for deletion; the value says whether it is forced. */
export function pendingDeletes(pending: Section): Map<string, boolean> {
  const text = (pending.get("delete") ?? "").replace(/[,;]/g, " ").trim();
  return new Map(text === "" ? [] : text.split(/\s+/).map((entry) => [entry.replace(/^!/, ""), entry.startsWith("!")]));
}

/** Marks a key for deletion. */
export function addPendingDelete(pending: Section, key: string, isForced: boolean): void {
  storeDeletes(pending, pendingDeletes(pending).set(key, isForced));
}

/** Takes a key off the list of deletions. */
export function removePendingDelete(pending: Section, key: string): void {
  const deletes = pendingDeletes(pending);
  if (deletes.delete(key)) storeDeletes(pending, deletes);
}

function storeDeletes(pending: Section, deletes: ReadonlyMap<string, boolean>): void {
  if (deletes.size === 0) pending.delete("delete");
  else pending.set("delete", [...deletes].sort(([left], [right]) => compareText(left, right)).map(([key, isForced]) => (isForced ? `!${key}` : key)).join(","));
}

/** Drops pending values that the guest already has and deletions of what it has not; tells whether it did. */
export function cleanupPending(file: GuestConfigFile): boolean {
  let hasChanged = false;
  for (const [key, value] of file.pending) {
    const current = file.main.get(key);
    if (key === "delete" || current === undefined || current !== value) continue;
    file.pending.delete(key);
    hasChanged = true;
  }
  const deletes = pendingDeletes(file.pending);
  for (const key of deletes.keys()) if (!file.main.has(key) && deletes.delete(key)) hasChanged = true;
  storeDeletes(file.pending, deletes);
  return hasChanged;
}
