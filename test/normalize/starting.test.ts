import { expect, test } from "bun:test";
import { formOf, isDrift, merged, refusal } from "./support.ts";

test.each([["cdn"], ["legacy=cdn"], [" "], [undefined]])("row 50: boot %j is what an absent boot is", (observed) => {
  expect(formOf("qemu", "boot", observed)).toBeNull();
});

test("row 50: the legacy letters in either form, against each other and against an order", () => {
  expect(isDrift("qemu", "boot", "cn", "legacy=cn")).toBe(false);
  expect(isDrift("qemu", "boot", "cdn")).toBe(false);
  expect(isDrift("qemu", "boot", "order=scsi0", "cdn")).toBe(true);
  expect(merged("qemu", "boot", { order: ["net0"] }, "legacy=cdn")).toBe("order=net0");
  expect(formOf("qemu", "boot", "order=net0,legacy=c")).toBe("legacy=c");
});

test("row 50: an empty boot boots from nothing, so the legacy default declared over it is drift", () => {
  expect(isDrift("qemu", "boot", "cdn", " ")).toBe(true);
  expect(isDrift("qemu", "boot", null, " ")).toBe(false);
});

test("row 51: the order of devices means something; the last of repetitions counts", () => {
  expect(isDrift("qemu", "boot", "order=scsi0;net0", "order=net0;scsi0")).toBe(true);
  expect(isDrift("qemu", "boot", ["scsi0", "net0"], "order=scsi0;net0")).toBe(false);
  expect(isDrift("qemu", "boot", { order: "scsi0;net0" }, "order=scsi0;net0")).toBe(false);
  expect(formOf("qemu", "boot", "order=scsi0;net0;scsi0")).toBe("order=net0;scsi0");
});

test.each([
  ["order=scsi0,net0", "legacy letters"], ["order=", "legacy letters"], ["order=bogus0", "bogus0"], ["xyz", "legacy letters"], [["scsi0", ""], "devices"], [{ ordre: ["net0"] }, "ordre"],
  [{ order: ["net0"], legacy: "c" }, "either"],
] as const)("row 50: boot %j is refused", (declared, message) => {
  expect(refusal("qemu", "boot", declared)).toContain(message);
});

test("row 52: an empty order that creation left behind equals no declared order", () => {
  expect(isDrift("qemu", "boot", [], " ")).toBe(false);
  expect(isDrift("qemu", "boot", { order: null }, " ")).toBe(false);
});

test.each([
  ["1", "order=1"], ["order=1,up=10,down=20", "down=20, up=10,order=01"], ["up=10,up=20", "up=20"], ["down=5,order=3", "3,down=5"],
])("row 65: startup %j and %j are one", (left, right) => {
  for (const kind of ["qemu", "lxc"] as const) {
    expect(formOf(kind, "startup", left)).toBe(formOf(kind, "startup", right));
    expect(isDrift(kind, "startup", left, right)).toBe(false);
  }
});

test("row 65: startup as number and map; what is sent names the order, for a bare 0 is refused", () => {
  expect(merged("qemu", "startup", 0)).toBe("order=0");
  expect(merged("qemu", "startup", { order: 2, up: 30 })).toBe("order=2,up=30");
  expect(merged("qemu", "startup", 5, "order=2,up=30")).toBe("order=5,up=30");
  expect(merged("qemu", "startup", { up: null }, "order=2,up=30")).toBe("order=2");
});

test.each(["order=a", "", "order=", "order=-1", "when=5"])("row 65: startup %j is refused", (startup) => {
  expect(refusal("qemu", "startup", startup)).toContain("expected");
});

test("rows 3 and 62: the agent's short form, booleans of any spelling, aliases", () => {
  expect(isDrift("qemu", "agent", "enabled=1", "1")).toBe(false);
  expect(isDrift("qemu", "agent", true, "enabled=1")).toBe(false);
  expect(isDrift("qemu", "agent", { "freeze-fs": 0 }, "1,guest-fsfreeze=0")).toBe(false);
  expect(isDrift("qemu", "agent", { "freeze-fs-on-backup": 1 }, "1")).toBe(false);
  expect(formOf("qemu", "agent", "1,fstrim_cloned_disks=1")).toBe("1,fstrim_cloned_disks=1");
});

test("row 62: a disabled agent is an absent one, whatever else stands there", () => {
  expect(isDrift("qemu", "agent", 0)).toBe(false);
  expect(isDrift("qemu", "agent", { enabled: 0, fstrim_cloned_disks: 1 })).toBe(false);
  expect(isDrift("qemu", "agent", null, "0,fstrim_cloned_disks=1")).toBe(false);
  expect(isDrift("qemu", "agent", 1, "0,fstrim_cloned_disks=1")).toBe(true);
  expect(refusal("qemu", "agent", { fstrim_cloned_disks: 1 })).toContain("enabled: expected");
});

test.each([["1", "network,disk,usb"], ["usb,disk,network", undefined], ["0", "off"], ["disk;network", "network,disk"]])("row 63: hotplug %j and %j are one", (declared, observed) => {
  expect(isDrift("qemu", "hotplug", declared, observed)).toBe(false);
});

test("row 63: hotplug off is not the default, and an unknown feature is refused", () => {
  expect(isDrift("qemu", "hotplug", "0")).toBe(true);
  expect(merged("qemu", "hotplug", ["usb", "network"])).toBe("network,usb");
  expect(refusal("qemu", "hotplug", "network,gpu")).toContain("gpu");
});

/** An old guest: letters, a boot disk, a CD drive, cloud-init, two NICs. */
const OLD = {
  bootdisk: "scsi0", scsi0: "local-lvm:vm-100-disk-0,size=32G", scsi1: "local-lvm:vm-100-disk-1,size=8G", sata0: "none,media=cdrom",
  ide2: "local:iso/debian.iso,media=cdrom,size=600M", ide0: "local-lvm:vm-100-cloudinit,media=cdrom", net0: "virtio=BC:24:11:00:01:00,bridge=vmbr0", net1: "e1000=BC:24:11:00:01:01",
  efidisk0: "local-lvm:vm-100-disk-2,efitype=4m,size=4M",
};

test.each([
  // As Proxmox goes through them: by letter, then ide, scsi, virtio, sata; the one disk that bootdisk names.
  ["order=scsi0;ide2;sata0;net0;net1", undefined, OLD],
  ["order=scsi0;ide2;sata0;net0;net1", "cdn", OLD],
  ["order=net0;net1;scsi0", "legacy=nc", OLD],
  ["cdn", "order=scsi0;ide2;sata0;net0;net1", OLD],
  ["order=net0;net1", "ncn", { ...OLD, bootdisk: "scsi7" }],
  ["order=ide0", "c", { bootdisk: "ide0", ide0: "local:100/vm-100-cloudinit.qcow2,media=cdrom" }],
  ["order=virtio1;net5", "order=virtio1;net5", { virtio1: "x:1", net5: "virtio" }],
] as const)("row 50: %j and %j boot the same from these devices", (left, right, devices) => {
  const [declared, observed] = [left, right];
  const siblings = { ...devices, ...(observed === undefined ? {} : { boot: observed }) };
  expect(isDrift("qemu", "boot", declared, observed, { siblings })).toBe(false);
});

test.each([
  ["without a boot disk no disk is booted from", "order=scsi0;ide2;sata0;net0;net1", "cdn", { ...OLD, bootdisk: "" }],
  ["only the boot disk is", "order=scsi0;scsi1;ide2;sata0;net0;net1", "cdn", OLD],
  ["cloud-init's drive is no CD to boot from", "order=scsi0;ide0;ide2;sata0;net0;net1", "cdn", OLD],
  ["another order is another order", "order=ide2;sata0;scsi0;net0;net1", "cdn", OLD],
  ["a NIC less", "order=scsi0;ide2;sata0;net0", "cdn", OLD],
  ["letters that stand for nothing boot from nothing", "cdn", "legacy=a", OLD],
  ["an empty order boots from nothing", "cdn", " ", OLD],
  ["an empty order boots from nothing, however it is said", "order=scsi0;ide2;sata0;net0;net1", " ", OLD],
] as const)("row 50: %s", (_, declared, observed, devices) => {
  expect(isDrift("qemu", "boot", declared, observed, { siblings: { ...devices, boot: observed } })).toBe(true);
});

test("row 50: a boot disk says nothing beside an order, which Proxmox drops it for", () => {
  expect(isDrift("qemu", "bootdisk", "scsi0", undefined, { siblings: { boot: "order=scsi0" } })).toBe(false);
  expect(isDrift("qemu", "bootdisk", "scsi0", undefined, { siblings: { boot: "cdn" } })).toBe(true);
  expect(isDrift("qemu", "bootdisk", "scsi0", "scsi1", { siblings: {} })).toBe(true);
});
