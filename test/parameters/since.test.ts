import { describe, expect, test } from "bun:test";
import { countOf, parameterOf, subParametersOf } from "../../src/parameters/lookup.ts";
import { neededVersion, versionedNames } from "../../src/parameters/since.ts";

const V8_4 = { major: 8, minor: 4, patch: 1 };
const V9_0 = { major: 9, minor: 0, patch: 11 };
const V9_2 = { major: 9, minor: 2, patch: 0 };

describe("the release a key needs", () => {
  const rows = [
    ["lxc", "env", undefined, V8_4, "9.1"],
    ["lxc", "env", undefined, V9_0, "9.1"],
    ["lxc", "env", undefined, V9_2, undefined],
    ["qemu", "cpu", "guest-phys-bits", V8_4, undefined],
    ["qemu", "machine", "aw-bits", V8_4, undefined],
    ["qemu", "cpu", "level", V9_0, "9.1"],
    ["qemu", "cpu", "flags", V8_4, undefined],
    ["qemu", "cpu", undefined, V8_4, undefined],
    ["qemu", "efidisk0", "ms-cert", V9_0, "9.1"],
    ["qemu", "tpmstate0", "format", V9_0, "9.1"],
    ["qemu", "hostpci3", "driver", V9_0, "9.1"],
    ["lxc", "mp12", "keepattrs", V8_4, "9.1"],
    ["lxc", "net31", "host-managed", V8_4, "9.1"],
    ["qemu", "net0", "host-managed", V8_4, undefined],
    ["qemu", "cores", undefined, V8_4, undefined],
    ["qemu", "constructor", undefined, V8_4, undefined],
  ] as const;
  for (const [kind, key, subKey, version, needed] of rows) {
    test(`${kind} ${key}${subKey === undefined ? "" : `.${subKey}`} on ${version.major}.${version.minor}: ${needed ?? "has it"}`, () => {
      expect(neededVersion(kind, key, subKey, version)).toBe(needed);
    });
  }

  test("is known of keys and sub-keys that the schema has, and of no others", () => {
    for (const [kind, name] of versionedNames()) {
      const [stem = "", subKey] = name.split(".");
      const parameter = parameterOf(kind, countOf(kind, stem) === undefined ? stem : `${stem}0`);
      expect([kind, name, parameter !== undefined]).toEqual([kind, name, true]);
      if (subKey !== undefined && parameter !== undefined) expect([kind, name, Object.hasOwn(subParametersOf(parameter) ?? {}, subKey)]).toEqual([kind, name, true]);
    }
  });

  test("falls away with every release: what the newest needs, nobody lacks", () => {
    for (const [kind, name] of versionedNames()) {
      const [stem = "", subKey] = name.split(".");
      expect(neededVersion(kind, stem, subKey, V9_2)).toBeUndefined();
    }
  });
});
