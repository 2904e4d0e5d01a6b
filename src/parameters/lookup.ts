import type { GuestKind } from "../guest/key.ts";
import { NAMED_FORMATS } from "./named-formats.ts";
import { INDEX_COUNTS, PARAMETERS } from "./schema.gen.ts";
import type { Parameter, SubParameters } from "./types.ts";

/** A declaration's own way to ask for a new volume: `storage` with `size` (docs/proxmox.md row 30). */
const VOLUME_EXTRAS: SubParameters = { storage: { type: "string" } };
const VOLUME = /^(?:(?:ide|sata|scsi|virtio|mp)\[n\]|efidisk0|tpmstate0|rootfs)$/;

/**
 * Sub-keys of disks beyond the schema of 9.2: a geometry, which 8.4 takes and 9 drops without a word, and
 * a world wide name in capitals, which normalize/ writes small (docs/proxmox.md rows 36 and 38).
 */
const DISK_EXTRAS: SubParameters = {
  cyls: { type: "integer" },
  heads: { type: "integer" },
  secs: { type: "integer" },
  trans: { type: "string", enum: ["none", "lba", "auto"] },
};
const WORLD_WIDE_NAME = { type: "string", pattern: "(?:0[xX][0-9a-fA-F]{16})" } as const;
const DISK = /^(?:ide|sata|scsi|virtio)\[n\]$/;

/** The keys of a kind and what may be declared of them: what any supported release takes. `net[n]` stands for the numbered ones. */
export const ALL_PARAMETERS: Readonly<Record<GuestKind, Readonly<Record<string, Parameter>>>> = { qemu: withExtras(PARAMETERS.qemu), lxc: withExtras(PARAMETERS.lxc) };

function withExtras(parameters: Readonly<Record<string, Parameter>>): Readonly<Record<string, Parameter>> {
  return Object.fromEntries(Object.entries(parameters).map(([name, parameter]) => [name, VOLUME.test(name) ? volumeWithExtras(name, parameter) : parameter]));
}

function volumeWithExtras(name: string, parameter: Parameter): Parameter {
  const { format } = parameter;
  if (typeof format !== "object") return parameter;
  return { ...parameter, format: { ...format, ...VOLUME_EXTRAS, ...(DISK.test(name) ? DISK_EXTRAS : {}), ...("wwn" in format ? { wwn: WORLD_WIDE_NAME } : {}) } };
}

// Numbered keys are spelled out once: `net40`, which Proxmox does not have, is not found.
function indexOf(kind: GuestKind): ReadonlyMap<string, Parameter> {
  const index = new Map<string, Parameter>();
  for (const [name, parameter] of Object.entries(ALL_PARAMETERS[kind])) {
    const stem = name.endsWith("[n]") ? name.slice(0, -"[n]".length) : undefined;
    const count = stem === undefined ? undefined : INDEX_COUNTS[kind][stem];
    if (stem === undefined || count === undefined) index.set(name, parameter);
    else for (let number = 0; number < count; number++) index.set(`${stem}${number}`, parameter);
  }
  return index;
}

const INDEX: Readonly<Record<GuestKind, ReadonlyMap<string, Parameter>>> = { qemu: indexOf("qemu"), lxc: indexOf("lxc") };

/** What Proxmox says of a config key (`net0`, not `net[n]`); undefined: it has no such key for this kind. */
export function parameterOf(kind: GuestKind, key: string): Parameter | undefined {
  return INDEX[kind].get(key);
}

/** The sub-keys of a property string; undefined when the value is no property string. */
export function subParametersOf({ format }: Parameter): SubParameters | undefined {
  // `cdrom` is another name of ide2 (docs/proxmox.md row 39).
  const drive = format === "pve-qm-ide" ? ALL_PARAMETERS.qemu["ide[n]"]?.format : undefined;
  if (typeof drive === "object") return drive;
  return typeof format === "string" ? NAMED_FORMATS[format] : format;
}

/** How many keys `stem0`, `stem1`, … a kind has; undefined when `stem` is not numbered. */
export function countOf(kind: GuestKind, stem: string): number | undefined {
  return Object.hasOwn(INDEX_COUNTS[kind], stem) ? INDEX_COUNTS[kind][stem] : undefined;
}

/** The names of a kind's keys, numbered ones with `number`. */
export function keyNames(kind: GuestKind, number: string): string[] {
  return Object.keys(ALL_PARAMETERS[kind]).map((name) => name.replace("[n]", number));
}
