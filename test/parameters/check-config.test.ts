import { describe, expect, test } from "bun:test";
import { checkConfig, checkEntry } from "../../src/parameters/check-config.ts";
import { countOf, keyNames, parameterOf } from "../../src/parameters/lookup.ts";
import { GUEST_KINDS, type GuestKind } from "../../src/guest/key.ts";
import type { DeclaredValue } from "../../src/guest/declared.ts";

/** "key expected X, found Y; advice" of each problem. */
function told(kind: GuestKind, key: string, value: DeclaredValue): string[] {
  return checkEntry(kind, key, value).map(({ subKey, expected, found, advice }) => `${subKey ?? key}: expected ${expected}, found ${found}${advice === "" ? "" : `; ${advice}`}`);
}

/** docs/proxmox.md row 80 */
const RAW_LINE_ADVICE = "raw lxc lines cannot be set over Proxmox's API; keep them in /etc/pve/lxc/VMID.conf on the host, where the agent leaves them alone, and remove this";

describe("a key that Proxmox does not have", () => {
  const rows: readonly (readonly [GuestKind, string, string])[] = [
    ["qemu", "memroy", "did you mean `memory`?"],
    ["qemu", "ram", "did you mean `memory`?"],
    ["lxc", "notes", "did you mean `description`?"],
    ["qemu", "ssh_keys", "did you mean `sshkeys`?"],
    ["qemu", "nett0", "did you mean `net0`?"],
    ["qemu", "scsi31", "there are `scsi0` to `scsi30`"],
    ["qemu", "net40", "there are `net0` to `net31`"],
    ["lxc", "mp256", "there are `mp0` to `mp255`"],
    ["qemu", "ipconfig", "write a number behind it: `ipconfig0` to `ipconfig31`"],
    ["qemu", "swap", "only lxc guests have it; remove it, or correct `kind`"],
    ["qemu", "hostname", "only lxc guests have it; did you mean `name`?"],
    ["lxc", "name", "only qemu guests have it; did you mean `hostname`?"],
    ["lxc", "balloon", "only qemu guests have it; remove it, or correct `kind`"],
    ["qemu", "digest", "Proxmox writes it itself; remove it"],
    ["lxc", "lxc", RAW_LINE_ADVICE], ["lxc", "lxc.apparmor.profile", RAW_LINE_ADVICE],
    ["qemu", "meta", "Proxmox writes it itself; remove it"],
    ["lxc", "vmid", "`vmid` stands beside `config`, not in it; indent it less"],
    ["qemu", "something-else-entirely", "docs/desired-state.md says which keys there are; remove it"],
  ];
  for (const [kind, key, advice] of rows) {
    test(`${kind} ${key}: ${advice}`, () => {
      expect(told(kind, key, 1)).toEqual([`${key}: expected a key that Proxmox has for ${kind} guests, found an unknown one; ${advice}`]);
    });
  }

  test("is refused also where it shall be absent: it would never be looked at", () => {
    expect(told("qemu", "memroy", null)).toHaveLength(1);
  });

  test("names of JavaScript's own are no keys", () => {
    for (const key of ["constructor", "toString", "__proto__", "hasOwnProperty"]) expect(told("qemu", key, 1)).toHaveLength(1);
  });
});

describe("keys", () => {
  test("every numbered key has its first and its last, and none behind it", () => {
    for (const [kind, stem, count] of [["qemu", "net", 32], ["qemu", "ide", 4], ["qemu", "sata", 6], ["qemu", "scsi", 31], ["qemu", "virtio", 16], ["qemu", "usb", 14], ["qemu", "hostpci", 16], ["lxc", "mp", 256], ["lxc", "dev", 256], ["lxc", "net", 32]] as const) {
      expect([kind, stem, countOf(kind, stem)]).toEqual([kind, stem, count]);
      expect([stem, parameterOf(kind, `${stem}0`) !== undefined, parameterOf(kind, `${stem}${count - 1}`) !== undefined, parameterOf(kind, `${stem}${count}`)]).toEqual([stem, true, true, undefined]);
    }
  });

  test("`numa` is both: a switch, and numbered nodes", () => {
    expect(told("qemu", "numa", true)).toEqual([]);
    expect(told("qemu", "numa0", "cpus=0-1,memory=1024")).toEqual([]);
  });

  test("every key of both kinds may be declared absent", () => {
    for (const kind of GUEST_KINDS) expect(checkConfig(kind, Object.fromEntries(keyNames(kind, "0").map((key) => [key, null])))).toEqual([]);
  });
});

describe("what is told", () => {
  test("comes in the order of the keys, several for one value", () => {
    const problems = checkConfig("qemu", { cores: "zero", net0: { brigde: "vmbr0", tag: 5000 }, memory: 2048 });
    expect(problems.map(({ key, subKey, at }) => [key, subKey, at])).toEqual([["cores", undefined, "value"], ["net0", "brigde", "key"], ["net0", "tag", "value"]]);
  });

  test("never shows a value that may be a secret", () => {
    for (const [kind, key, value] of [["lxc", "env", "hunter2"], ["qemu", "cipassword", ["hunter2"]], ["qemu", "args", { "hunter2": "hunter2" }], ["lxc", "env", { hunter2: 1 }]] as const) {
      const text = JSON.stringify(checkEntry(kind, key, value));
      expect([key, text.includes("hunter2")]).toEqual([key, false]);
    }
  });

  test("ends where nobody reads on: nonsense costs a search for the nearest name each", () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `nonsense-${index}`);
    const all = Object.fromEntries(names.map((name) => [name, 1]));
    expect(checkConfig("qemu", all, 20)).toHaveLength(20);
    expect(checkEntry("qemu", "net0", all)).toHaveLength(20);
    expect(checkEntry("qemu", "net0", names.map((name) => `${name}=1`).join(","))).toHaveLength(20);
  });

  test("quotes no more than the beginning of a long value", () => {
    expect(told("qemu", "ostype", "x".repeat(500))[0]?.length).toBeLessThan(250);
  });
});
