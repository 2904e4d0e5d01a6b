import type { GuestKind } from "../guest/key.ts";
import type { RawConfig, RunState } from "../guest/observed.ts";
import { isNetworkKey } from "./keys.ts";

/**
 * Which keys Proxmox applies to a running guest at once; all others wait in its pending section for
 * the next start (docs/proxmox.md "Hot-plug"; seen key by key on a running VM, Proxmox VE 9.2).
 */
const APPLIED_AT_ONCE: Readonly<Record<GuestKind, ReadonlySet<string>>> = {
  qemu: new Set([
    "balloon", "cpulimit", "cpuunits", "description", "hookscript", "hotplug", "lock", "migrate_downtime", "migrate_speed",
    "name", "onboot", "protection", "shares", "startup", "tags", "vmstatestorage",
    // Cloud-init values only change what the next generated drive holds.
    "cicustom", "cipassword", "citype", "ciupgrade", "ciuser", "nameserver", "searchdomain", "sshkeys",
  ]),
  lxc: new Set([
    "cores", "cpulimit", "cpuunits", "description", "hookscript", "hostname", "lock", "memory", "onboot", "protection",
    "startup", "swap", "tags",
  ]),
};

const CLOUD_INIT_NETWORK = /^ipconfig\d+$/;

/** Proxmox's default for `hotplug`, also what "1" means (docs/proxmox.md row 63). */
const DEFAULT_HOTPLUG = "network,disk,usb";

/** When a change of `key` takes effect. `running`: the running view, whose `hotplug` is in force. */
export function appliesWhen(kind: GuestKind, key: string, runState: RunState, running: RawConfig): "now" | "next restart" {
  if (runState === "stopped" || APPLIED_AT_ONCE[kind].has(key)) return "now";
  if (kind === "lxc") return isNetworkKey(key) ? "now" : "next restart";
  if (CLOUD_INIT_NETWORK.test(key)) return "now";
  if (isNetworkKey(key)) return isHotpluggable("network", running) ? "now" : "next restart";
  if (key === "vcpus") return isHotpluggable("cpu", running) ? "now" : "next restart";
  if (key === "memory") return isHotpluggable("memory", running) ? "now" : "next restart";
  return "next restart";
}

function isHotpluggable(feature: string, running: RawConfig): boolean {
  const written = String(running["hotplug"] ?? DEFAULT_HOTPLUG).trim();
  const features = written === "1" ? DEFAULT_HOTPLUG : written;
  return features.split(/[,;\s]+/).includes(feature);
}
