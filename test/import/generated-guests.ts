import fc from "fast-check";
import type { GuestKind } from "../../src/guest/key.ts";
import { encodeText } from "../../src/simulator/host/text.ts";

/**
 * Guests as hosts have them after years of people, tools and releases: every catalogued key, in every
 * spelling that Proxmox keeps. Config files as they lie in /etc/pve; the same ones for the same seed.
 */
export interface GeneratedGuest {
  readonly kind: GuestKind;
  readonly vmid: number;
  readonly text: string;
}

type Lines = Readonly<Record<string, readonly string[]>>;

const MACS = ["BC:24:11:00:01:0A", "bc:24:11:aa:bb:cc", "00:11:22:33:44:56", "5E:10:20:30:40:50"];
const SHARED: Lines = {
  onboot: ["1", "0", "yes", "on", "Off"],
  protection: ["1", "0", "true"],
  startup: ["5,up=30", "order=5", "order=05,down=7", "up=10,down=20", "0", "order=1,order=2"],
  tags: ["b;a", "A,b", "prod  web", "web", "10;007", "yes;no;null", "1e3", " "],
  cpulimit: ["0", "1.50", "2", "0.5"],
  cpuunits: ["100", "1024", "100000"],
  cores: ["1", "4", "02"],
  nameserver: ["1.1.1.1 8.8.8.8", "1.1.1.1,8.8.8.8", "2001:DB8::1", "192.0.2.53"],
  searchdomain: ["example.org", "a.example b.example"],
  hookscript: ["local:snippets/x.pl"],
};

const QEMU: Lines = {
  ...SHARED,
  name: ["web-1", "a.b.c", "100", "1e3", "null", "Yes", "0x10", "X"],
  sockets: ["1", "2"],
  vcpus: ["1", "01"],
  memory: ["512", "0128", "current=256", "256,", "2048"],
  balloon: ["0", "64", "064"],
  shares: ["1000", "0", "50"],
  cpu: ["host", "cputype=host,flags=+aes;-pcid", "kvm64", "x86-64-v2-AES,hidden=1", "host,flags=+pcid", "qemu64,hidden=yes,phys-bits=40"],
  affinity: ["0-1,3"],
  numa: ["1", "0", "on"],
  numa0: ["cpus=0-1,memory=512"],
  hugepages: ["any"],
  keephugepages: ["1"],
  "allow-ksm": ["0"],
  machine: ["q35", "pc-q35-9.2+pve1", "type=pc"],
  arch: ["x86_64"],
  bios: ["ovmf", "seabios"],
  ostype: ["l26", "win11", "other"],
  smbios1: ["uuid=aaaaaaaa-0000-4000-8000-000000000100", "base64=1,family=QWJj"],
  vmgenid: ["bbbbbbbb-0000-4000-8000-000000000100"],
  meta: ["creation-qemu=10.0.13,ctime=1790000000"],
  args: ["-object secret,id=sec0,data=SECRET-ARGS"],
  boot: ["order=scsi0;net0", "order=net0", "cdn", "legacy=c", "order=net0;scsi0;net0"],
  bootdisk: ["scsi0"],
  agent: ["1", "0", "enabled=1,guest-fsfreeze=0", "1,fstrim_cloned_disks=1,type=isa", "0,type=isa", "yes"],
  hotplug: ["network,disk", "1", "0"],
  acpi: ["0", "1"],
  kvm: ["0"],
  autostart: ["1"],
  freeze: ["0"],
  reboot: ["0"],
  localtime: ["1"],
  startdate: ["now", "2026-01-02T03:04:05"],
  tdf: ["1"],
  migrate_downtime: ["0.1"],
  migrate_speed: ["10"],
  vmstatestorage: ["local"],
  net0: MACS.flatMap((mac) => [`virtio=${mac},bridge=vmbr0`, `model=e1000,macaddr=${mac},bridge=vmbr0,firewall=0`, `bridge=vmbr0,virtio=${mac},link_down=yes,mtu=1,queues=4,rate=1.50,tag=5,trunks=5;2-3`]),
  net7: MACS.map((mac) => `rtl8139=${mac},bridge=vmbr1,tag=0100,trunks=7`),
  scsi0: ["local:100/vm-100-disk-0.qcow2,iothread=1,size=16M"],
  ide2: ["none,media=cdrom", "local:iso/a.iso,media=cdrom,size=700M"],
  unused0: ["local:100/vm-100-disk-9.raw"],
  efidisk0: ["local:100/vm-100-disk-1.qcow2,efitype=4m,size=528K"],
  scsihw: ["virtio-scsi-single"],
  vga: ["std", "type=virtio,memory=64"],
  keyboard: ["de"],
  tablet: ["0"],
  audio0: ["device=AC97"],
  rng0: ["source=/dev/urandom"],
  watchdog: ["i6300esb,action=reset"],
  ivshmem: ["size=32,name=foo"],
  spice_enhancements: ["foldersharing=1"],
  serial0: ["socket"],
  usb0: ["host=1234:5678,usb3=1"],
  hostpci0: ["01:00.0,pcie=1"],
  ciuser: ["root"],
  cipassword: ["$5$SECRET-PASSWORD"],
  citype: ["nocloud"],
  ciupgrade: ["0"],
  sshkeys: ["ssh-rsa%20AAAA%20x%0A"],
  ipconfig0: ["ip=dhcp", "ip=192.0.2.7/24,gw=192.0.2.1"],
};

const LXC: Lines = {
  ...SHARED,
  hostname: ["ct-1", "a.b.c", "100", "no", "1e3"],
  memory: ["512", "0128", "2048"],
  swap: ["0", "512", "064"],
  arch: ["amd64"],
  ostype: ["debian", "unmanaged"],
  unprivileged: ["1", "0"],
  features: ["nesting=1", "nesting=1,mount=nfs;cifs"],
  net0: MACS.flatMap((mac) => [`name=eth0,bridge=vmbr0,hwaddr=${mac},ip=dhcp,type=veth`, `name=eth0,bridge=vmbr0,firewall=1,gw=192.0.2.1,hwaddr=${mac},ip=192.0.2.7/24,ip6=fe80::1/64,tag=5,type=veth`]),
  net3: MACS.map((mac) => `name=eth3,bridge=vmbr1,hwaddr=${mac},ip6=auto,link_down=on,mtu=1400,rate=2.50`),
  timezone: ["Europe/Vienna", "host"],
  console: ["0", "1"],
  tty: ["4"],
  cmode: ["shell"],
  debug: ["0"],
  env: ["TOKEN=SECRET-TOKEN"],
  rootfs: ["local:200/vm-200-disk-0.raw,size=64M"],
  mp0: ["local:200/vm-200-disk-1.raw,mp=/data,size=1G"],
  dev0: ["/dev/fuse,mode=0660"],
  unused1: ["local:200/vm-200-disk-8.raw"],
};

/** Each key that is set on every guest of its kind. */
const ALWAYS = new Set(["name", "hostname", "memory", "rootfs"]);

const PROSE = [
  "hello", "two\nlines", "  leading", "  leading\nlines\n", "trailing  \n\n", "a\r\nb", "ünïcode 😀 日本", "# hash", "#", "100 %", "%25 of %41", "yes", "null", "~", "1e3", "0128", "0x1f", "12:30:45", "2026-01-02", "- item", "-", "? q",
  "key: value", "a: b # c", "ends:", "'single'", '"double"', "tab\there", "\tfirst", "line\u2028separator", "a\n\nb\n  indented\n", "\n\nstart", "   \n  ", "a\n   \nb", "a\nb\n \n", "0", "|", ">", "|-\n  x", "\u007f", "nel\u0085x",
  "nbsp\u00a0x", "[list]", "{ map }", "a\\b", "@x", "`x`", "!tag", "&anchor", "*alias", "---", "---\nx", "...\nx", "zero\u200bwidth", "\ufeffbom", "a\rb", "very long ".repeat(80), "x".repeat(3000), "# not a comment\n# nor this ".repeat(30), "trailing blank \nsecond",
];
const DESCRIPTION = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...PROSE) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 40 }) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom("a", " ", "\n", "#", ":", "-", "%", "é", "\t", '"'), { maxLength: 20 }).map((parts) => parts.join("")) },
);

const PENDING: Readonly<Record<GuestKind, readonly string[]>> = {
  qemu: ["", "", "", "\n[PENDING]\ncores: 3\n", "\n[PENDING]\ndelete: balloon,net7\nmemory: 1024\n", "\n[PENDING]\ncipassword: SECRET-PENDING\nonboot: 1\n"],
  lxc: ["", "", "", "\n[pve:pending]\nhostname: later\nswap: 256\n"],
};

function linesOf(catalogue: Lines): fc.Arbitrary<readonly string[]> {
  const drawn = Object.entries(catalogue).map(([key, values]) => {
    const line = fc.constantFrom(...values).map((value): string | undefined => `${key}: ${value}`);
    return ALWAYS.has(key) ? line : fc.option(line, { nil: undefined, freq: 2 });
  });
  return fc.tuple(...drawn).map((lines) => lines.filter((line) => line !== undefined));
}

function described(text: string | undefined): string {
  if (text === undefined) return "";
  return text.replace(/\n$/, "").split("\n").map((line) => `#${encodeText(line)}\n`).join("");
}

function guestOf(kind: GuestKind, catalogue: Lines): fc.Arbitrary<Omit<GeneratedGuest, "vmid">> {
  const extra = fc.constantFrom("", "", "", "", "", "lock: backup\n", "template: 1\n");
  const description = fc.option(DESCRIPTION, { nil: undefined, freq: 4 });
  return fc.tuple(description, linesOf(catalogue), extra, fc.constantFrom(...PENDING[kind])).map(([text, lines, more, pending]) => ({
    kind,
    text: `${described(text)}${lines.join("\n")}\n${more}${pending}`,
  }));
}

/** `count` guests numbered from 100. */
export function generateGuests(count: number, seed: number): readonly GeneratedGuest[] {
  const guest = fc.oneof({ weight: 2, arbitrary: guestOf("qemu", QEMU) }, { weight: 1, arbitrary: guestOf("lxc", LXC) });
  return fc.sample(guest, { numRuns: count, seed }).map((one, index) => ({ ...one, vmid: 100 + index }));
}

/** Their files, by path below /etc/pve. */
export function filesOf(guests: readonly GeneratedGuest[]): Readonly<Record<string, string>> {
  return Object.fromEntries(guests.map(({ kind, vmid, text }) => [`nodes/pve1/${kind === "qemu" ? "qemu-server" : "lxc"}/${vmid}.conf`, text]));
}
