import { parseProperties, valueOf } from "../property-string.ts";
import { formatSize, parseSize } from "../sizes.ts";

/**
 * What stands first in a drive's value. A volume's name is Proxmox's business (docs/proxmox.md row 30):
 * only its storage is ever compared.
 */
export type DrivePlace =
  | { readonly type: "volume"; readonly storage: string }
  | { readonly type: "allocation"; readonly storage: string; readonly size: string }
  | { readonly type: "cloudinit"; readonly storage: string }
  | { readonly type: "image"; readonly volume: string }
  | { readonly type: "path"; readonly path: string }
  | { readonly type: "empty"; readonly word: "none" | "cdrom" };

const GIB_BYTES = 1024 ** 3;
const STORAGE = /^[A-Za-z0-9][\w.-]*$/;
const ALLOCATION = /^\d{1,12}(?:\.\d{1,9})?$/;
const CLOUD_INIT = /^(?:(?:.*\/)?vm-\d+-)?cloudinit(?:\.\w+)?$/;

/** Tells what a drive's first value is. Total: what has no colon and no slash is taken for a storage, what has no proper storage for a path. */
export function placeOf(file: string): DrivePlace {
  if (file === "none" || file === "cdrom") return { type: "empty", word: file };
  if (file.startsWith("/")) return { type: "path", path: file };
  const colon = file.indexOf(":");
  if (colon < 0) return { type: "volume", storage: file };
  const storage = file.slice(0, colon);
  if (!STORAGE.test(storage) || storage === "none" || storage === "cdrom") return { type: "path", path: file };
  const name = file.slice(colon + 1);
  if (ALLOCATION.test(name)) return { type: "allocation", storage, size: formatSize(Math.round(Number(name) * GIB_BYTES)) };
  if (name.includes("cloudinit") && CLOUD_INIT.test(name)) return { type: "cloudinit", storage };
  return name.startsWith("iso/") ? { type: "image", volume: file } : { type: "volume", storage };
}

/** The comparable text of a place. */
export function formOfPlace(place: DrivePlace): string {
  switch (place.type) {
    case "volume":
    case "allocation":
      return place.storage;
    case "cloudinit":
      return `${place.storage}:cloudinit`;
    case "image":
      return place.volume;
    case "path":
      return place.path;
    case "empty":
      return place.word;
  }
}

/** True for the drive that Proxmox writes cloud-init values to. */
export function isCloudInitDrive(value: string): boolean {
  const parts = value.includes("cloudinit") ? parseProperties(value, "file") : undefined;
  return parts !== undefined && placeOf(valueOf(parts, "file") ?? "").type === "cloudinit";
}

/** True for what holds a guest's data, as opposed to what is put into a CD drive. */
export function holdsData(place: DrivePlace): boolean {
  return place.type === "volume" || place.type === "allocation" || place.type === "path";
}

/** Proxmox's way to ask for a new volume: the size is a number of GiB (docs/proxmox.md row 30). */
export function allocationText(storage: string, size: string | undefined): string | undefined {
  const sizeBytes = size === undefined ? undefined : parseSize(size);
  return sizeBytes === undefined ? undefined : `${storage}:${sizeBytes / GIB_BYTES}`;
}
