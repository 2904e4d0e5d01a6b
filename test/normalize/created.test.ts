import { expect, test } from "bun:test";
import { diffConfig } from "../../src/plan/field-diff.ts";
import { desiredGuest, HOST_FACTS, observedGuest } from "../support/guests.ts";
import { isDrift } from "./support.ts";

/** What Proxmox puts into the configuration of a guest that was created with next to nothing. */
const LXC = {
  arch: "amd64", ostype: "debian", hostname: "CT200", memory: 512, swap: 512, rootfs: "local:200/vm-200-disk-0.raw,size=4G",
  net0: "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:5F:C0:D7,type=veth", unprivileged: 1,
};
const QEMU = {
  boot: " ", meta: "creation-qemu=10.1.2,ctime=1790000000", smbios1: "uuid=aaaaaaaa-0000-4000-8000-000000000100", vmgenid: "bbbbbbbb-0000-4000-8000-000000000100",
  machine: "pc-q35-10.1+pve1", ostype: "win11", net0: "virtio=BC:24:11:7B:DF:E2,bridge=vmbr0",
};

test("row 77: what creation added and nobody declared is left as it is", () => {
  for (const [kind, running] of [["lxc", LXC], ["qemu", QEMU]] as const) {
    const diff = diffConfig(desiredGuest({ kind, vmid: 200, config: {} }), observedGuest({ kind, vmid: 200, running }), HOST_FACTS);
    expect(diff).toEqual({ changes: [], deferred: [], restartPending: [] });
  }
});

test("row 77: declared absent or as the default, an added default is no difference; another value is one", () => {
  for (const [key, value] of [["memory", 512], ["swap", 512], ["arch", "amd64"]] as const) {
    expect(isDrift("lxc", key, value)).toBe(false);
    expect(isDrift("lxc", key, null, value)).toBe(false);
    expect(isDrift("lxc", key, value, value)).toBe(false);
  }
  expect(isDrift("lxc", "memory", 1024, 512)).toBe(true);
  // A name is no default: declared absent, the one that Proxmox made up is a difference.
  expect(isDrift("lxc", "hostname", null, "CT200")).toBe(true);
});

test("row 77: a declaration that names only its own part of an added value is no difference", () => {
  expect(isDrift("lxc", "net0", { name: "eth0", bridge: "vmbr0" }, LXC.net0)).toBe(false);
  expect(isDrift("lxc", "rootfs", { storage: "local", size: "4G" }, LXC.rootfs)).toBe(false);
  expect(isDrift("qemu", "machine", "q35", QEMU.machine)).toBe(false);
  expect(isDrift("qemu", "net0", "virtio,bridge=vmbr0", QEMU.net0)).toBe(false);
});
