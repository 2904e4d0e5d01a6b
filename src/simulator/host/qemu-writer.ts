import type { GuestConfigFile } from "./config-file.ts";
import { encryptPassword } from "./credentials.ts";
import { uniqueTags } from "./datacenter.ts";
import { Died } from "./died.ts";
import { bootOrder, isCdrom, parseDrive, printBootOrder } from "./drive.ts";
import type { Guest } from "./guest.ts";
import { addPendingDelete, removePendingDelete } from "./pending.ts";
import { isTrue } from "./perl.ts";
import { need, needForBridge, needForTags } from "./permissions.ts";
import { createDisk, freeVolume, needForDriveKind, registerUnused } from "./qemu-disks.ts";
import type { QemuUpdate } from "./qemu-update.ts";
import { isQemuDrive } from "./schema.ts";

const PINNED_MACHINE_VERSION = "10.0+pve1";

/** Puts changes into [PENDING], one write per key. */
export class PendingWriter {
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
      if (current !== undefined && current !== null) needForBridge(caller, "qemu", current);
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
    if (/^net\d+$/.test(key) && current !== undefined) needForBridge(caller, "qemu", current);
    if (current !== undefined) this.#needForDevice(key, current, "set");
    this.#needForDevice(key, value, key.startsWith("serial") ? "modify" : "set");
    return key === "boot" ? this.#storedBoot(file, value) : value;
  }

  /** Windows gets a versioned machine when it becomes the system, unless the caller names one (docs/proxmox.md row 59). */
  #pinMachine(file: GuestConfigFile, ostype: string): void {
    if (!ostype.startsWith("w") || this.#update.sets.has("machine") || file.pending.has("machine") || this.modified.has("machine")) return;
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
