import type { GuestConfigFile, Section } from "./config-file.ts";
import { Died } from "./died.ts";
import { addUnused, NEW_VOLUME } from "./drive.ts";
import type { Guest } from "./guest.ts";
import type { Host } from "./host.ts";
import { CONFIG_SCHEMAS } from "./schema.gen.ts";
import { isLxcVolume, type PropertySchema } from "./schema.ts";
import { formatSize } from "./sizes.ts";
import { parsePropertyString, printPropertyString } from "./verify.ts";

/** Volumes of containers: the root file system and mount points. */

const GIB_BYTES = 1024 ** 3;

function schemaOf(key: string): PropertySchema {
  const format = CONFIG_SCHEMAS.lxc[key === "rootfs" ? "rootfs" : "mp[n]"]?.format;
  return typeof format === "object" ? format : {};
}

export type MountPoint = Map<string, string>;

/** Undefined when there is no value or it makes no sense. */
export function parseMountPoint(key: string, value: string | null | undefined): MountPoint | undefined {
  if (value === null || value === undefined) return undefined;
  const parsed = parsePropertyString(schemaOf(key), value);
  return parsed.ok ? parsed.values : undefined;
}

/** As Proxmox reprints one: the volume, the path, then the rest sorted. */
export function printMountPoint(key: string, mountPoint: MountPoint): string {
  return printPropertyString(schemaOf(key), mountPoint);
}

/** A volume on a storage; else it is a path of the host. */
export function isManagedVolume(mountPoint: MountPoint): boolean {
  return !(mountPoint.get("volume") ?? "").startsWith("/");
}

/** Dies when the storage does not hold containers. */
export function assertHoldsContainers(host: Host, mountPoint: MountPoint): void {
  if (!isManagedVolume(mountPoint)) return;
  const storage = host.storages.need((mountPoint.get("volume") ?? "").split(":")[0] ?? "");
  if (!storage.content.has("rootdir")) throw Died.because(`storage '${storage.id}' does not allow content type 'rootdir' (Container)`);
}

/**
 * What is stored for a mount point. Only `mpN` understands `storage:size`; a rootfs is stored as it was
 * sent (docs/proxmox.md row 45).
 */
export function storedMountPoint(host: Host, guest: Guest, key: string, value: string): string {
  const mountPoint = parseMountPoint(key, value);
  if (mountPoint === undefined || !isManagedVolume(mountPoint)) return value;
  const created = NEW_VOLUME.exec(mountPoint.get("volume") ?? "");
  if (created !== null) return allocateMountPoint(host, guest.vmid, key, mountPoint);
  const volume = host.storages.volume(mountPoint.get("volume") ?? "");
  if (volume !== undefined) mountPoint.set("size", formatSize(volume.sizeBytes));
  return printMountPoint(key, mountPoint);
}

/** Makes the volume that `storage:size` asks for; gives the value to store. */
export function allocateMountPoint(host: Host, vmid: number, key: string, mountPoint: MountPoint): string {
  const [, storageId = "", gibibytes = "0"] = NEW_VOLUME.exec(mountPoint.get("volume") ?? "") ?? [];
  const storage = host.storages.need(storageId);
  const sizeBytes = Math.round(Number(gibibytes) * GIB_BYTES);
  const volume = host.storages.allocate({ storage, vmid, sizeBytes, format: "raw", content: "rootdir", now: host.nowSeconds() });
  mountPoint.set("volume", volume.id).set("size", formatSize(sizeBytes));
  return printMountPoint(key, mountPoint);
}

/** Whether a mount point other than `except`, now, pending or in a snapshot, uses the volume. */
export function isVolumeUsed(file: GuestConfigFile, volumeId: string, except?: string): boolean {
  const uses = (section: Section): boolean =>
    [...section].some(([key, value]) => key !== except && isLxcVolume(key) && parseMountPoint(key, value)?.get("volume") === volumeId);
  return [file.main, file.pending, ...file.snapshots.values()].some(uses);
}

/** Lists the volume of a mount point that goes as unused. */
export function detachMountPoint(file: GuestConfigFile, key: string): void {
  const mountPoint = parseMountPoint(key, file.main.get(key));
  const volume = mountPoint?.get("volume");
  if (mountPoint === undefined || volume === undefined || !isManagedVolume(mountPoint)) return;
  if (!isVolumeUsed(file, volume, key)) addUnused(file.main, volume);
}
