import { describe, expect, test } from "bun:test";
import type { DeclaredValue } from "../../src/guest/declared.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import { needsOfKey, type Need } from "../../src/doctor/privileges.ts";
import { allowedKeys } from "../../src/gate/allow-list.ts";
import type { Caller } from "../../src/simulator/api.ts";
import { HostUnderTest } from "../simulator/host/host-under-test.ts";
import { readRecording } from "../support/recordings.ts";

/**
 * The table of privileges against a host that checks them by itself: with exactly what the table asks
 * for a write is not refused for lack of privileges, and with everything but one part of it, it is.
 */

const VMID: Readonly<Record<GuestKind, number>> = { qemu: 102, lxc: 200 };

type Row = readonly [kind: GuestKind, key: string, value: string];

const WRITES: readonly Row[] = [
  ["qemu", "agent", "1"],
  ["qemu", "audio0", "device=AC97"],
  ["qemu", "balloon", "0"],
  ["qemu", "bios", "ovmf"],
  ["qemu", "boot", "order=net0"],
  ["qemu", "cicustom", "user=local:snippets/u.yaml"],
  ["qemu", "citype", "nocloud"],
  ["qemu", "ciupgrade", "0"],
  ["qemu", "ciuser", "debian"],
  ["qemu", "cores", "3"],
  ["qemu", "cpu", "host"],
  ["qemu", "cpulimit", "1"],
  ["qemu", "cpuunits", "200"],
  ["qemu", "description", "x"],
  ["qemu", "hotplug", "disk"],
  ["qemu", "ide2", "none,media=cdrom"],
  ["qemu", "ipconfig0", "ip=dhcp"],
  ["qemu", "keyboard", "de"],
  ["qemu", "localtime", "1"],
  ["qemu", "machine", "q35"],
  ["qemu", "memory", "512"],
  ["qemu", "name", "other"],
  ["qemu", "nameserver", "192.0.2.1"],
  ["qemu", "net0", "e1000=BC:24:11:00:01:02,bridge=vmbr0"],
  ["qemu", "numa", "1"],
  ["qemu", "onboot", "1"],
  ["qemu", "ostype", "other"],
  ["qemu", "protection", "1"],
  ["qemu", "rng0", "source=/dev/urandom"],
  ["qemu", "scsi0", "local:102/vm-102-disk-0.qcow2,iothread=0,size=16M"],
  ["qemu", "scsihw", "pvscsi"],
  ["qemu", "searchdomain", "example.test"],
  ["qemu", "serial0", "socket"],
  ["qemu", "shares", "500"],
  ["qemu", "sockets", "2"],
  ["qemu", "sshkeys", "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%20a"],
  ["qemu", "startup", "order=1"],
  ["qemu", "tablet", "0"],
  ["qemu", "tags", "a;b"],
  ["qemu", "usb0", "spice"],
  ["qemu", "vcpus", "1"],
  ["qemu", "vga", "std"],
  ["lxc", "cmode", "console"],
  ["lxc", "console", "0"],
  ["lxc", "cores", "2"],
  ["lxc", "debug", "1"],
  ["lxc", "cpulimit", "1"],
  ["lxc", "cpuunits", "200"],
  ["lxc", "description", "x"],
  ["lxc", "hostname", "other"],
  ["lxc", "memory", "256"],
  ["lxc", "nameserver", "192.0.2.1"],
  ["lxc", "net0", "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:00,ip=dhcp,tag=5,type=veth"],
  ["lxc", "onboot", "1"],
  ["lxc", "ostype", "debian"],
  ["lxc", "protection", "1"],
  ["lxc", "searchdomain", "example.test"],
  ["lxc", "startup", "order=1"],
  ["lxc", "swap", "128"],
  ["lxc", "tags", "a;b"],
  ["lxc", "timezone", "host"],
  ["lxc", "tty", "3"],
];

const ROOTS: readonly Row[] = [
  ["qemu", "affinity", "0"],
  ["qemu", "args", "-foo"],
  ["qemu", "hostpci0", "0000:01:00.0"],
  ["qemu", "lock", "backup"],
  ["qemu", "serial0", "/dev/ttyS0"],
  ["qemu", "usb0", "host=1234:5678"],
  ["qemu", "vmgenid", "1"],
  ["lxc", "dev0", "/dev/net/tun"],
  ["lxc", "features", "fuse=1"],
  ["lxc", "mp0", "/srv/data,mp=/data"],
];

/** A caller who has what `needs` say, on just those paths. */
function callerWithNeeds(needs: readonly Need[]): Caller {
  // The bridge a NIC has now must be usable too; which one that is, a declaration does not say.
  const isCurrentBridge = (path: string): boolean => path === "/sdn/zones/localnetwork/vmbr0" && needs.some((need) => need.path.startsWith(path));
  return {
    user: "agent@pve", tokenId: "tok", isRootLogin: false,
    can: (path, privilege) => (isCurrentBridge(path) && privilege === "SDN.Use") || needs.some((need) => need.path === path && need.anyOf.includes(privilege)),
  };
}

function refusalOf(kind: GuestKind, key: string, value: string, caller: Caller): Promise<string> {
  return new HostUnderTest().outcome("PUT", `${kind}/${VMID[kind]}/config`, { [key]: value }, caller);
}

function needsOf(kind: GuestKind, key: string, value: DeclaredValue): readonly Need[] {
  const needs = needsOfKey(kind, VMID[kind], key, value);
  if (needs.type === "root_only") throw new Error(`${kind} ${key} is root's`);
  return needs.needs;
}

describe("what the table asks for", () => {
  test.each(WRITES)("is enough on a %s for %s: %s", async (kind, key, value) => {
    expect(await refusalOf(kind, key, value, callerWithNeeds(needsOf(kind, key, value)))).not.toMatch(/^403|only root/);
  });

  test.each(WRITES)("is not too much on a %s for %s: %s", async (kind, key, value) => {
    for (const need of needsOf(kind, key, value)) {
      const caller = { ...callerWithNeeds([]), can: (path: string, privilege: string) => path !== need.path || !need.anyOf.includes(privilege) };
      expect(await refusalOf(kind, key, value, caller)).toBe(`403 Permission check failed (${need.path}, ${need.anyOf.join("|")})`);
    }
  });

  test.each(WRITES.filter(([, key]) => key === "nameserver" || key === "ciuser" || key === "ipconfig0"))("is met by any one where one will do: %s %s", async (kind, key, value) => {
    for (const need of needsOf(kind, key, value)) {
      for (const one of need.anyOf) expect(await refusalOf(kind, key, value, callerWithNeeds([{ ...need, anyOf: [one] }]))).not.toMatch(/^403/);
    }
  });

  test.each(ROOTS)("is a login of root's on a %s for %s: %s (row 48)", async (kind, key, value) => {
    expect(needsOfKey(kind, VMID[kind], key, value)).toEqual({ type: "root_only" });
    expect(await refusalOf(kind, key, value, { ...callerWithNeeds([]), can: () => true })).toMatch(/^(?:403|500) .*(?:only root|only allowed for root)/);
  });

  test("is tried out here for every key that may be sent", () => {
    const tried = new Set(WRITES.map(([kind, key]) => `${kind} ${key.replace(/^(net|ipconfig)\d+$/, "$1[n]")}`));
    for (const kind of ["qemu", "lxc"] as const) for (const [key] of allowedKeys(kind)) expect(tried).toContain(`${kind} ${key}`);
  });
});

describe("as a real host refused it (recorded)", () => {
  // op@pve has VM.Audit, VM.PowerMgmt and VM.Config.Options on /vms/100, and nothing else.
  const writes = readRecording("02-auth.txt")
    .filter(({ section, method, path }) => section.startsWith("token op@pve!tok") && method === "PUT" && path.endsWith("/qemu/100/config"))
    .map(({ arguments: words, statusLine }): [string, string] => [words.at(-1) ?? "", statusLine]);

  test("there are such recordings", () => {
    expect(writes.length).toBeGreaterThanOrEqual(4);
  });

  test.each(writes)("%s: %s", (argument, statusLine) => {
    const [, key = ""] = /^delete=(\w+)$/.exec(argument) ?? /^(\w+)=/.exec(argument) ?? [];
    const missing = needsOf("qemu", key, argument.startsWith("delete") ? null : "x").filter(({ anyOf }) => !anyOf.includes("VM.Config.Options"));
    const [first] = missing;
    expect(statusLine).toBe(first === undefined ? "HTTP/1.1 200 OK" : `HTTP/1.1 403 Permission check failed (/vms/100, ${first.anyOf.join("|")})`);
  });
});

describe("declared in other forms", () => {
  const forms: readonly (readonly [string, string, DeclaredValue, string])[] = [
    ["a map names its bridge", "net0", { bridge: "vmbr7", tag: 20 }, "/sdn/zones/localnetwork/vmbr7/20"],
    ["text names it too", "net0", "virtio,bridge=vmbr7", "/sdn/zones/localnetwork/vmbr7"],
    ["a CD is not a disk", "ide2", { file: "local:iso/x.iso", media: "cdrom" }, "VM.Config.CDROM"],
    ["a mapped device is not root's", "hostpci0", { mapping: "gpu" }, "VM.Config.HWType"],
    ["a cloud-init drive is both", "ide2", "local:cloudinit", "VM.Config.Cloudinit"],
  ];
  test.each(forms)("%s", (_, key, value, part) => {
    expect(JSON.stringify(needsOf("qemu", key, value))).toContain(part);
  });

  test("a NIC without a bridge asks for none", () => {
    expect(needsOf("lxc", "net0", { rate: null, tag: 4 })).toEqual([{ path: "/vms/200", anyOf: ["VM.Config.Network"] }]);
  });
});
