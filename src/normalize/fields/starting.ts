import { BOOLEAN_OFF, BOOLEAN_ON, canonicalBoolean } from "../booleans.ts";
import { listOf, splitList, uniqueSorted } from "../lists.ts";
import { integer } from "../numbers.ts";
import { propertyField } from "../property-field.ts";
import { subKeys } from "../property-format.ts";
import { valueOf, type Property } from "../property-string.ts";
import { scalarField } from "../scalar-field.ts";
import { oneOf } from "../text-rules.ts";
import type { ValueRule } from "../value-rule.ts";

const SECONDS = integer({ minimum: 0 });

/** `5` is `order=5`; any order of parts, blanks and leading zeros (docs/proxmox.md row 65). Sent with its name: a bare 0 is refused. */
export const STARTUP = propertyField({
  defaultKey: "order",
  isDefaultKeyNamed: true,
  isLastCounting: true,
  subKeys: subKeys({ order: integer({ minimum: 0 }), up: SECONDS, down: SECONDS }),
});

/** `1` is `enabled=1`; a disabled agent's other properties mean nothing (docs/proxmox.md row 62). */
export const AGENT = propertyField({
  defaultKey: "enabled",
  required: ["enabled"],
  aliases: new Map([["freeze-fs-on-backup", "freeze-fs"], ["guest-fsfreeze", "freeze-fs"]]),
  subKeys: subKeys({ enabled: BOOLEAN_OFF, "freeze-fs": BOOLEAN_ON, fstrim_cloned_disks: BOOLEAN_OFF, type: oneOf(["virtio", "isa"], "virtio") }),
  contract: (properties) => properties.map(bareEnabled),
  conclude: (properties) => (valueOf(properties, "enabled") === "1" ? properties : []),
});

/** Without its name, which is left out, Proxmox takes 1 and 0 only: words are read behind `enabled=` alone (docs/proxmox.md row 3). */
function bareEnabled(property: Property): Property {
  return property.key === "enabled" ? { key: "enabled", value: canonicalBoolean(property.value) ?? property.value } : property;
}

const HOTPLUG_DEFAULT = "disk,network,usb";

const HOTPLUG_SET = listOf({
  noun: "hotplug features",
  item: oneOf(["network", "disk", "cpu", "memory", "usb", "cloudinit"]),
  joiner: ",",
  order: "set",
});

/** `1` is the default set, `0` is off, order has no meaning (docs/proxmox.md row 63). */
const HOTPLUG_RULE: ValueRule = {
  expected: '"0", "1" or a list of network, disk, cpu, memory, usb, cloudinit',
  joiner: ",",
  byDefault: HOTPLUG_DEFAULT,
  canonical: (text, context) => {
    const [only, ...others] = uniqueSorted(splitList(text));
    const onOff = only === undefined || others.length > 0 ? undefined : canonicalBoolean(only);
    return onOff === undefined ? HOTPLUG_SET.canonical(text, context) : onOff === "1" ? HOTPLUG_DEFAULT : "0";
  },
  isWritable: (canonical) => canonical === "0" || HOTPLUG_SET.isWritable?.(canonical) === true,
};

export const HOTPLUG = scalarField(HOTPLUG_RULE);
