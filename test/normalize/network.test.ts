import { expect, test } from "bun:test";
import { formOf, isDrift, merged, refusal } from "./support.ts";

const MAC = "BC:24:11:00:01:00";
const NET = `virtio=${MAC},bridge=vmbr0`;
const CT = `name=eth0,bridge=vmbr0,hwaddr=${MAC},ip=dhcp,type=veth`;

test.each([
  ["virtio,bridge=vmbr0", "virtio=BC:24:11:7B:DF:E2,bridge=vmbr0"], ["model=virtio,bridge=vmbr0", "virtio=BC:24:11:4C:41:BF,bridge=vmbr0"], ["e1000", "e1000=BC:24:11:DB:A2:AB"],
])("row 22: %s takes the address Proxmox made: %s", (sent, back) => {
  expect(isDrift("qemu", "net0", sent, back)).toBe(false);
  expect(merged("qemu", "net0", sent, back)).toBe(back);
});

test("row 23: a change to a NIC carries the address that is there, or Proxmox would make a new one", () => {
  expect(merged("qemu", "net0", "virtio,bridge=vmbr1", NET)).toBe(`virtio=${MAC},bridge=vmbr1`);
  expect(merged("qemu", "net0", { model: "e1000" }, NET)).toBe(`e1000=${MAC},bridge=vmbr0`);
  expect(merged("lxc", "net0", "name=eth0,bridge=vmbr1", CT)).toBe(CT.replace("vmbr0", "vmbr1"));
});

test("row 23: even declared null, the address stays", () => {
  expect(merged("qemu", "net0", { macaddr: null, tag: 5 }, NET)).toBe(`${NET},tag=5`);
  expect(merged("lxc", "net0", { hwaddr: null }, CT)).toBe(CT);
});

test("row 24: a hardware address differs in value, not in case, and keeps the spelling that is there", () => {
  expect(merged("qemu", "net0", NET.toLowerCase(), NET)).toBe(NET);
  expect(merged("qemu", "net0", NET, `virtio=${MAC.toLowerCase()},bridge=vmbr0`)).toBe(`virtio=${MAC.toLowerCase()},bridge=vmbr0`);
  expect(merged("lxc", "net0", { hwaddr: MAC.toLowerCase(), tag: 3 }, CT)).toBe(`${CT},tag=3`);
  expect(isDrift("qemu", "net0", { macaddr: "BC:24:11:00:01:01" }, NET)).toBe(true);
});

test.each([
  ["model=virtio,macaddr=bc:24:11:aa:bb:cd,bridge=vmbr0,firewall=1", "virtio=bc:24:11:aa:bb:cd,bridge=vmbr0,firewall=1"],
  ["bridge=vmbr0,virtio=BC:24:11:AA:BB:CC,tag=5,rate=10.5,queues=2,mtu=1400,link_down=1", "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,link_down=1,mtu=1400,queues=2,rate=10.5,tag=5"],
])("row 25: %s and %s are one NIC", (left, right) => {
  expect(formOf("qemu", "net0", left)).toBe(formOf("qemu", "net0", right));
  expect(isDrift("qemu", "net0", { model: "virtio" }, left)).toBe(false);
});

test("row 25: map, model form and short form read the same; the normal form is one a person can read", () => {
  expect(formOf("qemu", "net0", `tag=20,bridge=vmbr0,model=virtio,macaddr=${MAC.toLowerCase()}`)).toBe(`virtio=${MAC},bridge=vmbr0,tag=20`);
  expect(merged("qemu", "net0", { virtio: MAC, bridge: "vmbr0" })).toBe(NET);
});

test("row 26: type=veth says nothing, and a container's NIC adopts its address", () => {
  expect(isDrift("lxc", "net0", { name: "eth0", bridge: "vmbr0", ip: "dhcp" }, CT)).toBe(false);
  expect(isDrift("lxc", "net0", { name: "eth0", type: "veth" }, CT)).toBe(false);
  expect(formOf("lxc", "net0", CT)).not.toContain("veth");
});

test("row 27: what is off by default is absent", () => {
  expect(isDrift("qemu", "net0", { firewall: 0, link_down: false, rate: 0, queues: 0, mtu: 1 }, NET)).toBe(false);
  expect(formOf("qemu", "net0", `${NET},firewall=0,link_down=0`)).toBe(formOf("qemu", "net0", NET));
  expect(isDrift("qemu", "net0", { firewall: 1 }, NET)).toBe(true);
  expect(isDrift("qemu", "net0", { link_down: true }, `${NET},link_down=1`)).toBe(false);
});

test("row 27: mtu=1 is only the default where a NIC without mtu takes the bridge's", () => {
  expect(isDrift("qemu", "net0", { mtu: 1 }, NET, { pveVersion: { major: 8, minor: 4, patch: 0 } })).toBe(true);
});

test("row 28: trunks are a set of ranges, declared as text or list", () => {
  expect(isDrift("qemu", "net0", { trunks: [5, "2-3"] }, `${NET},trunks=2;3;5`)).toBe(false);
  expect(merged("qemu", "net0", { trunks: "9;1" }, NET)).toBe(`${NET},trunks=1;9`);
});

test.each([["5;6;7"], [[7, 5, 6]], ["5-7"], [["5-6", 7]]])("row 28: a container's trunks %j are sent as single numbers, for its schema takes no ranges", (trunks) => {
  const there = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:00";
  expect(merged("lxc", "net0", { trunks }, there)).toBe(`${there},trunks=5;6;7`);
  expect(isDrift("lxc", "net0", { trunks }, `${there},trunks=7;6;5`)).toBe(false);
  expect(isDrift("lxc", "net0", { trunks }, `${there},trunks=5;7`)).toBe(true);
});

test("row 28: a container's trunk above the highest VLAN number is refused", () => {
  expect(refusal("lxc", "net0", { trunks: "5;4095" }, "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:00")).toContain("trunks: expected numbers up to 4094");
});

test.each([
  [{ macaddr: "01:00:5e:00:00:01" }, "unicast"], [{ macaddr: "zz:zz" }, "MAC address"], ["virtio=01:00:5e:00:00:01,bridge=vmbr0", "unicast"],
  [{ tag: 5000 }, "from 1 to 4094"], ["bogus,bridge=vmbr0", "one of e1000"], [{ brigde: "vmbr0" }, "brigde"], [{ model: null }, "declare it"], [[NET], "a map or text"],
] as const)("row 29: %j is refused for a VM's NIC", (declared, message) => {
  expect(refusal("qemu", "net0", declared, NET)).toContain(message);
});

test("a new NIC needs its model, a container's its name", () => {
  expect(refusal("qemu", "net0", { bridge: "vmbr0" })).toContain("model: expected");
  expect(refusal("lxc", "net0", { bridge: "vmbr0" })).toContain("name: expected");
  expect(refusal("lxc", "net0", "eth0")).toContain("a map or text");
  expect(merged("qemu", "net0", { model: "virtio", bridge: "vmbr0", firewall: 0 })).toBe("virtio,bridge=vmbr0");
});

test.each([["10.0.0.5", "prefix length"], ["10.0.0.300/24", "prefix length"], ["static", "dhcp, manual"]])("a container's ip=%s is refused", (ip, message) => {
  expect(refusal("lxc", "net0", { ip }, CT)).toContain(message);
});

test("a container's addresses are taken in every form Proxmox knows", () => {
  for (const ip of ["dhcp", "manual", "10.0.0.5/24"]) expect(merged("lxc", "net0", { ip }, CT)).toContain(`ip=${ip}`);
  for (const ip6 of ["auto", "dhcp", "manual", "2001:db8::5/64"]) expect(merged("lxc", "net0", { ip6 }, CT)).toContain(`ip6=${ip6}`);
  expect(isDrift("lxc", "net0", { ip6: "2001:DB8::5/64" }, `${CT},ip6=2001:db8::5/64`)).toBe(false);
});

test("a NIC that cannot be read is not written over: its address would be lost", () => {
  expect(refusal("qemu", "net0", NET, `virtio=${MAC},e1000=${MAC}`)).toContain("correct it on the host first");
});
