import { describe, expect, test } from "bun:test";
import { parseDesiredFiles } from "../../src/desired/parse.ts";
import type { DeclaredValue } from "../../src/guest/declared.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import { planGuest } from "../../src/plan/plan-guest.ts";
import { isDrift, merged, refusal } from "../normalize/support.ts";
import { desiredGuest, HOST_FACTS, observedGuest } from "../support/guests.ts";

/** Counterexamples that the laws have found, shrunk, each by its name. Those about balloon and memory: plan/balloon. */

describe("a write that Proxmox refuses is refused first", () => {
  test("row 71: a cloud-init gateway is taken only beside its address", () => {
    expect(refusal("qemu", "ipconfig0", { ip: null }, "gw=192.0.2.1,ip=192.0.2.7/24")).toContain("gw as null: Proxmox takes gw only beside ip");
    expect(refusal("qemu", "ipconfig0", { gw6: "fe80::1" }, "ip=dhcp")).toContain("Proxmox takes gw6 only beside ip6");
    expect(merged("qemu", "ipconfig0", { ip: null, gw: null, ip6: "auto" }, "gw=192.0.2.1,ip=192.0.2.7/24")).toBe("ip6=auto");
    expect(merged("qemu", "ipconfig0", { ip: "dhcp", gw: null }, "gw=192.0.2.1,ip=192.0.2.7/24")).toBe("ip=dhcp");
  });

  test("row 71: one that a person wrote into the file alone is no reason to refuse what does not change it", () => {
    expect(merged("qemu", "ipconfig0", { gw: "192.0.2.1" }, "gw=192.0.2.1")).toBe("gw=192.0.2.1");
  });

  test("row 26: a container's NIC without a bridge would be stored, answered with a 500, and keep the container from starting", () => {
    expect(refusal("lxc", "net1", { name: "eth1" })).toContain("bridge: expected");
    expect(refusal("lxc", "net0", { bridge: null }, "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:00")).toContain("bridge: expected");
    expect(merged("lxc", "net1", "name=eth1,bridge=vmbr1")).toBe("name=eth1,bridge=vmbr1");
    expect(isDrift("lxc", "net0", { name: "eth0" }, "name=eth0,hwaddr=BC:24:11:00:02:00,type=veth")).toBe(false);
  });

  test.each(["On", "yes", "TRUE"])("rows 3 and 62: enabled=%s loses its name when the agent is rewritten, and then has to be a 1", (word) => {
    expect(merged("qemu", "agent", { type: "isa" }, `guest-fsfreeze=0,enabled=${word}`)).toBe("1,freeze-fs=0,type=isa");
    expect(merged("qemu", "agent", { enabled: true }, `enabled=${word}`)).toBe(`enabled=${word}`);
  });

  test("row 64: intel-tdx has its attestation said, whichever type it is", () => {
    expect(refusal("qemu", "intel-tdx", { type: "std" })).toContain("attestation: expected");
    expect(merged("qemu", "intel-tdx", { type: "std", attestation: true })).toBe("std,attestation=1");
    expect(merged("qemu", "intel-tdx", { attestation: null }, "std,attestation=1")).toBe("std,attestation=1");
    expect(refusal("qemu", "intel-tdx", { attestation: null }, "std,attestation=0")).toContain("attestation: expected");
  });
});

test("rows 4 and 6: a sub-key that is there and out of bounds may be declared as it is, however it is spelled", () => {
  expect(merged("qemu", "intel-tdx", { "vsock-cid": 0 }, "std,attestation=1,vsock-cid=00")).toBe("std,attestation=1,vsock-cid=00");
  expect(refusal("qemu", "intel-tdx", { "vsock-cid": 1 }, "std,attestation=1,vsock-cid=00")).toContain("vsock-cid: expected");
});

describe("row 6: the order in which a map was written down", () => {
  test("is not the order in which its sub-keys are sent, nor in what is approved", () => {
    const [one, other] = [{ mode: "0660", path: "/dev/fuse", gid: 5 }, { gid: 5, path: "/dev/fuse", mode: "0660" }];
    expect(merged("lxc", "dev0", one)).toBe(merged("lxc", "dev0", other));
    expect(merged("qemu", "vga", { memory: 64, type: "std" }, "clipboard=vnc")).toBe(merged("qemu", "vga", { type: "std", memory: 64 }, "clipboard=vnc"));
  });

  test.each<readonly [string, DeclaredValue, DeclaredValue]>([
    ["a value that cannot be written", { volume: "none", idmap: "passthrough" }, { idmap: "passthrough", volume: "none" }],
    ["two sub-keys that are too new", { volume: "a:1", keepattrs: true, idmap: "passthrough", mp: "/x" }, { idmap: "passthrough", mp: "/x", keepattrs: true, volume: "a:1" }],
  ])("is not in what is said of %s", (_, one, other) => {
    const facts = { ...HOST_FACTS, pveVersion: { major: 8, minor: 4, patch: 0 } };
    const of = (declared: DeclaredValue): unknown => planGuest({ desired: desiredGuest({ kind: "lxc", config: { mp0: declared } }), observed: observedGuest({ kind: "lxc" }), situation: {}, facts });
    expect(of(other)).toEqual(of(one));
  });
});

test.each<readonly [GuestKind, string, DeclaredValue]>([["qemu", "boot", ["scsi0", "net0"]], ["qemu", "cdrom", { file: "none", media: "cdrom" }]])(
  "what can be merged can be declared: %s %s",
  (kind, key, declared) => {
    const text = JSON.stringify({ version: 1, guests: [{ vmid: 100, kind, config: { [key]: declared } }] });
    expect(parseDesiredFiles([{ name: "a.json", text }]).problems).toEqual([]);
    expect(merged(kind, key, declared)).not.toBeNull();
  },
);

test("row 43: what is said of a volume names it wherever in the value it stands", () => {
  const plan = planGuest({ desired: desiredGuest({ config: { sata0: null } }), observed: observedGuest({ running: { sata0: "iops=64,file=local:101/vm-101-disk-0.raw" } }), situation: {}, facts: HOST_FACTS });
  expect(plan.deferred[0]?.message).toContain("may destroy the volume local:101/vm-101-disk-0.raw,");
});
