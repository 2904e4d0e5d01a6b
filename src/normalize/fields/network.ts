import { BOOLEAN_OFF } from "../booleans.ts";
import { decimal, integer } from "../numbers.ts";
import { propertyField } from "../property-field.ts";
import { subKeys, type PropertyFormat } from "../property-format.ts";
import { valueOf, type Property } from "../property-string.ts";
import { numberSet, rangeSet } from "../ranges.ts";
import { IPV4_ADDRESS, IPV6_ADDRESS, MAC_RULE, TEXT, ipv4Config, ipv6Config, matching, oneOf } from "../text-rules.ts";
import type { NormalizeContext } from "../types.ts";

const MODELS = [
  "e1000", "e1000-82540em", "e1000-82544gc", "e1000-82545em", "e1000e", "i82551", "i82557b", "i82559er",
  "ne2k_isa", "ne2k_pci", "pcnet", "rtl8139", "virtio", "vmxnet3",
];
const KNOWN_MODELS = new Set(MODELS);

/** Highest VLAN number. */
const VLAN_MAX = 4094;
const TAG_RULE = integer({ minimum: 1, maximum: VLAN_MAX });
const INTERFACE_NAME = matching(/^[-_.\w]+$/, "a name of letters, digits, hyphens, dots and underscores");

// The release from which a virtio NIC without mtu takes the bridge's, which mtu=1 has always asked for.
const MTU_FROM_BRIDGE_MAJOR = 9;

function defaultMtu(context: NormalizeContext): string | undefined {
  return context.pveVersion.major >= MTU_FROM_BRIDGE_MAJOR ? "1" : undefined;
}

/** netN of a VM (docs/proxmox.md rows 22 to 29): `virtio=MAC` is model and address; the address is adopted and never lost. */
const QEMU_NET_FORMAT: PropertyFormat = {
  defaultKey: "model",
  required: ["model"],
  kept: ["macaddr"],
  isGuarded: true,
  subKeys: subKeys({
    model: oneOf(MODELS),
    macaddr: MAC_RULE,
    bridge: TEXT,
    firewall: BOOLEAN_OFF,
    "host-tunnel": BOOLEAN_OFF,
    link_down: BOOLEAN_OFF,
    mtu: integer({ minimum: 1, maximum: 65_520, byDefault: defaultMtu }),
    queues: integer({ minimum: 0, maximum: 64, byDefault: "0" }),
    rate: decimal({ minimum: 0, byDefault: "0" }),
    tag: TAG_RULE,
    trunks: rangeSet(";"),
  }),
  expand: splitModelAndAddress,
  contract: joinModelAndAddress,
};

function splitModelAndAddress(properties: readonly Property[]): Property[] {
  const split: Property[] = [];
  for (const property of properties) {
    if (KNOWN_MODELS.has(property.key)) split.push({ key: "model", value: property.key }, { key: "macaddr", value: property.value });
    else split.push(property);
  }
  return split;
}

function joinModelAndAddress(properties: readonly Property[]): readonly Property[] {
  const model = valueOf(properties, "model");
  const address = valueOf(properties, "macaddr");
  if (model === undefined || address === undefined || !KNOWN_MODELS.has(model)) return properties;
  const joined: Property[] = [{ key: model, value: address }];
  for (const property of properties) if (property.key !== "model" && property.key !== "macaddr") joined.push(property);
  return joined;
}

/**
 * netN of a container: `type=veth` is the only type there is and says nothing; one without a bridge is stored, answered
 * with a 500, and the container starts no more (docs/proxmox.md row 26); trunks are single numbers (row 28).
 */
const LXC_NET_FORMAT: PropertyFormat = {
  required: ["name", "bridge"],
  kept: ["hwaddr"],
  isGuarded: true,
  ignored: new Set(["type"]),
  subKeys: subKeys({
    name: INTERFACE_NAME,
    bridge: INTERFACE_NAME,
    firewall: BOOLEAN_OFF,
    gw: IPV4_ADDRESS,
    gw6: IPV6_ADDRESS,
    "host-managed": BOOLEAN_OFF,
    hwaddr: MAC_RULE,
    ip: ipv4Config("dhcp", "manual"),
    ip6: ipv6Config("auto", "dhcp", "manual"),
    link_down: BOOLEAN_OFF,
    mtu: integer({ minimum: 64, maximum: 65_535 }),
    rate: decimal({ minimum: 0, byDefault: "0" }),
    tag: TAG_RULE,
    trunks: numberSet(VLAN_MAX),
    type: oneOf(["veth"]),
  }),
};

export const QEMU_NET = propertyField(QEMU_NET_FORMAT);
export const LXC_NET = propertyField(LXC_NET_FORMAT);
