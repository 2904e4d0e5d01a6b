import type { InferOutput } from "valibot";
import type { GuestKey } from "../guest/key.ts";
import type { DriveChange } from "../guest/observed.ts";
import type { cloudInitSchema } from "./schemas.ts";

type CloudInitRow = InferOutput<typeof cloudInitSchema>[number];

/**
 * The rows that say a difference (docs/proxmox.md row 75). A deleted value is not told; one that is 0 now
 * is called deleted, so what is wanted is always taken from the configuration. Of a changed `ipconfigN`,
 * `netN` or `name` Proxmox gives no row at all.
 */
export function driveChanges(rows: readonly CloudInitRow[]): readonly DriveChange[] {
  return rows.flatMap(({ key, value, pending, delete: isDeleted }): readonly DriveChange[] => {
    if (isDeleted === true) return [{ key, onDrive: undefined, isTold: false }];
    if (pending === undefined || pending === null) return [];
    return [{ key, onDrive: value ?? undefined, isTold: true }];
  });
}

/** More VMs with a cloud-init drive than one node runs. About 100 bytes an entry where nothing waits. */
export const DRIVES_REMEMBERED_MAX = 10_000;

/** The last answer for each guest and the digest it belongs to: a drive that is written anew moves the digest. */
export class DriveMemory {
  readonly #known = new Map<number, { readonly digest: string; readonly changes: readonly DriveChange[] }>();

  recall({ vmid }: GuestKey, digest: string): readonly DriveChange[] | undefined {
    const known = this.#known.get(vmid);
    return known?.digest === digest ? known.changes : undefined;
  }

  remember({ vmid }: GuestKey, digest: string, changes: readonly DriveChange[]): void {
    this.#known.delete(vmid);
    this.#known.set(vmid, { digest, changes });
    if (this.#known.size <= DRIVES_REMEMBERED_MAX) return;
    const oldest = this.#known.keys().next();
    if (oldest.done !== true) this.#known.delete(oldest.value);
  }
}
