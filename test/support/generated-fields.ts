import fc from "fast-check";
import type { GuestKind } from "../../src/guest/key.ts";
import { PROPERTY_FORMATS } from "../../src/simulator/host/formats.ts";
import { CONFIG_SCHEMAS, INDEX_COUNTS } from "../../src/simulator/host/schema.gen.ts";
import type { OptionSchema, PropertySchema, SubOptionSchema } from "../../src/simulator/host/schema.ts";
import {
  caseless, decimal, declaredSpellings, FLAG, listShape, propertyShape, setOf, single, situationsOf, spellings, whole, words, type FieldSituation, type Leaf, type Properties, type Shape,
} from "./generated-values.ts";

/**
 * Every key of Proxmox's schema with every sub-key, and what may stand behind each. What the schema says
 * (types, ranges, enumerations) is taken from it; a text without a sample here fails at once, so that a key
 * of a later schema is not left out in silence.
 */
export interface GeneratedKey {
  readonly key: string;
  readonly situation: fc.Arbitrary<FieldSituation>;
}

const MACS = caseless("BC:24:11:00:01:0A", "BC:24:11:AA:BB:CC", "00:11:22:33:44:56", "5E:10:20:30:40:5F");
const BRIDGES = words("vmbr0", "vmbr1");
const ADDRESSES = { ip: words("dhcp", "192.0.2.7/24", "198.51.100.9/28"), ip6: words("auto", "dhcp", "2001:db8::7/64"), gw: words("192.0.2.1", "198.51.100.1"), gw6: words("2001:db8::1", "fe80::1") };
const NAMES = words("web-1", "a.b.c", "100", "1e3", "null", "yes", "0x10", "X", "Mixed-Case");
const UUIDS = caseless("AAAAAAAA-0000-4000-8000-00000000010F", "BBBBBBBB-1111-4111-8111-00000000020E");
const HEX_ID = spellings(["0x8086", "0x8086"], ["0x10DE", "0x10de"]);
const SNIPPETS = words("local:snippets/a.yaml", "local:snippets/b.yaml");

/** Samples of texts, by "kind.key.sub-key", "key.sub-key" or "sub-key"; numbers of keys left out. */
const TEXTS: Readonly<Record<string, Leaf>> = {
  bridge: BRIDGES, macaddr: MACS, hwaddr: MACS, ...ADDRESSES, name: NAMES, hostname: words("ct-1", "a.b.c", "100", "no", "1e3"),
  "lxc.net.name": words("eth0", "eth1", "wan_0"),
  "qemu.net.trunks": spellings(["2-3;5", "5;2-3", "2;3;5", "3;5;2"], ["7", "07"]),
  "lxc.net.trunks": spellings(["5;7", "7;5", "5;7;5"], ["9"]),
  "numa.cpus": spellings(["0-1", "0;1"], ["0-3;6", "6;0-3", "0-1;2-3;6"]), "numa.hostnodes": spellings(["0"], ["0-1", "1;0"]),
  affinity: spellings(["0-1,3", "3,0,1"], ["5"]),
  serial: words("socket", "/dev/ttyS0"), "drive.serial": words("abc", "X-1"), parallel: words("/dev/parport0", "/dev/usb/lp1"),
  "drive.model": words("disk", "a%20b"), product: words("Disk_1"), vendor: words("ACME"), wwn: caseless("0x5000C500A1B2C3D4", "0x5000C500A1B2C3D5"),
  idmap: words("passthrough", "u:0:100000:65536"), mountoptions: setOf(";", "discard", "noatime", "nosuid"), mp: declaredSpellings(["/data", "data"], ["/srv/x", "srv/x"]),
  "smbios1.uuid": UUIDS, vmgenid: words("bbbbbbbb-0000-4000-8000-000000000100", "0"),
  cputype: words("host", "kvm64", "x86-64-v2-AES", "EPYC", "qemu64"),
  "cpu.flags": setOf(";", "+aes", "-pcid", "+spec-ctrl", "+pdpe1gb"), "hv-vendor-id": words("proxmox"), "phys-bits": words("host", "40"), "reported-model": words("kvm64", "Haswell"),
  "intel-tdx.type": words("tdx"),
  "machine.type": spellings(["pc"], ["q35"], ["pc-q35-9.2+pve1"], ["pc-i440fx-10.0"], ["virt"]),
  "ivshmem.name": words("shared-1"), "usb.host": spellings(["1234:5678", "0x1234:0x5678"], ["abcd:ef01", "ABCD:EF01"], ["1-1.2"], ["spice", "SPICE"]), mapping: words("gpu0", "stick"),
  "hostpci.host": spellings(["01:00.0", "0000:01:00.0"], ["02:00", "0000:02:00"], ["0a:00.0;0b:00.0", "0A:00.0;0B:00.0"]), "device-id": HEX_ID, "vendor-id": HEX_ID, "sub-device-id": HEX_ID, "sub-vendor-id": HEX_ID,
  mdev: words("nvidia-63", "i915-GVTg_V5_4"), romfile: words("rom.bin"), dirid: words("share-1", "share2"),
  meta: SNIPPETS, network: SNIPPETS, user: SNIPPETS, "cicustom.vendor": SNIPPETS,
  path: words("/dev/fuse", "/dev/net/tun"), mode: words("0660", "0600"), mount: setOf(";", "nfs", "cifs", "ext4"),
  args: words("-no-hpet", "-device x,y=z"), ciuser: words("root", "yes", "007"), cipassword: words("$5$abcdefgh$0123456789", "secret"), bootdisk: words("scsi0", "ide0"),
  hookscript: words("local:snippets/hook.pl"), searchdomain: words("example.org"), startdate: words("now", "2026-01-02", "2026-01-02T03:04:05"), timezone: words("Europe/Vienna", "host"),
  vmstatestorage: words("local", "local-lvm"), entrypoint: words("/sbin/init", "/usr/bin/app --x"),
  "unused.file": words("local:100/vm-100-disk-9.raw", "local-lvm:vm-100-disk-8"), "unused.volume": words("local:200/vm-200-disk-9.raw"),
};

/** Row 8 and what it points at: absent means this. Only where no other key decides. */
const DEFAULTS: Readonly<Record<string, Properties>> = {
  "qemu.net": { firewall: "0", link_down: "0", rate: "0", queues: "0" }, "lxc.net": { firewall: "0", link_down: "0", rate: "0" },
  drive: { backup: "1", replicate: "1", ssd: "0", discard: "ignore", iothread: "0", ro: "0", shared: "0", snapshot: "0", media: "disk" },
  agent: { fstrim_cloned_disks: "0", type: "virtio" }, features: { nesting: "0", fuse: "0", keyctl: "0", mknod: "0" }, hostpci: { pcie: "0", "x-vga": "0", rombar: "1" }, usb: { usb3: "0" }, cpu: { hidden: "0" },
};

const DRIVE_STEM = /^(?:ide|sata|scsi|virtio|cdrom)$/;

function textLeaf(kind: GuestKind, stem: string, sub?: string): Leaf {
  const names = sub === undefined ? [`${kind}.${stem}`, stem] : [`${kind}.${stem}.${sub}`, ...(DRIVE_STEM.test(stem) ? [`drive.${sub}`] : []), `${stem}.${sub}`, sub];
  const name = names.find((candidate) => Object.hasOwn(TEXTS, candidate));
  const leaf = name === undefined ? undefined : TEXTS[name];
  if (leaf === undefined) throw new Error(`no sample for ${kind} ${stem}${sub === undefined ? "" : `: ${sub}`}; add one to TEXTS`);
  return leaf;
}

function leafOf(schema: OptionSchema, kind: GuestKind, stem: string, sub?: string): Leaf {
  const { type, enum: choices, minimum, maximum } = schema;
  if (type === "boolean") return FLAG;
  if (type === "integer") return whole(minimum, maximum);
  if (type === "number") return decimal(minimum, maximum);
  const [first, ...others] = choices ?? [];
  return first === undefined ? textLeaf(kind, stem, sub) : words(first, ...others);
}

/** Sub-keys that ask for something to be made, or are another name. */
const NOT_STORED = new Set(["import-from", "format", "storage"]);

function subKeysOf(schema: PropertySchema): readonly (readonly [string, SubOptionSchema])[] {
  return Object.entries(schema).filter(([key, option]) => option.alias === undefined && option.keyAlias === undefined && !NOT_STORED.has(key));
}

function propertiesOf(schema: PropertySchema, kind: GuestKind, stem: string): Shape<Properties> {
  const options = subKeysOf(schema);
  const aliases = Object.entries(schema).flatMap(([name, { alias, keyAlias }]) => (alias === undefined || keyAlias !== undefined ? [] : [{ alias, name }]));
  const defaultKey = options.find(([, option]) => option.isDefaultKey === true)?.[0];
  const requires = options.flatMap(([key, option]) => (option.requires === undefined ? [] : [[key, option.requires] as const]));
  return propertyShape({
    subKeys: Object.fromEntries(options.map(([key, option]) => [key, leafOf(option, kind, stem, key)])),
    required: options.filter(([, option]) => option.optional === undefined).map(([key]) => key),
    ...(defaultKey === undefined ? {} : { defaultKey }),
    aliases: namesOf(aliases),
    defaults: DEFAULTS[`${kind}.${stem}`] ?? DEFAULTS[stem] ?? {},
    mend: (properties) => withoutUnmet(properties, requires),
  });
}

function namesOf(aliases: readonly { readonly alias: string; readonly name: string }[]): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries([...Map.groupBy(aliases, ({ alias }) => alias)].map(([key, list]) => [key, list.map(({ name }) => name)]));
}

/** Without sub-keys that need another which is not there (gw needs ip), unless nothing would be left. */
function withoutUnmet(properties: Properties, requires: readonly (readonly [string, string])[]): Properties {
  const kept = Object.entries(properties).filter(([key]) => requires.every(([name, needed]) => name !== key || needed in properties));
  const [unmet] = requires;
  return kept.length > 0 || unmet === undefined ? Object.fromEntries(kept) : { [unmet[1]]: unmet[1] === "ip6" ? "auto" : "dhcp" };
}

const RATES = ["mbps", "iops"] as const;

/** A peak needs its rate, and how long it lasts the peak; one rate for both directions excludes those for each; a CD has few options. */
function mendDrive(properties: Properties): Properties {
  const drive = new Map(Object.entries(properties));
  for (const key of drive.keys()) if (key.startsWith("bps")) drive.delete(key);
  for (const rate of RATES.flatMap((each) => [each, `${each}_rd`, `${each}_wr`])) {
    if (drive.has(`${rate}_max_length`) && !drive.has(`${rate}_max`)) drive.set(`${rate}_max`, "2048");
    if (drive.has(`${rate}_max`) && !drive.has(rate)) drive.set(rate, "1024");
  }
  for (const rate of RATES) {
    const both = [...drive.keys()].filter((key) => new RegExp(`^${rate}_(?:rd|wr)`).test(key));
    if (drive.has(rate)) for (const key of both) drive.delete(key);
  }
  if (drive.get("media") === "cdrom") for (const key of ["snapshot", "cache", "aio", "ssd", "discard", "iothread", "wwn"]) drive.delete(key);
  return Object.fromEntries(drive);
}

const SIZES = spellings(["32G", "32768M"], ["16M", "16384K"], ["3584M"], ["1T", "1024G"]);

function driveShape(schema: PropertySchema, kind: GuestKind, stem: string): Shape<Properties> {
  const volumeKey = kind === "qemu" ? "file" : "volume";
  const images = words(`local:100/vm-100-${stem}-0.qcow2`, `local-lvm:vm-100-${stem}-1`);
  const volume = stem === "cdrom" ? words("none", "local:iso/a.iso") : stem === "ide" ? words("none", "local:100/vm-100-disk-0.raw", "local:100/vm-100-cloudinit.qcow2") : images;
  const special: Readonly<Record<string, Leaf>> = { [volumeKey]: volume, size: SIZES };
  const options = subKeysOf(schema).filter(([key]) => key !== "volume" || kind === "lxc");
  const isCd = (properties: Properties): boolean => stem === "cdrom" || /^none$|cloudinit/.test(properties[volumeKey] ?? "");
  return propertyShape({
    subKeys: Object.fromEntries(options.map(([key, option]) => [key, special[key] ?? leafOf(option, kind, stem, key)])),
    required: options.filter(([key, option]) => option.optional === undefined || key === volumeKey).map(([key]) => key),
    defaultKey: volumeKey,
    aliases: namesOf(Object.entries(schema).flatMap(([name, { alias }]) => (alias === undefined || name === "volume" ? [] : [{ alias, name }]))),
    // What a drive has and what is said of it is compared option by option; which are absent by default depends on the bus.
    defaults: kind === "qemu" && DRIVE_STEM.test(stem) ? Object.fromEntries(Object.entries(DEFAULTS["drive"] ?? {}).filter(([key]) => key in schema && key !== "media")) : {},
    mend: (properties) => mendDrive(isCd(properties) ? { ...properties, media: "cdrom" } : { ...properties, ...(properties["media"] === undefined ? {} : { media: "disk" }) }),
  });
}

/** Row 25: a VM's NIC has model and address in one, or apart. */
function qemuNet(shape: Shape<Properties>): Shape<Properties> {
  return {
    ...shape,
    stored: (meaning, dice) => {
      const { model = "virtio", macaddr = "BC:24:11:00:00:01", ...others } = meaning;
      const rest = shape.stored({ bridge: "vmbr0", ...others }, dice);
      return dice.pick(`${model}=${MACS.stored(macaddr, dice)},${rest}`, `${rest},macaddr=${macaddr},model=${model}`);
    },
  };
}

/** Row 26: a container's NIC has an address and a type, whoever made it. */
function lxcNet(shape: Shape<Properties>): Shape<Properties> {
  return { ...shape, stored: (meaning, dice) => shape.stored({ bridge: "vmbr0", hwaddr: "BC:24:11:00:02:01", type: "veth", ...meaning }, dice) };
}

const SSH_KEY = (name: string): string => `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from("ssh-ed25519"), Buffer.from(name.repeat(8))]).toString("base64")} ${name}@host`;
const SSH_KEYS = [SSH_KEY("anna"), SSH_KEY("ben c"), SSH_KEY("zoë")];

const sshKeys: Shape<readonly string[]> = {
  meaning: fc.shuffledSubarray(SSH_KEYS, { minLength: 1 }),
  stored: (keys, dice) => encodeURIComponent(dice.shuffled(keys).join("\n") + dice.pick("\n", "")),
  declared: (keys, dice) => dice.pick<string | readonly string[]>(dice.shuffled(keys), dice.shuffled(keys).join("\n"), encodeURIComponent(`${keys.join("\n")}\n`)),
};

const PROSE = ["hello", "two\nlines", "  leading", "ünïcode 😀 日本", "# hash", "100 %", "%25 of %41", "yes", "null", "1e3", "0128", "12:30", "- item", "key: value", "tab\there", "a\n\nb\n  indented", "|", "{ map }", "&anchor", "---", "nbsp\u00a0x", "a\\b", '"double"', "'single'", "x".repeat(300)];

/** Rows 14 and 15: white space behind it and the way lines end mean nothing. */
const description: Shape<string> = {
  meaning: fc.oneof(fc.constantFrom(...PROSE), fc.string({ unit: fc.constantFrom("a", " ", "\n", "#", ":", "-", "%", "é", '"'), minLength: 1, maxLength: 20 }).map((text) => text.trimEnd()).filter((text) => text !== "" && text !== "0")),
  stored: (text, dice) => dice.pick(text, `${text}\n`),
  declared: (text, dice) => dice.pick(text, `${text}\n`, text.replaceAll("\n", "\r\n")),
};

const smbios: Shape<Properties> = (() => {
  const plain = propertyShape({ subKeys: { uuid: UUIDS, family: words("Box", "QWJj"), serial: words("A1", "0007"), product: words("vm"), manufacturer: words("acme"), sku: words("s"), version: words("1") }, required: [] });
  const encoded = (fields: Properties): Properties => Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, key === "uuid" ? value : Buffer.from(value).toString("base64")]));
  return { ...plain, stored: (fields, dice) => (dice.below(2) === 1 ? plain.stored({ base64: "1", ...encoded(fields) }, dice) : plain.stored(fields, dice)) };
})();

const boot: Shape<readonly string[]> = {
  meaning: fc.oneof(fc.shuffledSubarray(["scsi0", "net0", "ide2", "virtio0"], { minLength: 1 }), fc.constantFrom(["cdn"], ["nc"], ["d"])),
  stored: (devices, dice) => (isLegacy(devices) ? dice.pick(`${devices[0]}`, `legacy=${devices[0]}`) : `order=${devices.join(";")}`),
  declared: (devices, dice) => {
    if (isLegacy(devices)) return dice.pick(`${devices[0]}`, `legacy=${devices[0]}`);
    return dice.pick<string | readonly string[] | { order: string } | { order: readonly string[] }>(devices, `order=${devices.join(";")}`, { order: devices.join(";") }, { order: devices });
  },
};

function isLegacy(devices: readonly string[]): boolean {
  return /^[acdn]+$/.test(devices[0] ?? "");
}

const startupParts = propertyShape({ subKeys: { order: whole(0, 9), up: whole(0, 600), down: whole(0, 600) }, defaultKey: "order", required: [] });
/** Row 65: a bare 0 is no start order to Proxmox. */
const startup: Shape<Properties> = { ...startupParts, stored: (meaning, dice) => startupParts.stored(meaning, dice).replace(/^0$/, "order=0") };
const hotplug = listShape({ items: ["network", "disk", "usb", "cpu", "memory", "cloudinit"], separators: [",", ";", " "], isSet: true });
const tags = listShape({ items: ["web", "prod", "b.c", "10", "a_1", "x+y"], separators: [";", ",", " ", ";;"], isSet: true });
const env: Shape<readonly string[]> = {
  meaning: fc.shuffledSubarray(["TOKEN=SECRET", "A=b c", "EMPTY="], { minLength: 1 }),
  stored: (items, dice) => dice.shuffled(items).join("\0"),
  // No file of desired state can hold a NUL.
  declared: (items, dice) => dice.shuffled(items),
};
const nameservers = listShape({ items: ["192.0.2.53", "1.1.1.1", "2001:db8::53"], separators: [" ", ",", ";", ", "], isSet: false, respell: (item, dice) => dice.pick(item, item.toUpperCase()) });
const searchDomains = listShape({ items: ["example.org", "a.example", "b.example"], separators: [" ", ","], isSet: false });
const unused = (kind: GuestKind): Shape<string> => single(textLeaf(kind, "unused", kind === "qemu" ? "file" : "volume"));

/** Keys whose values are no plain property string and no single value, and those whose server decides. */
const SPECIAL: Readonly<Record<string, (kind: GuestKind) => fc.Arbitrary<FieldSituation>>> = {
  boot: () => situationsOf(boot), description: () => situationsOf(description), env: () => situationsOf(env), hotplug: () => situationsOf(hotplug), nameserver: () => situationsOf(nameservers), searchdomain: () => situationsOf(searchDomains),
  smbios1: () => situationsOf(smbios), sshkeys: () => situationsOf(sshKeys), startup: () => situationsOf(startup), tags: () => situationsOf(tags), unused: (kind) => situationsOf(unused(kind)),
};

/** Rows 30 to 46. */
const VOLUME_STEM = /^(?:ide|sata|scsi|virtio|cdrom|efidisk0|tpmstate0|rootfs|mp)$/;

function situationOf(kind: GuestKind, stem: string, schema: OptionSchema): fc.Arbitrary<FieldSituation> {
  const special = SPECIAL[stem];
  if (special !== undefined) return special(kind);
  const format = typeof schema.format === "string" ? PROPERTY_FORMATS[schema.format] : schema.format;
  if (format === undefined) return situationsOf(single(leafOf(schema, kind, stem)));
  if (VOLUME_STEM.test(stem)) return situationsOf(driveShape(format, kind, stem));
  if (stem !== "net") return situationsOf(propertiesOf(format, kind, stem));
  const nic = propertiesOf(format, kind, stem);
  return situationsOf(kind === "qemu" ? qemuNet(nic) : lxcNet(nic));
}

/** Numbers that a numbered key is given: the first ones, and the last there is. */
function numbersOf(count: number): readonly number[] {
  return [...new Set([0, 1, count - 1])];
}

/** Every key of a kind that a guest may have and a declaration may name; `lock` and `template` are the guest's own. */
export function generatedKeys(kind: GuestKind): readonly GeneratedKey[] {
  const counts: Readonly<Record<string, number>> = INDEX_COUNTS[kind];
  return Object.entries(CONFIG_SCHEMAS[kind]).flatMap(([name, schema]) => {
    if (schema.isInternal === true || name === "lock" || name === "template") return [];
    const stem = name.replace("[n]", "");
    const situation = situationOf(kind, stem, schema);
    return name === stem ? [{ key: name, situation }] : numbersOf(counts[stem] ?? 1).map((number) => ({ key: `${stem}${number}`, situation }));
  });
}
