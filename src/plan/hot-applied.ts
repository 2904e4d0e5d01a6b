import type { GuestKind } from "../guest/key.ts";
import type { RawConfig, RawValue, RunState } from "../guest/observed.ts";
import { isCloudInitDrive } from "../normalize/fields/drive-place.ts";
import { parseProperties, valueOf } from "../normalize/property-string.ts";
import { isNetworkKey } from "./keys.ts";

/**
 * When a change of a running guest takes effect (docs/proxmox.md "Running guests", rows O14 to O18;
 * seen key by key on a running VM, Proxmox VE 9.2). What is not known to apply at once waits.
 */
export type Applies = "now" | "next restart" | "next cloud-init drive";

/** Which keys Proxmox applies to a running guest at once; all others wait in its pending section. */
const APPLIED_AT_ONCE: Readonly<Record<GuestKind, ReadonlySet<string>>> = {
  qemu: new Set([
    "cpulimit", "cpuunits", "description", "hookscript", "lock", "migrate_downtime", "migrate_speed",
    "name", "onboot", "protection", "shares", "startup", "tags", "vmstatestorage",
  ]),
  lxc: new Set([
    "cores", "cpulimit", "cpuunits", "description", "hookscript", "hostname", "lock", "memory", "onboot", "protection",
    "startup", "swap", "tags",
  ]),
};

/** Kept on the cloud-init drive, which the guest reads when it starts. */
const CLOUD_INIT_KEY = /^(?:cicustom|cipassword|citype|ciupgrade|ciuser|nameserver|searchdomain|sshkeys|ipconfig\d+)$/;

/** Whether the key is a cloud-init value, of a VM. */
export function isCloudInitKey(key: string): boolean {
  return CLOUD_INIT_KEY.test(key);
}

/** Whether Proxmox writes the key's value, or what follows from it, to the cloud-init drive. */
export function isOnCloudInitDrive(key: string): boolean {
  return isCloudInitKey(key) || key === "name" || isNetworkKey(key);
}

/** Proxmox's default for `hotplug`, also what "1" means (docs/proxmox.md row 63). */
const DEFAULT_HOTPLUG = "network,disk,usb";

/** A change as far as its moment depends on it. `send` undefined: the key is deleted. */
interface SentChange {
  readonly key: string;
  readonly send: string | undefined;
}

/** When `change` takes effect. `running`: the running view, whose `hotplug` is in force. */
export function appliesWhen(kind: GuestKind, { key, send }: SentChange, runState: RunState, running: RawConfig): Applies {
  if (runState === "stopped" || APPLIED_AT_ONCE[kind].has(key)) return "now";
  if (kind === "lxc") return isNetworkKey(key) ? "now" : "next restart";
  if (isCloudInitKey(key)) return waitsForDrive(running) ? "next cloud-init drive" : "now";
  return isHotApplied(key, send, running) ? "now" : "next restart";
}

function isHotApplied(key: string, send: string | undefined, running: RawConfig): boolean {
  if (isNetworkKey(key)) return isHotpluggable("network", running) || isSameDevice(textOf(running[key]), send);
  switch (key) {
    case "balloon":
      // The balloon device itself comes and goes with a restart only.
      return (textOf(running["balloon"]) === "0") === (send === "0");
    case "hotplug":
      return !/cpu|memory/.test(`${textOf(running["hotplug"])} ${send ?? ""}`);
    case "tablet":
      return isHotpluggable("usb", running);
    case "vcpus":
      return isHotpluggable("cpu", running);
    case "memory":
      return isHotpluggable("memory", running);
    default:
      return false;
  }
}

function isHotpluggable(feature: string, running: RawConfig): boolean {
  const written = textOf(running["hotplug"]) || DEFAULT_HOTPLUG;
  const features = written === "1" ? DEFAULT_HOTPLUG : written;
  return features.split(/[,;\s]+/).includes(feature);
}

/** What a plugged NIC cannot change; bridge, VLAN, firewall, rate and link change without a new device. */
const DEVICE_OPTIONS = ["queues", "mtu"];

function isSameDevice(before: string, send: string | undefined): boolean {
  if (before === "" || send === undefined) return false;
  const [old, wanted] = [parseProperties(before, undefined), parseProperties(send, undefined)];
  if (old === undefined || wanted === undefined) return false;
  const [device, sent] = [old[0], wanted[0]];
  if (device?.key !== sent?.key || device?.value !== sent?.value) return false;
  const isKept = DEVICE_OPTIONS.every((option) => Number(valueOf(old, option) ?? 0) === Number(valueOf(wanted, option) ?? 0));
  return isKept && valueOf(old, "bridge") !== undefined && valueOf(wanted, "bridge") !== undefined;
}

/** A guest without a cloud-init drive has nothing to wait for; with `hotplug` cloudinit the drive follows at once. */
function waitsForDrive(running: RawConfig): boolean {
  return hasCloudInitDrive(running) && !isHotpluggable("cloudinit", running);
}

const DRIVE_KEY = /^(?:ide|sata|scsi|virtio)\d+$/;

/** Whether one of the guest's drives is the one that Proxmox writes cloud-init values to. */
export function hasCloudInitDrive(config: RawConfig): boolean {
  for (const key in config) if (DRIVE_KEY.test(key) && isCloudInitDrive(textOf(config[key]))) return true;
  return false;
}

function textOf(value: RawValue | undefined): string {
  return value === undefined ? "" : String(value).trim();
}
