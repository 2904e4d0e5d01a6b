import type { SubParameters } from "./types.ts";

/**
 * The property strings whose sub-keys Proxmox's published schema leaves out: it names the format only.
 * Known from its usage texts and its source (docs/proxmox.md rows 50 to 71). What grows from release to
 * release (CPU models, flags) is not enumerated: a value that is not known here may be known there.
 */
const TEXT = { type: "string" } as const;
const FLAG = { type: "boolean" } as const;
const WHOLE = { type: "integer" } as const;
/** One item: the list's separators are normalize/'s. */
const BOOT_DEVICE = "(?:ide|sata|scsi|virtio|unused|net|usb|hostpci)\\d+";
const HEX_ID = { type: "string", pattern: "(?:0x)?[0-9a-fA-F]{4}" } as const;

export const NAMED_FORMATS: Readonly<Record<string, SubParameters>> = {
  "pve-qm-boot": { legacy: { ...TEXT, isDefaultKey: true, pattern: "[acdn]{1,4}" }, order: { ...TEXT, pattern: BOOT_DEVICE } },
  "pve-qm-cicustom": { meta: TEXT, network: TEXT, user: TEXT, vendor: TEXT },
  "pve-qm-ipconfig": {
    gw: { ...TEXT, format: "ipv4" },
    gw6: { ...TEXT, format: "ipv6" },
    ip: { ...TEXT, format: "pve-ipv4-config" },
    ip6: { ...TEXT, format: "pve-ipv6-config" },
  },
  "pve-qm-rng": {
    source: { ...TEXT, isDefaultKey: true, enum: ["/dev/urandom", "/dev/random", "/dev/hwrng"] },
    max_bytes: WHOLE,
    period: WHOLE,
  },
  "pve-qm-watchdog": {
    model: { ...TEXT, isDefaultKey: true, enum: ["i6300esb", "ib700"] },
    action: { ...TEXT, enum: ["reset", "shutdown", "poweroff", "pause", "debug", "none"] },
  },
  // The fields may be plain or, with base64=1, encoded: both are text here.
  "pve-qm-smbios1": { base64: FLAG, uuid: { ...TEXT, format: "uuid" }, version: TEXT, serial: TEXT, manufacturer: TEXT, product: TEXT, sku: TEXT, family: TEXT },
  "pve-qm-hostpci": {
    host: { ...TEXT, isDefaultKey: true },
    mapping: TEXT,
    driver: { ...TEXT, enum: ["vfio", "keep"] },
    "device-id": HEX_ID,
    "vendor-id": HEX_ID,
    "sub-device-id": HEX_ID,
    "sub-vendor-id": HEX_ID,
    "legacy-igd": FLAG,
    mdev: TEXT,
    pcie: FLAG,
    rombar: FLAG,
    romfile: TEXT,
    "x-vga": FLAG,
  },
  "pve-qemu-sev-fmt": { type: { ...TEXT, isDefaultKey: true }, "allow-smt": FLAG, "kernel-hashes": FLAG, "no-debug": FLAG, "no-key-sharing": FLAG },
  "pve-qemu-tdx-fmt": { type: { ...TEXT, isDefaultKey: true }, attestation: FLAG, "vsock-cid": WHOLE, "vsock-port": WHOLE },
  "pve-vm-cpu-conf": {
    cputype: { ...TEXT, isDefaultKey: true },
    flags: TEXT,
    hidden: FLAG,
    "hv-vendor-id": { ...TEXT, pattern: "[a-zA-Z0-9]{1,12}" },
    level: WHOLE,
    "guest-phys-bits": { type: "integer", minimum: 32, maximum: 64 },
    "phys-bits": { ...TEXT, pattern: "(?:host|[0-9]{1,2})" },
    "reported-model": TEXT,
  },
  "pve-startup-order": { order: { ...WHOLE, isDefaultKey: true, minimum: 0 }, up: { ...WHOLE, minimum: 0 }, down: { ...WHOLE, minimum: 0 } },
};

/** How a value of a named scalar format is judged. */
export interface ScalarFormat {
  /** Completes "expected …". */
  readonly expected: string;
  readonly accepts: (text: string) => boolean;
}

const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);
const IPV6 = /^(?=.*:)[0-9a-f:]+(?:\d+\.\d+\.\d+\.\d+)?(?:%\w+)?$/i;
/** Only a link-local address may name its interface, and only in a container's (docs/proxmox.md row 73). */
const LINK_LOCAL = /^(fe80:[^%]+)%[a-z][a-z0-9_]{1,20}(?:[:.]\d+)?$/i;
const DNS_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const DNS_NAME = new RegExp(`^(?:${DNS_LABEL}\\.)*${DNS_LABEL}$`);
const UNICAST_ADDRESS = /^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/i;
/** As Proxmox checks it: an address whose prefix is shorter is a mistake (docs/proxmox.md row 71). */
const NETWORK_BITS_MIN = 8;
const IPV4_BITS_MAX = 32;
const IPV6_BITS_MAX = 128;

function isIp(text: string): boolean {
  return IPV4.test(text) || IPV6.test(text);
}

function matching(pattern: RegExp, expected: string): ScalarFormat {
  return { expected, accepts: (text) => pattern.test(text) };
}

function isNetwork(text: string, address: RegExp, bitsMax: number): boolean {
  const [host = "", bits = "", ...rest] = text.split("/");
  return rest.length === 0 && address.test(host) && /^\d{1,3}$/.test(bits) && Number(bits) >= NETWORK_BITS_MIN && Number(bits) <= bitsMax;
}

// normalize/ reads them all for 0 and 1.
const TRUTH_WORD = /^(?:[01]|on|off|yes|no|true|false)$/i;

/** Every item of a list, split as Proxmox splits lists (docs/proxmox.md row 7). */
function each(accepts: (item: string) => boolean): (text: string) => boolean {
  return (text) => text.split(/[,;\s]+/).every((item) => item === "" || accepts(item));
}

/** Formats that are not here are not judged: volumes, devices, boot orders, time zones, encoded texts. */
export const SCALAR_FORMATS: Readonly<Record<string, ScalarFormat>> = {
  "dns-name": matching(DNS_NAME, "a DNS name: letters, digits, `-` and `.`"),
  "dns-name-list": { expected: "DNS names", accepts: each((item) => DNS_NAME.test(item)) },
  "address-list": { expected: "addresses or DNS names", accepts: each((item) => isIp(item) || DNS_NAME.test(item)) },
  "lxc-ip-with-ll-iface-list": { expected: "IP addresses such as 192.0.2.53, or fe80::1%eth0", accepts: each((item) => isIp(item.replace(LINK_LOCAL, "$1"))) },
  "mac-addr": matching(UNICAST_ADDRESS, "a unicast hardware address such as BC:24:11:2A:00:01"),
  "disk-size": matching(/^\d+(?:\.\d+)?[KMGT]?$/, "a size such as 32G"),
  ipv4: matching(IPV4, "an IPv4 address"),
  ipv6: matching(IPV6, "an IPv6 address"),
  "pve-ipv4-config": { expected: "dhcp, manual, or an IPv4 address with its prefix such as 192.0.2.10/24", accepts: (text) => text === "dhcp" || text === "manual" || isNetwork(text, IPV4, IPV4_BITS_MAX) },
  "pve-ipv6-config": { expected: "auto, dhcp, manual, or an IPv6 address with its prefix such as 2001:db8::10/64", accepts: (text) => ["auto", "dhcp", "manual"].includes(text) || isNetwork(text, IPV6, IPV6_BITS_MAX) },
  "pve-tag-list": { expected: "tags of letters, digits, `_`, `-`, `+` and `.`", accepts: each((item) => /^[a-z0-9_][a-z0-9_\-+.]*$/i.test(item)) },
  "pve-hotplug-features": { expected: "0, 1, or some of network, disk, cpu, memory, usb, cloudinit", accepts: (text) => TRUTH_WORD.test(text) || each((item) => ["network", "disk", "cpu", "memory", "usb", "cloudinit"].includes(item))(text) },
  uuid: matching(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, "a UUID"),
};
