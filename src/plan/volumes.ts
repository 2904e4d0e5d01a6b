import { formatGuestKey, type GuestKey, type GuestKind } from "../guest/key.ts";
import { parseProperties, valueOf } from "../normalize/property-string.ts";
import { parseSize } from "../normalize/sizes.ts";
import type { Deferred, FieldChange } from "./types.ts";

/**
 * Keys behind which data lies. They are compared like any other and reported, and never become an
 * action: `scsi0=store:32` would allocate a new disk every time it is sent, and `delete=unused0`
 * destroys the volume without even a task (docs/proxmox.md rows 30, 31, 43).
 */
const VOLUME_KEY: Readonly<Record<GuestKind, RegExp>> = {
  qemu: /^(?:(?:ide|sata|scsi|virtio|unused)\d+|efidisk0|tpmstate0|cdrom)$/,
  lxc: /^(?:rootfs|(?:mp|unused)\d+)$/,
};

/** Whether data lies behind the key. */
export function isVolumeKey(kind: GuestKind, key: string): boolean {
  return VOLUME_KEY[kind].test(key);
}

const BYTES_PER_GIB = 1024 ** 3;

/** What differs about a volume, as something for a person to do. */
export function deferVolume(guest: GuestKey, change: FieldChange): Deferred {
  const { key, declared, found } = change;
  const isGrowth = growthOf(change) !== undefined;
  return { key, reason: isGrowth ? "would_grow" : "holds_data", declared, found, message: `${key}: ${describe(guest, change)}` };
}

function describe(guest: GuestKey, change: FieldChange): string {
  if (change.send === undefined) {
    return `data lies behind it; removing it may destroy the volume ${volumeOf(change.foundRaw)}, which is never done by itself; remove it in Proxmox if that is meant`;
  }
  if (change.foundRaw === undefined) return `${formatGuestKey(guest)} does not have it, and volumes are not added by this version; add it in Proxmox`;
  const growth = growthOf(change);
  if (growth !== undefined) {
    const command = guest.kind === "qemu" ? "qm disk resize" : "pct resize";
    return `it is smaller than declared (${growth.fromGib} of ${growth.toGib} GiB) and growing is not done by this version; "${command} ${guest.vmid} ${change.key} ${growth.toGib}G" grows it`;
  }
  return `expected ${change.declared ?? "nothing"}, found ${change.found ?? "nothing"}; volumes and their options are not changed by this version, do it in Proxmox`;
}

/** The volume's name, wherever in the value it stands. */
function volumeOf(found = ""): string {
  const properties = parseProperties(found, "volume") ?? [];
  return valueOf(properties, "volume") ?? valueOf(properties, "file") ?? found;
}

/** From and to what size the volume would grow; undefined when it would not. */
function growthOf(change: FieldChange): { readonly fromGib: number; readonly toGib: number } | undefined {
  const from = sizeOf(change.foundRaw);
  const to = sizeOf(change.send);
  return from === undefined || to === undefined || to <= from ? undefined : { fromGib: inGib(from), toGib: inGib(to) };
}

function sizeOf(volume: string | undefined): number | undefined {
  const size = /(?:^|,)size=([^,]+)/.exec(volume ?? "")?.[1];
  return size === undefined ? undefined : parseSize(size);
}

function inGib(sizeBytes: number): number {
  return Math.round((sizeBytes / BYTES_PER_GIB) * 1000) / 1000;
}
