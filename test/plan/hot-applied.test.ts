import { describe, expect, test } from "bun:test";
import type { GuestKind } from "../../src/guest/key.ts";
import type { RawConfig } from "../../src/guest/observed.ts";
import { appliesWhen } from "../../src/plan/hot-applied.ts";

/** As a running VM of Proxmox VE 9.2 answered, key by key. */
const QEMU_AT_ONCE = ["description", "name", "tags", "onboot", "startup", "protection", "cpulimit", "cpuunits", "balloon", "shares", "ciuser", "hotplug"];
const QEMU_PENDING = ["memory", "cores", "sockets", "ostype", "kvm", "cpu", "numa", "scsihw", "machine", "bios", "vga", "agent", "boot", "tablet", "vcpus"];

describe("a change of a running guest", () => {
  test("applies to a VM at once or at its next start, as recorded", () => {
    expect(QEMU_AT_ONCE.filter((key) => appliesWhen("qemu", key, "running", {}) !== "now")).toEqual([]);
    expect(QEMU_PENDING.filter((key) => appliesWhen("qemu", key, "running", {}) !== "next restart")).toEqual([]);
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
    ["lxc", "ostype", {}, "next restart"],
    ["lxc", "nameserver", {}, "next restart"],
    ["lxc", "name", {}, "next restart"],
  ];
  test.each(cases)("%s %s with %p applies %s", (kind, key, running, expected) => {
    expect(appliesWhen(kind, key, "running", running)).toBe(expected);
  });
});

test("a stopped guest takes everything at once; one whose run state is unclear is taken for running", () => {
  expect(appliesWhen("qemu", "memory", "stopped", {})).toBe("now");
  expect(appliesWhen("qemu", "memory", "paused", {})).toBe("next restart");
  expect(appliesWhen("qemu", "memory", "unknown", {})).toBe("next restart");
});
