import { describe, expect, test } from "bun:test";
import type { DeclaredScalar, DeclaredValue } from "../../src/guest/declared.ts";
import { GUEST_KINDS, type GuestKind } from "../../src/guest/key.ts";
import { normalizerFor } from "../../src/normalize/registry.ts";
import { checkEntry } from "../../src/parameters/check-config.ts";
import { keyNames, parameterOf, subParametersOf } from "../../src/parameters/lookup.ts";
import { configOption } from "../../src/simulator/host/schema.ts";
import { verifyParameters } from "../../src/simulator/host/verify.ts";
import { HOST_FACTS } from "../support/guests.ts";

/**
 * The law that matters most here: what normalize/ would send and a host would take is never refused when
 * the file is read. Every key and sub-key meets every value below, alone, in a map and as text; the
 * simulated host, which has its own copy of the schema, says what a host takes.
 */
const VALUES: readonly (DeclaredScalar | readonly DeclaredScalar[])[] = [
  "0", "1", "on", "off", "yes", "No", "TRUE", true, false, 0, 1, 2, 16, 100, 5000, -1, 1.5, "0.5", "007", " 1 ", "", " ",
  "a", "a b", "a;b", "a,b", "name.example", "name.example.", "x".repeat(61), "ö", "😀", "%20", "YQ==",
  "host", "auto", "dhcp", "manual", "none", "cdrom", "socket", "spice", "SPICE", "now", "any", "std", "tty", "de", "DE", "l26", "win11", "debian", "ovmf", "q35", "pc-q35-9.2+pve1",
  "virtio", "writeback", "threads", "lba", "vnc", "intel", "4m", "v2.0", "i6300esb", "/dev/urandom", "tdx", "es", "cdn",
  "local:1", "local-lvm:vm-1-disk-0", "/dev/sda", "/data", "data", "0660", "32G", "1.5T", "512",
  "BC:24:11:2A:00:01", "bc:24:11:2a:00:01", "11111111-2222-4333-8444-55555555510A", "0x5000c500a1b2c3d4", "0X5000C500A1B2C3D4", "0x10de", "0000:01:00.0", "1234:abcd",
  "192.0.2.1", "192.0.2.1/24", "2001:DB8::1", "2001:db8::1/64", "fe80::1%eth0", "::ffff:192.0.2.1",
  "2;3-4", "2,3", "0-1", "+aes;-pcid", "nfs;cifs", "noatime;nodev", "scsi0;net0", "order=scsi0", "network,disk", "network disk", "A=1", "A=1\0B=2", "Europe/Vienna", "2026-01-31",
  ["a", "b"], [1, 2], ["+aes", "-pcid"], ["scsi0", "net0"], ["nfs", "cifs"], ["noatime"], ["192.0.2.1"], ["A=1", "B=2"], ["network", "disk"], [],
];

/** What the host requires beside any other sub-key. */
const REQUIRED: Readonly<Record<string, Readonly<Record<string, DeclaredScalar>>>> = {
  "qemu net": { model: "virtio" }, "lxc net": { name: "eth0" }, "qemu numa": { cpus: "0" }, "qemu ivshmem": { size: 1 }, "qemu audio": { device: "AC97" }, "qemu rng": { source: "/dev/urandom" },
  "qemu cpu": { cputype: "host" }, "qemu amd-sev": { type: "std" }, "qemu intel-tdx": { type: "std", attestation: 1 }, "qemu virtiofs": { dirid: "a" }, "qemu agent": { enabled: 1 }, "qemu memory": { current: 512 },
  "lxc rootfs": { volume: "local:1" }, "lxc mp": { volume: "local:1", mp: "/x" }, "lxc dev": { path: "/dev/x" },
  ...Object.fromEntries(["ide", "sata", "scsi", "virtio", "efidisk", "tpmstate", "cdrom"].map((stem) => [`qemu ${stem}`, { file: "local:1" }])),
};

/** Sub-keys whose value is never sent as it is: dropped, or rewritten from nonsense to something. Refusing nonsense there is right. */
const NEVER_SENT = new Set(["bps", "bps_rd", "bps_wr", "cyls", "heads", "secs", "trans", "format", "ms-cert", "size", "legacy"]);

/** What normalize/ would send for it, when a host takes that; undefined when either refuses. */
function sentFor(kind: GuestKind, key: string, declared: DeclaredValue): string | null | undefined {
  const merged = normalizerFor(kind, key).merge(declared, { kind, ...HOST_FACTS, observed: undefined });
  if (!merged.ok || merged.value === null) return merged.ok ? null : undefined;
  try {
    verifyParameters({ [key]: merged.value }, (name) => configOption(kind, name), []);
    return merged.value;
  } catch {
    return undefined;
  }
}

interface Probe {
  readonly declared: DeclaredValue;
  readonly subKey: string | undefined;
}

function probesOf(kind: GuestKind, key: string): readonly Probe[] {
  const parameter = parameterOf(kind, key);
  const subKeys = Object.keys((parameter === undefined ? undefined : subParametersOf(parameter)) ?? {});
  const required = REQUIRED[`${kind} ${key.replace(/\d+$/, "")}`] ?? {};
  const probes: Probe[] = VALUES.map((declared) => ({ declared, subKey: undefined }));
  for (const subKey of subKeys.filter((name) => !NEVER_SENT.has(name))) {
    for (const value of VALUES) {
      const map = { ...required, [subKey]: value };
      probes.push({ declared: map, subKey });
      if (typeof value !== "object") probes.push({ declared: Object.entries(map).map(([name, part]) => `${name}=${String(part)}`).join(","), subKey });
    }
  }
  return probes;
}

describe("what normalize/ would send and a host would take", () => {
  for (const kind of GUEST_KINDS) {
    test(`is never refused when a file is read: ${kind}`, () => {
      let takenCount = 0;
      for (const key of keyNames(kind, "0")) {
        for (const { declared } of probesOf(kind, key)) {
          const sent = sentFor(kind, key, declared);
          if (sent === undefined) continue;
          takenCount++;
          const problems = checkEntry(kind, key, declared);
          if (problems.length > 0) expect({ kind, key, declared, sent, problems }).toEqual({ kind, key, declared, sent, problems: [] });
        }
      }
      expect(takenCount).toBeGreaterThan(2_000);
    });
  }

  const rows: readonly (readonly [GuestKind, string, DeclaredValue])[] = [
    // 8.4 takes a disk's geometry, 9 drops it in silence; neither is a reason to refuse a file (docs/proxmox.md row 38).
    ["qemu", "ide0", "local:vm-1-disk-0,cyls=16383,heads=16,secs=63,trans=lba"],
    // A declaration's own way to ask for a new volume.
    ["qemu", "scsi0", { storage: "local-lvm", size: "32G", ssd: 1 }],
    ["lxc", "mp0", { storage: "local-lvm", size: "8G", mp: "/data" }],
    ["qemu", "cdrom", { file: "local:iso/debian.iso" }],
    ["qemu", "hotplug", true],
    ["qemu", "hotplug", "off"],
    ["qemu", "boot", ["scsi0", "net0"]],
    ["qemu", "scsi0", { wwn: "0X5000C500A1B2C3D4" }],
    ["qemu", "net0", "virtio, bridge = vmbr0"],
    ["qemu", "smbios1", 'manufacturer="a,b",base64=0'],
    ["qemu", "description", "😀".repeat(8_192)],
  ];
  for (const [kind, key, declared] of rows) {
    test(`${kind} ${key} ${JSON.stringify(declared).slice(0, 60)}`, () => {
      expect(checkEntry(kind, key, declared)).toEqual([]);
    });
  }

  test("a geometry and a CD drive are still judged", () => {
    expect(checkEntry("qemu", "ide0", { trans: "chs" })).toHaveLength(1);
    expect(checkEntry("qemu", "cdrom", { flie: "none" }).map(({ advice }) => advice)).toEqual(["did you mean `file`?"]);
    expect(checkEntry("qemu", "virtio0", { wwn: "0x5000c500a1b2c3d4" })).toHaveLength(1);
  });
});
