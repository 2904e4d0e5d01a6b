import { expect, test } from "bun:test";
import fc from "fast-check";
import type { CatalogueEntry } from "../../src/normalize/catalogue/entry.ts";
import { LXC_CATALOGUE } from "../../src/normalize/catalogue/lxc.ts";
import { QEMU_CATALOGUE } from "../../src/normalize/catalogue/qemu.ts";
import { isCatalogued, normalizerFor } from "../../src/normalize/registry.ts";
import type { DeclaredMap, DeclaredValue } from "../../src/guest/declared.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import type { RawValue } from "../../src/guest/observed.ts";
import type { NormalizeContext } from "../../src/normalize/types.ts";

const RUNS = 5000;

function keysOf(kind: GuestKind, catalogue: readonly CatalogueEntry[]): readonly (readonly [GuestKind, string])[] {
  return catalogue.map(({ key, count }) => [kind, count === undefined ? key : `${key}0`] as const);
}

const ALL_KEYS = [...keysOf("qemu", QEMU_CATALOGUE), ...keysOf("lxc", LXC_CATALOGUE), ["qemu", "future"], ["lxc", "env"]] as const;
const KEY = fc.constantFrom(...ALL_KEYS);

/** Real values of every field and what is close to them, so that the laws are tried where the rules are. */
const SAMPLES = [
  "", " ", "0", "1", "yes", "off", "2", "0128", "256,", "current=256", "1.50", "2e3", "-1", "host", "cputype=host,flags=+sse4_2;-pcid", "order=5,up=30", "5", "up=10,up=20", "web;prod", "B a,b",
  "order=scsi0;net0", "legacy=cdn", "cdn", "order=net0,legacy=c", "virtio=bc:24:11:aa:bb:cc,bridge=vmbr0,firewall=0,tag=5", "virtio,bridge=vmbr0", "model=e1000,macaddr=BC:24:11:AA:BB:CC,trunks=5;1-3",
  "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:00,ip=dhcp,type=veth", "local-lvm:vm-100-disk-0,iothread=1,size=32G", "local:32,ssd=1", "none,media=cdrom", "local:iso/a.iso,media=cdrom,size=700M",
  "local:vm-1-cloudinit,media=cdrom", "none:x,size=1G", ":x", "/mnt/x,mp=/y", "local:1/vm-1-disk-0.raw,mp=data,mountoptions=nosuid;discard,size=1G", "a:1,efitype=4m,ms-cert=2023k,size=528K", "enabled=1,guest-fsfreeze=0", "0,type=isa",
  "disk,network,usb", "pc-q35-9.2+pve1", "q35", "base64=1,family=QWJj", "base64=yes,family=QUJD,serial=A B", "family=a b,base64=0", "uuid=AAAAAAAA-0000-4000-8000-000000000101", "ssh-rsa%20AAAA%20x%0A", "ssh-rsa AAAA x\nssh-rsa BBBB y", "a%2525",
  "1.1.1.1,8.8.8.8", "FE80::1%eth0", "x\r\r\n\r\n y \n\n", "\n", '""a""', '"x"', "nesting=1,mount=nfs;cifs", "0000:0000:01:00.0,vendor-id=0x0x12", "0x0x12:3", "cpus=0-1;3,memory=512", "b=2,a=1", "x,b=2,a=1", "a==,b", "=", ",", "a=\"x,y\"", "ip=dhcp",
];

const RAW: fc.Arbitrary<RawValue> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...SAMPLES) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom(...SAMPLES), fc.constantFrom(",", "", ";", " "), fc.constantFrom(...SAMPLES)).map((parts) => parts.join("")) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 30 }) },
  { weight: 1, arbitrary: fc.stringMatching(/^[a-z0-9=,;:."% +-]{0,30}$/) },
  { weight: 1, arbitrary: fc.oneof(fc.integer(), fc.double()) },
);

const SUB_KEYS = [
  "model", "macaddr", "virtio", "bridge", "tag", "firewall", "trunks", "name", "hwaddr", "ip", "type", "storage", "size", "file", "volume", "ssd", "iothread", "backup", "media", "format", "mp", "order", "up", "down", "legacy", "enabled",
  "freeze-fs", "cputype", "flags", "current", "memory", "nesting", "mount", "uuid", "family", "base64", "host", "a", "",
];
const SCALAR = fc.oneof(fc.constantFrom(...SAMPLES), fc.integer(), fc.double(), fc.boolean(), fc.string({ maxLength: 10 }));
const MAP: fc.Arbitrary<DeclaredMap> = fc.dictionary(fc.constantFrom(...SUB_KEYS), fc.oneof(SCALAR, fc.constant(null), fc.array(SCALAR, { maxLength: 3 })), { maxKeys: 5 });
const DECLARED: fc.Arbitrary<DeclaredValue> = fc.oneof(RAW, fc.boolean(), fc.constant(null), fc.array(SCALAR, { maxLength: 4 }), MAP);

const CONTEXT = fc.record({
  tagStyle: fc.record({ isOrdered: fc.boolean(), isCaseSensitive: fc.boolean() }),
  pveVersion: fc.constantFrom({ major: 8, minor: 4, patch: 0 }, { major: 9, minor: 2, patch: 11 }),
  siblings: fc.constantFrom({}, { memory: "256", cores: 2, ostype: "win11" }, { memory: "=", cores: "x" }),
});

function contextFor(kind: GuestKind, observed: RawValue | undefined, extra: Omit<NormalizeContext, "kind" | "observed">): NormalizeContext {
  return { ...extra, kind, observed };
}

test("normalizing never throws, and a normal form is its own normal form", () => {
  fc.assert(
    fc.property(KEY, RAW, CONTEXT, ([kind, key], raw, extra) => {
      const normalizer = normalizerFor(kind, key);
      const context = contextFor(kind, raw, extra);
      const form = normalizer.normalize(raw, context);
      expect(form).not.toBe("");
      if (form !== null) expect(normalizer.normalize(form, context)).toBe(form);
    }),
    { numRuns: RUNS * 2 },
  );
});

test("merging never throws: there is something to write, or normalize.invalid says what is wrong", () => {
  fc.assert(
    fc.property(KEY, DECLARED, fc.option(RAW, { nil: undefined }), CONTEXT, ([kind, key], declared, observed, extra) => {
      const result = normalizerFor(kind, key).merge(declared, contextFor(kind, observed, extra));
      if (result.ok) return result.value === null || typeof result.value === "string";
      return result.error.code === "normalize.invalid" && /expected .*found .*; /s.test(result.error.message);
    }),
    { numRuns: RUNS * 2 },
  );
});

test("plan, apply, plan: what was merged and read back asks for nothing more", () => {
  fc.assert(
    fc.property(KEY, DECLARED, fc.option(RAW, { nil: undefined }), CONTEXT, ([kind, key], declared, observed, extra) => {
      const normalizer = normalizerFor(kind, key);
      const first = normalizer.merge(declared, contextFor(kind, observed, extra));
      if (!first.ok || first.value === null) return;
      const after = contextFor(kind, first.value, extra);
      const second = normalizer.merge(declared, after);
      expect(second.ok).toBe(true);
      const wanted = second.ok && second.value !== null ? normalizer.normalize(second.value, after) : null;
      expect(wanted).toBe(normalizer.normalize(first.value, after));
    }),
    { numRuns: RUNS * 2 },
  );
});

test("declared null merges to absent, unless Proxmox requires the key", () => {
  fc.assert(
    fc.property(KEY, RAW, CONTEXT, ([kind, key], observed, extra) => {
      const result = normalizerFor(kind, key).merge(null, contextFor(kind, observed, extra));
      return result.ok ? result.value === null : kind === "lxc" && key === "memory";
    }),
    { numRuns: RUNS },
  );
});

test("declaring literally what is there asks for nothing", () => {
  fc.assert(
    fc.property(KEY, RAW, CONTEXT, ([kind, key], observed, extra) => {
      const normalizer = normalizerFor(kind, key);
      const context = contextFor(kind, observed, extra);
      const result = normalizer.merge(observed, context);
      if (!result.ok) return;
      const wanted = result.value === null ? null : normalizer.normalize(result.value, context);
      expect(wanted).toBe(normalizer.normalize(observed, context));
    }),
    { numRuns: RUNS },
  );
});

const HEX = fc.constantFrom(..."0123456789abcdefABCDEF");
const MAC = fc.tuple(HEX, fc.constantFrom(..."02468aceACE"), fc.array(fc.tuple(HEX, HEX), { minLength: 5, maxLength: 5 })).map(
  ([high, low, rest]) => [`${high}${low}`, ...rest.map((pair) => pair.join(""))].join(":"),
);
const NET_MAP = fc.record(
  {
    model: fc.constantFrom("virtio", "e1000"), bridge: fc.constantFrom("vmbr0", "vmbr1", null), tag: fc.oneof(fc.integer({ min: 1, max: 4094 }), fc.constant(null)), firewall: fc.oneof(fc.boolean(), fc.constant(null)),
    link_down: fc.boolean(), rate: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant(null)), trunks: fc.constantFrom("1-3;5", "7", null), macaddr: fc.constant(null),
  },
  { requiredKeys: [] },
);

test("rows 23 and 24: whatever is declared of a NIC but its address, the address stays as it is spelled", () => {
  fc.assert(
    fc.property(MAC, NET_MAP, fc.boolean(), CONTEXT, (mac, declared, isLong, extra) => {
      const observed = isLong ? `bridge=vmbr0,macaddr=${mac},model=virtio,tag=9` : `virtio=${mac},bridge=vmbr0,tag=9`;
      const result = normalizerFor("qemu", "net0").merge(declared, contextFor("qemu", observed, extra));
      expect(result.ok && result.value?.includes(mac)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

const OPTIONS = fc.dictionary(fc.constantFrom("ssd", "iothread", "backup", "discard", "cache", "serial"), fc.constantFrom("1", "0", "on", "none", "abc"), { maxKeys: 4 });

test("rows 31 and 37: over a disk that is there, no option is lost, no volume renamed, nothing allocated", () => {
  fc.assert(
    fc.property(OPTIONS, OPTIONS, fc.constantFrom({}, { storage: "local-lvm" }, { storage: "local-lvm", size: "64G" }), CONTEXT, (there, declared, place, extra) => {
      const observed = ["local-lvm:vm-100-disk-0", ...Object.entries(there).map((pair) => pair.join("=")), "size=32G"].join(",");
      const result = normalizerFor("qemu", "scsi0").merge({ ...place, ...declared }, contextFor("qemu", observed, extra));
      if (!result.ok) return;
      expect(result.value?.startsWith("local-lvm:vm-100-disk-0,")).toBe(true);
      for (const [key, value] of Object.entries(there)) if (!(key in declared)) expect(`${result.value},`).toContain(`,${key}=${value},`);
      expect(result.value).toContain("size=");
    }),
    { numRuns: 2000 },
  );
});

test("rows 6 and 13: reordering what Proxmox answers changes no normal form", () => {
  const parts = fc.shuffledSubarray(["bridge=vmbr0", "tag=5", "firewall=1", "link_down=0", "rate=2.50"], { minLength: 5 });
  fc.assert(
    fc.property(parts, CONTEXT, (shuffled, extra) => {
      const raw = ["virtio=BC:24:11:00:00:01", ...shuffled].join(",");
      return normalizerFor("qemu", "net0").normalize(raw, contextFor("qemu", raw, extra)) === "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,rate=2.5,tag=5";
    }),
    { numRuns: 1000 },
  );
});

test("an unknown key of any spelling is never catalogued by accident", () => {
  fc.assert(fc.property(fc.stringMatching(/^[A-Z][a-z]{0,5}\d*$/), (key) => !isCatalogued("qemu", key) && !isCatalogued("lxc", key)), { numRuns: 1000 });
});
