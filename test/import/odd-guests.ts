import type { DeclaredValue } from "../../src/guest/declared.ts";
import type { GuestKind } from "../../src/guest/key.ts";

/** A guest as hosts have them, and harmless keys to declare on it: each must be planned, and nothing else. */
export interface OddGuest {
  readonly what: string;
  readonly kind: GuestKind;
  readonly text: string;
  readonly declared: Readonly<Record<string, DeclaredValue>>;
}

const DISK = "local:9/vm-9-disk-0.qcow2";

export const ODD_GUESTS: readonly OddGuest[] = [
  {
    what: "Windows 11 with TPM state, EFI disk of new certificates, and a pinned machine", kind: "qemu",
    text: `agent: 1
balloon: 0
bios: ovmf
boot: order=scsi0;ide0;ide2
cores: 4
cpu: x86-64-v2-AES,flags=+aes;-pcid
efidisk0: local:9/vm-9-disk-1.qcow2,efitype=4m,ms-cert=2023k,pre-enrolled-keys=1,size=528K
ide0: local:iso/virtio-win.iso,media=cdrom,size=708140K
ide2: none,media=cdrom
machine: pc-q35-10.1
memory: 8192
meta: creation-qemu=10.1.2,ctime=1760000000
name: win11-VDI
net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1
numa: 0
ostype: win11
scsi0: ${DISK},cache=writeback,discard=on,iothread=1,size=64G,ssd=1
scsihw: virtio-scsi-single
smbios1: uuid=aaaaaaaa-0000-4000-8000-000000000001
sockets: 1
tpmstate0: local:9/vm-9-disk-2.raw,size=4M,version=v2.0
vga: virtio,memory=64,clipboard=vnc
vmgenid: bbbbbbbb-0000-4000-8000-000000000001
`,
    declared: { localtime: false, tablet: false, vga: { memory: 128 } },
  },
  {
    what: "an Ubuntu cloud image with a serial console and cloud-init", kind: "qemu",
    text: `agent: enabled=1,fstrim_cloned_disks=1
boot: order=scsi0
cicustom: vendor=local:snippets/vendor.yaml
cipassword: $5$abcdefgh$0123456789
ciupgrade: 0
ciuser: ubuntu
cores: 2
cpu: host
ide2: local:9/vm-9-cloudinit.qcow2,media=cdrom,size=4M
ipconfig0: gw=192.0.2.1,ip=192.0.2.10/24,ip6=auto
memory: 2048
name: noble.example.org
nameserver: 192.0.2.53,2001:DB8::53
net0: virtio=BC:24:11:00:00:02,bridge=vmbr0
ostype: l26
scsi0: ${DISK},discard=on,size=3584M
scsihw: virtio-scsi-pci
searchdomain: example.org lab.example.org
serial0: socket
sshkeys: ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%20a%40b%0Assh-rsa%20AAAAB3NzaC1yc2EAAAADAQABAAAAgQ%3D%3D%20c
vga: serial0
`,
    declared: { ciuser: "admin", ipconfig0: { ip: "192.0.2.11/24" }, ipconfig1: "ip=dhcp", sshkeys: null },
  },
  {
    what: "PCI passthrough by mapping, USB by mapping, and directories shared into it", kind: "qemu",
    text: `args: -cpu host,kvm=off
balloon: 0
bios: ovmf
cores: 8
cpu: host,hidden=1
hostpci0: mapping=gpu,pcie=1,x-vga=1
hostpci1: 0000:03:00.0;0000:03:00.1,rombar=0
machine: q35,viommu=intel
memory: 16384
name: gpu
usb0: mapping=stick,usb3=1
usb1: host=046D:c52b
usb2: spice
virtiofs0: dirid=share,cache=always,direct-io=1,expose-acl=1
virtiofs1: data
watchdog: model=i6300esb,action=reset
`,
    declared: { audio0: { device: "ich9-intel-hda" }, rng0: { source: "/dev/urandom" } },
  },
  {
    what: "many NICs: trunks, VLANs, odd case, no bridge, an MTU of its bridge", kind: "qemu",
    text: `cores: 1
memory: 512
name: router
net0: virtio=bc:24:11:AA:bb:cc,bridge=vmbr0,trunks=2-4;7;10-20,firewall=0
net1: virtio=BC:24:11:00:00:05,bridge=vmbr0,tag=4094,mtu=1,queues=4,rate=12.5
net10: e1000=BC:24:11:00:00:06,bridge=vmbr0,link_down=1
net2: vmxnet3=BC:24:11:00:00:07
net31: rtl8139=BC:24:11:00:00:08,bridge=vmbr0,tag=1
ostype: other
`,
    declared: { net0: { trunks: "2;3;4;7" }, net10: { link_down: false }, net2: { bridge: "vmbr0" } },
  },
  {
    what: "disks with every option there is", kind: "qemu",
    text: `boot: order=virtio0;sata5;net0
cores: 1
memory: 1024
net0: virtio=BC:24:11:00:00:09,bridge=vmbr0
sata5: local:iso/debian-13.1.0-amd64-netinst.iso,media=cdrom,size=783M
scsi0: ${DISK},aio=native,backup=0,cache=none,discard=on,iothread=1,iops_rd=500,mbps=12.5,replicate=0,serial=ABC123,size=32G,ssd=1,wwn=0x5000c500a0b1c2d3
scsi30: /dev/disk/by-id/ata-SAMSUNG_123,backup=0,size=931G
scsihw: virtio-scsi-single
unused0: local:9/vm-9-disk-7.qcow2
unused11: local:9/vm-9-disk-8.qcow2
virtio0: local:9/vm-9-disk-3.qcow2,detect_zeroes=0,size=1T
virtio15: local:9/vm-9-disk-4.qcow2,size=1029M,snapshot=1
`,
    declared: { boot: "order=net0;virtio0" },
  },
  {
    what: "an old guest with legacy boot letters and a boot disk", kind: "qemu",
    text: `boot: cdn
bootdisk: virtio0
cores: 1
ide2: none,media=cdrom
memory: 512
name: OLD-Box
net0: e1000=00:11:22:33:44:5A,bridge=vmbr0
ostype: l26
sockets: 2
virtio0: ${DISK},size=8G
`,
    declared: { sockets: 1, boot: "order=net0;virtio0" },
  },
  {
    what: "huge pages, NUMA nodes and processor affinity", kind: "qemu",
    text: `affinity: 0-3,8-11
cores: 4
cpu: EPYC,flags=+pdpe1gb;+ibpb
cpulimit: 3.50
cpuunits: 2048
hugepages: 1024
keephugepages: 1
memory: 8192
numa: 1
numa0: cpus=0-1,hostnodes=0,memory=4096,policy=bind
numa1: cpus=2;3,hostnodes=1,memory=4096,policy=preferred
sockets: 1
vcpus: 4
`,
    declared: { cpulimit: 4, vcpus: 2 },
  },
  {
    what: "a template with a base disk", kind: "qemu",
    text: `boot: order=scsi0;net0
cores: 1
memory: 2048
name: template-debian
net0: virtio=BC:24:11:00:00:0A,bridge=vmbr0
scsi0: local:9/base-9-disk-0.qcow2,size=10G
serial0: socket
tags: template
template: 1
`,
    declared: { tags: ["debian", "template"] },
  },
  {
    what: "snapshots with a parent, a state, and values of their own", kind: "qemu",
    text: `cores: 2
memory: 1024
name: snapped
parent: before-upgrade
scsi0: ${DISK},size=16G

[before-upgrade]
#before
cores: 1
memory: 512
name: old-name
parent: first
scsi0: ${DISK},size=16G
snaptime: 1760000100

[first]
cores: 1
memory: 512
runningcpu: kvm64
runningmachine: pc-i440fx-9.2+pve1
scsi0: ${DISK},size=16G
snaptime: 1760000000
vmstate: local:9/vm-9-state-first.raw
`,
    declared: { cores: 4 },
  },
  {
    what: "a description of everything that is hard to write", kind: "qemu",
    text: `#%23 Title, 100%25 \u00e4\u00f6\u00fc \u2603\n#\n#key%3A value \\\\ "quoted" 'x' %5Bnot a section%5D\n#  indented, with blanks   at the end%0D\ncores: 1
memory: 512
name: words
tags: zeta;alpha;10;007;a.b_c-d+e
`,
    declared: { tags: ["only"] },
  },
  {
    what: "values that a person wrote by hand", kind: "qemu",
    text: `acpi: on
agent: enabled=yes
cores: 02
hotplug: disk,usb;network
kvm: YES
memory: 0512
name: by-hand
onboot: yes
protection: no
startup: down=010, order=03,up=5
tablet: off
tags: B, a;;c B
`,
    declared: { onboot: false, tablet: true },
  },
  {
    what: "SPICE, a ring of shared memory, sound, SMBIOS of the customer", kind: "qemu",
    text: `audio0: device=intel-hda,driver=spice
cores: 1
ivshmem: size=32,name=foo
keyboard: de-ch
memory: 1024
smbios1: base64=1,manufacturer=RGVsbA==,product=T3B0aVBsZXg=,uuid=AAAAAAAA-0000-4000-8000-00000000000B
spice_enhancements: foldersharing=1,videostreaming=all
startdate: 2026-01-01
vga: qxl2,memory=32
`,
    declared: { keyboard: null, audio0: null },
  },
  {
    what: "a guest with confidential memory", kind: "qemu",
    text: "amd-sev: es,no-debug=1,kernel-hashes=1\nbios: ovmf\ncores: 2\ncpu: EPYC-Milan\nmachine: q35\nmemory: current=4096\nallow-ksm: 0\n",
    declared: { memory: 2048 },
  },
  {
    what: "a locked, suspended guest with pending values", kind: "qemu",
    text: `cores: 2
memory: 1024
name: pending
net0: virtio=BC:24:11:00:00:0D,bridge=vmbr0

[PENDING]
cores: 4
delete: vga,tablet
memory: 2048
`,
    declared: { cores: 8 },
  },
  {
    what: "a container with nesting, bind mounts, devices, raw lines and a hook", kind: "lxc",
    text: `arch: amd64
cores: 4
dev0: /dev/dri/renderD128,gid=104,mode=0660
dev1: path=/dev/net/tun
features: keyctl=1,nesting=1,mount=nfs;cifs
hookscript: local:snippets/hook.pl
hostname: Docker.example
memory: 4096
mp0: /srv/media,mp=/media,ro=1
mp1: local:9/vm-9-disk-1.raw,mp=/var/lib/docker,backup=1,mountoptions=noatime;discard,size=32G
nameserver: 1.1.1.1 8.8.8.8
net0: name=eth0,bridge=vmbr0,firewall=1,gw=192.0.2.1,hwaddr=BC:24:11:00:00:0E,ip=192.0.2.20/24,ip6=auto,tag=20,type=veth
onboot: 1
ostype: debian
rootfs: local:9/vm-9-disk-0.raw,acl=1,mountoptions=nodev;noatime,quota=0,size=8G
startup: order=2,up=10
swap: 0
tags: docker;media
unprivileged: 0
lxc.apparmor.profile: unconfined
lxc.cgroup2.devices.allow: c 226:128 rwm
lxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir
lxc.mount.entry: /dev/net dev/net none bind,create=dir
`,
    declared: { timezone: "Europe/Vienna", tty: 3, swap: 512 },
  },
  {
    what: "an unprivileged container with mapped users", kind: "lxc",
    text: `arch: amd64
cmode: console
console: 0
cpulimit: 1.5
cpuunits: 512
debug: 1
hostname: mapped
memory: 512
net0: name=eth0,bridge=vmbr0,hwaddr=bc:24:11:00:00:0f,ip=dhcp,ip6=dhcp,type=veth
ostype: alpine
rootfs: local:9/vm-9-disk-0.raw,size=2G
swap: 512
timezone: host
tty: 1
unprivileged: 1
lxc.idmap: u 0 100000 1000
lxc.idmap: u 1000 1000 1
lxc.idmap: g 0 100000 65536
`,
    declared: { console: true, debug: false, cmode: "tty" },
  },
  {
    what: "a container from an application image, with environment and entry point", kind: "lxc",
    text: `arch: amd64
cmode: console
entrypoint: /usr/bin/app --serve
env: PATH=/usr/bin:/bin\0TOKEN=SECRET-TOKEN\0EMPTY=
hostname: app
memory: 256
ostype: unmanaged
rootfs: local:9/vm-9-disk-0.raw,size=1G
swap: 0
unprivileged: 1
lxc.signal.halt: SIGTERM
lxc.environment.runtime: OLD=1
`,
    declared: { memory: 512, hostname: "app-2" },
  },
  {
    what: "a container with many NICs and nothing else said", kind: "lxc",
    text: `arch: arm64
hostname: CT9
memory: 512
net0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:10,ip=manual,trunks=5;7,type=veth
net1: name=eth1,bridge=vmbr0,host-managed=1,hwaddr=BC:24:11:00:00:11,link_down=1,mtu=9000,rate=10,type=veth
ostype: ubuntu
rootfs: local:9/vm-9-disk-0.raw,size=4G
`,
    declared: { net0: { trunks: "5" }, net1: { mtu: 1500 } },
  },
  {
    what: "a container with snapshots and pending values", kind: "lxc",
    text: `arch: amd64
hostname: snapped
memory: 512
ostype: debian
parent: a
rootfs: local:9/vm-9-disk-0.raw,size=4G
swap: 512

[a]
arch: amd64
hostname: before
memory: 256
ostype: debian
rootfs: local:9/vm-9-disk-0.raw,size=4G
snaptime: 1760000000
swap: 256

[pve:pending]
cmode: shell
nameserver: 192.0.2.53
`,
    declared: { nameserver: "192.0.2.54", description: "two\nlines" },
  },
  {
    what: "a container template with a base volume", kind: "lxc",
    text: "arch: amd64\nhostname: tmpl\nmemory: 128\nostype: gentoo\nrootfs: local:9/base-9-disk-0.raw,size=1G\nswap: 0\ntags: b;a\ntemplate: 1\nunprivileged: 1\n",
    declared: { tags: ["a"], description: "x" },
  },
];
