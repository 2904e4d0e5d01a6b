import type { Caller } from "../api.ts";
import { checkPublicKeys, encryptPassword } from "./credentials.ts";
import type { GuestConfigFile } from "./config-file.ts";
import { uniqueTags } from "./datacenter.ts";
import { Died } from "./died.ts";
import { bootOrder, isCdrom, parseDrive, printBootOrder } from "./drive.ts";
import type { Guest } from "./guest.ts";
import type { Host } from "./host.ts";
import { parseNet, printNet } from "./net.ts";
import { addPendingDelete, cleanupPending, removePendingDelete } from "./pending.ts";
import { compareText, isTrue, splitList } from "./perl.ts";
import { need, needForBridge, needForQemuKeys, needForTags } from "./permissions.ts";
import { applyPending } from "./qemu-apply.ts";
import { createDisk, freeVolume, needForDriveKind, needForDrives, normalizeDrives, registerUnused } from "./qemu-disks.ts";
import { hotplugPending, memoryOf } from "./qemu-hotplug.ts";
import { configOption, isQemuDrive } from "./schema.ts";
import type { Values } from "./verify.ts";

/**
 * A config write on a QEMU guest, in Proxmox's two halves: `prepare` verifies and checks without the
 * lock, `applyUpdate` runs under the guest's lock and writes once per key, so that a call that fails in
 * the middle has done its first half (docs/proxmox.md section 2).
 */

export interface QemuUpdate {
  readonly host: Host;
  readonly vmid: number;
  readonly caller: Caller;
  readonly digest: string | undefined;
  readonly isLockSkipped: boolean;
  readonly isForced: boolean;
  readonly deletes: string[];
  readonly reverts: ReadonlySet<string>;
  readonly sets: Values;
  /** The parameters as the task log and syslog show them. */
  readonly logLine: string;
  /** Seconds to wait for the task; 0: not at all. */
  readonly backgroundDelay: number;
}

/** Verifies a call's parameters beyond their schema, checks privileges, and takes the first look at the guest. */
export function prepareUpdate(host: Host, vmid: number, caller: Caller, values: Values): QemuUpdate {
  const rest = new Map(values);
  const take = (name: string): string | undefined => {
    const value = rest.get(name) ?? undefined;
    rest.delete(name);
    return value;
  };
  const digest = take("digest");
  const backgroundDelay = Number(take("background_delay") ?? 0);
  take("import-working-storage");
  const logLine = `update VM ${vmid}: ${[...rest].sort(([left], [right]) => compareText(left, right)).map(([key, value]) => `-${key} ${key === "cipassword" ? "<hidden>" : (value ?? "")}`).join(" ")}`;
  const isLockSkipped = take("skiplock") === "1";
  if (isLockSkipped && !caller.isRootLogin) throw Died.parameters({ skiplock: "Only root may use this option." });
  const [deleteText, revertText, force] = [take("delete"), take("revert"), take("force")];
  if (!isTrue(deleteText) && !isTrue(revertText) && rest.size === 0) throw Died.because("no options specified");
  resolveAliases(rest);
  const reverts = parseReverts(revertText, rest);
  const deletes = parseDeletes(deleteText, rest, reverts);
  normalizeValues(host, rest);
  needForQemuKeys(caller, vmid, deletes);
  needForQemuKeys(caller, vmid, rest.keys());
  needForDrives(host, caller, vmid, rest);
  for (const [key, value] of rest) if (/^net\d+$/.test(key)) needForBridge(host, caller, "qemu", value ?? "");
  const update = { host, vmid, caller, digest, isLockSkipped, isForced: force === "1", deletes, reverts, sets: rest, logLine, backgroundDelay };
  checkGuest(update, false);
  return update;
}

function resolveAliases(values: Values): void {
  const cdrom = values.get("cdrom");
  if (cdrom !== undefined && isTrue(cdrom)) {
    values.set("ide2", /media=/.test(cdrom ?? "") ? cdrom : `${cdrom},media=cdrom`);
    values.delete("cdrom");
  }
}

function parseReverts(text: string | undefined, sets: Values): ReadonlySet<string> {
  const reverts = new Set(splitList(text));
  for (const key of reverts) {
    if (configOption("qemu", key) === undefined) throw Died.parameters({ revert: `unknown option '${key}'` });
    if (sets.has(key)) throw Died.parameters({ delete: `you can't use '-${key}' and -revert ${key}' at the same time` });
  }
  return reverts;
}

function parseDeletes(text: string | undefined, sets: Values, reverts: ReadonlySet<string>): string[] {
  return splitList(text).map((name) => {
    const key = name === "cdrom" ? "ide2" : name;
    if (sets.has(key)) throw Died.parameters({ delete: `you can't use '-${key}' and -delete ${key}' at the same time` });
    if (reverts.has(key)) throw Died.parameters({ revert: `you can't use '-delete ${key}' and -revert ${key}' at the same time` });
    if (configOption("qemu", key) === undefined) throw Died.parameters({ delete: `unknown option '${key}'` });
    return key;
  });
}

const CPU_SHARES_MAX = 10_000;

/** Values that Proxmox rewrites before it stores them. */
function normalizeValues(host: Host, values: Values): void {
  const keys = values.get("sshkeys");
  if (keys !== undefined && keys !== null) checkPublicKeys(keys);
  const units = values.get("cpuunits");
  if (units !== undefined && units !== null) values.set("cpuunits", String(Math.min(CPU_SHARES_MAX, Math.max(1, Number(units)))));
  normalizeDrives(host, values);
  for (const [key, value] of values) {
    if (value === null) continue;
    if (/^net\d+$/.test(key)) values.set(key, printNet("qemu", parseNet(host, "qemu", value)));
    else if (key === "vmgenid" && value === "1") values.set(key, host.uuid());
    else if (key === "hookscript") assertHookscript(host, key, value);
  }
}

export function assertHookscript(host: Host, key: string, value: string): void {
  const { content } = host.storages.parseName(value);
  if (content !== "snippets") throw Died.parameters({ [key]: `'${value}' is not in the snippets directory\n` });
  if (host.storages.volume(value) === undefined) throw Died.parameters({ [key]: `script '${value}' does not exist\n` });
}

/** The look at the guest that is taken twice, before and under the lock: digest, lock, reverts, balloon. */
function checkGuest(update: QemuUpdate, isUnderLock: boolean): Guest {
  const { host, vmid, sets, digest } = update;
  const guest = host.needGuest("qemu", vmid);
  const { main, pending } = guest.view();
  if (isTrue(digest) && digest !== guest.view().digest) throw Died.because("checksum mismatch (file change by other user?)");
  const isResuming = update.deletes.includes("vmstate") && main.get("lock") === "suspended";
  if (isResuming && isUnderLock) update.deletes.push("lock");
  if (!update.isLockSkipped && !isResuming) assertUnlocked(guest);
  for (const key of update.reverts) {
    const current = main.get(key);
    if (current !== undefined) sets.set(key, current);
    else if (pending.has(key) && isUnderLock) update.deletes.push(key);
  }
  if (isTrue(sets.get("memory")) || sets.has("balloon")) assertBalloonFits(sets, main, pending);
  return guest;
}

function assertBalloonFits(sets: Values, main: ReadonlyMap<string, string | null>, pending: ReadonlyMap<string, string | null>): void {
  const memory = sets.get("memory") ?? pending.get("memory") ?? main.get("memory");
  const balloon = Number(sets.get("balloon") ?? pending.get("balloon") ?? main.get("balloon") ?? 0);
  if (balloon > memoryOf(memory)) throw Died.because("balloon value too large (must be smaller than assigned memory)");
}

/** Dies when the guest's config lock is set ("backup", "migrate", …). */
export function assertUnlocked(guest: Guest): void {
  const lock = guest.option("lock");
  if (isTrue(lock)) throw Died.because(`${guest.kind === "qemu" ? "VM" : "CT"} is locked (${lock})`);
}

/** The write itself; the caller holds the guest's lock. `print` is the task log, or nowhere. */
export function applyUpdate(update: QemuUpdate, print: (line: string) => void): void {
  const guest = checkGuest(update, true);
  print(update.logLine);
  const writer = new Writer(update, guest, print);
  for (const key of update.deletes) writer.delete(key);
  for (const key of update.host.shuffled([...update.sets.keys()])) writer.set(key, update.sets.get(key) ?? null);
  const file = guest.load();
  if (cleanupPending(file)) update.host.writeConfig(guest, file);
  if (guest.view().pending.size === 0) return;
  if (guest.running !== undefined) hotplugPending(update.host, guest, update.caller, writer.modified);
  else applyPending(update.host, guest, update.caller);
}

const PINNED_MACHINE_VERSION = "10.0+pve1";

/** Puts changes into [PENDING], one write per key. */
class Writer {
  readonly modified = new Set<string>();
  readonly #update: QemuUpdate;
  readonly #guest: Guest;
  readonly #print: (line: string) => void;
  #bootOrder: string[];

  constructor(update: QemuUpdate, guest: Guest, print: (line: string) => void) {
    this.#update = update;
    this.#guest = guest;
    this.#print = print;
    this.#bootOrder = bootOrder(guest.option("boot"));
  }

  delete(key: string): void {
    const file = this.#guest.load();
    const value = file.main.get(key) ?? file.pending.get(key) ?? undefined;
    if (value === undefined) {
      this.#print(`cannot delete '${key}' - not set in current configuration!`);
      return;
    }
    this.modified.add(key);
    const wasPending = file.pending.delete(key);
    this.#dropFromBootOrder(file, key);
    if (/^unused\d+$/.test(key) || key === "vmstate") this.#deleteVolume(file, key, value);
    else {
      if (isQemuDrive(key)) this.#checkDriveDeletion(file, key, value, wasPending);
      else this.#needForDeletion(key, value, file);
      if (key === "tags") file.main.delete(key);
      else addPendingDelete(file.pending, key, this.#update.isForced);
    }
    this.#write(file);
  }

  #dropFromBootOrder(file: GuestConfigFile, key: string): void {
    if (!this.#bootOrder.includes(key)) return;
    this.#bootOrder = this.#bootOrder.filter((device) => device !== key);
    file.pending.set("boot", printBootOrder(this.#bootOrder));
    this.modified.add("boot");
  }

  /** Unused volumes and saved states are thrown away at once, without a task (docs/proxmox.md row 43). */
  #deleteVolume(file: GuestConfigFile, key: string, value: string): void {
    const { host, caller, vmid } = this.#update;
    const what = key === "vmstate" ? `can't remove vmstate '${value}'` : `can't remove unused disk '${value}'`;
    if (file.main.get("protection") === "1") throw Died.because(`${what} - protection mode enabled`);
    if (!caller.isRootLogin) need(caller, `/vms/${vmid}`, "VM.Config.Disk");
    freeVolume(host, this.#guest, caller, key, value);
    file.main.delete(key);
  }

  #checkDriveDeletion(file: GuestConfigFile, key: string, value: string, wasPending: boolean): void {
    const drive = parseDrive(key, value);
    if (file.main.get("protection") === "1") throw Died.because(`can't remove drive '${key}' - protection mode enabled`);
    needForDriveKind(this.#update.caller, this.#update.vmid, drive);
    if (wasPending) registerUnused(this.#update.host, this.#guest, file.main, drive);
  }

  #needForDeletion(key: string, value: string, file: GuestConfigFile): void {
    const { host, caller, vmid } = this.#update;
    if (key === "tags") needForTags(host, caller, vmid, value, "");
    else if (/^net\d+$/.test(key)) {
      const current = file.main.get(key);
      if (current !== undefined && current !== null) needForBridge(host, caller, "qemu", current);
    } else this.#needForDevice(key, value, "delete");
  }

  /** Serial ports, USB and PCI devices: the value decides who may (docs/proxmox.md row 48). */
  #needForDevice(key: string, value: string, verb: "delete" | "modify" | "set"): void {
    const { caller, vmid } = this.#update;
    if (caller.isRootLogin || !/^(?:serial|usb|hostpci|virtiofs)\d+$/.test(key)) return;
    const isReal = key.startsWith("serial") ? value !== "socket" : key.startsWith("usb") ? !/mapping=|^(?:host=)?spice/i.test(value) : !/mapping=/.test(value);
    if (key.startsWith("virtiofs")) need(caller, `/vms/${vmid}`, "VM.Config.Disk");
    else if (isReal) throw Died.because(`only root can ${verb} '${key}' config for ${key.startsWith("hostpci") ? "non-mapped" : "real"} devices`);
    else need(caller, `/vms/${vmid}`, "VM.Config.HWType");
  }

  set(key: string, value: string | null): void {
    this.modified.add(key);
    const file = this.#guest.load();
    if (file.pending.has(key) && file.pending.get(key) === value) return;
    if (value === null) file.pending.set(key, null);
    else if (isQemuDrive(key)) this.#setDrive(file, key, value);
    else if (key === "cipassword") file.main.set(key, encryptPassword(this.#update.host, value));
    else file.pending.set(key, this.#storedValue(file, key, value));
    removePendingDelete(file.pending, key);
    this.#write(file);
  }

  #storedValue(file: GuestConfigFile, key: string, value: string): string {
    const { host, caller, vmid } = this.#update;
    const current = file.main.get(key) ?? undefined;
    if (key === "tags") {
      needForTags(host, caller, vmid, current ?? "", value);
      return uniqueTags(value, host.datacenter.tagStyle());
    }
    if (key === "ostype") this.#pinMachine(file, value);
    if (/^net\d+$/.test(key) && current !== undefined) needForBridge(host, caller, "qemu", current);
    if (current !== undefined) this.#needForDevice(key, current, "set");
    this.#needForDevice(key, value, key.startsWith("serial") ? "modify" : "set");
    return key === "boot" ? this.#storedBoot(file, value) : value;
  }

  /** Windows gets a versioned machine when it becomes the system, unless the caller names one (docs/proxmox.md row 59). */
  #pinMachine(file: GuestConfigFile, ostype: string): void {
    if (!/^w/.test(ostype) || this.#update.sets.has("machine") || file.pending.has("machine") || this.modified.has("machine")) return;
    const machine = file.main.get("machine") ?? "pc";
    if (machine === "pc" || machine === "q35") file.pending.set("machine", `pc-${machine === "pc" ? "i440fx" : machine}-${PINNED_MACHINE_VERSION}`);
  }

  #storedBoot(file: GuestConfigFile, value: string): string {
    const devices = bootOrder(value);
    for (const device of devices) {
      const isThere = isTrue(file.main.get(device)) || isTrue(file.pending.get(device)) || isTrue(this.#update.sets.get(device));
      if (!isThere || this.#update.deletes.includes(device)) throw Died.because(`invalid bootorder: device '${device}' does not exist'`);
    }
    if (devices.length === 0) return value;
    if (file.main.has("bootdisk")) addPendingDelete(file.pending, "bootdisk", false);
    return printBootOrder(devices);
  }

  #setDrive(file: GuestConfigFile, key: string, value: string): void {
    const { host, caller, vmid } = this.#update;
    const wanted = parseDrive(key, value);
    const current = parseDrive(key, file.main.get(key));
    if (current !== undefined) needForDriveKind(caller, vmid, current);
    if (key === "tpmstate0") assertSameTpm(current, wanted);
    needForDriveKind(caller, vmid, wanted);
    if (file.pending.has(key)) registerUnused(host, this.#guest, file.main, parseDrive(key, file.pending.get(key)));
    file.pending.set(key, createDisk(host, { vmid, key, value, sections: [file.main, file.pending], print: this.#print }));
    if (this.#bootOrder.length > 0 && wanted !== undefined && isCdrom(wanted, true) && !this.#bootOrder.includes(key)) {
      this.#bootOrder.push(key);
      file.pending.set("boot", printBootOrder(this.#bootOrder));
      this.modified.add("boot");
    }
  }

  #write(file: GuestConfigFile): void {
    this.#update.host.writeConfig(this.#guest, file);
  }
}

function assertSameTpm(current: ReadonlyMap<string, string> | undefined, wanted: ReadonlyMap<string, string> | undefined): void {
  if (current === undefined || wanted === undefined || current.get("file") !== wanted.get("file")) return;
  if ((current.get("version") ?? "v1.2") !== (wanted.get("version") ?? "v1.2")) throw Died.because("cannot change TPM state version after creation");
}
