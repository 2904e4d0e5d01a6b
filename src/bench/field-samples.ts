import type { DeclaredValue } from "../guest/declared.ts";
import { DEFAULT_TAG_STYLE } from "../guest/host-facts.ts";
import type { GuestKind } from "../guest/key.ts";
import type { RawValue } from "../guest/observed.ts";
import { normalizerFor } from "../normalize/registry.ts";

/** A declared value beside one that Proxmox reads back, which is the same to it. */
export interface FieldSample {
  readonly kind: GuestKind;
  readonly key: string;
  readonly declared: DeclaredValue;
  readonly observed: RawValue;
}

export const FIELD_SAMPLES: readonly FieldSample[] = [
  { kind: "qemu", key: "name", declared: "web-1", observed: "web-1" },
  { kind: "qemu", key: "cores", declared: 4, observed: 4 },
  { kind: "qemu", key: "onboot", declared: true, observed: 1 },
  { kind: "qemu", key: "memory", declared: 4096, observed: "4096" },
  { kind: "qemu", key: "tags", declared: ["web", "prod"], observed: "prod;web" },
  { kind: "qemu", key: "description", declared: "Front web server\n", observed: "Front web server" },
  { kind: "qemu", key: "net0", declared: { model: "virtio", bridge: "vmbr0", tag: 20 }, observed: "virtio=BC:24:11:00:01:00,bridge=vmbr0,firewall=1,tag=20" },
  { kind: "qemu", key: "scsi0", declared: { storage: "local-lvm", size: "32G", ssd: 1 }, observed: "local-lvm:vm-100-disk-0,discard=on,iothread=1,size=32G,ssd=1" },
  { kind: "qemu", key: "boot", declared: ["scsi0", "net0"], observed: "order=scsi0;net0" },
  { kind: "qemu", key: "cpu", declared: "host", observed: "host,flags=+aes" },
  { kind: "lxc", key: "net0", declared: { name: "eth0", bridge: "vmbr0", ip: "dhcp" }, observed: "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:00,ip=dhcp,type=veth" },
  { kind: "lxc", key: "nameserver", declared: ["1.1.1.1", "8.8.8.8"], observed: "1.1.1.1 8.8.8.8" },
];

/** True when declaring it asks for a change, as the planner finds out: the normal form of what is there, the merge, the normal form of what it gave. */
export function isDrift({ kind, key, declared, observed }: FieldSample): boolean {
  const normalizer = normalizerFor(kind, key);
  const context = { kind, observed, tagStyle: DEFAULT_TAG_STYLE, pveVersion: { major: 9, minor: 2, patch: 11 } };
  const found = normalizer.normalize(observed, context);
  const wanted = normalizer.merge(declared, context);
  if (!wanted.ok) throw new Error(wanted.error.message);
  return (wanted.value === null ? null : normalizer.normalize(wanted.value, context)) !== found;
}

/** "qemu net0". */
export function fieldName({ kind, key }: FieldSample): string {
  return `${kind} ${key}`;
}
