import { Died } from "./died.ts";
import { drivesOf, isCdrom, parseDrive, printDrive } from "./drive.ts";
import type { Guest } from "./guest.ts";
import { parseMountPoint, printMountPoint } from "./lxc-volumes.ts";
import { LOCK_TIMEOUT_MS, withTaskLock } from "./process.ts";
import { endQemu, type PowerCall } from "./qemu-power.ts";
import { assertUnlocked } from "./qemu-update.ts";
import { formatSize, parseSize } from "./sizes.ts";
import { canSnapshot } from "./status.ts";

/** Snapshots of both kinds, and growing a disk. */

const WORK_DURATION_MS = 100;
/** What a snapshot does not keep, and a rollback does not bring back. */
const NOT_IN_SNAPSHOT = /^(?:lock|template|unused\d+)$/;
const SNAPSHOT_ONLY = /^(?:snaptime|vmstate|runningmachine|runningcpu|running-nets-host-mtu)$/;

function taskType(guest: Guest, act: "snapshot" | "delsnapshot" | "rollback"): string {
  return `${guest.kind === "qemu" ? "qm" : "vz"}${act}`;
}

function needGuest(call: PowerCall, kind: "qemu" | "lxc"): Guest {
  return call.host.needGuest(kind, call.vmid);
}

/** POST /snapshot: without the memory of a running guest. */
export function createSnapshot(call: PowerCall, kind: "qemu" | "lxc"): string {
  const { host, vmid, values } = call;
  const guest = needGuest(call, kind);
  const name = values.get("snapname") ?? "";
  if (name === "current") throw Died.because("unable to use snapshot name 'current' (reserved name)");
  if (name === "pending") throw Died.because("unable to use snapshot name 'pending' (reserved name)");
  return host.tasks.start(taskType(guest, "snapshot"), String(vmid), call.caller, (task) =>
    withTaskLock(guest, task, async () => {
      assertUnlocked(guest);
      if (guest.view().snapshots.has(name)) throw Died.because(`snapshot name '${name}' already used`);
      if (!canSnapshot(host, guest)) throw Died.because("snapshot feature is not available");
      for (const [key, drive] of drivesOf(guest.view().main)) if (!isCdrom(drive)) task.print(`snapshotting 'drive-${key}' (${drive.get("file")})`);
      await task.sleep(WORK_DURATION_MS);
      const file = guest.load();
      const section = new Map([...file.main].filter(([key]) => !NOT_IN_SNAPSHOT.test(key) && key !== "description"));
      const description = values.get("description");
      if (description !== undefined) section.set("description", description);
      file.snapshots.set(name, section.set("snaptime", String(host.nowSeconds())));
      file.main.set("parent", name);
      host.writeConfig(guest, file);
    }),
  ).upid;
}

function needSnapshot(guest: Guest, name: string): Map<string, string | null> {
  const section = guest.view().snapshots.get(name);
  if (section === undefined) throw Died.because(`snapshot '${name}' does not exist`);
  return new Map(section);
}

/** DELETE /snapshot/{name}. */
export function deleteSnapshot(call: PowerCall, kind: "qemu" | "lxc", name: string): string {
  const { host, vmid } = call;
  const guest = needGuest(call, kind);
  return host.tasks.start(taskType(guest, "delsnapshot"), String(vmid), call.caller, (task) =>
    withTaskLock(guest, task, async () => {
      assertUnlocked(guest);
      const parent = needSnapshot(guest, name).get("parent");
      await task.sleep(WORK_DURATION_MS);
      const file = guest.load();
      file.snapshots.delete(name);
      for (const section of [file.main, ...file.snapshots.values()]) {
        if (section.get("parent") !== name) continue;
        if (parent === undefined) section.delete("parent");
        else section.set("parent", parent);
      }
      host.writeConfig(guest, file);
    }),
  ).upid;
}

/** POST /snapshot/{name}/rollback: a running QEMU guest is stopped by it. */
export function rollback(call: PowerCall, kind: "qemu" | "lxc", name: string): string {
  const { host, vmid } = call;
  const guest = needGuest(call, kind);
  return host.tasks.start(taskType(guest, "rollback"), String(vmid), call.caller, (task) =>
    withTaskLock(guest, task, async () => {
      assertUnlocked(guest);
      needSnapshot(guest, name);
      await task.sleep(WORK_DURATION_MS);
      if (guest.running !== undefined && kind === "qemu") endQemu(host, guest, guest.running);
      const file = guest.load();
      const kept = [...file.main].filter(([key]) => /^(?:unused\d+|vmgenid)$/.test(key));
      file.main.clear();
      for (const [key, value] of [...needSnapshot(guest, name), ...kept]) if (!SNAPSHOT_ONLY.test(key)) file.main.set(key, value);
      file.main.set("parent", name);
      if (file.main.has("vmgenid")) file.main.set("vmgenid", host.uuid());
      file.pending.clear();
      host.writeConfig(guest, file);
    }),
  ).upid;
}

/** Grows a disk: "+1G" adds, "33G" sets; shrinking is refused (docs/proxmox.md row 33). */
export async function resize(call: PowerCall, kind: "qemu" | "lxc"): Promise<string> {
  const { host, vmid, values } = call;
  const guest = needGuest(call, kind);
  const [disk, size, digest] = [values.get("disk") ?? "", values.get("size") ?? "", values.get("digest")];
  const release = await guest.lock.acquire(LOCK_TIMEOUT_MS, host.stopped);
  try {
    if (digest !== undefined && digest !== "" && digest !== guest.view().digest) throw Died.because("checksum mismatch (file change by other user?)");
    assertUnlocked(guest);
    const current = guest.option(disk);
    if (current === undefined) throw Died.because(`disk '${disk}' does not exist`);
    const parsed = kind === "qemu" ? parseDrive(disk, current) : parseMountPoint(disk, current);
    const volume = host.storages.volume(parsed?.get(kind === "qemu" ? "file" : "volume") ?? "");
    if (parsed === undefined || volume === undefined || parsed.get("media") === "cdrom") throw Died.because("you can't resize a cdrom");
    const asked = parseSize(size.replace(/^\+/, "")) ?? 0;
    const wanted = size.startsWith("+") ? volume.sizeBytes + asked : asked;
    if (wanted < volume.sizeBytes) throw Died.because("shrinking disks is not supported");
    return host.tasks.start("resize", String(vmid), call.caller, async (task) => {
      await task.sleep(WORK_DURATION_MS);
      volume.sizeBytes = wanted;
      const file = guest.load();
      parsed.set("size", formatSize(wanted));
      file.main.set(disk, kind === "qemu" ? printDrive(disk, parsed) : printMountPoint(disk, parsed));
      host.writeConfig(guest, file);
      task.print("Image resized.");
    }).upid;
  } finally {
    release();
  }
}
