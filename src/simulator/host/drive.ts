import type { Section } from "./config-file.ts";
import { isTrue, splitList } from "./perl.ts";
import { configOption, isQemuDrive, MAX_UNUSED, QEMU_DRIVES, type PropertySchema } from "./schema.ts";
import { formatSize, parseSize } from "./sizes.ts";
import { parsePropertyString, printPropertyString } from "./verify.ts";

/** Drives of QEMU guests: their property strings and what kind of drive they are. */
export type Drive = Map<string, string>;

const CLOUDINIT = /[:/](?:vm-\d+-)?cloudinit(?:\.(?:raw|qcow2|vmdk))?$/;
/** "local:32": a new volume of 32 GiB on that storage. */
export const NEW_VOLUME = /^(?:([^/:\s]+):)?(\d+(?:\.\d+)?)$/;
/** A peak needs the rate that it is a peak of. */
const PEAKS = ["mbps", "mbps_rd", "mbps_wr", "iops", "iops_rd", "iops_wr"];
const BYTES_PER_MEGABYTE = 1024 * 1024;

function schemaOf(key: string): PropertySchema {
  const format = configOption("qemu", key)?.format;
  return typeof format === "object" ? format : {};
}

/** Undefined when Proxmox cannot make sense of the value. */
export function parseDrive(key: string, value: string | null | undefined): Drive | undefined {
  if (value === null || value === undefined) return undefined;
  const parsed = parsePropertyString(schemaOf(key), value);
  if (!parsed.ok) return undefined;
  const drive = parsed.values;
  for (const suffix of ["", "_rd", "_wr"]) {
    const bytes = drive.get(`bps${suffix}`);
    if (bytes === undefined) continue;
    if (drive.has(`mbps${suffix}`)) return undefined;
    drive.delete(`bps${suffix}`);
    drive.set(`mbps${suffix}`, (Number(bytes) / BYTES_PER_MEGABYTE).toFixed(3));
  }
  if (PEAKS.some((rate) => drive.has(`${rate}_max`) && !drive.has(rate))) return undefined;
  if (["mbps", "iops"].some((rate) => drive.has(rate) && (drive.has(`${rate}_rd`) || drive.has(`${rate}_wr`)))) return undefined;
  if (drive.get("media") === "cdrom" && (key.startsWith("virtio") || drive.has("snapshot") || drive.has("format"))) return undefined;
  return drive;
}

/** As Proxmox reprints a drive: file first, then its options sorted, the size in its largest unit. */
export function printDrive(key: string, drive: Drive): string {
  const size = parseSize(drive.get("size") ?? "");
  return printPropertyString(schemaOf(key), size === undefined ? drive : new Map(drive).set("size", formatSize(size)));
}

/** A drive that holds the cloud-init settings. */
export function isCloudinit(drive: Drive): boolean {
  return CLOUDINIT.test(drive.get("file") ?? "");
}

/** A CD drive; the cloud-init drive counts as one unless it is left out. */
export function isCdrom(drive: Drive, isCloudinitLeftOut = false): boolean {
  return drive.get("media") === "cdrom" && !(isCloudinitLeftOut && isCloudinit(drive));
}

/** The drives of a section that are there and can be parsed. */
export function drivesOf(section: Section): [string, Drive][] {
  return QEMU_DRIVES.flatMap((key) => {
    const drive = parseDrive(key, section.get(key));
    return drive === undefined ? [] : [[key, drive] as [string, Drive]];
  });
}

/** Where the cloud-init drive is, other than at `except`. */
export function cloudinitAt(section: Section, except?: string): string | undefined {
  return drivesOf(section).find(([key, drive]) => key !== except && isCloudinit(drive))?.[0];
}

/** Lists a volume under the lowest free `unusedN`; not twice. Undefined when it was there or there is no room. */
export function addUnused(section: Section, volumeId: string): string | undefined {
  const keys = Array.from({ length: MAX_UNUSED }, (_, index) => `unused${index}`);
  if (keys.some((key) => section.get(key) === volumeId)) return undefined;
  const key = keys.find((candidate) => !isTrue(section.get(candidate)));
  if (key !== undefined) section.set(key, volumeId);
  return key;
}

/** The devices of a `boot: order=…`, empty for the legacy form. */
export function bootOrder(boot: string | null | undefined): string[] {
  const order = /(?:^|,)order=([^,]+)/.exec(boot ?? "")?.[1];
  return splitList(order);
}

/** "order=a;b"; empty text when there is no device. */
export function printBootOrder(devices: readonly string[]): string {
  return devices.length === 0 ? "" : `order=${devices.join(";")}`;
}

/** Size in bytes of the disk that the guest boots from; 0 without one. */
export function bootDiskSize(section: Section): number {
  const order = bootOrder(section.get("boot"));
  const firstDisk = drivesOf(section).find(([, drive]) => !isCdrom(drive))?.[0];
  const candidates = order.length > 0 ? order : [section.get("bootdisk") ?? firstDisk ?? ""];
  for (const key of candidates.filter(isQemuDrive)) {
    const drive = parseDrive(key, section.get(key));
    if (drive !== undefined && !isCdrom(drive)) return parseSize(drive.get("size") ?? "") ?? 0;
  }
  return 0;
}
