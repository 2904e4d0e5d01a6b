import type { DesiredGuest } from "../src/desired/model.ts";
import type { DeclaredValue } from "../src/guest/declared.ts";
import { DEFAULT_TAG_STYLE } from "../src/guest/host-facts.ts";
import { identityOf } from "../src/guest/identity.ts";
import type { RawConfig } from "../src/guest/observed.ts";
import type { GuestPlanInput, PlanFacts } from "../src/plan/input.ts";
import { PlanCache } from "../src/plan/plan-cache.ts";
import { planGuest } from "../src/plan/plan-guest.ts";
import { planHost } from "../src/plan/plan-host.ts";

/**
 * What planning a host costs beside what nobody can avoid: parsing its guests' configs. The rival is
 * JSON.parse of the same configs, as GET /config answers them, measured in the same run. Cold: every
 * guest is planned. Unchanged: every guest was read anew and found with the digest it had.
 */

const GUEST_COUNT = 10_000;
/** The measures this benchmark exists for, as shares of JSON.parse. */
const COLD_RATIO_MAX = 8;
const UNCHANGED_RATIO_MAX = 0.3;
const ROUNDS = 15;
/** One guest in so many differs in one key. */
const DRIFT_EVERY = 20;

const FACTS: PlanFacts = { node: "pve1", tagStyle: DEFAULT_TAG_STYLE, pveVersion: { major: 9, minor: 2, patch: 11 } };

interface BenchGuest {
  readonly json: string;
  readonly desired: DesiredGuest;
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

function benchGuest(index: number): BenchGuest {
  const vmid = 100 + index;
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
function inputOf({ json, desired }: BenchGuest): GuestPlanInput {
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

/** Runs the contenders in turn, so that a slow moment of the machine hits all of them; the best round of each counts. */
function bestMs(contenders: Readonly<Record<string, () => unknown>>): ReadonlyMap<string, number> {
  const best = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, work] of Object.entries(contenders)) {
      Bun.gc(true);
      const startedAtMs = performance.now();
      work();
      best.set(name, Math.min(best.get(name) ?? Infinity, performance.now() - startedAtMs));
    }
  }
  return best;
}

function report(what: string, ms: number, baselineMs: number, ratioMax: number): void {
  const ratio = ms / baselineMs;
  const perGuestUs = (ms * 1000) / GUEST_COUNT;
  console.log(`  ${what.padEnd(18)} ${perGuestUs.toFixed(2).padStart(6)} µs a guest   ratio to JSON.parse = ${ratio.toFixed(2)} (expected ≤ ${ratioMax}) ${ratio <= ratioMax ? "ok" : "MISSED"}`);
}

/** Measures and prints both ratios. */
export function run(): void {
  const guests = Array.from({ length: GUEST_COUNT }, (_, index) => benchGuest(index));
  const inputs = guests.map(inputOf);
  const again = guests.map(inputOf);
  const cache = new PlanCache();
  const drifting = planHost(inputs, (input) => cache.plan(input)).summary.changing;
  const best = bestMs({
    parse: () => guests.map(({ json }) => JSON.parse(json) as unknown),
    cold: () => inputs.map((input) => planGuest(input)),
    unchanged: () => again.map((input) => cache.plan(input)),
  });
  const parseMs = best.get("parse") ?? 0;
  console.log(`plan: ${GUEST_COUNT} guests of ${Object.keys(qemuConfig(100)).length} keys, ${Object.keys(qemuDeclaration(100)).length} declared, ${drifting} guests drifting, best of ${ROUNDS}`);
  console.log(`  ${"JSON.parse".padEnd(18)} ${((parseMs * 1000) / GUEST_COUNT).toFixed(2).padStart(6)} µs a guest`);
  report("cold", best.get("cold") ?? Infinity, parseMs, COLD_RATIO_MAX);
  report("unchanged digests", best.get("unchanged") ?? Infinity, parseMs, UNCHANGED_RATIO_MAX);
}

if (import.meta.main) run();
