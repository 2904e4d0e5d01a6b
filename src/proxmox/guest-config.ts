import type { InferOutput } from "valibot";
import type { GuestConfig, PendingChange, RawValue } from "../guest/observed.ts";
import type { pendingSchema } from "./schemas.ts";

type PendingRow = InferOutput<typeof pendingSchema>[number];

/**
 * Builds both views of a configuration from the rows of `/pending`: a pending value wins in the merged view, a
 * pending deletion removes the key there, also where the running value is 0 (Proxmox's own merged view gets that
 * case wrong, docs/proxmox.md row 12). Where both are pending the value wins, as it does at the next start. undefined when the rows carry no digest: without it nothing could be written.
 */
export function buildGuestConfig(rows: readonly PendingRow[]): GuestConfig | undefined {
  const running = new Map<string, RawValue>();
  const merged = new Map<string, RawValue>();
  const pending: PendingChange[] = [];
  let digest: string | undefined;
  for (const row of rows) {
    const value = rawValue(row.value);
    if (row.key === "digest") {
      digest = value === undefined ? digest : String(value);
      continue;
    }
    if (value !== undefined) running.set(row.key, value);
    const change = pendingChange(row);
    if (change !== undefined) pending.push(change);
    const next = change === undefined ? value : change.change === "set" ? change.value : undefined;
    if (next !== undefined) merged.set(row.key, next);
  }
  if (digest === undefined || digest === "") return undefined;
  return { running: Object.fromEntries(running), merged: Object.fromEntries(merged), pending: sortByKey(pending), digest };
}

/**
 * `delete: 1` is a deletion at the next stop, `2` one that was forced. Of a VM Proxmox never gives a pending value
 * beside it; of a container it does, and then deletes first and sets afterwards: the value is what stays.
 */
function pendingChange(row: PendingRow): PendingChange | undefined {
  const value = rawValue(row.pending);
  if (value !== undefined) return { key: row.key, change: "set", value };
  const deletion = Number(rawValue(row.delete) ?? 0);
  return deletion >= 1 ? { key: row.key, change: "delete", isForced: deletion >= 2 } : undefined;
}

function rawValue(value: unknown): RawValue | undefined {
  if (typeof value === "string" || typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  return undefined;
}

/** Proxmox's order is that of a Perl hash: different every time. */
function sortByKey(changes: readonly PendingChange[]): PendingChange[] {
  return changes.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}
