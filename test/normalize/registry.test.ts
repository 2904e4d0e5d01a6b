import { expect, test } from "bun:test";
import { LXC_CATALOGUE } from "../../src/normalize/catalogue/lxc.ts";
import { QEMU_CATALOGUE } from "../../src/normalize/catalogue/qemu.ts";
import { FALLBACK } from "../../src/normalize/fields/fallback.ts";
import { isCatalogued, normalizerFor } from "../../src/normalize/registry.ts";

test.each([
  ["qemu", "net0"], ["qemu", "net31"], ["qemu", "scsi30"], ["qemu", "numa"], ["qemu", "numa7"], ["qemu", "unused255"], ["qemu", "name"], ["lxc", "hostname"], ["lxc", "mp255"], ["lxc", "rootfs"],
] as const)("%s %s has an entry", (kind, key) => {
  expect(isCatalogued(kind, key)).toBe(true);
  expect(normalizerFor(kind, key)).not.toBe(FALLBACK);
});

test.each([
  ["qemu", "net32"], ["qemu", "net40"], ["qemu", "net"], ["qemu", "net01"], ["qemu", "scsi31"], ["qemu", "hostname"], ["qemu", "bogus"], ["lxc", "name"], ["lxc", "scsi0"], ["lxc", "mp256"],
  ["qemu", "__proto__"], ["qemu", "constructor"], ["lxc", ""],
] as const)("%s %j has none and gets the fallback", (kind, key) => {
  expect(isCatalogued(kind, key)).toBe(false);
  expect(normalizerFor(kind, key)).toBe(FALLBACK);
});

test("no catalogue names a key twice", () => {
  for (const catalogue of [QEMU_CATALOGUE, LXC_CATALOGUE]) {
    const names = catalogue.map(({ key, count }) => `${key}${count === undefined ? "" : "[n]"}`);
    expect(new Set(names).size).toBe(names.length);
  }
});
