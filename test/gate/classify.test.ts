import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { classifyChange, classifyPowerAct } from "../../src/gate/classify.ts";
import type { Provenance } from "../../src/journal/types.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import type { DeferredReason } from "../../src/plan/types.ts";
import { observedGuest } from "../support/guests.ts";
import { change } from "./gate-actions.ts";

const RUNNING = { net0: "virtio=BC:24:11:00:01:00,bridge=vmbr0", protection: 1, scsi0: "local-lvm:vm-101-disk-0,size=32G", unused0: "local-lvm:vm-101-disk-1" };

function reasonFor(kind: GuestKind, key: string, send: string | undefined, running: Record<string, string | number> = RUNNING): DeferredReason | "benign" {
  const classification = classifyChange(change(key, send), observedGuest({ kind, running }), "desired");
  return classification.class === "benign" ? "benign" : classification.deferred.reason;
}

describe("a change of a key (rows O31, 48, 79, 80, 83 and 55)", () => {
  const cases: readonly [GuestKind, string, string | undefined, DeferredReason | "benign"][] = [
    ["qemu", "cores", "4", "benign"],
    ["qemu", "cores", undefined, "benign"],
    ["qemu", "description", "two\nlines", "benign"],
    ["qemu", "description", undefined, "benign"],
    ["qemu", "description", "a bell \u0007", "invalid_value"],
    ["qemu", "searchdomain", "example.org\nscsi0: local:1", "invalid_value"],
    ["qemu", "protection", "1", "benign"],
    ["qemu", "protection", "0", "removes_protection"],
    ["qemu", "protection", "yes", "removes_protection"],
    ["qemu", "protection", undefined, "removes_protection"],
    ["lxc", "protection", undefined, "removes_protection"],
    ["qemu", "unused0", undefined, "holds_data"],
    ["qemu", "unused0", "local-lvm:vm-101-disk-1", "holds_data"],
    ["qemu", "scsi0", "none,media=cdrom", "holds_data"],
    ["qemu", "scsi0", "local-lvm:32", "holds_data"],
    ["qemu", "ide2", undefined, "holds_data"],
    ["qemu", "efidisk0", undefined, "holds_data"],
    ["qemu", "tpmstate0", "local-lvm:1", "holds_data"],
    ["lxc", "rootfs", "tank:1", "holds_data"],
    ["lxc", "mp0", undefined, "holds_data"],
    ["lxc", "unused0", undefined, "holds_data"],
    ["qemu", "template", "1", "template"],
    ["lxc", "template", "1", "template"],
    ["qemu", "args", "-device foo", "root_only"],
    ["qemu", "args", undefined, "root_only"],
    ["qemu", "hookscript", undefined, "root_only"],
    ["lxc", "hookscript", "local:snippets/x", "root_only"],
    ["qemu", "lock", undefined, "root_only"],
    ["qemu", "affinity", "0-1", "root_only"],
    ["qemu", "hostpci0", "01:00.0", "root_only"],
    ["qemu", "usb0", "host=1234:5678", "root_only"],
    ["qemu", "serial0", "/dev/ttyS0", "root_only"],
    ["lxc", "features", "nesting=1", "root_only"],
    ["lxc", "dev0", "/dev/kvm", "root_only"],
    ["lxc", "lxc.apparmor.profile", "unconfined", "root_only"],
    ["qemu", "vga", "serial0", "benign"],
    ["qemu", "sshkeys", undefined, "benign"],
    ["qemu", "ipconfig31", "ip=dhcp", "benign"],
    ["qemu", "ipconfig32", "ip=dhcp", "not_on_allow_list"],
    ["lxc", "ipconfig0", "ip=dhcp", "not_on_allow_list"],
    ["qemu", "rng0", "source=/dev/urandom,period=100", "benign"],
    ["qemu", "rng0", "source=/dev/hwrng", "not_on_allow_list"],
    ["qemu", "rng0", undefined, "benign"],
    ["lxc", "cmode", "console", "benign"],
    ["lxc", "cmode", "shell", "not_on_allow_list"],
    ["lxc", "env", "A=1", "not_on_allow_list"],
    ["lxc", "lxc", "x", "root_only"],
    ["lxc", "entrypoint", "/bin/sh", "not_on_allow_list"],
    ["qemu", "acpi", "1", "not_on_allow_list"],
    ["qemu", "bios", "ovmf", "not_on_allow_list"],
    ["qemu", "machine", "q35", "not_on_allow_list"],
    ["qemu", "smp", "2", "not_on_allow_list"],
    ["qemu", "pool", "x", "not_on_allow_list"],
    ["qemu", "scsihw", "virtio-scsi-pci", "not_on_allow_list"],
    ["qemu", "delete", "unused0", "not_on_allow_list"],
    ["qemu", "force", "1", "not_on_allow_list"],
    ["qemu", "hostname", "web", "not_on_allow_list"],
    ["lxc", "name", "web", "not_on_allow_list"],
    ["lxc", "memory", "512", "benign"],
    ["lxc", "memory", undefined, "not_on_allow_list"],
    ["qemu", "net0", undefined, "hardware_address"],
    ["qemu", "net32", "virtio,bridge=vmbr0", "hardware_address"],
  ];
  test.each(cases)("%s %s to %p is %s", (kind, key, send, expected) => {
    expect(reasonFor(kind, key, send)).toBe(expected);
  });

  const words: readonly [GuestKind, string, string, string][] = [
    ["qemu", "bios", "ovmf", "lose its licence"], ["qemu", "machine", "q35", "lose its licence"], ["qemu", "scsihw", "lsi", "may no longer start"], ["qemu", "acpi", "0", "asked to shut down"],
    ["qemu", "smp", "2", "declare sockets"], ["qemu", "rng0", "/dev/hwrng", "/dev/urandom"], ["lxc", "cmode", "shell", "without a login"], ["lxc", "env", "A=1", "lxc.environment.runtime"],
    ["lxc", "lxc.idmap", "u 0 1 2", "/etc/pve/lxc"],
  ];
  test.each(words)("%s %s to %s: the message says %s", (kind, key, send, expected) => {
    const classification = classifyChange(change(key, send), observedGuest({ kind, running: RUNNING }), "desired");
    expect(classification.class === "benign" ? "" : classification.deferred.message).toContain(expected);
  });

  test("a message names the key and says what to do", () => {
    const classification = classifyChange(change("unused0"), observedGuest({ running: RUNNING }), "desired");
    expect(classification.class === "benign" ? "" : classification.deferred.message).toMatch(/^unused0: .*do it in Proxmox/);
  });

  test("a change that says set and has nothing to send, or delete and has, is refused", () => {
    const observed = observedGuest();
    expect(classifyChange({ ...change("cores", "4"), send: undefined }, observed, "desired").class).toBe("destructive");
    expect(classifyChange({ ...change("cores"), send: "4" }, observed, "desired").class).toBe("destructive");
  });

  test("without an observation nothing is benign", () => {
    expect(classifyChange(change("description", "x"), undefined, "desired").class).toBe("destructive");
  });

  test.each(["desired", "operation", "compensation"] as const)("whoever asks (%s), the same list holds", (provenance) => {
    expect(classifyChange(change("cores", "4"), observedGuest(), provenance).class).toBe("benign");
    expect(classifyChange(change("unused0"), observedGuest(), provenance).class).toBe("destructive");
  });

  test("a provenance that this program does not make is nobody's", () => {
    expect(classifyChange(change("cores", "4"), observedGuest(), "agent-internal" as Provenance).class).toBe("destructive");
    expect(classifyPowerAct({ type: "start", guest: observedGuest(), reason: "" }, observedGuest(), "hub" as Provenance).class).toBe("destructive");
  });
});

describe("a NIC", () => {
  const found = "virtio=BC:24:11:00:01:00,bridge=vmbr0";
  const cases: readonly [string, string, Record<string, string>, DeferredReason | "benign"][] = [
    ["keeps its address on another bridge", "virtio=BC:24:11:00:01:00,bridge=vmbr1", { net0: found }, "benign"],
    ["keeps its address with another model", "e1000=BC:24:11:00:01:00,bridge=vmbr0", { net0: found }, "benign"],
    ["keeps its address in the long form", "model=virtio,macaddr=BC:24:11:00:01:00,bridge=vmbr0", { net0: found }, "benign"],
    ["loses its address", "virtio,bridge=vmbr0", { net0: found }, "hardware_address"],
    ["gets another address", "virtio=BC:24:11:00:01:01,bridge=vmbr0", { net0: found }, "hardware_address"],
    ["gets the address in another case, which Proxmox re-plugs", "virtio=bc:24:11:00:01:00,bridge=vmbr0", { net0: found }, "hardware_address"],
    ["gets a second address", "virtio=BC:24:11:00:01:00,macaddr=BC:24:11:00:01:01,bridge=vmbr0", { net0: found }, "hardware_address"],
    ["gets a broken address", "virtio=BC:24:11:00:01,bridge=vmbr0", { net0: found }, "hardware_address"],
    ["is new on a free slot", "virtio,bridge=vmbr0", {}, "benign"],
    ["is new on a free slot with an address", "virtio=BC:24:11:00:01:09,bridge=vmbr0", {}, "benign"],
    ["of a container loses its address", "name=eth0,bridge=vmbr0", { net0: "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:00" }, "hardware_address"],
  ];
  test.each(cases)("that %s: %s", (_, send, running, expected) => {
    expect(reasonFor("qemu", "net0", send, running)).toBe(expected);
  });

  test("whose deletion is pending still has its address while the guest runs", () => {
    const observed = observedGuest({ runState: "running", running: { net0: found }, pending: [{ key: "net0", change: "delete", isForced: false }] });
    expect(classifyChange(change("net0", "virtio,bridge=vmbr0"), observed, "desired").class).toBe("destructive");
    expect(classifyChange(change("net0", found), observed, "desired").class).toBe("benign");
  });

  test("never loses or changes an address, whatever is sent (property)", () => {
    const octets = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 6, maxLength: 6 });
    const address = octets.map((bytes) => bytes.map((byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":"));
    const network = fc.tuple(fc.constantFrom("virtio", "e1000", "hwaddr", "macaddr"), fc.option(address), fc.constantFrom("vmbr0", "vmbr1"))
      .map(([model, mac, bridge]) => `${mac === null ? model : `${model}=${mac}`},bridge=${bridge}`);
    fc.assert(fc.property(address, network, (mac, sent) => {
      const verdict = reasonFor("qemu", "net0", sent, { net0: `virtio=${mac},bridge=vmbr0` });
      expect(verdict === "benign").toBe(sent.includes(mac));
    }));
  });
});

describe("a power act", () => {
  test.each(["start", "shutdown"] as const)("%s of the guest that was read is benign", (type) => {
    const observed = observedGuest();
    expect(classifyPowerAct({ type, guest: observed, reason: "" }, observed, "desired")).toEqual({ class: "benign" });
  });

  test.each(["start", "shutdown"] as const)("%s of a guest that was not read, or of another one, is refused", (type) => {
    const action = { type, guest: { kind: "qemu", vmid: 101 }, reason: "" } as const;
    expect(classifyPowerAct(action, undefined, "desired").class).toBe("destructive");
    expect(classifyPowerAct(action, observedGuest({ vmid: 102 }), "desired").class).toBe("destructive");
    expect(classifyPowerAct(action, observedGuest({ kind: "lxc" }), "desired").class).toBe("destructive");
  });

  test("a reboot is benign when a person asks for it, of a VM that was read; the desired state never asks", () => {
    const observed = observedGuest();
    const action = { type: "reboot", guest: { kind: "qemu", vmid: 101 }, reason: "" } as const;
    expect(classifyPowerAct(action, observed, "operation")).toEqual({ class: "benign" });
    for (const provenance of ["desired", "compensation"] as const) expect(classifyPowerAct(action, observed, provenance).class).toBe("destructive");
    for (const other of [undefined, observedGuest({ vmid: 102 }), observedGuest({ kind: "lxc" })]) expect(classifyPowerAct(action, other, "operation").class).toBe("destructive");
  });
});
