import { bench, do_not_optimize, run as measure } from "mitata";
import type { DeclaredValue } from "../src/guest/declared.ts";
import { DEFAULT_TAG_STYLE } from "../src/guest/host-facts.ts";
import type { GuestKind } from "../src/guest/key.ts";
import type { RawValue } from "../src/guest/observed.ts";
import { normalizerFor } from "../src/normalize/registry.ts";

/**
 * What comparing one field costs beside what nobody can avoid: JSON.parse of the same value. "Compared"
 * is the planner's whole comparison: the normal form of what is there, the merge, the normal form of
 * what it gave.
 */

interface Sample {
  readonly kind: GuestKind;
  readonly key: string;
  readonly declared: DeclaredValue;
  readonly observed: RawValue;
}

const SAMPLES: readonly Sample[] = [
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

/** True when declaring it asks for a change, as the planner finds out. */
function isDrift({ kind, key, declared, observed }: Sample): boolean {
  const normalizer = normalizerFor(kind, key);
  const context = { kind, observed, tagStyle: DEFAULT_TAG_STYLE, pveVersion: { major: 9, minor: 2, patch: 11 } };
  const found = normalizer.normalize(observed, context);
  const wanted = normalizer.merge(declared, context);
  if (!wanted.ok) throw new Error(wanted.error.message);
  return (wanted.value === null ? null : normalizer.normalize(wanted.value, context)) !== found;
}

function nameOf({ kind, key }: Sample): string {
  return `${kind} ${key}`;
}

/** Measures every sample and prints what a comparison costs as a multiple of parsing the value. */
export async function run(): Promise<void> {
  for (const sample of SAMPLES) {
    if (isDrift(sample)) throw new Error(`${nameOf(sample)} should not drift`);
    const json = JSON.stringify({ [sample.key]: sample.observed });
    bench(`parse ${nameOf(sample)}`, () => do_not_optimize(JSON.parse(json)));
    bench(`compare ${nameOf(sample)}`, () => do_not_optimize(isDrift(sample)));
  }
  const { benchmarks } = await measure({ format: "quiet" });
  const averageNs = new Map<string, number>();
  for (const { alias, runs } of benchmarks) {
    const [only] = runs;
    if (only?.stats === undefined) throw new Error(`${alias}: ${String(only?.error)}`);
    averageNs.set(alias, only.stats.avg);
  }
  console.log("normalize: one field compared, against JSON.parse of its value");
  let [parsed, compared] = [0, 0];
  for (const sample of SAMPLES) {
    const parseNs = averageNs.get(`parse ${nameOf(sample)}`) ?? Number.NaN;
    const compareNs = averageNs.get(`compare ${nameOf(sample)}`) ?? Number.NaN;
    [parsed, compared] = [parsed + parseNs, compared + compareNs];
    console.log(`  ${nameOf(sample).padEnd(18)} ${compareNs.toFixed(0).padStart(6)} ns   ratio to JSON.parse = ${(compareNs / parseNs).toFixed(2)}`);
  }
  console.log(`  ${"all of them".padEnd(18)} ${compared.toFixed(0).padStart(6)} ns   ratio to JSON.parse = ${(compared / parsed).toFixed(2)}`);
}

if (import.meta.main) await run();
