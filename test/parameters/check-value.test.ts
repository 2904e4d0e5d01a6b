import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parametersText } from "../../scripts/generate-parameters.ts";
import type { DeclaredValue } from "../../src/guest/declared.ts";
import { GUEST_KINDS, type GuestKind } from "../../src/guest/key.ts";
import { checkEntry } from "../../src/parameters/check-config.ts";
import { PATTERN_WORDS } from "../../src/parameters/check-value.ts";
import { ALL_PARAMETERS } from "../../src/parameters/lookup.ts";
import { NAMED_FORMATS } from "../../src/parameters/named-formats.ts";
import { normalizerFor } from "../../src/normalize/registry.ts";
import { HOST_FACTS } from "../support/guests.ts";
import { readRecording } from "../simulator/conformance/recording.ts";
import { generateGuests } from "../import/generated-guests.ts";

const MAC = "BC:24:11:2A:00:01";

describe("is taken, in every form a declaration may have", () => {
  const rows: readonly (readonly [GuestKind, string, DeclaredValue])[] = [
    ["qemu", "memory", 2048], ["qemu", "memory", "2048"], ["qemu", "memory", "current=2048"], ["qemu", "memory", "256,"], ["qemu", "memory", { current: 512 }], ["lxc", "memory", "0512"],
    ["qemu", "cores", "2"], ["qemu", "cpulimit", "1.50"], ["qemu", "cpulimit", 128], ["lxc", "swap", 0], ["qemu", "migrate_downtime", 0.1], ["qemu", "cores", "1e1"],
    ["qemu", "onboot", true], ["qemu", "onboot", "Yes"], ["lxc", "protection", 0], ["qemu", "kvm", "off"], ["qemu", "onboot", " 1 "],
    ["qemu", "agent", 1], ["qemu", "agent", true], ["qemu", "agent", "enabled=1,fstrim_cloned_disks=yes"], ["qemu", "agent", { enabled: true, type: "isa" }], ["qemu", "agent", "1,guest-fsfreeze=0"],
    ["qemu", "net0", "virtio"], ["qemu", "net0", `virtio=${MAC},bridge=vmbr0,tag=20`], ["qemu", "net0", `model=virtio,macaddr=${MAC.toLowerCase()}`], ["qemu", "net0", { model: "e1000e", trunks: [5, "2-3"], rate: null }], ["qemu", "net0", { bridge: "vmbr1" }], ["qemu", "net0", "bridge=vmbr0,e1000=BC:24:11:00:00:01,trunks=5;2-3"],
    ["lxc", "net0", { name: "eth0", ip: "192.0.2.10/24", gw: "192.0.2.1", ip6: "fe80::1/64" }], ["lxc", "net0", "name=eth0,ip=manual,ip6=auto"],
    ["qemu", "tags", ["a", "B_c"]], ["qemu", "tags", "a,b c;d"], ["qemu", "tags", ""], ["lxc", "tags", " "], ["qemu", "tags", []],
    ["qemu", "sshkeys", ["ssh-ed25519 AAAA me@example.org"]], ["qemu", "sshkeys", "ssh-ed25519%20AAAA%20me"], ["qemu", "sshkeys", "ssh-ed25519 AAAA me\nssh-rsa BBBB you\n"],
    ["qemu", "boot", "cdn"], ["qemu", "boot", "order=scsi0;net0"], ["qemu", "boot", { order: ["scsi0", "net0"] }], ["qemu", "boot", "legacy=cdn"],
    ["qemu", "startup", 5], ["qemu", "startup", "5, up=30"], ["qemu", "startup", "order=1,order=2"], ["lxc", "startup", { order: 0, up: 30, down: null }],
    ["qemu", "hotplug", "1"], ["qemu", "hotplug", 0], ["qemu", "hotplug", "network,disk,cloudinit"], ["qemu", "hotplug", ["usb", "cpu"]],
    ["qemu", "cpu", "host"], ["qemu", "cpu", "custom-mine"], ["qemu", "cpu", "host,flags=+aes;-pcid,hidden=1"], ["qemu", "cpu", { cputype: "x86-64-v2-AES", flags: ["+aes"] }], ["qemu", "cpu", "a-model-of-next-year"],
    ["qemu", "smbios1", "uuid=11111111-2222-4333-8444-555555555101,base64=1,serial=c2VyaWFs,manufacturer=YQ=="],
    ["qemu", "scsi0", "local-lvm:32,discard=on,iothread=1,ssd=1"], ["qemu", "scsi0", { size: "32G" }], ["qemu", "ide2", "none,media=cdrom"], ["qemu", "ide2", "local:cloudinit"], ["qemu", "scsi1", "/dev/disk/by-id/x,size=1T"],
    ["qemu", "efidisk0", "local:1,efitype=4m,pre-enrolled-keys=1"], ["qemu", "tpmstate0", "local:1,version=v2.0"],
    ["lxc", "rootfs", "local-lvm:8"], ["lxc", "mp0", "/srv/data,mp=/data,ro=1,backup=0"], ["lxc", "mp1", "local:vm-200-disk-1,mp=data,mountoptions=noatime;nodev,size=8G"],
    ["lxc", "features", "nesting=1,mount=nfs;cifs"], ["lxc", "features", { mount: ["nfs", "cifs"], keyctl: true }],
    ["lxc", "dev0", "/dev/dri/renderD128,gid=104,mode=0660"], ["lxc", "timezone", "Europe/Vienna"], ["lxc", "nameserver", "fe80::1%eth0"], ["lxc", "nameserver", ["1.1.1.1", "fe80::1%eth0.5"]], ["qemu", "nameserver", ["1.1.1.1", "2001:db8::1"]], ["lxc", "searchdomain", "a.example b.example"],
    ["lxc", "env", ["A=1", "B="]], ["lxc", "entrypoint", "/sbin/init"], ["lxc", "hostname", "web.example.org"], ["qemu", "name", "100"], ["qemu", "vmgenid", "1"], ["qemu", "machine", "pc-q35-9.2+pve1"], ["qemu", "machine", { type: "q35", viommu: "intel" }],
    ["qemu", "hostpci0", "0000:01:00.0,pcie=1,x-vga=1"], ["qemu", "hostpci0", { mapping: "gpu", "vendor-id": "0x10de" }], ["qemu", "hostpci1", "01:00"], ["qemu", "usb0", "host=1234:abcd,usb3=1"], ["qemu", "usb1", "spice"], ["qemu", "serial0", "socket"], ["qemu", "virtiofs0", "share,cache=always,expose-acl=1"],
    ["qemu", "rng0", "/dev/urandom,max_bytes=1024,period=1000"], ["qemu", "watchdog", "i6300esb,action=reset"], ["qemu", "vga", "virtio,memory=128"], ["qemu", "vga", "serial0"], ["qemu", "audio0", "device=ich9-intel-hda,driver=spice"], ["qemu", "ivshmem", "size=32,name=foo"], ["qemu", "intel-tdx", "type=tdx,attestation=1"],
    ["qemu", "ipconfig0", "ip=dhcp,ip6=auto"], ["qemu", "ipconfig1", { ip: "10.0.0.5/24", gw: "10.0.0.1" }], ["qemu", "cicustom", "user=local:snippets/a.yml"], ["qemu", "description", "a: b, c=d\n"], ["qemu", "localtime", "no"],
  ];
  for (const [kind, key, value] of rows) {
    test(`${kind} ${key}: ${JSON.stringify(value)}`, () => {
      expect(checkEntry(kind, key, value)).toEqual([]);
    });
  }
});

describe("is refused, with what was expected", () => {
  const rows: readonly (readonly [GuestKind, string, DeclaredValue, string])[] = [
    ["qemu", "cores", 0, "a whole number of at least 1"], ["qemu", "cores", 1.5, "a whole number of at least 1"], ["qemu", "cores", [2], "a whole number of at least 1"], ["qemu", "cores", { a: 1 }, "a whole number of at least 1"], ["qemu", "cores", true, "a whole number of at least 1"],
    ["qemu", "cpulimit", 129, "a number from 0 to 128"], ["qemu", "shares", 50_001, "a whole number from 0 to 50000"], ["lxc", "tty", 7, "a whole number from 0 to 6"], ["qemu", "memory", 15, "a whole number of at least 16"],
    ["qemu", "onboot", "maybe", "true or false (1 or 0)"], ["qemu", "onboot", 2, "true or false (1 or 0)"], ["qemu", "bios", "uefi", "one of seabios, ovmf"], ["qemu", "bios", ["ovmf"], "one of seabios, ovmf"],
    ["qemu", "net0", { tag: 4095 }, "a whole number from 1 to 4094"], ["qemu", "net0", "virtio,bridge=vmbr0,firewal=1", "a sub-key that Proxmox knows here"], ["qemu", "net0", "virtio=01:00:00:00:00:00", "a unicast hardware address such as BC:24:11:2A:00:01"], ["qemu", "net0", `virtio=${MAC},macaddr=${MAC}`, "every sub-key once"], ["qemu", "net0", ["virtio"], "a map or text such as bridge=…,firewall=…"],
    ["qemu", "name", "under_score", "a DNS name: letters, digits, `-` and `.`"], ["lxc", "hostname", "a..b", "a DNS name: letters, digits, `-` and `.`"], ["qemu", "tags", "a b!", "tags of letters, digits, `_`, `-`, `+` and `.`"], ["qemu", "tags", ["ok", "not ok!"], "tags of letters, digits, `_`, `-`, `+` and `.`"],
    ["qemu", "ipconfig0", "dhcp", "a map or text such as gw=…,gw6=…"], ["qemu", "ipconfig0", "ip=10.0.0.5", "dhcp, manual, or an IPv4 address with its prefix such as 192.0.2.10/24"], ["lxc", "net0", "name=eth0,ip=10.0.0.300/24", "dhcp, manual, or an IPv4 address with its prefix such as 192.0.2.10/24"], ["lxc", "net0", { ip6: "2001:db8::1" }, "auto, dhcp, manual, or an IPv6 address with its prefix such as 2001:db8::10/64"],
    ["qemu", "description", "x".repeat(8193), "text of at most 8192 characters"], ["qemu", "scsi0", "local:32,discrad=on", "a sub-key that Proxmox knows here"], ["qemu", "scsi0", { cache: "fast" }, "one of none, writethrough, writeback, unsafe, directsync"], ["qemu", "hotplug", "network,disks", "0, 1, or some of network, disk, cpu, memory, usb, cloudinit"],
    ["lxc", "features", { nestign: 1 }, "a sub-key that Proxmox knows here"], ["lxc", "env", "A", "a list of NAME=value"], ["qemu", "serial0", "ttyS0", "a path under /dev, or socket"], ["qemu", "startdate", "tomorrow", "now, a date such as 2026-01-31, or a date and time such as 2026-01-31T12:00:00"],
    ["qemu", "smbios1", "uuid=1", "a UUID"], ["qemu", "startup", "first", "a whole number of at least 0"], ["lxc", "startup", { order: false }, "a whole number of at least 0"], ["qemu", "nameserver", "1.1.1.1 not_a_name", "addresses or DNS names"],
    ["qemu", "boot", "order=scsi0,net0", "`order=` and devices such as order=scsi0;net0, or letters of c (disk), d (CD drive) and n (network)"], ["qemu", "machine", "q36", "pc, q35 or virt, or one of them with its version such as pc-q35-9.2 or pc-i440fx-9.2+pve1"],
    ["qemu", "usb0", "host=12345:1", "a device such as 046d:c52b, a port such as 1-2.3, or spice"], ["qemu", "usb1", { host: "1234" }, "a device such as 046d:c52b, a port such as 1-2.3, or spice"], ["qemu", "bootdisk", "net0", "a disk such as scsi0"], ["qemu", "boot", "order=scsi0;bogus0", "devices such as scsi0;net0"], ["qemu", "boot", { order: ["bogus0"] }, "devices such as scsi0;net0"], ["qemu", "cpu", "host,hv-vendor-id=a-b", "1 to 12 letters or digits"],
    ["lxc", "mp0", "local:1,mp=/x,mountoptions=sync", "some of discard, lazytime, noatime, nodev, noexec, nosuid"], ["lxc", "rootfs", { mountoptions: ["noatime", "sync"] }, "some of discard, lazytime, noatime, nodev, noexec, nosuid"], ["qemu", "net0", "virtio,trunks=2;x", "numbers and ranges such as 2;5-7"],
    ["lxc", "nameserver", "1.1.1", "IP addresses such as 192.0.2.53, or fe80::1%eth0"], ["lxc", "nameserver", ["host"], "IP addresses such as 192.0.2.53, or fe80::1%eth0"], ["lxc", "net0", "name=eth0,ip=10.0.0.1/7", "dhcp, manual, or an IPv4 address with its prefix such as 192.0.2.10/24"], ["qemu", "ipconfig0", { ip6: "2001:db8::1/7" }, "auto, dhcp, manual, or an IPv6 address with its prefix such as 2001:db8::10/64"], ["lxc", "dev0", { path: "/dev/x", mode: "660" }, "a file mode such as 0660"],
  ];
  for (const [kind, key, value, expected] of rows) {
    test(`${kind} ${key}: ${JSON.stringify(value).slice(0, 60)}`, () => {
      expect(checkEntry(kind, key, value).map((problem) => problem.expected)).toEqual([expected]);
    });
  }
});

/** What a request asks for besides a guest's configuration. */
const OF_THE_REQUEST = new Set(["delete", "digest", "revert", "skiplock", "force", "background_delay", "vmid", "start", "ostemplate"]);
const RECORDINGS = ["01-basic", "03-description", "04-values", "05-update-semantics", "06-locks-concurrency", "09-create-destroy", "10-lxc", "11-running", "13-failures"];

interface RecordedValue {
  readonly kind: GuestKind;
  readonly key: string;
  readonly value: DeclaredValue;
  readonly status: number;
  /** What Proxmox said of this very parameter; undefined when it took it, or refused for another reason. */
  readonly complaint: string | undefined;
}

/** Every parameter that a recorded request sent to write or make a guest's configuration, with what the real host answered. */
function recordedValues(): readonly RecordedValue[] {
  return RECORDINGS.flatMap(readRecording).flatMap((step) => {
    if (step.kind !== "request" || (step.method !== "PUT" && step.method !== "POST")) return [];
    const kind = /^\/nodes\/pve1\/(qemu|lxc)(?:\/\d+\/config)?$/.exec(step.path)?.[1];
    if (kind !== "qemu" && kind !== "lxc") return [];
    const { status, body } = step.answer;
    const errors = typeof body === "object" && body !== null && "errors" in body ? body.errors : undefined;
    return Object.entries(step.parameters).filter(([key]) => !OF_THE_REQUEST.has(key)).map(([key, value]) => {
      const complaint = typeof errors === "object" && errors !== null && key in errors ? String(Object.entries(errors).find(([name]) => name === key)?.[1]) : undefined;
      return { kind, key, value, status, complaint } as RecordedValue;
    });
  });
}

/** Refused by the host's schema and taken here, with the reason. Whatever else a 400 names is refused here, too. */
const LEFT_TO_OTHERS: readonly (readonly [reason: string, ...values: readonly string[]])[] = [
  ["a blank is absence here: normalize/ deletes the key instead of sending it", "qemu memory=", "qemu onboot=", "qemu cores=", "qemu startup=", "qemu name=", "qemu boot=order=", "qemu startup=order="],
  ["a blank NIC has no model: normalize/ knows whether there is one to keep", "qemu net0="],
  ["normalize/ sends it as Proxmox writes it", "qemu memory=128 ", "qemu onboot=true", "qemu onboot=false", "qemu onboot=on", "qemu onboot=off", "qemu onboot=yes", "qemu onboot=no", "qemu onboot=TRUE", "qemu onboot=Yes", "qemu onboot= 1", "qemu cores= 2", "qemu cores=2.0", "qemu cores=1e1", "qemu sshkeys=ssh-rsa AAAA x", "lxc onboot=yes"],
  ["only the host knows: its CPU models, time zones, scripts, bridges, and what runs", "qemu cpu=bogus", "lxc timezone=Mars/X", "qemu hookscript=local:snippets/no.pl", "qemu net1=virtio,bridge=doesnotexist", "qemu net3=virtio,bridge=doesnotexist", "lxc memory=200"],
  ["the name may be the one that is there", "lxc net1=bridge=vmbr0"],
];

describe("held against a real host", () => {
  test("nothing is refused that a recorded Proxmox VE 9.2 took", () => {
    const taken = recordedValues().filter(({ status }) => status === 200);
    expect(taken.length).toBeGreaterThan(230);
    for (const { kind, key, value } of taken) expect([kind, key, value, checkEntry(kind, key, value)]).toEqual([kind, key, value, []]);
  });

  test("what it refused is refused, but for what others must judge", () => {
    const refused = recordedValues().filter(({ complaint }) => complaint !== undefined);
    expect(refused.length).toBeGreaterThan(60);
    const passed = refused.filter(({ kind, key, value }) => checkEntry(kind, key, value).length === 0).map(({ kind, key, value }) => `${kind} ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
    expect([...new Set(passed)].sort()).toEqual(LEFT_TO_OTHERS.flatMap(([, ...values]) => values).sort());
  });

  test("no value of 200 made-up guests is refused that normalize/ would write as it is", () => {
    for (const guest of generateGuests(200, 20260101)) {
      // The config itself, without snapshots and pending values.
      for (const [, key = "", raw = ""] of (guest.text.split(/^\[/m)[0] ?? "").matchAll(/^([a-z][\w-]*): (.*)$/gm)) {
        const context = { kind: guest.kind, ...HOST_FACTS, observed: undefined };
        const merged = normalizerFor(guest.kind, key).merge(raw, context);
        const isOwn = ["digest", "meta", "parent", "lxc", "snaptime", "vmstate"].includes(key);
        if (merged.ok && !isOwn && merged.value !== null) expect([guest.kind, key, raw, checkEntry(guest.kind, key, raw)]).toEqual([guest.kind, key, raw, []]);
      }
    }
  });
});

test("no value makes it throw, and every problem says what was expected", () => {
  const scalar = fc.oneof(fc.string(), fc.integer(), fc.double({ noNaN: true }), fc.boolean());
  const value = fc.oneof(scalar, fc.constant(null), fc.array(scalar), fc.dictionary(fc.string({ minLength: 1 }), fc.oneof(scalar, fc.array(scalar), fc.constant(null)), { noNullPrototype: true }));
  const keys = GUEST_KINDS.flatMap((kind) => Object.keys(ALL_PARAMETERS[kind]).map((key) => [kind, key.replace("[n]", "0")] as const));
  fc.assert(fc.property(fc.constantFrom(...keys), value, ([kind, key], declared) => {
    for (const { expected, found } of checkEntry(kind, key, declared)) expect([expected, found].every((text) => text.length > 0)).toBe(true);
  }), { numRuns: 5_000 });
});

const APIDOC = join(import.meta.dir, "../../../shared/data/pve/apidoc-guests.json");

describe("the generated schema", () => {
  test.skipIf(!existsSync(APIDOC))("is what its script makes of Proxmox's API schema (needs that file beside the project)", async () => {
    expect(await Bun.file(join(import.meta.dir, "../../src/parameters/schema.gen.ts")).text()).toBe(parametersText(APIDOC));
  });

  test("has patterns that mean something here, and words for those nobody should read", () => {
    const patterns = new Set<string>();
    JSON.stringify([ALL_PARAMETERS, NAMED_FORMATS], (name, value: unknown) => {
      if (name === "pattern" && typeof value === "string") patterns.add(value);
      return value;
    });
    expect(patterns.size).toBeGreaterThan(15);
    for (const pattern of patterns) expect(() => new RegExp(`^(?:${pattern})$`)).not.toThrow();
    for (const pattern of Object.keys(PATTERN_WORDS)) expect([...patterns]).toContain(pattern);
  });
});
