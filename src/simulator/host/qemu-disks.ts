import type { Caller } from "../api.ts";
import type { Section } from "./config-file.ts";
import { Died } from "./died.ts";
import { addUnused, cloudinitAt, isCdrom, isCloudinit, NEW_VOLUME, parseDrive, printDrive, type Drive } from "./drive.ts";
import type { Guest } from "./guest.ts";
import type { Host } from "./host.ts";
import { need, needForVolume } from "./permissions.ts";
import { isQemuDrive } from "./schema.ts";
import { formatSize } from "./sizes.ts";
import { splitVolumeId } from "./storage.ts";
import type { Values } from "./verify.ts";

/** Drives of QEMU guests and the volumes behind them: checked, made, detached, freed. */

const GIB_BYTES = 1024 ** 3;
const CLOUDINIT_BYTES = 4 * 1024 ** 2;
const CLOUDINIT_FILE = /^(?:([^/:\s]+):)?cloudinit$/;
/** Firmware variables and TPM state have sizes of their own, whatever is asked for (docs/proxmox.md rows 41, 42). */
const FIXED_BYTES: Readonly<Record<string, number>> = { efidisk0: 528 * 1024, tpmstate0: 4 * 1024 ** 2 };

/** Rewrites drive parameters as Proxmox reprints them; dies on ones that make no sense together. */
export function normalizeDrives(host: Host, values: Values): void {
  for (const [key, value] of values) {
    if (!isQemuDrive(key) || value === null) continue;
    const drive = parseDrive(key, value);
    if (drive === undefined) throw Died.parameters({ [key]: "unable to parse drive options" });
    const file = drive.get("file") ?? "";
    const isVolume = /^[^/:]+:.+/.test(file) && !NEW_VOLUME.test(file) && !CLOUDINIT_FILE.test(file);
    if (isVolume && host.storages.parseName(file).content === "iso" && drive.get("media") !== "cdrom") {
      throw Died.parameters({ [key]: "explicit 'media=cdrom' is required for iso images" });
    }
    values.set(key, printDrive(key, drive));
  }
}

/** The privileges that the volumes in these parameters need. */
export function needForDrives(host: Host, caller: Caller, vmid: number, values: Values): void {
  for (const [key, value] of values) {
    const drive = isQemuDrive(key) ? parseDrive(key, value) : undefined;
    if (drive !== undefined) needForDrive(host, caller, vmid, key, drive);
    if (/^unused\d+$/.test(key)) needForVolume(host, caller, vmid, parseDrive(key, value)?.get("file") ?? "");
  }
  const stateStorage = values.get("vmstatestorage");
  if (stateStorage !== undefined && stateStorage !== null) need(caller, `/storage/${stateStorage}`, "Datastore.AllocateSpace");
}

function needForDrive(host: Host, caller: Caller, vmid: number, key: string, drive: Drive): void {
  const file = drive.get("file") ?? "";
  const created = NEW_VOLUME.exec(file);
  if (file === "none" || CLOUDINIT_FILE.test(file)) return;
  if (isCdrom(drive) && file === "cdrom") need(caller, "/", "Sys.Console");
  else if (!isCdrom(drive) && created !== null) {
    if (created[1] === undefined) throw Died.because("no storage ID specified (and no default storage)");
    need(caller, `/storage/${created[1]}`, "Datastore.AllocateSpace");
    const storage = host.storages.need(created[1]);
    if (!storage.content.has("images")) throw Died.parameters({ storage: `storage '${storage.id}' does not support vm images` });
  } else {
    needForVolume(host, caller, vmid, file);
    const content = file.startsWith("/") ? "images" : host.storages.parseName(file).content;
    if (content !== "images" && content !== "iso") throw Died.parameters({ [key]: "content type needs to be 'images' or 'iso'" });
  }
}

/** Privileges on the guest for touching this drive. */
export function needForDriveKind(caller: Caller, vmid: number, drive: Drive | undefined): void {
  if (caller.isRootLogin) return;
  if (drive !== undefined && isCloudinit(drive)) need(caller, `/vms/${vmid}`, "VM.Config.Cloudinit", "VM.Config.CDROM");
  else need(caller, `/vms/${vmid}`, drive !== undefined && isCdrom(drive, true) ? "VM.Config.CDROM" : "VM.Config.Disk");
}

export interface DiskRequest {
  readonly vmid: number;
  readonly key: string;
  readonly value: string;
  /** What the guest has, pending changes included: there is one cloud-init drive at most. */
  readonly sections: readonly Section[];
  readonly print: (line: string) => void;
}

/** Makes or looks up the volume that a drive parameter names; gives the value to store. */
export function createDisk(host: Host, request: DiskRequest): string {
  const { key, value } = request;
  const drive = parseDrive(key, value);
  if (drive === undefined) throw Died.parameters({ [key]: "unable to parse drive options" });
  const file = drive.get("file") ?? "";
  if (file === "none" || file === "cdrom") drive.delete("size");
  else if (CLOUDINIT_FILE.test(file)) allocateCloudinit(host, request, drive);
  else if (NEW_VOLUME.test(file)) allocateDisk(host, request, drive);
  else if (!file.startsWith("/")) lookUpVolume(host, file, drive);
  return printDrive(key, drive);
}

function allocateDisk(host: Host, request: DiskRequest, drive: Drive): void {
  const { key, vmid, print } = request;
  const [, storageId = "", gibibytes = "0"] = NEW_VOLUME.exec(drive.get("file") ?? "") ?? [];
  const storage = host.storages.need(storageId);
  const sizeBytes = FIXED_BYTES[key] ?? Math.round(Number(gibibytes) * GIB_BYTES);
  const format = drive.get("format") ?? "raw";
  const volume = host.storages.allocate({ storage, vmid, sizeBytes, format, content: "images", now: host.nowSeconds() });
  if (storage.isFileBased) print(formattingLine(`${storage.path}/images/${splitVolumeId(volume.id)[1]}`, format, sizeBytes));
  drive.set("file", volume.id).set("size", formatSize(sizeBytes));
  drive.delete("format");
  if (key === "efidisk0" && drive.get("efitype") === "4m" && drive.get("pre-enrolled-keys") === "1") drive.set("ms-cert", "2023k");
  print(`${key}: successfully created disk '${printDrive(key, drive)}'`);
}

/** What qemu-img says when it makes an image. */
export function formattingLine(path: string, format: string, sizeBytes: number): string {
  const details =
    format === "qcow2"
      ? `fmt=qcow2 cluster_size=65536 extended_l2=off preallocation=metadata compression_type=zlib size=${sizeBytes} lazy_refcounts=off refcount_bits=16`
      : `fmt=${format} size=${sizeBytes} preallocation=off`;
  return `Formatting '${path}', ${details}`;
}

function allocateCloudinit(host: Host, request: DiskRequest, drive: Drive): void {
  const { key, vmid, sections, print } = request;
  const storageId = CLOUDINIT_FILE.exec(drive.get("file") ?? "")?.[1];
  if (storageId === undefined) throw Died.because("no storage ID specified (and no default storage)");
  const other = sections.map((section) => cloudinitAt(section, key)).find((at) => at !== undefined);
  if (other !== undefined) throw Died.because(`${key} - cloud-init drive is already attached at '${other}'`);
  const storage = host.storages.need(storageId);
  const format = drive.get("format") ?? (storage.isFileBased ? "qcow2" : "raw");
  const id = storage.isFileBased ? `${storageId}:${vmid}/vm-${vmid}-cloudinit.${format}` : `${storageId}:vm-${vmid}-cloudinit`;
  host.storages.add({ id, vmid, sizeBytes: CLOUDINIT_BYTES, format, content: "images", createdAt: host.nowSeconds() });
  drive.set("file", id).set("media", "cdrom").set("size", formatSize(CLOUDINIT_BYTES));
  drive.delete("format");
  print(`${key}: successfully created disk '${printDrive(key, drive)}'`);
}

function lookUpVolume(host: Host, file: string, drive: Drive): void {
  const volume = host.storages.volume(file);
  if (volume === undefined) throw Died.because(`volume '${file}' does not exist`);
  drive.set("size", formatSize(volume.sizeBytes));
}

/** Detaches: the guest's own volume is listed as unused, a cloud-init drive is thrown away. */
export function registerUnused(host: Host, guest: Guest, section: Section, drive: Drive | undefined): void {
  if (drive === undefined) return;
  const file = drive.get("file") ?? "";
  if (isCloudinit(drive)) host.storages.free(file);
  else if (!isCdrom(drive) && host.storages.volume(file)?.vmid === guest.vmid) addUnused(section, file);
}

/** Frees a volume for good; dies when a snapshot still needs it. */
export function freeVolume(host: Host, guest: Guest, caller: Caller, key: string, file: string): void {
  const volume = host.storages.volume(file);
  if (volume === undefined || volume.vmid !== guest.vmid) return;
  need(caller, `/storage/${splitVolumeId(file)[0]}`, "Datastore.AllocateSpace");
  const { main, snapshots } = guest.view();
  const isUsed = [main, ...snapshots.values()].some((section) =>
    [...section].some(([other, value]) => !(section === main && other === key) && (value === file || value?.startsWith(`${file},`) === true)),
  );
  if (isUsed) throw Died.because(`unable to delete '${file}' - volume is still in use (snapshot?)`);
  host.storages.free(file);
}
