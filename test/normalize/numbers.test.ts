import { expect, test } from "bun:test";
import { canonicalInteger, canonicalNumber } from "../../src/normalize/numbers.ts";
import { formOf, isDrift, merged, refusal } from "./support.ts";

test.each([
  ["2048", "2048"], ["0128", "128"], ["000", "0"], ["-0", "0"], ["-05", "-5"], ["2.0", "2"], ["2e3", "2000"], ["1.073741824e+9", "1073741824"],
  ["9007199254740993", "9007199254740993"],
])("rows 4 and 5: the integer %s is %s", (text, canonical) => {
  expect(canonicalInteger(text)).toBe(canonical);
});

test.each(["", "abc", "1.5", "1024M", "0x10", "1e999", "1".repeat(41), "--1", "NaN", "Infinity"])("text %j is no integer", (text) => {
  expect(canonicalInteger(text)).toBeUndefined();
});

test.each([["1.50", "1.5"], ["0.5", "0.5"], [".5", "0.5"], ["2.", "2"], ["0.0", "0"], ["-0", "0"], ["1e-7", "1e-7"]])("the number %s is %s", (text, canonical) => {
  expect(canonicalNumber(text)).toBe(canonical);
  expect(canonicalNumber(canonical)).toBe(canonical);
});

test.each([
  ["qemu", "cores", 2, "2"], ["qemu", "cores", "02", 2], ["qemu", "memory", 2048, "2048"], ["qemu", "cpulimit", 1.5, "1.50"], ["lxc", "cpulimit", 2, "2.0"],
  ["lxc", "memory", "256", 256],
] as const)("row 4: %s %s declared %j is what Proxmox gives back as %j", (kind, key, declared, observed) => {
  expect(isDrift(kind, key, declared, observed)).toBe(false);
  expect(merged(kind, key, declared, observed)).toBe(String(observed));
});

test.each([
  ["qemu", "cores", 1], ["qemu", "sockets", 1], ["qemu", "shares", 1000], ["qemu", "cpulimit", 0], ["lxc", "swap", 512], ["lxc", "tty", 2],
  ["qemu", "memory", 512], ["lxc", "memory", 512], ["lxc", "cpulimit", "0"], ["qemu", "migrate_downtime", 0.1],
] as const)("row 8: declaring %s %s as its default %j while it is absent asks for nothing", (kind, key, value) => {
  expect(isDrift(kind, key, value)).toBe(false);
  expect(formOf(kind, key, value)).toBeNull();
});

test("a container's cores have no default: absent means all of them", () => {
  expect(isDrift("lxc", "cores", 1)).toBe(true);
});

test.each([
  ["qemu", "cores", -1], ["qemu", "cores", 0], ["qemu", "cores", "abc"], ["qemu", "cores", 1.5], ["qemu", "memory", 15], ["qemu", "memory", "4G"],
  ["qemu", "memory", "1.5"], ["lxc", "memory", "abc"], ["qemu", "shares", 50_001], ["qemu", "cpulimit", 129], ["lxc", "cores", 8193], ["lxc", "tty", 7],
  ["lxc", "swap", -1], ["qemu", "vcpus", 0], ["qemu", "cores", Number.NaN], ["qemu", "balloon", Number.POSITIVE_INFINITY],
] as const)("%s %s refuses %j", (kind, key, declared) => {
  expect(refusal(kind, key, declared)).toMatch(/expected an? (integer|number)/);
});

test("what is there is read even when it could not be written (row O1)", () => {
  expect(formOf("qemu", "cores", 999_999)).toBe("999999");
  expect(formOf("qemu", "cores", "many")).toBe("many");
  expect(isDrift("qemu", "cores", 2, "many")).toBe(true);
});

test("a container's memory cannot be declared away, unless it is at its default anyway", () => {
  expect(refusal("lxc", "memory", null, 256)).toContain("does not let it be removed");
  expect(merged("lxc", "memory", null, 512)).toBeNull();
  expect(merged("lxc", "memory", null)).toBeNull();
});
