import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compareKeys, isNetworkKey, isSecretKey, isServerOwned } from "../../src/plan/keys.ts";

describe("the order of keys", () => {
  test("is by name, indexed keys by number", () => {
    const keys = ["net10", "tags", "net2", "boot", "net0", "net", "mp1", "memory"];
    expect(keys.toSorted(compareKeys)).toEqual(["boot", "memory", "mp1", "net", "net0", "net2", "net10", "tags"]);
  });

  const key = fc.oneof(fc.constantFrom("net2", "net10", "net1a", "net02", "net", "10", "2", ""), fc.string({ maxLength: 5 }));

  test("is total: antisymmetric, and only equal keys are equal (property)", () => {
    fc.assert(fc.property(key, key, (left, right) => {
      expect(Math.sign(compareKeys(left, right))).toBe(-Math.sign(compareKeys(right, left)) + 0);
      expect(compareKeys(left, right) === 0).toBe(left === right);
    }));
  });

  test("is transitive (property)", () => {
    fc.assert(fc.property(key, key, key, (a, b, c) => {
      if (compareKeys(a, b) < 0 && compareKeys(b, c) < 0) expect(compareKeys(a, c)).toBeLessThan(0);
    }), { numRuns: 2000 });
  });
});

test("keys that Proxmox owns, NICs and secrets are known by name", () => {
  expect(["digest", "meta", "lock", "snaptime", "vmgenid"].map(isServerOwned)).toEqual([true, true, true, true, true]);
  expect(["name", "unused0", "template"].map(isServerOwned)).toEqual([false, false, false]);
  expect(["net0", "net31", "net", "netx", "net0x"].map(isNetworkKey)).toEqual([true, true, false, false, false]);
  expect(["cipassword", "env", "ciuser"].map(isSecretKey)).toEqual([true, true, false]);
});
