import type { DeclaredValue } from "../guest/declared.ts";
import type { GuestKind } from "../guest/key.ts";
import { parseProperties } from "../normalize/property-string.ts";

/**
 * Which privileges Proxmox asks for a change of one config key, as its own checks do it
 * (check_vm_modify_config_perm for VMs, its counterpart for containers; docs/doctor.md, "Privileges").
 * Pure. A key that is in no table is root's alone on VMs, and VM.Config.Options on containers.
 */

/** Any one of `anyOf` on `path` will do. */
export interface Need {
  readonly path: string;
  readonly anyOf: readonly string[];
}

export type KeyNeeds =
  | { readonly type: "privileges"; readonly needs: readonly Need[] }
  /** Proxmox takes it from root@pam's own login only, never from a token. */
  | { readonly type: "root_only" };

/** What is needed to change `key` of a guest to `value` (null: to delete it). */
export function needsOfKey(kind: GuestKind, vmid: number, key: string, value: DeclaredValue): KeyNeeds {
  const text = declaredText(value);
  const base = key.replace(/\d+$/, "");
  const onGuest = (...names: readonly string[]): KeyNeeds => ({ type: "privileges", needs: names.map((name) => ({ path: `/vms/${vmid}`, anyOf: [name] })) });
  if (base === "net" && base !== key) return withBridge(vmid, text);
  return kind === "qemu" ? qemuNeeds(vmid, key, base, text, onGuest) : lxcNeeds(key, base, text, onGuest);
}

type OnGuest = (...names: readonly string[]) => KeyNeeds;

const ROOT_ONLY: KeyNeeds = { type: "root_only" };

const QEMU_PRIVILEGES: Readonly<Record<string, string>> = {
  ...table("VM.Config.CPU", ["cores", "cpu", "cpulimit", "cpuunits", "numa", "smp", "sockets", "vcpus"]),
  ...table("VM.Config.Memory", ["memory", "balloon", "shares", "allow-ksm"]),
  ...table("VM.Config.HWType", ["acpi", "hotplug", "kvm", "machine", "scsihw", "smbios1", "tablet", "vga", "watchdog", "audio0", "rng0"]),
  ...table("VM.Config.Options", [
    "agent", "autostart", "bios", "description", "keyboard", "localtime", "migrate_downtime", "migrate_speed", "name", "onboot",
    "ostype", "protection", "reboot", "startdate", "startup", "tags", "tdf", "template",
  ]),
  ...table("VM.Config.Disk", ["boot", "bootdisk", "vmstatestorage"]),
  freeze: "VM.PowerMgmt",
};

const CLOUD_INIT_KEYS: ReadonlySet<string> = new Set(["cicustom", "cipassword", "citype", "ciuser", "ciupgrade", "nameserver", "searchdomain", "sshkeys"]);

const DRIVE_KEY = /^(?:(?:ide|sata|scsi|virtio)\d+|efidisk0|tpmstate0|cdrom)$/;

function qemuNeeds(vmid: number, key: string, base: string, text: string, onGuest: OnGuest): KeyNeeds {
  const privilege = QEMU_PRIVILEGES[key];
  // What happens at the host's boot is the host's business (Sys.Modify), whoever owns the guest.
  if (key === "startup") return { type: "privileges", needs: [{ path: `/vms/${vmid}`, anyOf: ["VM.Config.Options"] }, { path: "/", anyOf: ["Sys.Modify"] }] };
  if (privilege !== undefined) return onGuest(privilege);
  if (CLOUD_INIT_KEYS.has(key) || isIndexed(key, "ipconfig")) {
    return { type: "privileges", needs: [{ path: `/vms/${vmid}`, anyOf: ["VM.Config.Cloudinit", "VM.Config.Network"] }] };
  }
  if (DRIVE_KEY.test(key)) return driveNeeds(key, text, onGuest);
  if (key === "vmstate") return onGuest("VM.Config.Disk", "VM.PowerMgmt");
  if (base === key) return ROOT_ONLY;
  if (base === "numa") return onGuest("VM.Config.CPU");
  if (base === "unused" || base === "virtiofs") return onGuest("VM.Config.Disk");
  return deviceNeeds(base, text, onGuest);
}

function driveNeeds(key: string, text: string, onGuest: OnGuest): KeyNeeds {
  if (/cloudinit/.test(text)) return onGuest("VM.Config.Cloudinit", "VM.Config.CDROM");
  return onGuest(key === "cdrom" || /(?:^|,)media=cdrom(?:,|$)/.test(text) ? "VM.Config.CDROM" : "VM.Config.Disk");
}

/** Serial ports, USB and PCI: a device of the host itself is root's, one that an administrator mapped is not. */
function deviceNeeds(base: string, text: string, onGuest: OnGuest): KeyNeeds {
  const isHarmless: Readonly<Record<string, boolean>> = {
    serial: text === "socket",
    usb: /mapping=|^(?:host=)?spice/i.test(text),
    hostpci: /mapping=/.test(text),
  };
  return isHarmless[base] === true ? onGuest("VM.Config.HWType") : ROOT_ONLY;
}

const LXC_PRIVILEGES: Readonly<Record<string, string>> = {
  ...table("VM.Config.CPU", ["cores", "cpulimit", "cpuunits"]),
  ...table("VM.Config.Memory", ["memory", "swap"]),
  ...table("VM.Config.Network", ["hostname", "nameserver", "searchdomain"]),
};

function lxcNeeds(key: string, base: string, text: string, onGuest: OnGuest): KeyNeeds {
  if (key === "rootfs" || isIndexed(key, "mp")) return /^(?:volume=)?\//.test(text) ? ROOT_ONLY : onGuest("VM.Config.Disk");
  if (isIndexed(key, "dev") || key === "hookscript" || base.startsWith("lxc")) return ROOT_ONLY;
  // Nesting alone may be set by who may create guests; anything else is root's.
  if (key === "features") return /^(?:nesting=[01])?$/.test(text) ? onGuest("VM.Allocate") : ROOT_ONLY;
  return onGuest(LXC_PRIVILEGES[key] ?? "VM.Config.Options");
}

/** A NIC needs the guest's privilege and the use of its bridge (and VLAN). */
function withBridge(vmid: number, text: string): KeyNeeds {
  const guest: Need = { path: `/vms/${vmid}`, anyOf: ["VM.Config.Network"] };
  const parts = new Map((parseProperties(text, "model") ?? []).map(({ key, value }) => [key, value] as const));
  const [bridge, tag] = [parts.get("bridge"), parts.get("tag")];
  if (bridge === undefined) return { type: "privileges", needs: [guest] };
  return { type: "privileges", needs: [guest, { path: `${BRIDGES}/${bridge}${tag === undefined ? "" : `/${tag}`}`, anyOf: ["SDN.Use"] }] };
}

/** Bridges that no SDN zone owns are in this one. */
export const BRIDGES = "/sdn/zones/localnetwork";

function isIndexed(key: string, base: string): boolean {
  return key.startsWith(base) && /^\d+$/.test(key.slice(base.length));
}

/** A declared value as Proxmox's text, near enough to tell what sort of value it is. */
function declaredText(value: DeclaredValue): string {
  if (value === null) return "";
  if (typeof value !== "object") return String(value);
  if (isList(value)) return value.join(";");
  const parts = Object.entries(value).filter(([, part]) => part !== null);
  return parts.map(([name, part]) => `${name}=${declaredText(part)}`).join(",");
}

function isList(value: DeclaredValue): value is readonly (string | number | boolean)[] {
  return Array.isArray(value);
}

function table(privilege: string, keys: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(keys.map((key) => [key, privilege]));
}
