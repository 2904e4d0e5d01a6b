import type { DesiredGuest } from "../desired/model.ts";
import type { DeclaredValue } from "../guest/declared.ts";
import { DEFAULT_TAG_STYLE } from "../guest/host-facts.ts";
import { identityOf } from "../guest/identity.ts";
import type { RawConfig } from "../guest/observed.ts";
import type { GuestPlanInput, PlanFacts } from "../plan/input.ts";

/** A made-up host for the planner: guests with the keys that Proxmox 9 gives every VM, declared the way people write YAML. */

const FIRST_VMID = 100;
/** One guest in so many differs in one key. */
const DRIFT_EVERY = 20;

const FACTS: PlanFacts = { node: "pve1", tagStyle: DEFAULT_TAG_STYLE, pveVersion: { major: 9, minor: 2, patch: 11 } };

/** A guest as it is declared, and as GET /config answers it. */
export interface SyntheticGuest {
  readonly json: string;
  readonly desired: DesiredGuest;
}

/** As many guests as asked for, always the same ones. */
export function syntheticHost(count: number): readonly SyntheticGuest[] {
  return Array.from({ length: count }, (_, index) => syntheticGuest(FIRST_VMID + index));
}

function hex(index: number, digits: number): string {
  return index.toString(16).toUpperCase().padStart(digits, "0");
}

function hardwareAddress(index: number): string {
  return `BC:24:11:${hex(index >> 16, 2)}:${hex((index >> 8) & 255, 2)}:${hex(index & 255, 2)}`;
}

/** About twenty keys a guest, as Proxmox 9 has them. */
function qemuConfig(vmid: number): RawConfig {
  return {
    agent: "enabled=1,fstrim_cloned_disks=1",
    balloon: 1024,
    bios: "ovmf",
    boot: "order=scsi0;ide2;net0",
    cores: 2 + (vmid % 4),
    cpu: "x86-64-v2-AES,flags=+aes",
    description: `Web server ${vmid}\n\nOwned by team ${vmid % 17}. See https://wiki.example.org/guests/${vmid}`,
    efidisk0: `local-lvm:vm-${vmid}-disk-1,efitype=4m,pre-enrolled-keys=1,size=4M`,
    ide2: "none,media=cdrom",
    memory: String(2048 * (1 + (vmid % 4))),
    meta: `creation-qemu=10.0.2,ctime=${1_700_000_000 + vmid}`,
    name: `web-${vmid}.example.org`,
    net0: `virtio=${hardwareAddress(vmid)},bridge=vmbr0,firewall=1,tag=${10 + (vmid % 90)}`,
    numa: 0,
    onboot: 1,
    ostype: "l26",
    scsi0: `local-lvm:vm-${vmid}-disk-0,discard=on,iothread=1,size=32G,ssd=1`,
    scsihw: "virtio-scsi-single",
    smbios1: `uuid=aaaaaaaa-0000-4000-8000-${String(vmid).padStart(12, "0")}`,
    sockets: 1,
    startup: "order=2,up=30",
    tags: "prod;team;web",
    vmgenid: `bbbbbbbb-0000-4000-8000-${String(vmid).padStart(12, "0")}`,
  };
}

/** Twelve managed keys, written the way people write YAML. */
function qemuDeclaration(vmid: number): Record<string, DeclaredValue> {
  return {
    name: `web-${vmid}.example.org`,
    cores: 2 + (vmid % 4) + (vmid % DRIFT_EVERY === 0 ? 1 : 0),
    sockets: 1,
    memory: 2048 * (1 + (vmid % 4)),
    balloon: 1024,
    cpu: "x86-64-v2-AES,flags=+aes",
    onboot: true,
    ostype: "l26",
    tags: ["web", "prod", "team"],
    startup: { order: 2, up: 30 },
    description: `Web server ${vmid}\n\nOwned by team ${vmid % 17}. See https://wiki.example.org/guests/${vmid}\n`,
    net0: { model: "virtio", bridge: "vmbr0", tag: 10 + (vmid % 90), firewall: true },
  };
}

function syntheticGuest(vmid: number): SyntheticGuest {
  return {
    json: JSON.stringify({ data: { ...qemuConfig(vmid), digest: digestOf(vmid) } }),
    desired: {
      kind: "qemu", vmid, mode: "enforce", state: "running", config: qemuDeclaration(vmid), position: { file: "bench.yaml", line: 1, column: 1 },
    },
  };
}

function digestOf(vmid: number): string {
  return new Bun.CryptoHasher("sha1").update(String(vmid)).digest("hex");
}

/** A fresh observation every time: nothing in it is shared with the one before, as after a real read. */
export function planInputOf({ json, desired }: SyntheticGuest): GuestPlanInput {
  const { digest, ...running } = (JSON.parse(json) as { data: Record<string, string | number> }).data;
  return {
    desired,
    observed: {
      kind: "qemu", vmid: desired.vmid, node: "pve1", name: String(running["name"]), runState: "running", isTemplate: false, lock: undefined, ha: undefined,
      config: { running, merged: { ...running }, pending: [], digest: String(digest) },
      identity: identityOf("qemu", running),
    },
    situation: {},
    facts: FACTS,
  };
}
