import type { Caller } from "../api.ts";
import { isCloudinitKey, recordCloudinitChange, regenerateDrive } from "./cloudinit.ts";
import type { GuestConfigFile } from "./config-file.ts";
import { Died } from "./died.ts";
import { isCdrom, isCloudinit, parseDrive } from "./drive.ts";
import { parseHotplug } from "./formats.ts";
import type { Guest } from "./guest.ts";
import type { Host } from "./host.ts";
import { differsIn, readNet } from "./net.ts";
import { pendingDeletes, removePendingDelete } from "./pending.ts";
import { freeVolume, registerUnused } from "./qemu-disks.ts";
import { configOption, isQemuDrive } from "./schema.ts";
import { parsePropertyString } from "./verify.ts";

/**
 * Pending changes of a running QEMU guest: which are applied at once, which stay pending until its next
 * start, which fail (and stay pending) (docs/proxmox.md section 2, "Hot-plug"). The default is to stay.
 */

/** What became of one key. */
type Outcome = "applied" | "stays";

/** Keys without any effect on the running machine. */
const WITHOUT_EFFECT = /^(?:description|hookscript|lock|migrate_downtime|migrate_speed|name|onboot|protection|shares|startup|tags|vmstatestorage)$/;

function isFastPlugged(key: string): boolean {
  return WITHOUT_EFFECT.test(key) || isCloudinitKey(key);
}

/** Drive options that a running machine cannot change. */
const FIXED_DRIVE_OPTIONS = ["aio", "discard", "iothread", "queues", "product", "cache", "ssd", "vendor", "ro"];
const FIXED_NET_OPTIONS = ["model", "macaddr", "queues", "mtu"];

class HotPlug {
  readonly host: Host;
  readonly guest: Guest;
  readonly caller: Caller;
  readonly file: GuestConfigFile;
  readonly features: ReadonlySet<string>;
  readonly errors: Record<string, string> = {};

  constructor(host: Host, guest: Guest, caller: Caller, file: GuestConfigFile) {
    this.host = host;
    this.guest = guest;
    this.caller = caller;
    this.file = file;
    this.features = parseHotplug(file.main.get("hotplug") ?? "1") ?? new Set();
  }

  /** Runs one key's change; a death becomes that key's error and the change stays pending. */
  attempt(key: string, act: () => Outcome): boolean {
    try {
      return act() === "applied";
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      this.errors[key] = `hotplug problem - ${error.message}\n`;
      return false;
    }
  }
}

/** Applies what can be applied of `selected` keys, writes the file, and dies with the errors there were. */
export function hotplugPending(host: Host, guest: Guest, caller: Caller, selected: ReadonlySet<string>): void {
  const file = guest.load();
  applyWithoutEffect(file, () => host.writeConfig(guest, file));
  const plug = new HotPlug(host, guest, caller, file);
  for (const [key, isForced] of pendingDeletes(file.pending)) {
    if (!selected.has(key) || !plug.attempt(key, () => deleteLive(plug, key, isForced))) continue;
    const before = file.main.get(key) ?? undefined;
    file.main.delete(key);
    recordCloudinitChange(file, key, before, undefined);
    removePendingDelete(file.pending, key);
  }
  for (const [key, value] of [...file.pending]) {
    if (key === "delete" || !selected.has(key) || !plug.attempt(key, () => setLive(plug, key, value ?? ""))) continue;
    recordCloudinitChange(file, key, file.main.get(key) ?? undefined, value ?? undefined);
    file.main.set(key, value);
    file.pending.delete(key);
  }
  host.writeConfig(guest, file);
  if (plug.features.has("cloudinit")) regenerateDrive(host, guest);
  if (Object.keys(plug.errors).length > 0) throw Died.parameters(plug.errors);
}

function applyWithoutEffect(file: GuestConfigFile, write: () => void): void {
  let hasChanged = false;
  for (const [key, value] of [...file.pending]) {
    if (!isFastPlugged(key)) continue;
    file.pending.delete(key);
    recordCloudinitChange(file, key, file.main.get(key) ?? undefined, value ?? undefined);
    file.main.set(key, value);
    hasChanged = true;
  }
  if (hasChanged) write();
}

function deleteLive(plug: HotPlug, key: string, isForced: boolean): Outcome {
  const { main } = plug.file;
  const when = (isPossible: boolean): Outcome => (isPossible ? "applied" : "stays");
  if (key === "hotplug") return when(!/cpu|memory/.test(main.get("hotplug") ?? ""));
  if (key === "tablet" || /^usb\d+$/.test(key)) return when(plug.features.has("usb") && (key === "tablet" || hasUsbHotplug(plug)));
  if (key === "vcpus") return when(plug.features.has("cpu"));
  if (key === "balloon") return when(main.get("balloon") !== "0");
  if (isFastPlugged(key) || key === "cpuunits" || key === "cpulimit") return "applied";
  if (/^net\d+$/.test(key)) return when(plug.features.has("network"));
  if (isQemuDrive(key)) return deleteDriveLive(plug, key, isForced);
  return "stays";
}

function deleteDriveLive(plug: HotPlug, key: string, isForced: boolean): Outcome {
  if (!plug.features.has("disk") || /^(?:efidisk|ide|sata|tpmstate)\d+$/.test(key)) return "stays";
  const drive = parseDrive(key, plug.file.main.get(key));
  if (isForced) freeVolume(plug.host, plug.guest, plug.caller, key, drive?.get("file") ?? "");
  else registerUnused(plug.host, plug.guest, plug.file.main, drive);
  return "applied";
}

function setLive(plug: HotPlug, key: string, value: string): Outcome {
  const { main } = plug.file;
  const when = (isPossible: boolean): Outcome => (isPossible ? "applied" : "stays");
  if (key === "hotplug") return when(!/memory|cpu/.test(value) && !/memory|cpu/.test(main.get("hotplug") ?? ""));
  if (key === "tablet") return when(plug.features.has("usb"));
  if (/^usb\d+$/.test(key)) return when(hasUsbHotplug(plug));
  if (key === "vcpus") return when(plug.features.has("cpu"));
  if (key === "balloon") return when((main.get("balloon") !== "0") === (value !== "0"));
  if (key === "cpuunits" || key === "cpulimit") return "applied";
  if (key === "memory") return when(plug.features.has("memory") && main.get("numa") === "1" && memoryOf(value) > memoryOf(main.get("memory")));
  if (key === "agent") return setAgentLive(plug, value);
  if (/^net\d+$/.test(key)) return setNetLive(plug, key, value);
  if (isQemuDrive(key)) return setDriveLive(plug, key, value);
  return "stays";
}

/** The recorded host left the tablet pending with `hotplug=0`; USB needs a system that copes. */
function hasUsbHotplug(plug: HotPlug): boolean {
  return plug.features.has("usb") && /^(?:l26|win8|win10|win11)$/.test(plug.file.main.get("ostype") ?? "");
}

/** MiB of a `memory` value; 512 is Proxmox's default. */
export function memoryOf(value: string | null | undefined): number {
  return Number(/(\d+)/.exec(value ?? "")?.[1] ?? 512);
}

function setAgentLive(plug: HotPlug, value: string): Outcome {
  const format = configOption("qemu", "agent")?.format;
  const before = plug.file.main.get("agent");
  if (before === undefined || before === null || typeof format !== "object") return "stays";
  const [old, wanted] = [parsePropertyString(format, before), parsePropertyString(format, value)];
  const others = Object.keys(format).filter((option) => option !== "fstrim_cloned_disks");
  return old.ok && wanted.ok && !differsIn(old.values, wanted.values, others) ? "applied" : "stays";
}

function setNetLive(plug: HotPlug, key: string, value: string): Outcome {
  const wanted = readNet("qemu", value);
  const before = plug.file.main.get(key);
  if (before !== undefined && before !== null) {
    const old = readNet("qemu", before);
    const isSameDevice = !differsIn(old, wanted, FIXED_NET_OPTIONS) && old.has("bridge") && wanted.has("bridge");
    if (isSameDevice) {
      assertBridge(plug, wanted.get("bridge"));
      return "applied";
    }
  }
  if (!plug.features.has("network")) return "stays";
  assertBridge(plug, wanted.get("bridge"));
  return "applied";
}

function assertBridge(plug: HotPlug, bridge: string | undefined): void {
  if (bridge === undefined || plug.host.traits.bridges.includes(bridge)) return;
  const script = "/usr/libexec/qemu-server/pve-bridge-hotplug";
  throw Died.because(`VM ${plug.guest.vmid} qmp command 'netdev_add' failed - network script ${script} failed with status 512`);
}

function setDriveLive(plug: HotPlug, key: string, value: string): Outcome {
  const wanted = parseDrive(key, value);
  if (wanted === undefined || key === "efidisk0" || key === "tpmstate0") return "stays";
  const canPlug = plug.features.has("disk") && !/^(?:ide|sata)\d+$/.test(key);
  const old = parseDrive(key, plug.file.main.get(key));
  if (old === undefined) return canPlug ? "applied" : "stays";
  if ((wanted.get("media") ?? "disk") !== (old.get("media") ?? "disk")) throw Died.because("unable to change media type");
  if (isCdrom(old)) {
    if (wanted.get("file") === "none" && isCloudinit(old)) registerUnused(plug.host, plug.guest, plug.file.main, old);
    return "applied";
  }
  if (wanted.get("file") === old.get("file")) return differsIn(wanted, old, FIXED_DRIVE_OPTIONS) ? "stays" : "applied";
  if (!plug.features.has("disk")) return "stays";
  registerUnused(plug.host, plug.guest, plug.file.main, old);
  return canPlug ? "applied" : "stays";
}
