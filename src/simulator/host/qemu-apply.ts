import type { Caller } from "../api.ts";
import type { GuestConfigFile } from "./config-file.ts";
import { Died, whatKills } from "./died.ts";
import { parseDrive } from "./drive.ts";
import type { Guest } from "./guest.ts";
import type { Host } from "./host.ts";
import { cleanupPending, pendingDeletes, removePendingDelete } from "./pending.ts";
import { freeVolume, registerUnused } from "./qemu-disks.ts";
import { isQemuDrive } from "./schema.ts";

/**
 * Applies a stopped QEMU guest's pending changes: on a write, at stop through the API, at start.
 * `caller` is asked for nothing unless a forced deletion frees a volume.
 */
export function applyPending(host: Host, guest: Guest, caller: Caller | undefined): void {
  const file = guest.load();
  if (file.pending.size === 0) return;
  const errors: Record<string, string> = {};
  for (const [key, isForced] of pendingDeletes(file.pending)) {
    const death = whatKills(() => deleteCold(host, guest, caller, file, key, isForced));
    if (death !== undefined) errors[key] = `unable to apply pending change ${key} : ${death.message}\n`;
    else {
      removePendingDelete(file.pending, key);
      file.main.delete(key);
    }
  }
  cleanupPending(file);
  for (const [key, value] of [...file.pending]) {
    if (key === "delete") continue;
    if (isQemuDrive(key)) registerUnused(host, guest, file.main, parseDrive(key, file.main.get(key)));
    file.main.set(key, value);
    file.pending.delete(key);
  }
  host.writeConfig(guest, file);
  if (Object.keys(errors).length > 0 && caller !== undefined) throw Died.parameters(errors);
}

function deleteCold(host: Host, guest: Guest, caller: Caller | undefined, file: GuestConfigFile, key: string, isForced: boolean): void {
  const drive = isQemuDrive(key) ? parseDrive(key, file.main.get(key)) : undefined;
  if (drive === undefined) return;
  if (isForced && caller !== undefined) freeVolume(host, guest, caller, key, drive.get("file") ?? "");
  else registerUnused(host, guest, file.main, drive);
}
