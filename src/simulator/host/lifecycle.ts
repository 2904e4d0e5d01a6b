import type { Caller } from "../api.ts";
import { copyConfig, parseConfig, type GuestConfigFile } from "./config-file.ts";
import { uniqueTags } from "./datacenter.ts";
import { Died } from "./died.ts";
import { drivesOf, isCdrom, isCloudinit, parseDrive, printBootOrder, printDrive } from "./drive.ts";
import type { Guest } from "./guest.ts";
import { haStateOf } from "./ha.ts";
import type { Host } from "./host.ts";
import { allocateMountPoint, isManagedVolume, parseMountPoint } from "./lxc-volumes.ts";
import { parseNet, printNet } from "./net.ts";
import { need, needForBridge, needForLxcKeys, needForQemuKeys } from "./permissions.ts";
import { LOCK_TIMEOUT_MS, withTaskLock } from "./process.ts";
import { createDisk, formattingLine, needForDrives, normalizeDrives } from "./qemu-disks.ts";
import type { PowerCall } from "./qemu-power.ts";
import { startQemu } from "./qemu-start.ts";
import { assertUnlocked } from "./qemu-update.ts";
import { splitVolumeId } from "./storage.ts";
import type { TaskContext } from "./tasks.ts";
import type { Values } from "./verify.ts";

/** Guests made, cloned, turned into templates and destroyed. Backups and their restores are not simulated. */

const WORK_DURATION_MS = 100;
const CREATED_WITH = "creation-qemu=10.0.13";
/** Create parameters that are no configuration. */
const NOT_CONFIG = ["vmid", "archive", "bwlimit", "force", "ha-managed", "import-working-storage", "live-restore", "pool", "start", "storage", "unique"];

function assertFree(host: Host, vmid: number, kind: "VM" | "CT"): void {
  const other = host.findGuest(vmid);
  if (other === undefined) return;
  throw Died.because(`unable to create ${kind} ${vmid} - ${other.kind === "qemu" ? "VM" : "CT"} ${vmid} already exists on node '${host.name}'`);
}

/** POST /qemu: checks in the request, makes the guest in a task; gives its UPID. */
export function createQemu(host: Host, caller: Caller, values: Values): string {
  const vmid = Number(values.get("vmid"));
  if (!caller.can(`/vms/${vmid}`, "VM.Allocate")) throw Died.permission();
  if (values.has("archive")) throw Died.because("restoring a backup is not possible on a simulated host");
  const config: Values = new Map([...values].filter(([key]) => !NOT_CONFIG.includes(key)));
  normalizeDrives(host, config);
  needForQemuKeys(caller, vmid, config.keys());
  needForDrives(host, caller, vmid, config);
  for (const [key, value] of config) {
    if (!/^net\d+$/.test(key) || value === null) continue;
    needForBridge(caller, "qemu", value);
    config.set(key, printNet("qemu", parseNet(host, "qemu", value)));
  }
  assertFree(host, vmid, "VM");
  const isStarted = values.get("start") === "1";
  return host.tasks.start("qmcreate", String(vmid), caller, async (task) => {
    assertFree(host, vmid, "VM");
    const guest = host.addGuest("qemu", vmid, "lock: create\n");
    await withTaskLock(guest, task, async () => {
      await task.sleep(WORK_DURATION_MS);
      writeNewQemu(host, guest, config, task);
    });
    if (!isStarted) return;
    task.print("Execute autostart");
    await withTaskLock(guest, task, () => startQemu(host, guest, task, false));
  }).upid;
}

function writeNewQemu(host: Host, guest: Guest, config: Values, task: TaskContext): void {
  const file = parseConfig("qemu", "");
  try {
    for (const [key, value] of config) file.main.set(key, value);
    for (const [key, drive] of drivesOf(file.main)) {
      file.main.set(key, createDisk(host, { vmid: guest.vmid, key, value: printDrive(key, drive), sections: [file.main], print: task.print }));
    }
  } catch (error) {
    host.dropGuest(guest);
    throw error;
  }
  const tags = file.main.get("tags");
  if (tags !== undefined && tags !== null) file.main.set("tags", uniqueTags(tags, host.datacenter.tagStyle()));
  if (!file.main.has("boot")) file.main.set("boot", printBootOrder(defaultBootOrder(file)));
  if (!file.main.has("vmgenid")) file.main.set("vmgenid", host.uuid());
  if (!file.main.has("smbios1")) file.main.set("smbios1", `uuid=${host.uuid()}`);
  file.main.set("meta", `${CREATED_WITH},ctime=${host.nowSeconds()}`);
  host.writeConfig(guest, file);
}

/** The first disk, the first CD drive, the first network interface (docs/proxmox.md row 52). */
function defaultBootOrder(file: GuestConfigFile): string[] {
  const drives = drivesOf(file.main);
  const disk = drives.find(([, drive]) => !isCdrom(drive))?.[0];
  const cdrom = drives.find(([, drive]) => isCdrom(drive) && !isCloudinit(drive))?.[0];
  const net = [...file.main.keys()].filter((key) => /^net\d+$/.test(key)).sort()[0];
  return [disk, cdrom, net].filter((device) => device !== undefined);
}

const LXC_NOT_CONFIG = ["vmid", "bwlimit", "force", "ha-managed", "ignore-unpack-errors", "ostemplate", "password", "pool", "restore", "ssh-public-keys", "start", "storage", "unique"];
const LXC_DEFAULT_ROOTFS_GIB = 4;

/** Containers are made from a template that the storage has; there are none unless somebody put one there. */
export function createLxc(host: Host, caller: Caller, values: Values): string {
  const vmid = Number(values.get("vmid"));
  const path = `/vms/${vmid}`;
  if (!caller.can(path, "VM.Allocate")) throw Died.permission();
  const config: Values = new Map([...values].filter(([key]) => !LXC_NOT_CONFIG.includes(key)));
  const future = new Map([["unprivileged", config.get("unprivileged") ?? "1"]]);
  needForLxcKeys(host, caller, vmid, future, [...config.keys()].filter((key) => key !== "unprivileged"), config);
  assertFree(host, vmid, "CT");
  const template = values.get("ostemplate") ?? "";
  const storage = values.get("storage") ?? "local";
  return host.tasks.start("vzcreate", String(vmid), caller, async (task) => {
    if (host.storages.volume(template) === undefined) throw Died.because(`volume '${template}' does not exist`);
    await task.sleep(WORK_DURATION_MS);
    assertFree(host, vmid, "CT");
    host.addGuest("lxc", vmid, "");
    const guest = host.needGuest("lxc", vmid);
    const file = parseConfig("lxc", "");
    const defaults = { arch: "amd64", hostname: `CT${vmid}`, memory: "512", swap: "512", ostype: "debian", unprivileged: "1" };
    for (const [key, value] of [...Object.entries(defaults), ...config]) file.main.set(key, value);
    const root = config.get("rootfs") ?? `${storage}:${LXC_DEFAULT_ROOTFS_GIB}`;
    for (const [key, value] of [...file.main, ["rootfs", root] as const]) {
      const mountPoint = key === "rootfs" || /^mp\d+$/.test(key) ? parseMountPoint(key, value) : undefined;
      if (mountPoint !== undefined && isManagedVolume(mountPoint)) file.main.set(key, allocateMountPoint(host, vmid, key, mountPoint));
      else if (/^net\d+$/.test(key)) file.main.set(key, printNet("lxc", parseNet(host, "lxc", value ?? "")));
    }
    host.writeConfig(guest, file);
  }).upid;
}

/** DELETE /qemu/{vmid}: protection and running are refused at once, a lock only by the task. */
export function destroyQemu(call: PowerCall): string {
  const { host, vmid, values } = call;
  const guest = host.needGuest("qemu", vmid);
  assertDestroyable(host, guest, values);
  if (guest.running !== undefined) throw Died.because(`VM ${vmid} is running - destroy failed`);
  return host.tasks.start("qmdestroy", String(vmid), call.caller, (task) => withTaskLock(guest, task, async () => destroy(host, guest, task, values))).upid;
}

/** DELETE /lxc/{vmid}: here the lock is refused at once too. */
export async function destroyLxc(call: PowerCall): Promise<string> {
  const { host, vmid, values } = call;
  const guest = host.needGuest("lxc", vmid);
  assertUnlocked(guest);
  assertDestroyable(host, guest, values);
  if (guest.running !== undefined && values.get("force") !== "1") throw Died.because(`unable to destroy CT ${vmid} - container is running`);
  const release = await guest.lock.acquire(LOCK_TIMEOUT_MS, host.stopped);
  const task = host.tasks.start("vzdestroy", String(vmid), call.caller, (context) => destroy(host, guest, context, values));
  void task.ended.then(release);
  return task.upid;
}

function assertDestroyable(host: Host, guest: Guest, values: Values): void {
  const name = `${guest.kind === "qemu" ? "VM" : "CT"} ${guest.vmid}`;
  if (guest.option("protection") === "1") throw Died.because(`can't remove ${name} - protection mode enabled`);
  const isManaged = haStateOf(host, guest.kind, guest.vmid) !== undefined;
  if (isManaged && values.get("purge") !== "1") throw Died.because(`unable to remove ${name} - used in HA resources and purge parameter not set.`);
}

async function destroy(host: Host, guest: Guest, task: TaskContext, values: Values): Promise<void> {
  host.needGuest(guest.kind, guest.vmid);
  if (guest.option("lock") !== "suspended") assertUnlocked(guest);
  await task.sleep(WORK_DURATION_MS);
  if (values.get("purge") === "1") task.print(`purging ${guest.kind === "qemu" ? "VM" : "CT"} ${guest.vmid} from related configurations..`);
  const isUnreferencedToo = values.get("destroy-unreferenced-disks") === "1";
  const { text } = guest;
  host.removeGuest(guest);
  for (const volume of host.storages.volumes()) {
    if (volume.vmid === guest.vmid && (isUnreferencedToo || text.includes(volume.id))) host.storages.free(volume.id);
  }
}

/** POST /clone: a copy with volumes, addresses and identity of its own. */
export function cloneQemu(call: PowerCall): string {
  const { host, vmid, caller, values } = call;
  const newId = Number(values.get("newid"));
  need(caller, `/vms/${vmid}`, "VM.Clone");
  need(caller, `/vms/${newId}`, "VM.Allocate");
  const source = host.needGuest("qemu", vmid);
  assertUnlocked(source);
  if (host.findGuest(newId) !== undefined) throw Died.because(`unable to create VM ${newId}: config file already exists`);
  return host.tasks.start("qmclone", String(vmid), caller, (task) =>
    withTaskLock(source, task, async () => {
      const clone = host.addGuest("qemu", newId, "lock: clone\n");
      task.print(`creating a clone of VM ${vmid} with ID ${newId}`);
      await task.sleep(WORK_DURATION_MS);
      host.writeConfig(clone, clonedConfig(call, source, newId, task));
    }),
  ).upid;
}

function clonedConfig(call: PowerCall, source: Guest, newId: number, task: TaskContext): GuestConfigFile {
  const { host, vmid, values } = call;
  const file = copyConfig(source.view());
  for (const section of [file.pending, file.snapshots, file.special]) section.clear();
  for (const key of [...file.main.keys()]) if (/^(?:unused\d+|parent|snaptime|vmstate|template|lock)$/.test(key)) file.main.delete(key);
  for (const [key, drive] of drivesOf(file.main)) if (!isCdrom(drive)) file.main.set(key, cloneDrive(host, newId, key, drive, task));
  for (const [key, value] of file.main) {
    if (!/^net\d+$/.test(key)) continue;
    const net = parseNet(host, "qemu", value ?? "");
    file.main.set(key, printNet("qemu", net.set("macaddr", host.hardwareAddress())));
  }
  file.main.set("name", values.get("name") ?? (file.main.has("name") ? `Copy-of-${file.main.get("name")}` : `Copy-of-VM-${vmid}`));
  file.main.set("smbios1", `uuid=${host.uuid()}`).set("vmgenid", host.uuid()).set("meta", `${CREATED_WITH},ctime=${host.nowSeconds()}`);
  const description = values.get("description");
  if (description !== undefined) file.main.set("description", description);
  return file;
}

function cloneDrive(host: Host, newId: number, key: string, drive: Map<string, string>, task: TaskContext): string {
  const file = drive.get("file") ?? "";
  const original = host.storages.volume(file);
  if (original === undefined) throw Died.because(`clone failed: volume '${file}' does not exist`);
  const storage = host.storages.need(splitVolumeId(file)[0]);
  task.print(`create full clone of drive ${key} (${file})`);
  const { sizeBytes, format, content } = original;
  const volume = host.storages.allocate({ storage, vmid: newId, sizeBytes, format, content, now: host.nowSeconds() });
  if (storage.isFileBased) task.print(formattingLine(`${storage.path}/images/${splitVolumeId(volume.id)[1]}`, format, sizeBytes));
  task.print(`allocated target volume '${volume.id}'`);
  const mebibytes = `${(sizeBytes / 1024 ** 2).toFixed(1)} MiB`;
  task.print(`transferred 0.0 B of ${mebibytes} (0.00%)`);
  task.print(`transferred ${mebibytes} of ${mebibytes} (100.00%)`);
  return printDrive(key, new Map(drive).set("file", volume.id));
}

/** POST /template: sets the flag and turns the disks into base images. */
export function makeTemplate(call: PowerCall): string {
  const { host, vmid, caller } = call;
  const guest = host.needGuest("qemu", vmid);
  assertUnlocked(guest);
  if (guest.view().snapshots.size > 0) throw Died.because("unable to create template, because VM contains snapshots");
  if (guest.isTemplate) throw Died.because("you can't convert a template to a template");
  if (guest.running !== undefined) throw Died.because("you can't convert a VM to template if VM is running");
  return host.tasks.start("qmtemplate", String(vmid), caller, (task) =>
    withTaskLock(guest, task, async () => {
      await task.sleep(WORK_DURATION_MS);
      const file = guest.load();
      file.main.set("template", "1");
      for (const [key, value] of file.main) {
        const drive = parseDrive(key, value);
        if (drive !== undefined && !isCdrom(drive)) file.main.set(key, printDrive(key, drive.set("file", toBase(host, drive.get("file") ?? ""))));
      }
      host.writeConfig(guest, file);
    }),
  ).upid;
}

/** "local:101/vm-101-disk-0.qcow2" → "local:101/base-101-disk-0.qcow2". */
function toBase(host: Host, id: string): string {
  const volume = host.storages.volume(id);
  if (volume === undefined) return id;
  const base = id.replace(/([:/])vm-/, "$1base-");
  host.storages.free(id);
  host.storages.add({ ...volume, id: base });
  return base;
}
