import type { DeclaredValue } from "../../guest/declared.ts";
import type { FieldNormalizer } from "../types.ts";
import { BOOLEAN, BOOLEAN_OFF, BOOLEAN_ON } from "../booleans.ts";
import { listOf } from "../lists.ts";
import { canonicalNumber, decimal, integer } from "../numbers.ts";
import { subKeys, type PropertyFormat } from "../property-format.ts";
import type { Property } from "../property-string.ts";
import { SIZE_RULE } from "../sizes.ts";
import { LOWER_TEXT, TEXT, oneOf } from "../text-rules.ts";
import { withDefault, type ValueRule } from "../value-rule.ts";
import { VOLUME, driveField } from "./drive.ts";

const RATE = decimal({ minimum: 0 });
const COUNT = integer({ minimum: 0 });
const SECONDS = integer({ minimum: 1 });
const FORMAT = oneOf(["raw", "qcow", "qed", "qcow2", "vmdk", "cloop"]);
const ON_ERROR = ["ignore", "report", "stop"];

const PLACE: Readonly<Record<string, ValueRule>> = { [VOLUME]: TEXT, storage: TEXT, size: SIZE_RULE, format: FORMAT, "import-from": TEXT };

const THROTTLES: Readonly<Record<string, ValueRule>> = {
  bps_max_length: SECONDS, bps_rd_max_length: SECONDS, bps_wr_max_length: SECONDS,
  iops: COUNT, iops_max: COUNT, iops_max_length: SECONDS,
  iops_rd: COUNT, iops_rd_max: COUNT, iops_rd_max_length: SECONDS,
  iops_wr: COUNT, iops_wr_max: COUNT, iops_wr_max_length: SECONDS,
  mbps: RATE, mbps_max: RATE, mbps_rd: RATE, mbps_rd_max: RATE, mbps_wr: RATE, mbps_wr_max: RATE,
};

/** Options of every bus together; Proxmox checks which bus has which. Defaults: docs/proxmox.md row 36. */
const DISK_OPTIONS: Readonly<Record<string, ValueRule>> = {
  ...THROTTLES,
  aio: oneOf(["native", "threads", "io_uring"]),
  backup: BOOLEAN_ON,
  cache: oneOf(["none", "writethrough", "writeback", "unsafe", "directsync"]),
  detect_zeroes: BOOLEAN,
  discard: oneOf(["ignore", "on"], "ignore"),
  iothread: BOOLEAN_OFF,
  media: oneOf(["cdrom", "disk"], "disk"),
  model: TEXT,
  product: TEXT,
  queues: integer({ minimum: 2 }),
  replicate: BOOLEAN_ON,
  rerror: oneOf(ON_ERROR),
  ro: BOOLEAN_OFF,
  scsiblock: BOOLEAN_OFF,
  serial: TEXT,
  shared: BOOLEAN_OFF,
  snapshot: BOOLEAN_OFF,
  ssd: BOOLEAN_OFF,
  vendor: TEXT,
  werror: oneOf(["enospc", ...ON_ERROR]),
  wwn: LOWER_TEXT,
};

const ALIASES = new Map([
  ["file", VOLUME],
  ["bps_rd_length", "bps_rd_max_length"], ["bps_wr_length", "bps_wr_max_length"],
  ["iops_rd_length", "iops_rd_max_length"], ["iops_wr_length", "iops_wr_max_length"],
]);

const MEBIBYTE = 1024 * 1024;
const GEOMETRY = new Set(["cyls", "heads", "secs", "trans"]);

/** Proxmox rewrites bytes per second into MiB with three decimals, and drops disk geometry (docs/proxmox.md row 38). */
function inMegabytes(properties: Property[]): Property[] {
  if (!properties.some(({ key }) => GEOMETRY.has(key) || key.startsWith("bps"))) return properties;
  return properties.filter(({ key }) => !GEOMETRY.has(key)).map(asMegabytes);
}

function asMegabytes(property: Property): Property {
  const direction = /^bps(|_rd|_wr)$/.exec(property.key)?.[1];
  const rate = direction === undefined ? undefined : canonicalNumber(property.value);
  if (rate === undefined) return property;
  return { key: `mbps${direction ?? ""}`, value: canonicalNumber((Number(rate) / MEBIBYTE).toFixed(3)) ?? rate };
}

const QEMU_DISK: PropertyFormat = {
  defaultKey: VOLUME,
  aliases: ALIASES,
  isGuarded: true,
  subKeys: subKeys({ ...PLACE, ...DISK_OPTIONS }),
  expand: inMegabytes,
};

/** The firmware decides the size, and Proxmox adds the certificate marker itself (docs/proxmox.md row 41). */
const EFI_DISK: PropertyFormat = {
  defaultKey: VOLUME,
  aliases: new Map([["file", VOLUME]]),
  isGuarded: true,
  ignored: new Set(["size", "ms-cert"]),
  subKeys: subKeys({
    ...PLACE,
    efitype: oneOf(["2m", "4m"], "2m"),
    "ms-cert": oneOf(["2011", "2023", "2023w", "2023k"]),
    "pre-enrolled-keys": BOOLEAN_OFF,
  }),
};

/** Always 4M (docs/proxmox.md row 42). */
const TPM_STATE: PropertyFormat = {
  defaultKey: VOLUME,
  aliases: new Map([["file", VOLUME]]),
  isGuarded: true,
  ignored: new Set(["size"]),
  subKeys: subKeys({ ...PLACE, version: oneOf(["v1.2", "v2.0"], "v1.2") }),
};

const MOUNT_OPTIONS = listOf({
  noun: "mount options",
  item: oneOf(["discard", "lazytime", "noatime", "nodev", "noexec", "nosuid"]),
  joiner: ";",
  order: "set",
});

const VOLUME_OPTIONS: Readonly<Record<string, ValueRule>> = {
  acl: BOOLEAN,
  idmap: TEXT,
  mountoptions: withDefault(MOUNT_OPTIONS, ""),
  quota: BOOLEAN_OFF,
  replicate: BOOLEAN_ON,
  ro: BOOLEAN_OFF,
  shared: BOOLEAN_OFF,
};

const ROOT_VOLUME: PropertyFormat = { defaultKey: VOLUME, isGuarded: true, subKeys: subKeys({ ...PLACE, ...VOLUME_OPTIONS }) };

/** A path inside the container; Proxmox adds the leading slash (docs/proxmox.md row 46). */
const MOUNT_PATH: ValueRule = { expected: "a path", canonical: (text) => (text.startsWith("/") ? text : `/${text}`) };

const MOUNT_POINT: PropertyFormat = {
  defaultKey: VOLUME,
  isGuarded: true,
  required: ["mp"],
  subKeys: subKeys({ ...PLACE, ...VOLUME_OPTIONS, mp: MOUNT_PATH, backup: BOOLEAN_OFF, keepattrs: BOOLEAN_OFF }),
};

export const QEMU_DRIVE = driveField(QEMU_DISK);
/** `cdrom` is another name for ide2, and says by itself what sort of drive it is (docs/proxmox.md row 39). */
export const CD_DRIVE: FieldNormalizer = {
  normalize: (raw, context) => QEMU_DRIVE.normalize(raw, context),
  merge: (declared, context) => QEMU_DRIVE.merge(declared === context.observed ? declared : asCd(declared), context),
};

function asCd(declared: DeclaredValue): DeclaredValue {
  if (typeof declared === "string") return declared === "" || /(?:^|,)media=/.test(declared) ? declared : `${declared},media=cdrom`;
  return typeof declared === "object" && declared !== null && !Array.isArray(declared) ? { media: "cdrom", ...declared } : declared;
}

export const EFI_DRIVE = driveField(EFI_DISK);
export const TPM_DRIVE = driveField(TPM_STATE);
export const ROOT_DRIVE = driveField(ROOT_VOLUME);
export const MOUNT_DRIVE = driveField(MOUNT_POINT);
