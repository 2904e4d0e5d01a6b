import { Died } from "./died.ts";
import { drivesOf } from "./drive.ts";
import type { Guest } from "./guest.ts";
import type { Host } from "./host.ts";
import { hasCloudinitDrive } from "./config-file.ts";
import { bridgeOf } from "./net.ts";
import { isTrue } from "./perl.ts";
import { beginProcess } from "./process.ts";
import { applyPending } from "./qemu-apply.ts";
import { assertUnlocked } from "./qemu-update.ts";
import type { TaskContext } from "./tasks.ts";

/** Starting a QEMU guest, under its lock. Values that were accepted may fail only here. */

const START_DURATION_MS = 500;
/** Command line options that QEMU would take from `args`; anything else ends it at once. */
const KNOWN_ARGUMENTS = new Set([
  ...["-device", "-drive", "-blockdev", "-cpu", "-smbios", "-global", "-chardev", "-serial", "-fw_cfg", "-object", "-machine", "-netdev", "-monitor", "-mon"],
  ...["-rtc", "-boot", "-vnc", "-spice", "-msg", "-watchdog", "-uuid", "-acpitable", "-set", "-overcommit", "-sandbox", "-audiodev", "-display", "-k"],
  ...["-no-reboot", "-no-shutdown"],
]);

/** Starts the guest or dies of why not; what was pending is applied first, even if the start then fails. */
export async function startQemu(host: Host, guest: Guest, task: TaskContext, isLockSkipped: boolean): Promise<void> {
  if (guest.isTemplate) throw Died.because("you can't start a vm if it's a template");
  const lock = guest.option("lock");
  const isSuspended = lock === "suspended";
  if (!isLockSkipped && !isSuspended) assertUnlocked(guest);
  if (guest.running !== undefined) throw Died.because(`VM ${guest.vmid} already running`);
  guest.isRebootRequested = false;
  applyPending(host, guest, undefined);
  if (isSuspended) task.print("Resuming suspended VM");
  assertStartable(host, guest, task);
  if (guest.option("bios") === "ovmf" && guest.option("efidisk0") === undefined) task.warn("no efidisk configured! Using temporary efivars disk.");
  await task.sleep(START_DURATION_MS);
  beginProcess(host, guest);
  forgetWhatStartMade(host, guest, isSuspended);
}

function assertStartable(host: Host, guest: Guest, task: TaskContext): void {
  const { main } = guest.view();
  for (const [, drive] of drivesOf(main)) {
    const file = drive.get("file") ?? "";
    if (/^[^/:]+:.+/.test(file) && host.storages.volume(file) === undefined) throw Died.because(`volume '${file}' does not exist`);
  }
  const vcpus = Number(main.get("sockets") ?? 1) * Number(main.get("cores") ?? 1);
  if (vcpus > host.traits.cpuCount) throw Died.because(`MAX ${host.traits.cpuCount} vcpus allowed per VM on this node`);
  for (const [key, value] of main) {
    if (!/^net\d+$/.test(key)) continue;
    const bridge = bridgeOf("qemu", value);
    if (bridge !== undefined && !host.traits.bridges.includes(bridge)) throw Died.because(`bridge '${bridge}' does not exist`);
  }
  const unknown = (main.get("args") ?? "").split(/\s+/).find((word) => word.startsWith("-") && !KNOWN_ARGUMENTS.has(word));
  if (unknown !== undefined) {
    task.print(`kvm: ${unknown}: invalid option`);
    throw Died.because("start failed: QEMU exited with code 1");
  }
}

/** The cloud-init drive is written anew, and a state that was resumed is gone. */
function forgetWhatStartMade(host: Host, guest: Guest, isResumed: boolean): void {
  const file = guest.load();
  const hadCloudinit = hasCloudinitDrive(file.main) && file.special.delete("cloudinit");
  const state = file.main.get("vmstate");
  if (!hadCloudinit && !isResumed) return;
  if (isResumed) for (const key of ["lock", "vmstate", "runningmachine", "runningcpu", "running-nets-host-mtu"]) file.main.delete(key);
  if (isResumed && isTrue(state)) host.storages.free(state ?? "");
  host.writeConfig(guest, file);
}
