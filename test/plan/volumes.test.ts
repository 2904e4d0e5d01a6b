import { describe, expect, test } from "bun:test";
import type { DeclaredValue } from "../../src/guest/declared.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import type { Deferred, DeferredReason } from "../../src/plan/types.ts";
import { planGuest } from "../../src/plan/plan-guest.ts";
import { isVolumeKey } from "../../src/plan/volumes.ts";
import { desiredGuest, HOST_FACTS, observedGuest } from "../support/guests.ts";

/** What is deferred about `key`; that nothing is ever sent for it is checked on the way. */
function deferredOf(kind: GuestKind, key: string, declared: DeclaredValue, found: string | undefined): Deferred | undefined {
  const observed = observedGuest({ kind, running: found === undefined ? {} : { [key]: found } });
  const plan = planGuest({ desired: desiredGuest({ kind, config: { [key]: declared } }), observed, situation: {}, facts: HOST_FACTS });
  expect([...plan.actions, ...plan.withheld]).toEqual([]);
  expect(plan.deferred.length).toBeLessThanOrEqual(1);
  return plan.deferred[0];
}

const DISK = "local-lvm:vm-101-disk-0,discard=on,size=32G,ssd=1";

describe("what is declared about a volume", () => {
  const cases: readonly [string, DeclaredValue, string | undefined, DeferredReason | undefined][] = [
    ["the same storage and size", { storage: "local-lvm", size: "32G" }, DISK, undefined],
    ["the same size in another unit", { size: "32768M" }, DISK, undefined],
    ["an option that it has", { storage: "local-lvm", ssd: true }, DISK, undefined],
    ["an option in another spelling", { discard: "on" }, DISK, undefined],
    ["an option off that it does not have", { iothread: 0 }, DISK, undefined],
    ["no option that it does not have", { iothread: null }, DISK, undefined],
    ["allocation syntax that has been satisfied", "local-lvm:32", DISK, undefined],
    ["allocation syntax with options", "local-lvm:32,ssd=1,format=raw", DISK, undefined],
    ["Proxmox's own text", DISK, DISK, undefined],
    ["the volume without its size", "local-lvm:vm-101-disk-0", DISK, undefined],
    ["a size within one extent", { size: "1029M" }, "tank:vm-101-disk-0,size=1032M", undefined],
    ["nothing where nothing is", null, undefined, undefined],
    ["a larger size", { size: "64G" }, DISK, "would_grow"],
    ["larger allocation syntax", "local-lvm:64", DISK, "would_grow"],
    ["a smaller size", { size: "16G" }, DISK, "holds_data"],
    ["another storage", { storage: "tank", size: "32G" }, DISK, "invalid_value"],
    ["no disk", "none,media=cdrom", DISK, "invalid_value"],
    ["an option that it does not have", { iothread: 1 }, DISK, "holds_data"],
    ["no option that it has", { ssd: null }, DISK, "holds_data"],
    ["a disk that is not there", { storage: "local-lvm", size: "32G" }, undefined, "holds_data"],
    ["that a disk must be absent", null, DISK, "holds_data"],
    ["a bare number", 32, DISK, "invalid_value"],
    ["a list", ["local-lvm:32"], DISK, "invalid_value"],
  ];
  test.each(cases)("%s: %p over %p gives %p", (_, declared, found, expected) => {
    expect(deferredOf("qemu", "scsi0", declared, found)?.reason).toBe(expected);
  });

  test("says how to grow it", () => {
    expect(deferredOf("qemu", "scsi0", { size: "64G" }, DISK)?.message).toContain('"qm disk resize 101 scsi0 64G"');
    expect(deferredOf("lxc", "rootfs", { size: "8G" }, "local:101/vm-101-disk-0.raw,size=4G")?.message).toContain('"pct resize 101 rootfs 8G"');
  });

  test("a detached disk declared away is reported and never sent", () => {
    expect(deferredOf("qemu", "unused0", null, "local-lvm:vm-101-disk-3")).toMatchObject({ reason: "holds_data", found: "local-lvm:vm-101-disk-3" });
    expect(deferredOf("lxc", "unused0", null, "local-lvm:vm-101-disk-3")?.reason).toBe("holds_data");
    expect(deferredOf("qemu", "unused0", null, undefined)).toBeUndefined();
  });
});

test("volume keys are told from their neighbours", () => {
  expect(["scsi0", "ide2", "virtio15", "efidisk0", "unused0", "cdrom"].every((key) => isVolumeKey("qemu", key))).toBe(true);
  expect(["scsihw", "virtiofs0", "net0", "mp0", "rootfs", "idea"].some((key) => isVolumeKey("qemu", key))).toBe(false);
  expect(["rootfs", "mp0", "unused3"].every((key) => isVolumeKey("lxc", key))).toBe(true);
  expect(["scsi0", "memory", "mp"].some((key) => isVolumeKey("lxc", key))).toBe(false);
});
