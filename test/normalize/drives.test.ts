import { expect, test } from "bun:test";
import { formOf, isDrift, merged, refusal } from "./support.ts";

const DISK = "local-lvm:vm-100-disk-0,iothread=1,size=32G";

test.each([
  [{ storage: "local-lvm", size: "32G" }], ["local-lvm:32"], ["local-lvm:vm-100-disk-7,size=32G"], [{ size: "32768M", iothread: true }], [{ volume: "local-lvm:vm-100-disk-0" }],
])("row 30: %j is the disk that is there, whatever its volume is called", (declared) => {
  expect(isDrift("qemu", "scsi0", declared, DISK)).toBe(false);
  expect(merged("qemu", "scsi0", declared, DISK)).toBe(DISK);
});

test("row 30: the normal form names storage, size and options, never the volume", () => {
  expect(formOf("qemu", "scsi0", DISK)).toBe("local-lvm,iothread=1,size=32G");
  expect(formOf("qemu", "scsi0", "local-lvm:32,iothread=1")).toBe("local-lvm,iothread=1,size=32G");
  expect(formOf("lxc", "rootfs", "local:200/vm-200-disk-0.raw,size=64M")).toBe("local,size=64M");
});

test("row 31: allocation syntax is only ever for an empty slot", () => {
  expect(merged("qemu", "scsi0", { storage: "local-lvm", size: "32G", ssd: 1 })).toBe("local-lvm:32,ssd=1");
  expect(merged("qemu", "scsi0", { storage: "local-lvm", size: "512M" })).toBe("local-lvm:0.5");
  expect(merged("qemu", "scsi0", "local-lvm:32,ssd=1", DISK)).toBe("local-lvm:vm-100-disk-0,iothread=1,size=32G,ssd=1");
  expect(merged("qemu", "scsi0", { storage: "local", "import-from": "local:import/a.qcow2", format: "qcow2" })).toContain("local:0");
});

test("row 32: sizes are compared in bytes", () => {
  expect(isDrift("qemu", "scsi0", { size: "1024G" }, "a:vm-1-disk-0,size=1T")).toBe(false);
  expect(isDrift("qemu", "scsi0", { size: "10.5G" }, "a:vm-1-disk-0,size=10752M")).toBe(false);
});

test("row 33: a volume rounded up by its storage is what was asked for; larger or smaller is drift", () => {
  expect(isDrift("qemu", "scsi0", { size: "1029M" }, "a:vm-1-disk-0,size=1032M")).toBe(false);
  expect(isDrift("qemu", "scsi0", { size: "64G" }, DISK)).toBe(true);
  expect(isDrift("qemu", "scsi0", { size: "16G" }, DISK)).toBe(true);
  expect(merged("qemu", "scsi0", { size: "64G" }, DISK)).toBe("local-lvm:vm-100-disk-0,iothread=1,size=64G");
});

test("row 34: the size of what Proxmox sizes itself says nothing", () => {
  expect(isDrift("qemu", "ide2", { size: "1G" }, "local:iso/a.iso,media=cdrom,size=700M")).toBe(false);
});

test("row 35: format is spent at allocation", () => {
  expect(isDrift("qemu", "scsi0", { format: "raw" }, DISK)).toBe(false);
  expect(merged("qemu", "scsi0", { storage: "local", size: "1G", format: "qcow2" })).toBe("local:1,format=qcow2");
});

test("row 36: options at their default are absent ones", () => {
  expect(isDrift("qemu", "scsi0", { backup: 1, replicate: true, ssd: 0, ro: 0, discard: "ignore" }, DISK)).toBe(false);
  expect(isDrift("qemu", "scsi0", { backup: 0 }, DISK)).toBe(true);
  expect(isDrift("qemu", "scsi0", { cache: "none" }, DISK)).toBe(true);
  expect(isDrift("lxc", "mp0", { backup: 0, quota: 0 }, "local:200/vm-200-disk-1.raw,mp=/mnt,size=1G")).toBe(false);
});

test("row 37: options nobody declared stay; a null option goes", () => {
  expect(merged("qemu", "scsi0", { ssd: 1 }, DISK)).toBe(`${DISK},ssd=1`);
  expect(merged("qemu", "scsi0", "local-lvm:vm-100-disk-0,discard=on", DISK)).toBe(`${DISK},discard=on`);
  expect(merged("qemu", "scsi0", { iothread: null }, DISK)).toBe("local-lvm:vm-100-disk-0,size=32G");
  expect(merged("qemu", "scsi0", { size: null, storage: null, volume: null }, DISK)).toBe(DISK);
});

test("row 38: bytes per second are MiB with three decimals; disk geometry is dropped", () => {
  expect(isDrift("qemu", "scsi0", { bps: 1_048_576, bps_rd: 1_500_000 }, `${DISK},mbps=1.000,mbps_rd=1.431`)).toBe(false);
  expect(formOf("qemu", "ide0", "a:vm-1-disk-0,cyls=1,heads=2,secs=3,size=1G")).toBe("a,size=1G");
});

test.each([["none,media=cdrom", "local:iso/a.iso,media=cdrom"], ["local:iso/b.iso,media=cdrom,size=700M", "local:iso/a.iso,media=cdrom"]])(
  "row 39: over the CD drive %s, another medium is drift and carries no old size",
  (observed, declared) => {
    expect(isDrift("qemu", "ide2", declared, observed)).toBe(true);
    expect(merged("qemu", "ide2", declared, observed)).toBe("local:iso/a.iso,media=cdrom");
    expect(isDrift("qemu", "ide2", observed, observed)).toBe(false);
  },
);

test.each(["local:vm-100-cloudinit,media=cdrom,size=4M", "local:100/vm-100-cloudinit.qcow2,media=cdrom,size=4M", "local:vm-100-cloudinit,media=cdrom"])(
  "row 40: a declared cloud-init drive is satisfied by %s",
  (observed) => {
    expect(isDrift("qemu", "ide2", "local:cloudinit", observed)).toBe(false);
    expect(isDrift("qemu", "ide2", "other:cloudinit", observed)).toBe(true);
  },
);

test("row 41: an EFI disk's size and certificate marker are Proxmox's own", () => {
  const efi = "local:vm-1-disk-0,efitype=4m,ms-cert=2023k,pre-enrolled-keys=1,size=528K";
  expect(isDrift("qemu", "efidisk0", "local:1,efitype=4m,pre-enrolled-keys=1", efi)).toBe(false);
  expect(isDrift("qemu", "efidisk0", { storage: "local", size: "4M" }, efi)).toBe(false);
  expect(isDrift("qemu", "efidisk0", { efitype: "2m" }, efi)).toBe(true);
});

test("row 42: a TPM state is always 4M and v1.2 unless said", () => {
  expect(isDrift("qemu", "tpmstate0", "local:1,version=v2.0", "local:vm-1-disk-1,size=4M,version=v2.0")).toBe(false);
  expect(isDrift("qemu", "tpmstate0", { version: "v1.2" }, "local:vm-1-disk-1,size=4M")).toBe(false);
  expect(isDrift("qemu", "tpmstate0", { version: "v2.0" }, "local:vm-1-disk-1,size=4M")).toBe(true);
});

test("row 43: a detached volume declared away is a visible difference, not nothing", () => {
  expect(isDrift("qemu", "unused0", null, "local:101/vm-101-disk-1.qcow2")).toBe(true);
  expect(isDrift("lxc", "unused3", null)).toBe(false);
});

test("row 44: a mount point compares as a map", () => {
  const observed = "local-lvm:vm-100-disk-0,mp=/opt/app,backup=0,quota=1,replicate=0,size=1G";
  expect(isDrift("lxc", "mp0", "local-lvm:1,mp=/opt/app,backup=0,replicate=0,quota=1", observed)).toBe(false);
  expect(isDrift("lxc", "mp0", { storage: "local-lvm", size: "1G", mp: "/opt/app" }, observed)).toBe(false);
});

test("row 45: a root volume that is there is never written as an allocation", () => {
  const root = "tank:subvol-200-disk-0,size=8G";
  expect(merged("lxc", "rootfs", "tank:8", root)).toBe(root);
  expect(merged("lxc", "rootfs", "tank:16", root)).toBe("tank:subvol-200-disk-0,size=16G");
});

test("row 46: a mount path without its leading slash is the same path", () => {
  expect(isDrift("lxc", "mp0", { mp: "opt/app" }, "a:vm-1-disk-0,mp=/opt/app,size=1G")).toBe(false);
});

test("row 47: mount options are a set", () => {
  expect(isDrift("lxc", "mp0", { mountoptions: ["noatime", "discard"] }, "a:vm-1-disk-0,mp=/x,mountoptions=discard;noatime,size=1G")).toBe(false);
  expect(refusal("lxc", "mp0", { mountoptions: ["nosuchoption"] }, "a:vm-1-disk-0,mp=/x")).toContain("mountoptions: expected mount options");
});

test("row 49: a linked clone's volume is compared by its storage like any", () => {
  expect(isDrift("qemu", "scsi0", { storage: "local", size: "8G" }, "local:100/base-100-disk-0.qcow2/101/vm-101-disk-0.qcow2,size=8G")).toBe(false);
});

test.each([
  [{ storage: "zfs", size: "32G" }, DISK, "move the volume"], ["none,media=cdrom", DISK, "stay on local-lvm"], ["local:iso/a.iso,media=cdrom", DISK, "stay on local-lvm"],
  ["/dev/sdb", DISK, "stay on local-lvm"], ["local-lvm:32", "none,media=cdrom", "CD drive"], ["local-lvm:32", "=broken", "correct it on the host first"],
  [{ size: "32" + "X" }, DISK, "a size such as"], [{ sdd: 1 }, DISK, "sdd"],
] as const)("%j over %j is refused: nothing may be lost", (declared, observed, message) => {
  expect(refusal("qemu", "scsi0", declared, observed)).toContain(message);
});

test("an empty slot needs a storage and a size, a mount point its path", () => {
  expect(refusal("qemu", "scsi0", { ssd: 1 })).toContain("a storage and a size");
  expect(refusal("qemu", "scsi0", { storage: "local" })).toContain("a storage and a size");
  expect(refusal("lxc", "mp0", { storage: "local", size: "1G" })).toContain("mp: expected a path");
});

test("row 39: cdrom is ide2 under another name, and a CD drive without saying so", () => {
  expect(isDrift("qemu", "cdrom", "none", "none,media=cdrom")).toBe(false);
  expect(isDrift("qemu", "cdrom", "local:iso/x.iso", "local:iso/x.iso,media=cdrom,size=5M")).toBe(false);
  expect(isDrift("qemu", "cdrom", "local:iso/y.iso,media=cdrom", "local:iso/x.iso,media=cdrom,size=5M")).toBe(true);
  expect(merged("qemu", "cdrom", "local:iso/x.iso")).toBe("local:iso/x.iso,media=cdrom");
  expect(isDrift("qemu", "cdrom", null)).toBe(false);
});
