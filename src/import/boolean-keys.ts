import type { GuestKind } from "../guest/key.ts";

/**
 * What Proxmox's own schema calls a boolean, of everything a declaration may be made of; a test holds
 * these lists against that schema. Written as true and false, the rest as it stands.
 */
const KEYS: Readonly<Record<GuestKind, ReadonlySet<string>>> = {
  qemu: new Set([
    "acpi", "allow-ksm", "autostart", "ciupgrade", "freeze", "keephugepages", "kvm", "localtime", "numa", "onboot", "protection", "reboot",
    "tablet", "tdf", "template",
  ]),
  lxc: new Set(["console", "debug", "onboot", "protection", "template", "unprivileged"]),
};

/** Sub-keys by the stem of their key; other names of a sub-key stand beside it. */
const SUB_KEYS: Readonly<Record<string, ReadonlySet<string>>> = {
  "qemu agent": new Set(["enabled", "freeze-fs", "freeze-fs-on-backup", "fstrim_cloned_disks", "guest-fsfreeze"]),
  "qemu cpu": new Set(["hidden"]),
  "qemu net": new Set(["firewall", "host-tunnel", "link_down"]),
  "lxc net": new Set(["firewall", "host-managed", "link_down"]),
};

/** Whether Proxmox reads the key's whole value as a boolean. */
export function isBooleanKey(kind: GuestKind, key: string): boolean {
  return KEYS[kind].has(key);
}

/** @param stem the key without its number: "net" for "net0" */
export function isBooleanSubKey(kind: GuestKind, stem: string, subKey: string): boolean {
  return SUB_KEYS[`${kind} ${stem}`]?.has(subKey) === true;
}
