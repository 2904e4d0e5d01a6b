import type { GuestKind } from "../../guest/key.ts";
import { CONFIG_SCHEMAS, INDEX_COUNTS } from "./schema.gen.ts";

/** What Proxmox's schema says of one parameter or configuration key. */
export interface OptionSchema {
  readonly type?: string;
  readonly optional?: number;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly requires?: string;
  /** A named format, or the keys of a property string. */
  readonly format?: string | PropertySchema;
  /** Written by the server only; not a parameter. */
  readonly isInternal?: boolean;
}

/** One key inside a property string. */
export interface SubOptionSchema extends OptionSchema {
  /** The key that may be left out: `virtio` for `model=virtio`. */
  readonly isDefaultKey?: boolean;
  readonly alias?: string;
  readonly keyAlias?: string;
}

export type PropertySchema = Readonly<Record<string, SubOptionSchema>>;

/** Keys of a configuration; indexed ones are written `net[n]`. */
export type ConfigSchema = Readonly<Record<string, OptionSchema>>;

export interface EndpointSchema {
  readonly parameters: Readonly<Record<string, OptionSchema>>;
  /** The method also takes every configuration key of this kind. */
  readonly config?: string;
  /** Privileges on /vms/{vmid} that are checked before anything else. */
  readonly privileges?: readonly string[];
  readonly isAnyEnough?: boolean;
}

const INDEXED = /^([a-z]+)(\d+)$/;

/** The schema of a configuration key of this kind, undefined when there is no such key. */
export function configOption(kind: GuestKind, key: string): OptionSchema | undefined {
  const schema = CONFIG_SCHEMAS[kind];
  if (Object.hasOwn(schema, key)) return key.endsWith("[n]") ? undefined : schema[key];
  const [, base = "", index = ""] = INDEXED.exec(key) ?? [];
  const counts: Readonly<Record<string, number>> = INDEX_COUNTS[kind];
  const isThere = Object.hasOwn(counts, base) && String(Number(index)) === index && Number(index) < (counts[base] ?? 0);
  return isThere ? schema[`${base}[n]`] : undefined;
}

/** Keys under which a QEMU guest may have a drive, in Proxmox's order; `unusedN` is not among them. */
export const QEMU_DRIVES: readonly string[] = [
  ...(["ide", "scsi", "virtio", "sata"] as const).flatMap((bus) => Array.from({ length: INDEX_COUNTS.qemu[bus] }, (_, index) => `${bus}${index}`)),
  "efidisk0",
  "tpmstate0",
];

const DRIVE_SET: ReadonlySet<string> = new Set(QEMU_DRIVES);

/** Whether a QEMU guest may have a drive under this key. */
export function isQemuDrive(key: string): boolean {
  return DRIVE_SET.has(key);
}

/** Volumes of a container: rootfs and mount points. */
export function isLxcVolume(key: string): boolean {
  return key === "rootfs" || /^mp\d+$/.test(key);
}

export const MAX_UNUSED = 256;
