import { BOOLEAN_OFF, BOOLEAN_ON } from "../booleans.ts";
import { decimal, integer } from "../numbers.ts";
import { propertyField } from "../property-field.ts";
import { subKeys } from "../property-format.ts";
import { rangeSet } from "../ranges.ts";
import { TEXT, matching, oneOf } from "../text-rules.ts";
import { withDefault, type ValueRule } from "../value-rule.ts";

/** VM hardware that is neither disk, network nor processor: property strings kept raw by Proxmox (docs/proxmox.md row 64). */

export const VGA = propertyField({
  defaultKey: "type",
  subKeys: subKeys({
    type: oneOf([
      "cirrus", "qxl", "qxl2", "qxl3", "qxl4", "none", "serial0", "serial1", "serial2", "serial3", "std", "virtio", "virtio-gl", "vmware",
    ], "std"),
    memory: integer({ minimum: 4, maximum: 512 }),
    clipboard: oneOf(["vnc"]),
  }),
});

export const RANDOM_SOURCE = propertyField({
  defaultKey: "source",
  required: ["source"],
  subKeys: subKeys({
    source: oneOf(["/dev/urandom", "/dev/random", "/dev/hwrng"]),
    max_bytes: integer({ byDefault: "1024" }),
    period: integer({ byDefault: "1000" }),
  }),
});

export const WATCHDOG = propertyField({
  defaultKey: "model",
  subKeys: subKeys({
    model: oneOf(["i6300esb", "ib700"]),
    action: oneOf(["reset", "shutdown", "poweroff", "pause", "debug", "none"]),
  }),
});

export const AUDIO = propertyField({
  required: ["device"],
  subKeys: subKeys({ device: oneOf(["ich9-intel-hda", "intel-hda", "AC97"]), driver: oneOf(["spice", "none"], "spice") }),
});

export const SHARED_MEMORY = propertyField({
  required: ["size"],
  subKeys: subKeys({ size: integer({ minimum: 1 }), name: matching(/^[a-zA-Z0-9-]+$/, "letters, digits and hyphens") }),
});

/** Memory encryption; nothing is assumed of what a later Proxmox adds. */
export const AMD_SEV = propertyField({
  defaultKey: "type",
  required: ["type"],
  isOpen: true,
  subKeys: subKeys({
    type: oneOf(["std", "es", "snp"]),
    "allow-smt": BOOLEAN_ON,
    "kernel-hashes": BOOLEAN_OFF,
    "no-debug": BOOLEAN_OFF,
    "no-key-sharing": BOOLEAN_OFF,
  }),
});

/** Proxmox requires `attestation` to be said, and does not publish which types there are. */
export const INTEL_TDX = propertyField({
  defaultKey: "type",
  required: ["type", "attestation"],
  isOpen: true,
  subKeys: subKeys({
    type: TEXT,
    attestation: BOOLEAN_ON,
    "vsock-cid": integer({ minimum: 2 }),
    "vsock-port": integer({ minimum: 0 }),
  }),
});

export const SPICE_ENHANCEMENTS = propertyField({
  subKeys: subKeys({ foldersharing: BOOLEAN_OFF, videostreaming: oneOf(["off", "all", "filter"], "off") }),
});

export const VIRTIOFS = propertyField({
  defaultKey: "dirid",
  required: ["dirid"],
  subKeys: subKeys({
    dirid: TEXT,
    cache: oneOf(["auto", "always", "metadata", "never"], "auto"),
    "direct-io": BOOLEAN_OFF,
    "expose-acl": BOOLEAN_OFF,
    "expose-xattr": BOOLEAN_OFF,
  }),
});

/** Vendor and product numbers may carry 0x and any case. */
const USB_HOST: ValueRule = {
  expected: '"spice", "vendor:product" or "bus-port"',
  canonical: (text) => text.toLowerCase().replace(/(^|:)(?:0x)+/g, "$1"),
  isWritable: (text) => /^(?:spice|[0-9a-f]{4}:[0-9a-f]{4}|\d+-\d+(?:\.\d+)*)$/.test(text),
};

export const USB = propertyField({
  defaultKey: "host",
  subKeys: subKeys({ host: USB_HOST, mapping: TEXT, usb3: BOOLEAN_OFF }),
});

const PCI_ADDRESS = /^(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-9a-f])?$/;

/** One or more PCI addresses; the domain 0000 may be left out. */
const PCI_HOST: ValueRule = {
  expected: 'PCI addresses such as "01:00.0", joined with ";"',
  joiner: ";",
  canonical: (text) => text.toLowerCase().split(";").map((address) => address.replace(/^(?:0000:)+/, "")).join(";"),
  isWritable: (text) => text.split(";").every((address) => PCI_ADDRESS.test(address)),
};

const HEX_ID: ValueRule = {
  expected: "a hexadecimal number of four digits",
  canonical: (text) => `0x${text.toLowerCase().replace(/^0x/, "")}`,
  isWritable: (text) => /^0x[0-9a-f]{4}$/.test(text),
};

export const PCI = propertyField({
  defaultKey: "host",
  subKeys: subKeys({
    host: PCI_HOST,
    mapping: TEXT,
    mdev: TEXT,
    romfile: TEXT,
    driver: oneOf(["vfio", "keep"], "vfio"),
    "legacy-igd": BOOLEAN_OFF,
    pcie: BOOLEAN_OFF,
    rombar: BOOLEAN_ON,
    "x-vga": BOOLEAN_OFF,
    "device-id": HEX_ID,
    "sub-device-id": HEX_ID,
    "sub-vendor-id": HEX_ID,
    "vendor-id": HEX_ID,
  }),
});

/** numaN: CPU and host node ranges are sets (docs/proxmox.md row 58). */
export const NUMA_NODE = propertyField({
  required: ["cpus"],
  subKeys: subKeys({
    cpus: rangeSet(";"),
    hostnodes: rangeSet(";"),
    memory: decimal({ minimum: 0 }),
    policy: oneOf(["preferred", "bind", "interleave"]),
  }),
});

/** devN of a container; the mode is octal text, not a number (docs/proxmox.md row 82). */
export const LXC_DEVICE = propertyField({
  defaultKey: "path",
  subKeys: subKeys({
    path: matching(/^\/dev\//, "a path under /dev"),
    "deny-write": BOOLEAN_OFF,
    gid: integer({ minimum: 0 }),
    uid: integer({ minimum: 0 }),
    mode: matching(/^0[0-7]{3}$/, 'an octal mode such as "0660"'),
  }),
});

/** A container's features; `mount` is a set (docs/proxmox.md row 78). */
export const LXC_FEATURES = propertyField({
  subKeys: subKeys({
    force_rw_sys: BOOLEAN_OFF,
    fuse: BOOLEAN_OFF,
    keyctl: BOOLEAN_OFF,
    mknod: BOOLEAN_OFF,
    nesting: BOOLEAN_OFF,
    mount: withDefault(fileSystems(), ""),
  }),
});

function fileSystems(): ValueRule {
  return {
    expected: 'file system types joined with ";"',
    joiner: ";",
    canonical: (text) => [...new Set(text.split(/[;\s]+/).filter((name) => name !== ""))].sort().join(";"),
    isWritable: (text) => /^[a-zA-Z0-9_;]+$/.test(text),
  };
}
