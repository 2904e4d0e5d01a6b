import { expect, test } from "bun:test";
import { formOf, isDrift, merged, refusal } from "./support.ts";

/**
 * What a real Proxmox VE 9.2 answered, key by key: sent over an absent key or an earlier value, and read
 * back with GET. Not in here: values refused for the state of that host (a bridge, a device, a file it
 * does not have) and cipassword, which cannot be read back.
 */
const ACCEPTED: readonly (readonly ["qemu" | "lxc", string, string, (string | number)?])[] = [
  ["qemu", "tags", "b;a", "a;b"], ["qemu", "tags", "B;a", "a;b"], ["qemu", "tags", "a,b", "a;b"], ["qemu", "tags", "a b", "a;b"], ["qemu", "tags", "a;a;b", "a;b"],
  ["qemu", "tags", "A;a", "a"], ["qemu", "tags", "z; y", "y;z"], ["qemu", "tags", ";a;", "a"], ["qemu", "tags", "a;;b", "a;b"],
  ["qemu", "tags", "a.b_c-d+e", "a.b_c-d+e"], ["qemu", "tags", "", " "], ["qemu", "tags", " ", " "], ["qemu", "tags", "A;b;A;B", "a;b"],
  ["qemu", "net0", "virtio,bridge=vmbr0", "virtio=BC:24:11:7B:DF:E2,bridge=vmbr0"],
  ["qemu", "net0", "virtio=bc:24:11:aa:bb:cc,bridge=vmbr0", "virtio=bc:24:11:aa:bb:cc,bridge=vmbr0"],
  ["qemu", "net0", "model=virtio,bridge=vmbr0", "virtio=BC:24:11:4C:41:BF,bridge=vmbr0"],
  ["qemu", "net0", "model=virtio,macaddr=bc:24:11:aa:bb:cd,bridge=vmbr0,firewall=1", "virtio=bc:24:11:aa:bb:cd,bridge=vmbr0,firewall=1"],
  ["qemu", "net0", "virtio=BC:24:11:AA:BB:CC,firewall=0,bridge=vmbr0", "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=0"],
  ["qemu", "net0", "bridge=vmbr0,virtio=BC:24:11:AA:BB:CC,tag=5,rate=10.5,queues=2,mtu=1400,link_down=1", "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,link_down=1,mtu=1400,queues=2,rate=10.5,tag=5"],
  ["qemu", "net0", "virtio,bridge=nope", "virtio=BC:24:11:F2:8D:8B,bridge=nope"], ["qemu", "net0", "e1000", "e1000=BC:24:11:DB:A2:AB"],
  ["qemu", "net0", "virtio,bridge=vmbr0,link_down=true", "virtio=BC:24:11:EF:BC:C2,bridge=vmbr0,link_down=1"], ["qemu", "memory", "128", "128"],
  ["qemu", "memory", "0128", "0128"], ["qemu", "memory", "current=256", "current=256"], ["qemu", "memory", "256,", "256,"], ["qemu", "memory", "16", "16"],
  ["qemu", "memory", "4194305", "4194305"], ["qemu", "onboot", "1", 1], ["qemu", "onboot", "0", 0], ["qemu", "cores", "2", 2], ["qemu", "cores", "02", 2],
  ["qemu", "cores", "129", 129], ["qemu", "cpulimit", "1.50", "1.50"], ["qemu", "cpulimit", "0.5", "0.5"], ["qemu", "cpuunits", "1024", 1024],
  ["qemu", "balloon", "0", 0], ["qemu", "balloon", "64", 64], ["qemu", "shares", "500", 500], ["qemu", "boot", "cdn", "cdn"],
  ["qemu", "boot", "legacy=cdn", "legacy=cdn"], ["qemu", "boot", "", " "], ["qemu", "bootdisk", "scsi0", "scsi0"], ["qemu", "startup", "order=1", "order=1"],
  ["qemu", "startup", "1", "1"], ["qemu", "startup", "order=1,up=10,down=20", "order=1,up=10,down=20"], ["qemu", "startup", "up=10", "up=10"],
  ["qemu", "startup", "down=5,order=3", "down=5,order=3"], ["qemu", "startup", "order=01", "order=01"], ["qemu", "startup", "up=10,up=20", "up=10,up=20"],
  ["qemu", "name", "web", "web"], ["qemu", "name", "Web.example.com", "Web.example.com"],
  ["qemu", "name", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
  ["qemu", "name", "123", "123"], ["qemu", "ostype", "l26", "l26"], ["qemu", "agent", "1", "1"], ["qemu", "agent", "enabled=1", "enabled=1"],
  ["qemu", "agent", "1,fstrim_cloned_disks=1", "1,fstrim_cloned_disks=1"], ["qemu", "agent", "0", "0"], ["qemu", "cpu", "host", "host"],
  ["qemu", "cpu", "cputype=host,flags=+aes", "cputype=host,flags=+aes"], ["qemu", "cpu", "host,flags=+aes;-pcid", "host,flags=+aes;-pcid"],
  ["qemu", "machine", "q35", "q35"], ["qemu", "machine", "pc-q35-9.0", "pc-q35-9.0"], ["qemu", "bios", "ovmf", "ovmf"], ["qemu", "vga", "std", "std"],
  ["qemu", "vga", "type=std,memory=32", "type=std,memory=32"], ["qemu", "hotplug", "1", "1"], ["qemu", "hotplug", "network,disk", "network,disk"],
  ["qemu", "protection", "1", 1], ["qemu", "protection", "0", 0], ["qemu", "tablet", "0", 0], ["qemu", "numa", "1", 1], ["qemu", "kvm", "1", 1], ["qemu", "kvm", "0", 0],
  ["qemu", "scsihw", "virtio-scsi-pci", "virtio-scsi-pci"], ["qemu", "serial0", "socket", "socket"], ["qemu", "rng0", "source=/dev/urandom", "source=/dev/urandom"],
  ["qemu", "watchdog", "i6300esb", "i6300esb"], ["qemu", "smbios1", "uuid=AAAAAAAA-0000-4000-8000-000000000101", "uuid=AAAAAAAA-0000-4000-8000-000000000101"],
  ["qemu", "ciuser", "bob", "bob"], ["qemu", "ipconfig0", "ip=dhcp", "ip=dhcp"], ["qemu", "nameserver", "1.1.1.1", "1.1.1.1"], ["qemu", "localtime", "1", 1],
  ["qemu", "startdate", "now", "now"], ["qemu", "ide2", "none,media=cdrom", "none,media=cdrom"], ["qemu", "template", "1", 1], ["qemu", "freeze", "1", 1],
  ["lxc", "memory", "256", 256], ["lxc", "cores", "2", 2], ["lxc", "hostname", "New.Host", "New.Host"], ["lxc", "tags", "B;a;a", "a;b"], ["lxc", "tags", "", " "],
  ["lxc", "onboot", "0", 0], ["lxc", "startup", "order=1", "order=1"],
  ["lxc", "net0", "name=eth0,bridge=vmbr0", "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:5F:C0:D7,type=veth"],
  ["lxc", "net0", "name=eth0,bridge=vmbr0,hwaddr=bc:24:11:aa:00:01,ip=dhcp", "name=eth0,bridge=vmbr0,hwaddr=bc:24:11:aa:00:01,ip=dhcp,type=veth"],
  ["lxc", "arch", "i386", "i386"], ["lxc", "swap", "0", 0], ["lxc", "nameserver", "1.1.1.1", "1.1.1.1"], ["lxc", "searchdomain", "x.y", "x.y"],
  ["lxc", "timezone", "host", "host"], ["lxc", "cpulimit", "1.5", "1.5"], ["lxc", "cpuunits", "100", 100], ["lxc", "protection", "1", 1], ["lxc", "protection", "0", 0],
  ["lxc", "ostype", "alpine", "alpine"], ["lxc", "rootfs", "local:200/vm-200-disk-0.raw,size=64M,quota=0", "local:200/vm-200-disk-0.raw,size=64M,quota=0"],
  ["lxc", "mp0", "local:1,mp=/mnt", "local:200/vm-200-disk-1.raw,mp=/mnt,size=1G"],
];

/** Answered 400 for their form. */
const REFUSED: readonly (readonly ["qemu" | "lxc", string, string])[] = [
  ["qemu", "tags", "ünï"], ["qemu", "tags", "a/b"], ["qemu", "tags", "-a"], ["qemu", "tags", "+a"], ["qemu", "tags", "a:b"], ["qemu", "net0", "bogus,bridge=vmbr0"],
  ["qemu", "net0", "virtio=zz:zz,bridge=vmbr0"], ["qemu", "net0", "virtio=01:00:5e:00:00:01,bridge=vmbr0"], ["qemu", "net0", "virtio,tag=5000"], ["qemu", "net0", ""],
  ["qemu", "memory", "15"], ["qemu", "memory", "1.5"], ["qemu", "memory", "abc"], ["qemu", "memory", ""], ["qemu", "memory", "1024M"], ["qemu", "onboot", "2"],
  ["qemu", "onboot", ""], ["qemu", "cores", "0"], ["qemu", "cores", "-1"], ["qemu", "cores", "abc"], ["qemu", "cores", ""], ["qemu", "boot", "order=scsi0,net0"],
  ["qemu", "boot", "order="], ["qemu", "boot", "order=bogus0"], ["qemu", "startup", "order=a"], ["qemu", "startup", ""], ["qemu", "startup", "order="],
  ["qemu", "name", "a b"], ["qemu", "name", "under_score"], ["qemu", "name", "-x"], ["qemu", "name", "x-"], ["qemu", "name", ""], ["qemu", "name", "ümlaut"],
  ["qemu", "name", "a..b"], ["qemu", "ostype", "win99"], ["qemu", "machine", "bogus"], ["lxc", "memory", "abc"], ["lxc", "cores", "0"], ["lxc", "hostname", "a_b"],
  ["lxc", "net1", "bridge=vmbr0"], ["lxc", "features", "bogus=1"], ["lxc", "nameserver", "bogus"],
];

/** Answered 400 as they stand, but what they mean can be sent in Proxmox's own spelling. */
const RESPELLED: readonly (readonly ["qemu" | "lxc", string, string, string])[] = [
  ["qemu", "memory", "128 ", "128"], ["qemu", "onboot", "true", "1"], ["qemu", "onboot", "false", "0"], ["qemu", "onboot", "on", "1"], ["qemu", "onboot", "off", "0"],
  ["qemu", "onboot", "yes", "1"], ["qemu", "onboot", "no", "0"], ["qemu", "onboot", "TRUE", "1"], ["qemu", "onboot", "Yes", "1"], ["qemu", "onboot", " 1", "1"],
  ["qemu", "cores", " 2", "2"], ["qemu", "cores", "2.0", "2"], ["qemu", "cores", "1e1", "10"], ["qemu", "sshkeys", "ssh-rsa AAAA x", "ssh-rsa%20AAAA%20x%0A"],
  ["lxc", "onboot", "yes", "1"],
];

test.each(ACCEPTED)("%s %s sent as %j and read back as %j is no drift (row O2)", (kind, key, sent, back) => {
  expect(isDrift(kind, key, sent, back)).toBe(false);
  if (back !== undefined && String(back).trim() !== "") expect(merged(kind, key, sent, back)).toBe(String(back));
});

/** A NIC sent without an address gets one: what is compared is everything else. */
function withoutAddress(form: string | null): string | null {
  return form?.replace(/=[0-9A-F]{2}(?::[0-9A-F]{2}){5}/, "").replace(/hwaddr,/, "") ?? null;
}

test.each(ACCEPTED)("%s %s %j would have been sent so that it means the same", (kind, key, sent, back) => {
  const form = formOf(kind, key, merged(kind, key, sent) ?? undefined);
  expect(withoutAddress(form)).toBe(withoutAddress(formOf(kind, key, back)));
});

test.each(REFUSED)("%s %s %j, which Proxmox refuses, is refused before it is sent", (kind, key, sent) => {
  expect(refusal(kind, key, sent)).toMatch(/expected .*found .*; /);
});

test.each(RESPELLED)("%s %s %j is sent as %j", (kind, key, sent, spelled) => {
  expect(merged(kind, key, sent)).toBe(spelled);
});
