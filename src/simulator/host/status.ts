import type { Guest } from "./guest.ts";
import { bootDiskSize, parseDrive } from "./drive.ts";
import { haStateOf } from "./ha.ts";
import type { Host } from "./host.ts";
import { parseMountPoint } from "./lxc-volumes.ts";
import { isTrue } from "./perl.ts";
import { memoryOf } from "./qemu-hotplug.ts";
import { isLxcVolume, isQemuDrive } from "./schema.ts";
import { parseSize } from "./sizes.ts";

/** Rows of the guest lists and status/current. Counters of load stand still: nothing runs in a simulated guest. */
export type Row = Record<string, unknown>;

const MIB_BYTES = 1024 ** 2;
const PRESSURES = ["pressurecpusome", "pressurecpufull", "pressureiosome", "pressureiofull", "pressurememorysome", "pressurememoryfull"];

/** A row of a guest list; `isFull` adds what only the process knows. */
export function statusRow(host: Host, guest: Guest, isFull: boolean): Row {
  const row = guest.kind === "qemu" ? qemuRow(host, guest, isFull) : lxcRow(host, guest);
  const { main } = guest.view();
  for (const key of ["tags", "lock"] as const) if (main.has(key)) row[key] = main.get(key);
  if (guest.isTemplate) row["template"] = 1;
  return row;
}

/** status/current: the full row with what HA says. */
export function currentStatus(host: Host, guest: Guest): Row {
  const state = haStateOf(host, guest.kind, guest.vmid);
  return { ...statusRow(host, guest, true), ha: state === undefined ? { managed: 0 } : { managed: 1, state } };
}

function uptimeOf(host: Host, guest: Guest): number {
  return guest.running === undefined ? 0 : Math.floor((host.clock.now() - guest.running.startedAtMs) / 1000);
}

function qemuRow(host: Host, guest: Guest, isFull: boolean): Row {
  const { main } = guest.view();
  const { running } = guest;
  const cpus = Number(main.get("vcpus") ?? Number(main.get("sockets") ?? 1) * Number(main.get("cores") ?? 1));
  const row: Row = {
    vmid: guest.vmid,
    name: main.get("name") ?? `VM ${guest.vmid}`,
    status: running === undefined ? "stopped" : "running",
    cpus: Math.min(cpus, host.traits.cpuCount),
    maxmem: memoryOf(main.get("memory")) * MIB_BYTES,
    maxdisk: bootDiskSize(main),
    uptime: uptimeOf(host, guest),
    ...zeros(["cpu", "mem", "memhost", "disk", "netin", "netout"]),
  };
  if (isTrue(main.get("balloon"))) {
    row["balloon_min"] = Number(main.get("balloon")) * MIB_BYTES;
    row["shares"] = Number(main.get("shares") ?? 1000);
  }
  if ([...main.keys()].some((key) => /^serial\d+$/.test(key))) row["serial"] = 1;
  if (running !== undefined) Object.assign(row, { pid: running.pid }, zeros(PRESSURES));
  if (!isFull) return row;
  row["qmpstatus"] = running === undefined ? "stopped" : running.isPaused ? "paused" : "running";
  if (/^(?:1|enabled=1)(?:,|$)/.test(main.get("agent") ?? "")) row["agent"] = 1;
  const nics = [...main.keys()].filter((key) => /^net\d+$/.test(key)).map((key) => [`tap${guest.vmid}i${key.slice("net".length)}`, zeros(["netin", "netout"])]);
  if (running !== undefined && nics.length > 0) row["nics"] = Object.fromEntries(nics);
  return row;
}

/** A running container's file system is a little smaller than its volume, and holds something. */
const FILE_SYSTEM_SHARE = 57_381_888 / 67_108_864;
const FILE_SYSTEM_USED_BYTES = 2_089_984;

function lxcRow(host: Host, guest: Guest): Row {
  const { main } = guest.view();
  const { running } = guest;
  const rootBytes = parseSize(parseMountPoint("rootfs", main.get("rootfs"))?.get("size") ?? "") ?? 0;
  const row: Row = {
    vmid: guest.vmid,
    type: "lxc",
    name: main.get("hostname") ?? `CT${guest.vmid}`,
    status: running === undefined ? "stopped" : "running",
    cpus: Number(main.get("cores") ?? host.traits.cpuCount),
    maxmem: Number(main.get("memory") ?? 512) * MIB_BYTES,
    maxswap: Number(main.get("swap") ?? 512) * MIB_BYTES,
    maxdisk: running === undefined ? rootBytes : Math.floor(rootBytes * FILE_SYSTEM_SHARE),
    uptime: uptimeOf(host, guest),
    ...zeros(["cpu", "mem", "swap", "netin", "netout", "diskread", "diskwrite"]),
    disk: running === undefined ? 0 : FILE_SYSTEM_USED_BYTES,
  };
  if (running !== undefined) Object.assign(row, { pid: running.pid }, Object.fromEntries(PRESSURES.map((name) => [name, "0.00"])));
  return row;
}

function zeros(names: readonly string[]): Row {
  return Object.fromEntries(names.map((name) => [name, 0]));
}

/** True when the guest's disks can be snapshotted: every one of a format that keeps snapshots. */
export function canSnapshot(host: Host, guest: Guest): boolean {
  return [...guest.view().main].every(([key, value]) => {
    if (guest.kind === "lxc" ? !isLxcVolume(key) : !isQemuDrive(key)) return true;
    const file = guest.kind === "qemu" ? parseDrive(key, value)?.get("file") : parseMountPoint(key, value)?.get("volume");
    const volume = host.storages.volume(file ?? "");
    return volume === undefined || volume.format === "qcow2" || host.storages.all().some((storage) => !storage.isFileBased && volume.id.startsWith(`${storage.id}:`));
  });
}
