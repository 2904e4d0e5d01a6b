import { BOOLEAN, BOOLEAN_OFF } from "../booleans.ts";
import { listOf } from "../lists.ts";
import { canonicalInteger, decimal, integer } from "../numbers.ts";
import { propertyField } from "../property-field.ts";
import { subKeys } from "../property-format.ts";
import { parseProperties, valueOf } from "../property-string.ts";
import { scalarField } from "../scalar-field.ts";
import { TEXT, matching, oneOf } from "../text-rules.ts";
import type { RawValue } from "../../guest/observed.ts";
import type { FieldNormalizer, NormalizeContext } from "../types.ts";
import { textOf, type ValueRule } from "../value-rule.ts";

/** A memory size in MiB that Proxmox takes: at least 16. */
const MEMORY_MIB = integer({ minimum: 16, byDefault: "512" });

/** A VM's memory: `current=2048`, `2048`, `0128`, `256,` (docs/proxmox.md row 56); absent is 512 MiB. */
export const QEMU_MEMORY = propertyField({ defaultKey: "current", required: ["current"], subKeys: subKeys({ current: MEMORY_MIB }) });

/** A container's memory; Proxmox refuses to delete it. */
export const LXC_MEMORY = scalarField(MEMORY_MIB, { isRequired: true });

/** Absent means all of the memory, 0 means no balloon device: two different things (docs/proxmox.md row 57). */
export const BALLOON = scalarField(integer({ minimum: 0, byDefault: wholeMemory }));

function wholeMemory({ siblings }: NormalizeContext): string | undefined {
  if (siblings === undefined) return undefined;
  return memoryOf(siblings["memory"]);
}

/** MiB of a VM's memory, as digits; undefined where it cannot be read. */
export function memoryOf(memory: RawValue | undefined): string | undefined {
  const text = textOf(memory);
  const current = text === "" ? "512" : valueOf(parseProperties(text, "current") ?? [], "current");
  return current === undefined ? undefined : canonicalInteger(current);
}

/** Absent means every core of every socket is plugged in (docs/proxmox.md row 55). */
export const VCPUS = scalarField(integer({ minimum: 1, byDefault: allCores }));

function allCores({ siblings }: NormalizeContext): string | undefined {
  if (siblings === undefined) return undefined;
  return String(countOf(siblings["cores"]) * countOf(siblings["sockets"]));
}

function countOf(raw: string | number | undefined): number {
  const text = textOf(raw);
  return text === "" ? 1 : Number(text);
}

const WEIGHT_MAX = 10_000;
// Proxmox 9 knows cgroup v2 only, where the default weight is 100; before, it may be 1024.
const CGROUP_V2_ONLY_MAJOR = 9;

/** CPU weight, clamped to what cgroup v2 takes (docs/proxmox.md row 54). */
export function cpuUnits(minimum: number, maximum: number): FieldNormalizer {
  const rule = integer({ minimum: 1, maximum: WEIGHT_MAX, byDefault: defaultWeight });
  return scalarField({ ...rule, expected: `an integer from ${minimum} to ${maximum}`, canonical: (text) => clamped(text, minimum, maximum) });
}

function clamped(text: string, minimum: number, maximum: number): string | undefined {
  const weight = canonicalInteger(text);
  if (weight === undefined || Number(weight) < minimum || Number(weight) > maximum) return undefined;
  return String(Math.min(WEIGHT_MAX, Math.max(1, Number(weight))));
}

function defaultWeight({ pveVersion }: NormalizeContext): string | undefined {
  return pveVersion.major >= CGROUP_V2_ONLY_MAJOR ? "100" : undefined;
}

const FLAG = /^[+-][a-z0-9][a-z0-9._-]*$/;

/** One CPU flag; "_" and "-" are one, and sse4.1, sse4.2 have a second name (docs/proxmox.md row 53). */
const FLAG_RULE: ValueRule = {
  expected: 'flags such as "+aes" or "-pcid"',
  canonical: (text) => text.toLowerCase().replaceAll("_", "-").replace(/^([+-]sse4)-([12])$/, "$1.$2"),
  isWritable: (text) => FLAG.test(text),
};

/** `host` is `cputype=host`, absent is kvm64, flags are a set (docs/proxmox.md row 53). */
export const CPU = propertyField({
  defaultKey: "cputype",
  subKeys: subKeys({
    cputype: { ...matching(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "a CPU type"), byDefault: "kvm64" },
    flags: listOf({ noun: "CPU flags", item: FLAG_RULE, joiner: ";", order: "set" }),
    "guest-phys-bits": integer({ minimum: 32, maximum: 64 }),
    hidden: BOOLEAN_OFF,
    "hv-vendor-id": matching(/^[A-Za-z0-9]{1,12}$/, "1 to 12 letters or digits"),
    level: integer({ minimum: 0 }),
    "phys-bits": matching(/^(?:host|\d{1,2})$/, '"host" or 8 to 64'),
    "reported-model": { ...TEXT, byDefault: "kvm64" },
  }),
});

const MACHINE_TYPE = /^(?:pc|pc(?:-i440fx)?-\d+(?:\.\d+)+(?:\+pve\d+)?(?:\.pxe)?|q35|pc-q35-\d+(?:\.\d+)+(?:\+pve\d+)?(?:\.pxe)?|virt(?:-\d+(?:\.\d+)+)?(?:\+pve\d+)?)$/;

/** A machine type. Declared without a version it is satisfied by any version of its family: Proxmox pins one for Windows (docs/proxmox.md row 59). */
const MACHINE_TYPE_RULE: ValueRule = {
  ...matching(MACHINE_TYPE, 'a machine type such as "q35", "pc" or "pc-q35-9.2"'),
  byDefault: "pc",
  covers: (declared, observed) => (declared === "q35" || declared === "pc" || declared === "virt") && familyOf(observed) === declared,
};

function familyOf(type: string): string {
  if (type === "q35" || type.startsWith("pc-q35-")) return "q35";
  return type.startsWith("virt") ? "virt" : "pc";
}

export const MACHINE = propertyField({
  defaultKey: "type",
  subKeys: subKeys({
    type: MACHINE_TYPE_RULE,
    "aw-bits": decimal({ minimum: 32, maximum: 64 }),
    "enable-s3": BOOLEAN,
    "enable-s4": BOOLEAN,
    viommu: oneOf(["intel", "virtio"]),
  }),
});
