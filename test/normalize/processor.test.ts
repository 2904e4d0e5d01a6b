import { expect, test } from "bun:test";
import { formOf, isDrift, merged, refusal } from "./support.ts";

const PVE8 = { pveVersion: { major: 8, minor: 4, patch: 1 } };

test.each([["host", "cputype=host"], ["host,flags=+aes;-pcid", "flags=-pcid;+aes,cputype=host"], ["host,flags=+sse4_2;+lahf_lm", "host,flags=+lahf-lm;+sse4.2"]])(
  "row 53: cpu %j and %j are one",
  (left, right) => {
    expect(formOf("qemu", "cpu", left)).toBe(formOf("qemu", "cpu", right));
  },
);

test("row 53: an absent cpu is kvm64, which no other type is", () => {
  expect(isDrift("qemu", "cpu", "kvm64")).toBe(false);
  expect(isDrift("qemu", "cpu", "host")).toBe(true);
  expect(isDrift("qemu", "cpu", null, "cputype=kvm64")).toBe(false);
  expect(isDrift("qemu", "cpu", "x86-64-v2-AES", "host")).toBe(true);
});

test("row 53: flags as a list; flags nobody declared stay", () => {
  expect(merged("qemu", "cpu", { cputype: "host", flags: ["-pcid", "+aes"] })).toBe("host,flags=+aes;-pcid");
  expect(merged("qemu", "cpu", "host", "kvm64,flags=+aes")).toBe("host,flags=+aes");
  expect(refusal("qemu", "cpu", { flags: ["aes"] })).toContain("flags: expected CPU flags");
});

test.each([[100_000, 10_000], [10_001, 10_000], [50, 50]])("row 54: cpuunits %i come back as %i", (sent, back) => {
  expect(isDrift("qemu", "cpuunits", sent, back)).toBe(false);
  expect(isDrift("lxc", "cpuunits", sent, back)).toBe(false);
});

test("row 54: the default weight is 100 where there is only cgroup v2, else unknown", () => {
  expect(isDrift("qemu", "cpuunits", 100)).toBe(false);
  expect(isDrift("qemu", "cpuunits", 100, undefined, PVE8)).toBe(true);
  expect(refusal("qemu", "cpuunits", 262_145)).toContain("from 1 to 262144");
  expect(refusal("qemu", "cpuunits", 0)).toContain("from 1 to 262144");
  expect(merged("lxc", "cpuunits", 0)).toBe("1");
});

test("row 55: vcpus absent means every core of every socket", () => {
  expect(isDrift("qemu", "vcpus", 4, undefined, { siblings: { cores: 2, sockets: 2 } })).toBe(false);
  expect(isDrift("qemu", "vcpus", 3, undefined, { siblings: { cores: 2, sockets: 2 } })).toBe(true);
  expect(isDrift("qemu", "vcpus", 1, undefined, { siblings: {} })).toBe(false);
  expect(isDrift("qemu", "vcpus", 4)).toBe(true);
});

test.each([["2048", 2048], ["0128", 128], ["256,", 256], ["current=256", 256], ["2048", "current=2048"]])("row 56: memory %j is %j", (observed, declared) => {
  expect(isDrift("qemu", "memory", declared, observed)).toBe(false);
  expect(merged("qemu", "memory", declared, observed)).toBe(observed);
});

test("row 56: memory in map form; other amounts are drift", () => {
  expect(isDrift("qemu", "memory", { current: 2048 }, "2048")).toBe(false);
  expect(merged("qemu", "memory", 4096, "2048")).toBe("4096");
  expect(formOf("qemu", "memory", "current=04096")).toBe("4096");
});

test("row 57: balloon absent, zero and all of the memory: two are one, the third is not", () => {
  const siblings = { memory: "current=2048" };
  expect(isDrift("qemu", "balloon", 2048, undefined, { siblings })).toBe(false);
  expect(isDrift("qemu", "balloon", null, 2048, { siblings })).toBe(false);
  expect(isDrift("qemu", "balloon", 0, undefined, { siblings })).toBe(true);
  expect(isDrift("qemu", "balloon", null, 0, { siblings })).toBe(true);
  expect(isDrift("qemu", "balloon", 1024, 2048, { siblings })).toBe(true);
  expect(isDrift("qemu", "balloon", 512, undefined, { siblings: {} })).toBe(false);
});

test("row 57: without knowing the memory, equality to it is not guessed, and writing it settles the matter", () => {
  expect(isDrift("qemu", "balloon", 2048)).toBe(true);
  expect(isDrift("qemu", "balloon", 2048, 2048)).toBe(false);
  expect(formOf("qemu", "balloon", 0)).toBe("0");
});

test("row 58: NUMA nodes' ranges are sets", () => {
  expect(isDrift("qemu", "numa0", { cpus: "0;1", memory: "512" }, "cpus=0-1,memory=512.0")).toBe(false);
  expect(isDrift("qemu", "numa0", { hostnodes: [1, 0] }, "cpus=0-1,hostnodes=0-1")).toBe(false);
  expect(isDrift("qemu", "affinity", "3,0-2", "0-3")).toBe(false);
  expect(formOf("qemu", "numa", 1)).toBe("1");
});

test.each([["q35", "pc-q35-9.2+pve1"], ["pc", "pc-i440fx-9.2+pve1"], ["q35", "type=q35"], ["pc", undefined], ["virt", "virt-9.0"]])(
  "row 59: machine %j is satisfied by %j, which stays",
  (declared, observed) => {
    expect(isDrift("qemu", "machine", declared, observed)).toBe(false);
    if (observed !== undefined) expect(merged("qemu", "machine", declared, observed)).toBe(observed);
  },
);

test("row 59: another family or another pinned version is drift", () => {
  expect(isDrift("qemu", "machine", "q35", "pc-i440fx-9.2")).toBe(true);
  expect(isDrift("qemu", "machine", "q35")).toBe(true);
  expect(isDrift("qemu", "machine", "pc-q35-9.0", "pc-q35-9.2")).toBe(true);
  expect(merged("qemu", "machine", { viommu: "intel" }, "pc-q35-9.2+pve1")).toBe("pc-q35-9.2+pve1,viommu=intel");
  expect(refusal("qemu", "machine", "bogus")).toContain("a machine type");
});

test.each([["1", "bbbbbbbb-0000-4000-8000-000000000100"], ["BBBBBBBB-0000-4000-8000-000000000100", "bbbbbbbb-0000-4000-8000-000000000100"]])(
  "row 60: vmgenid %j is satisfied by %j",
  (declared, observed) => {
    expect(isDrift("qemu", "vmgenid", declared, observed)).toBe(false);
  },
);

test("row 60: a generated identifier does not satisfy a declared other one, nor 0 a declared 1", () => {
  expect(isDrift("qemu", "vmgenid", "aaaaaaaa-0000-4000-8000-000000000100", "bbbbbbbb-0000-4000-8000-000000000100")).toBe(true);
  expect(isDrift("qemu", "vmgenid", "1", "0")).toBe(true);
});

test("localtime's default is the system's: known only where the system is", () => {
  expect(isDrift("qemu", "localtime", 1, undefined, { siblings: { ostype: "win11" } })).toBe(false);
  expect(isDrift("qemu", "localtime", 0, undefined, { siblings: { ostype: "l26" } })).toBe(false);
  expect(isDrift("qemu", "localtime", 0)).toBe(true);
});

test("row 55: smp is an older name of sockets: equal to them it is no difference, else it is one", () => {
  expect(isDrift("qemu", "smp", 2, undefined, { siblings: { sockets: 2 } })).toBe(false);
  expect(isDrift("qemu", "smp", 1, undefined, { siblings: {} })).toBe(false);
  expect(isDrift("qemu", "smp", 2, undefined, { siblings: { sockets: 4 } })).toBe(true);
  expect(isDrift("qemu", "smp", 2, undefined, { siblings: {} })).toBe(true);
});
