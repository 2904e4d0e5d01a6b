import type { SeededRandom } from "../journal/journal-fixture.ts";
import type { Declared, HostGuest } from "../support/simulated-site.ts";

/** Guests of a small host and what is declared of them, drawn from a seed; and how they compare, by this file's own eyes. */

/** The keys that are declared and edited, with values that Proxmox takes for both kinds; "" stands for absent. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  cores: ["1", "2", "3", "4"],
  memory: ["512", "1024", "2048"],
  onboot: ["0", "1"],
  tags: ["a", "a;b", "c"],
  description: ["one", "two", "three"],
};

/** What Proxmox means where a key is not there. */
const DEFAULTS: Readonly<Record<string, string>> = { cores: "1", memory: "512", onboot: "0", tags: "", description: "" };

export function pick<T>(random: SeededRandom, choices: readonly T[]): T {
  const choice = choices[random.below(choices.length)];
  if (choice === undefined && !choices.includes(choice as T)) throw new Error("there is nothing to choose from");
  return choice as T;
}

/** A guest with an identity of its own; another `generation` is another guest with the same number. */
export function drawGuest(random: SeededRandom, vmid: number, generation: number): HostGuest {
  const kind = vmid < 200 ? "qemu" : "lxc";
  const tail = String(vmid * 1_000 + generation).padStart(12, "0");
  const mac = `BC:24:11:${String(generation % 100).padStart(2, "0")}:00:${String(vmid % 100).padStart(2, "0")}`;
  const common = { cores: String(1 + random.below(4)), memory: pick(random, ["512", "1024"]), ostype: kind === "qemu" ? "l26" : "debian" };
  const own: Record<string, string> = kind === "qemu"
    ? { name: `vm${vmid}`, smbios1: `uuid=11111111-0000-4000-8000-${tail}`, meta: `creation-qemu=10.0.13,ctime=${1_750_000_000 + generation}`, net0: `virtio=${mac},bridge=vmbr0` }
    : { hostname: `ct${vmid}`, arch: "amd64", rootfs: `local:${vmid}/vm-${vmid}-disk-${generation}.raw,size=4G`, net0: `name=eth0,bridge=vmbr0,hwaddr=${mac},type=veth`, unprivileged: "1" };
  return { vmid, kind, config: { ...common, ...own }, isRunning: random.below(2) === 0 };
}

/** A declaration of some of the keys, most with a run state. */
export function drawDeclaration(random: SeededRandom, vmid: number): Declared {
  const keys = Object.keys(VALUES).filter(() => random.below(2) === 0);
  const config = Object.fromEntries(keys.map((key) => [key, drawValue(random, key)]));
  return { vmid, kind: vmid < 200 ? "qemu" : "lxc", config, state: pick(random, ["running", "stopped", "running", undefined] as const), mode: random.below(12) === 0 ? "observe" : "enforce" };
}

export function drawKey(random: SeededRandom): string {
  return pick(random, Object.keys(VALUES));
}

export function drawValue(random: SeededRandom, key: string): string {
  return pick(random, VALUES[key] ?? [""]);
}

/** How a guest on the host differs from its declaration: "memory: 512, not 1024", "is stopped". */
export function differencesOf(declared: Declared, configText: string, isRunning: boolean): readonly string[] {
  const found = mergedOf(configText);
  const wrong = Object.entries(declared.config ?? {}).flatMap(([key, wanted]) => {
    const is = found.get(key) ?? DEFAULTS[key] ?? "(absent)";
    const text = typeof wanted === "string" ? wanted : JSON.stringify(wanted);
    return plain(key, is) === plain(key, text) ? [] : [`${key}: ${is}, not ${text}`];
  });
  const isAsDeclared = declared.state === undefined || (declared.state === "running") === isRunning;
  return isAsDeclared ? wrong : [...wrong, `is ${isRunning ? "running" : "stopped"}`];
}

/** What a config file says once all that is pending is in force. */
function mergedOf(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  let isCounted = true;
  for (const line of text.split("\n")) {
    const section = /^\[(.*)\]/.exec(line)?.[1];
    if (section !== undefined) isCounted = section.toLowerCase() === "pve:pending" || section === "PENDING";
    else if (isCounted && line.startsWith("#")) found.set("description", decodeURIComponent(line.slice(1)));
    else if (isCounted) takeLine(found, line);
  }
  return found;
}

function takeLine(found: Map<string, string>, line: string): void {
  const [, key = "", value = ""] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
  if (key === "delete") for (const gone of value.split(/[,;\s]+/)) found.delete(gone.replace("!", ""));
  else if (key !== "") found.set(key, value);
}

function plain(key: string, value: string): string {
  return key === "tags" ? value.split(/[;, ]+/).sort().join(";") : value.trim();
}
