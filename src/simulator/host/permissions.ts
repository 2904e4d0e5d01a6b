import type { GuestKind } from "../../guest/key.ts";
import type { Caller } from "../api.ts";
import type { Section } from "./config-file.ts";
import { Died } from "./died.ts";
import type { Host } from "./host.ts";
import { NEW_VOLUME } from "./drive.ts";
import { readNet } from "./net.ts";
import { splitList } from "./perl.ts";
import { CONFIG_SCHEMAS } from "./schema.gen.ts";
import { isQemuDrive } from "./schema.ts";
import { parsePropertyString, type Values } from "./verify.ts";

/**
 * Who may change what: privileges per configuration key, storages, bridges and tags. A root@pam token
 * is not root here (docs/proxmox.md row 48): only a login is.
 */

/** Dies with 403 unless the caller has all of these privileges. */
export function need(caller: Caller, path: string, ...privileges: readonly string[]): void {
  const missing = privileges.find((privilege) => !caller.can(path, privilege));
  if (missing !== undefined) throw Died.permission(`${path}, ${missing}`);
}

/** Dies with 403 unless the caller has one of these privileges. */
export function needAny(caller: Caller, path: string, privileges: readonly string[]): void {
  if (!privileges.some((privilege) => caller.can(path, privilege))) throw Died.permission(`${path}, ${privileges.join("|")}`);
}

const QEMU_PRIVILEGES: ReadonlyMap<string, string> = new Map([
  ...["cores", "cpu", "runningcpu", "cpulimit", "cpuunits", "numa", "smp", "sockets", "vcpus"].map((key) => [key, "VM.Config.CPU"] as const),
  ...["memory", "balloon", "shares", "allow-ksm"].map((key) => [key, "VM.Config.Memory"] as const),
  ...["acpi", "hotplug", "kvm", "machine", "runningmachine", "scsihw", "smbios1", "tablet", "vga", "watchdog", "audio0", "rng0"].map((key) => [key, "VM.Config.HWType"] as const),
  ...["agent", "autostart", "bios", "description", "keyboard", "localtime", "migrate_downtime", "migrate_speed", "name", "onboot"].map((key) => [key, "VM.Config.Options"] as const),
  ...["ostype", "protection", "reboot", "startdate", "startup", "tdf", "template"].map((key) => [key, "VM.Config.Options"] as const),
  ...["boot", "bootdisk", "vmstatestorage"].map((key) => [key, "VM.Config.Disk"] as const),
  ["freeze", "VM.PowerMgmt"],
  ["running-nets-host-mtu", "VM.Config.Network"],
]);

const CLOUDINIT_KEYS = new Set(["cicustom", "cipassword", "citype", "ciuser", "ciupgrade", "nameserver", "searchdomain", "sshkeys"]);

/** Privileges for changing these keys of a QEMU guest; drives, serial ports and the like are checked where their value is known. */
export function needForQemuKeys(caller: Caller, vmid: number, keys: Iterable<string>): void {
  if (caller.isRootLogin) return;
  const path = `/vms/${vmid}`;
  for (const key of keys) {
    if (isQemuDrive(key) || key === "cdrom" || key === "tags" || /^(?:unused|serial|usb|hostpci|virtiofs)\d+$/.test(key)) continue;
    const privilege = /^numa\d+$/.test(key) ? "VM.Config.CPU" : /^net\d+$/.test(key) ? "VM.Config.Network" : QEMU_PRIVILEGES.get(key);
    if (privilege !== undefined) need(caller, path, privilege);
    else if (CLOUDINIT_KEYS.has(key) || /^ipconfig\d+$/.test(key)) needAny(caller, path, ["VM.Config.Cloudinit", "VM.Config.Network"]);
    else if (key === "vmstate") need(caller, path, "VM.Config.Disk", "VM.PowerMgmt");
    else throw Died.because(`only root can set '${key}' config`);
    if (key === "startup") need(caller, "/", "Sys.Modify");
  }
}

/** Tags: VM.Config.Options, and Sys.Modify on / for registered ones (docs/proxmox.md row 21). */
export function needForTags(host: Host, caller: Caller, vmid: number, before: string, after: string): void {
  if (caller.isRootLogin) return;
  need(caller, `/vms/${vmid}`, "VM.Config.Options");
  if (caller.can("/", "Sys.Modify")) return;
  const [old, wanted] = [new Set(splitList(before)), new Set(splitList(after))];
  const registered = host.datacenter.registeredTags();
  for (const tag of new Set([...old, ...wanted])) {
    if (old.has(tag) !== wanted.has(tag) && registered.has(tag)) throw Died.permission(`/, Sys.Modify for modifying tag '${tag}'`);
  }
}

/** SDN.Use on the bridge (and VLAN) of an interface. */
export function needForBridge(caller: Caller, kind: GuestKind, value: string): void {
  if (caller.isRootLogin) return;
  const net = readNet(kind, value);
  const bridge = net.get("bridge");
  if (bridge === undefined) return;
  const tag = net.get("tag");
  const zone = `/sdn/zones/localnetwork/${bridge}`;
  need(caller, tag === undefined ? zone : `${zone}/${tag}`, "SDN.Use");
}

/** Use of a volume that exists (or should): one's own is free, others' need rights on the storage. */
export function needForVolume(host: Host, caller: Caller, vmid: number, volumeId: string): void {
  if (!/^[^/:]+:.+/.test(volumeId)) {
    if (!caller.isRootLogin) throw Died.because("Only root can pass arbitrary filesystem paths.");
    return;
  }
  const { content, vmid: owner, storage } = host.storages.parseName(volumeId);
  const path = `/storage/${storage.id}`;
  if (content === "iso" || content === "vztmpl") needAny(caller, path, ["Datastore.AllocateSpace", "Datastore.Audit"]);
  else if (owner !== vmid) need(caller, path, "Datastore.Allocate");
}

const LXC_PRIVILEGES: Readonly<Record<string, string>> = {
  cores: "VM.Config.CPU",
  cpuunits: "VM.Config.CPU",
  cpulimit: "VM.Config.CPU",
  memory: "VM.Config.Memory",
  swap: "VM.Config.Memory",
  nameserver: "VM.Config.Network",
  searchdomain: "VM.Config.Network",
  hostname: "VM.Config.Network",
};

/** Privileges for setting (`values`) or deleting (`values` undefined) these keys of a container. */
export function needForLxcKeys(host: Host, caller: Caller, vmid: number, main: Section, keys: Iterable<string>, values: Values | undefined): void {
  if (caller.isRootLogin) return;
  for (const key of keys) needForLxcKey(host, caller, { vmid, main, key, value: values?.get(key) ?? undefined });
}

interface LxcKeyChange {
  readonly vmid: number;
  readonly main: Section;
  readonly key: string;
  /** Undefined: it is deleted. */
  readonly value: string | undefined;
}

function needForLxcKey(host: Host, caller: Caller, change: LxcKeyChange): void {
  const { vmid, main, key, value } = change;
  const path = `/vms/${vmid}`;
  if (key === "rootfs" || /^mp\d+$/.test(key)) {
    need(caller, path, "VM.Config.Disk");
    if (value !== undefined) needForMountPoint(host, caller, vmid, key, value);
  } else if (/^net\d+$/.test(key)) {
    need(caller, path, "VM.Config.Network");
    const old = main.get(key);
    if (old !== undefined && old !== null) needForBridge(caller, "lxc", old);
    if (value !== undefined) needForBridge(caller, "lxc", value);
  } else if (/^dev\d+$/.test(key)) throw Died.permission("configuring device passthrough is only allowed for root@pam");
  else if (key === "features") needForFeatures(caller, change);
  else if (key === "hookscript") throw Died.permission("changing the hookscript is only allowed for root@pam");
  else if (key === "tags") needForTags(host, caller, vmid, main.get("tags") ?? "", value ?? "");
  else need(caller, path, LXC_PRIVILEGES[key] ?? "VM.Config.Options");
}

function needForMountPoint(host: Host, caller: Caller, vmid: number, key: string, value: string): void {
  const format = CONFIG_SCHEMAS.lxc[key === "rootfs" ? "rootfs" : "mp[n]"]?.format;
  const parsed = typeof format === "object" ? parsePropertyString(format, value) : undefined;
  const volume = parsed?.ok === true ? (parsed.values.get("volume") ?? "") : "";
  if (volume.startsWith("/")) throw Died.permission(`mount point type ${volume.startsWith("/dev/") ? "device" : "bind"} is only allowed for root@pam`);
  const created = NEW_VOLUME.exec(volume);
  if (created !== null) need(caller, `/storage/${created[1] ?? ""}`, "Datastore.AllocateSpace");
  else needForVolume(host, caller, vmid, volume);
}

function featuresOf(text: string | null | undefined): ReadonlyMap<string, string> {
  const parts = (text ?? "").split(",").filter((part) => part !== "");
  return new Map(parts.map((part) => [part.split("=")[0] ?? "", part.split("=")[1] ?? ""]));
}

/** Nesting needs VM.Allocate, anything else root; a privileged container's features always root. */
function needForFeatures(caller: Caller, change: LxcKeyChange): void {
  if (change.main.get("unprivileged") !== "1") throw Died.permission("changing feature flags for privileged container is only allowed for root@pam");
  const [before, after] = [featuresOf(change.main.get("features")), featuresOf(change.value)];
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter((feature) => (before.get(feature) ?? "") !== (after.get(feature) ?? ""));
  if (changed.some((feature) => feature !== "nesting")) throw Died.permission("changing feature flags (except nesting) is only allowed for root@pam");
  if (changed.length > 0) need(caller, `/vms/${change.vmid}`, "VM.Allocate");
}
