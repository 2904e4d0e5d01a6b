import { isIPv4, isIPv6 } from "node:net";
import { CPU_MODELS } from "./cpu-models.ts";
import { isTrue, splitCommas, splitList } from "./perl.ts";
import { CONFIG_SCHEMAS } from "./schema.gen.ts";
import { isQemuDrive, type PropertySchema } from "./schema.ts";
import { parseSize } from "./sizes.ts";

/**
 * Proxmox's named formats: those of single values, which give a message when a value does not fit, and
 * those of property strings whose keys the published schema leaves out.
 */

/** A message (with its line end, as Proxmox has it), undefined when the value fits. */
export type ScalarFormat = (value: string) => string | undefined;

const DNS_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const DNS_NAME = new RegExp(`^(?:${DNS_LABEL}\\.)*${DNS_LABEL}$`);
const VOLUME_ID = /^[a-z][a-z0-9\-_.]*[a-z0-9]:.+$/i;
/** `store:32` asks for a new volume of 32 GiB (docs/proxmox.md row 30). */
const NEW_VOLUME = /^(?:[^/:\s]+:)?\d+(?:\.\d+)?$/;

function matching(pattern: RegExp, message: (value: string) => string): ScalarFormat {
  return (value) => (pattern.test(value) ? undefined : message(value));
}

const anything: ScalarFormat = () => undefined;

export const SCALAR_FORMATS: Readonly<Record<string, ScalarFormat>> = {
  "dns-name": matching(DNS_NAME, () => "value does not look like a valid DNS name\n"),
  "mac-addr": matching(/^[a-f0-9][02468ace](?::[a-f0-9]{2}){5}$/i, () => "value does not look like a valid unicast MAC address\n"),
  "pve-vmid": matching(/^[1-9][0-9]{2,8}$/, () => "value does not look like a valid VM ID\n"),
  "pve-node": matching(new RegExp(`^${DNS_LABEL}$`), () => "value does not look like a valid node name\n"),
  "pve-configid": matching(/^[a-z][a-z0-9_-]+$/i, (value) => `invalid configuration ID '${value}'\n`),
  "pve-storage-id": matching(/^[a-z][a-z0-9\-_.]*[a-z0-9]$/i, (value) => `storage ID '${value}' contains illegal characters\n`),
  "pve-poolid": anything,
  "pve-tag": matching(/^[a-z0-9_][a-z0-9_\-+.]*$/i, () => "invalid characters in tag\n"),
  "pve-task-status-type": matching(/^(?:ok|error|warning|unknown)$/i, (value) => `invalid status '${value}'\n`),
  "pve-bridge-id": matching(/^[-_.\w]+$/, () => "value does not look like a valid bridge id\n"),
  "pve-cpuset": matching(/^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/, () => "value does not look like a valid CPU set\n"),
  "pve-volume-id": matching(VOLUME_ID, (value) => `unable to parse volume ID '${value}'\n`),
  "pve-volume-id-or-qm-path": (value) => (isVolumeOrPath(value) ? undefined : `unable to parse volume ID '${value}'\n`),
  "pve-volume-id-or-absolute-path": (value) => (value.startsWith("/") || VOLUME_ID.test(value) ? undefined : `unable to parse volume ID '${value}'\n`),
  "pve-lxc-mp-string": (value) => (/(?:^|\/)\.\.?(?:\/|$)/.test(value) ? "path segments may not be '.' or '..'\n" : undefined),
  "pve-lxc-dev-string": matching(/^\/dev\//, (value) => `${value} is not a valid device path\n`),
  "pve-startup-order": (value) => (isStartup(value) ? undefined : "unable to parse startup options\n"),
  "pve-hotplug-features": (value) => (parseHotplug(value) === undefined ? "unable to parse hotplug option\n" : undefined),
  "pve-qm-bootdev": (value) => (isBootDevice(value) ? undefined : `invalid boot device '${value}'\n`),
  "pve-qm-bootdisk": (value) => (isQemuDrive(value) ? undefined : `invalid boot disk '${value}'\n`),
  "pve-ct-timezone": (value) => (isTimeZone(value) ? undefined : `invalid time zone '${value}'\n`),
  "disk-size": (value) => (parseSize(value) === undefined ? `value does not look like a valid disk size: ${value}\n` : undefined),
  urlencoded: matching(/^[-%a-zA-Z0-9_.!~*'()]*$/, (value) => `invalid urlencoded string: ${value}\n`),
  address: (value) => (isIp(value) || DNS_NAME.test(value) ? undefined : `value does not look like a valid address: ${value}\n`),
  "lxc-ip-with-ll-iface": (value) => (isIp(value.replace(/^(fe80:.*)%\w+$/i, "$1")) ? undefined : "value does not look like a valid IP address\n"),
  ipv4: (value) => (isIPv4(value) ? undefined : "value does not look like a valid IPv4 address\n"),
  ipv6: (value) => (isIPv6(value) ? undefined : "value does not look like a valid IPv6 address\n"),
  "pve-ipv4-config": (value) => (value === "dhcp" || value === "manual" || isCidr(value, isIPv4, 32) ? undefined : "value does not look like a valid ipv4 network configuration\n"),
  "pve-ipv6-config": (value) =>
    ["auto", "dhcp", "manual"].includes(value) || isCidr(value, isIPv6, 128) ? undefined : "value does not look like a valid ipv6 network configuration\n",
};

function isVolumeOrPath(value: string): boolean {
  return value === "none" || value === "cdrom" || value === "cloudinit" || value.startsWith("/") || VOLUME_ID.test(value) || NEW_VOLUME.test(value);
}

function isIp(value: string): boolean {
  return isIPv4(value) || isIPv6(value);
}

/** Shorter prefixes are refused by Proxmox (docs/proxmox.md row 71). */
const NETWORK_BITS_MIN = 8;

function isCidr(value: string, isAddress: (text: string) => boolean, bitsMax: number): boolean {
  const [address = "", bits = "", ...rest] = value.split("/");
  return rest.length === 0 && isAddress(address) && /^\d+$/.test(bits) && Number(bits) >= NETWORK_BITS_MIN && Number(bits) <= bitsMax;
}

function isBootDevice(value: string): boolean {
  return isQemuDrive(value) || /^(?:net|usb|hostpci)\d+$/.test(value);
}

function isTimeZone(value: string): boolean {
  if (value === "host") return true;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: value }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

function isStartup(value: string): boolean {
  if (!isTrue(value)) return false;
  return splitCommas(value).every((part) => /^\s*(?:(?:order=)?\d+|up=\d+|down=\d+)?\s*$/.test(part));
}

const HOTPLUG_FEATURES = ["network", "disk", "cpu", "memory", "usb", "cloudinit"];

/** The features of a `hotplug` value: "0" none, "1" the default ones; undefined when it says something else (docs/proxmox.md row 63). */
export function parseHotplug(value: string): ReadonlySet<string> | undefined {
  if (value === "0") return new Set();
  const names = value === "1" ? ["network", "disk", "usb"] : splitList(value);
  return names.every((name) => HOTPLUG_FEATURES.includes(name)) ? new Set(names) : undefined;
}

const OPTIONAL_TEXT = { type: "string", optional: 1 } as const;
const OPTIONAL_FLAG = { type: "boolean", optional: 1 } as const;
const OPTIONAL_INTEGER = { type: "integer", optional: 1 } as const;
const VOLUME = { type: "string", optional: 1, format: "pve-volume-id" } as const;
const HEX_ID = { type: "string", optional: 1, pattern: "0x[0-9a-fA-F]{4}" } as const;
const BASE64_TEXT = { type: "string", optional: 1, pattern: "[A-Za-z0-9+/]+={0,2}" } as const;

const QEMU_IDE = CONFIG_SCHEMAS.qemu["ide[n]"]?.format;

export const PROPERTY_FORMATS: Readonly<Record<string, PropertySchema>> = {
  "pve-qm-ide": typeof QEMU_IDE === "object" ? QEMU_IDE : {},
  "pve-qm-boot": {
    legacy: { type: "string", optional: 1, isDefaultKey: true, pattern: "[acdn]{1,4}" },
    order: { type: "string", optional: 1, format: "pve-qm-bootdev-list" },
  },
  "pve-qm-cicustom": { meta: VOLUME, network: VOLUME, user: VOLUME, vendor: VOLUME },
  "pve-qm-ipconfig": {
    gw: { type: "string", optional: 1, format: "ipv4", requires: "ip" },
    gw6: { type: "string", optional: 1, format: "ipv6", requires: "ip6" },
    ip: { type: "string", optional: 1, format: "pve-ipv4-config" },
    ip6: { type: "string", optional: 1, format: "pve-ipv6-config" },
  },
  "pve-qm-rng": {
    source: { type: "string", isDefaultKey: true, enum: ["/dev/urandom", "/dev/random", "/dev/hwrng"] },
    max_bytes: OPTIONAL_INTEGER,
    period: OPTIONAL_INTEGER,
  },
  "pve-qm-watchdog": {
    model: { type: "string", optional: 1, isDefaultKey: true, enum: ["i6300esb", "ib700"] },
    action: { type: "string", optional: 1, enum: ["reset", "shutdown", "poweroff", "pause", "debug", "none"] },
  },
  "pve-qm-smbios1": {
    base64: OPTIONAL_FLAG,
    uuid: { type: "string", optional: 1, pattern: "[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}" },
    version: BASE64_TEXT,
    serial: BASE64_TEXT,
    manufacturer: BASE64_TEXT,
    product: BASE64_TEXT,
    sku: BASE64_TEXT,
    family: BASE64_TEXT,
  },
  "pve-qm-hostpci": {
    host: { type: "string", optional: 1, isDefaultKey: true },
    mapping: { type: "string", optional: 1, format: "pve-configid" },
    driver: { type: "string", optional: 1, enum: ["vfio", "keep"] },
    "device-id": HEX_ID,
    "vendor-id": HEX_ID,
    "sub-device-id": HEX_ID,
    "sub-vendor-id": HEX_ID,
    "legacy-igd": OPTIONAL_FLAG,
    mdev: OPTIONAL_TEXT,
    pcie: OPTIONAL_FLAG,
    rombar: OPTIONAL_FLAG,
    romfile: OPTIONAL_TEXT,
    "x-vga": OPTIONAL_FLAG,
  },
  "pve-qemu-sev-fmt": {
    type: { type: "string", isDefaultKey: true, enum: ["std", "es", "snp"] },
    "allow-smt": OPTIONAL_FLAG,
    "kernel-hashes": OPTIONAL_FLAG,
    "no-debug": OPTIONAL_FLAG,
    "no-key-sharing": OPTIONAL_FLAG,
  },
  "pve-qemu-tdx-fmt": {
    // Which types there are is not published.
    type: { type: "string", isDefaultKey: true },
    attestation: { type: "boolean" },
    "vsock-cid": OPTIONAL_INTEGER,
    "vsock-port": OPTIONAL_INTEGER,
  },
  "pve-vm-cpu-conf": {
    cputype: { type: "string", optional: 1, isDefaultKey: true },
    flags: { type: "string", optional: 1, pattern: "[+-][a-zA-Z0-9\\-_.]+(?:;[+-][a-zA-Z0-9\\-_.]+)*" },
    hidden: OPTIONAL_FLAG,
    "hv-vendor-id": { type: "string", optional: 1, pattern: "[a-zA-Z0-9]{1,12}" },
    level: OPTIONAL_INTEGER,
    "guest-phys-bits": { type: "integer", optional: 1, minimum: 32, maximum: 64 },
    "phys-bits": { type: "string", optional: 1, pattern: "(?:host|[0-9]{1,2})" },
    "reported-model": OPTIONAL_TEXT,
  },
};

/** What a named property string must fulfil beyond its keys. */
export const PROPERTY_CHECKS: Readonly<Record<string, (parsed: ReadonlyMap<string, string>) => string | undefined>> = {
  "pve-vm-cpu-conf": (parsed) => {
    const model = parsed.get("cputype");
    if (model === undefined || model.startsWith("custom-") || CPU_MODELS.has(model)) return undefined;
    return `Built-in cputype '${model}' is not defined (missing 'custom-' prefix?)\n`;
  },
};
