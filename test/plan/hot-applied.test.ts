import { describe, expect, test } from "bun:test";
import type { GuestKind } from "../../src/guest/key.ts";
import type { RawConfig } from "../../src/guest/observed.ts";
import { appliesWhen, type Applies } from "../../src/plan/hot-applied.ts";

/** As a running VM of Proxmox VE 9.2 answered, key by key. */
const QEMU_AT_ONCE = ["description", "name", "tags", "onboot", "startup", "protection", "cpulimit", "cpuunits", "balloon", "shares", "ciuser", "hotplug", "tablet"];
const QEMU_PENDING = ["memory", "cores", "sockets", "ostype", "kvm", "cpu", "numa", "scsihw", "machine", "bios", "vga", "agent", "boot", "vcpus", "localtime", "keyboard", "audio0", "rng0"];

describe("a change of a running guest (row O17)", () => {
  test("applies to a VM at once or at its next start, as recorded (rows O14 and O15)", () => {
    expect(QEMU_AT_ONCE.filter((key) => appliesWhen("qemu", { key, send: "1" }, "running", {}) !== "now")).toEqual([]);
    expect(QEMU_PENDING.filter((key) => appliesWhen("qemu", { key, send: "1" }, "running", {}) !== "next restart")).toEqual([]);
  });

  const cases: readonly [GuestKind, string, RawConfig, "now" | "next restart"][] = [
    ["qemu", "net0", {}, "now"],
    ["qemu", "net0", { hotplug: "0" }, "next restart"],
    ["qemu", "net0", { hotplug: 0 }, "next restart"],
    ["qemu", "net0", { hotplug: "1" }, "now"],
    ["qemu", "net0", { hotplug: 1 }, "now"],
    ["qemu", "net0", { hotplug: "disk,usb" }, "next restart"],
    ["qemu", "net0", { hotplug: "usb;network" }, "now"],
    ["qemu", "vcpus", { hotplug: "network,cpu" }, "now"],
    ["qemu", "memory", { hotplug: "memory" }, "now"],
    ["qemu", "ipconfig0", {}, "now"],
    ["lxc", "net0", { hotplug: "0" }, "now"],
    ["lxc", "memory", {}, "now"],
    ["lxc", "swap", {}, "now"],
    ["lxc", "cores", {}, "now"],
    ["lxc", "hostname", {}, "now"],
    ["qemu", "tablet", { hotplug: "network" }, "next restart"],
    ["qemu", "tablet", { hotplug: "0" }, "next restart"],
    ...(["console", "tty", "cmode", "timezone", "debug", "env", "features"] as const).map((key) => ["lxc", key, {}, "next restart"] as [GuestKind, string, RawConfig, "next restart"]),
    ["lxc", "ostype", {}, "next restart"],
    ["lxc", "nameserver", {}, "next restart"],
    ["lxc", "name", {}, "next restart"],
  ];
  test.each(cases)("%s %s with %p applies %s", (kind, key, running, expected) => {
    expect(appliesWhen(kind, { key, send: "1" }, "running", running)).toBe(expected);
  });
});

test("a stopped guest takes everything at once; one whose run state is unclear is taken for running", () => {
  expect(appliesWhen("qemu", { key: "memory", send: "512" }, "stopped", {})).toBe("now");
  expect(appliesWhen("qemu", { key: "memory", send: "512" }, "paused", {})).toBe("next restart");
  expect(appliesWhen("qemu", { key: "memory", send: "512" }, "unknown", {})).toBe("next restart");
});

const BRIDGED = "virtio=BC:24:11:00:00:01,bridge=vmbr0";
const DRIVE = "local-lvm:vm-100-cloudinit,media=cdrom,size=4M";

test.each<[key: string, send: string | undefined, running: RawConfig, applies: Applies]>([
  // A NIC that stays the same device changes its bridge, VLAN, firewall, rate and link without hotplug.
  ["net0", `${BRIDGED},tag=5,firewall=1`, { hotplug: "0", net0: BRIDGED }, "now"],
  ["net0", "virtio=BC:24:11:00:00:01,bridge=vmbr1,link_down=1", { hotplug: "disk", net0: BRIDGED }, "now"],
  ["net0", `${BRIDGED},queues=4`, { hotplug: "0", net0: BRIDGED }, "next restart"],
  ["net0", `${BRIDGED},mtu=1400`, { hotplug: "0", net0: BRIDGED }, "next restart"],
  ["net0", "e1000=BC:24:11:00:00:01,bridge=vmbr0", { hotplug: "0", net0: BRIDGED }, "next restart"],
  ["net0", "virtio=BC:24:11:00:00:02,bridge=vmbr0", { hotplug: "0", net0: BRIDGED }, "next restart"],
  ["net0", "virtio=BC:24:11:00:00:01", { hotplug: "0", net0: BRIDGED }, "next restart"],
  ["net0", undefined, { hotplug: "0", net0: BRIDGED }, "next restart"],
  ["net1", BRIDGED, { hotplug: "0" }, "next restart"],
  // The balloon device comes and goes with a restart; its size does not.
  ["balloon", "1024", { memory: "2048" }, "now"],
  ["balloon", "0", { memory: "2048" }, "next restart"],
  ["balloon", "0", { balloon: 1024 }, "next restart"],
  ["balloon", "1024", { balloon: 0 }, "next restart"],
  ["balloon", undefined, { balloon: 0 }, "next restart"],
  ["balloon", undefined, { balloon: 512 }, "now"],
  ["hotplug", "disk,usb", {}, "now"],
  ["hotplug", "disk,cpu", {}, "next restart"],
  ["hotplug", "network", { hotplug: "network,memory" }, "next restart"],
  ["hotplug", undefined, { hotplug: "cpu" }, "next restart"],
])("row O16: %s to %j of a VM with %j applies %s", (key, send, running, expected) => {
  expect(appliesWhen("qemu", { key, send }, "running", running)).toBe(expected);
});

test.each<[key: string, running: RawConfig, applies: Applies]>([
  ["ciuser", { ide2: DRIVE }, "next cloud-init drive"],
  ["ipconfig31", { scsi1: "local:100/vm-100-cloudinit.qcow2,media=cdrom" }, "next cloud-init drive"],
  ["sshkeys", { ide2: DRIVE, hotplug: "network,cloudinit" }, "now"],
  ["nameserver", { ide2: DRIVE, hotplug: "0" }, "next cloud-init drive"],
  ["nameserver", { ide2: "local:iso/cloudinit.iso,media=cdrom" }, "now"],
  ["nameserver", { ide2: "none,media=cdrom" }, "now"],
  ["ciuser", {}, "now"],
  ["name", { ide2: DRIVE }, "now"],
])("row 75: %s of a running VM with %j applies %s", (key, running, expected) => {
  expect(appliesWhen("qemu", { key, send: "x" }, "running", running)).toBe(expected);
  expect(appliesWhen("qemu", { key, send: "x" }, "stopped", running)).toBe("now");
});
