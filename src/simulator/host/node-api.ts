import type { Caller } from "../api.ts";
import { uniqueTags } from "./datacenter.ts";
import { Died } from "./died.ts";
import { haResources } from "./ha.ts";
import type { Host } from "./host.ts";
import { need } from "./permissions.ts";
import { compareText, splitList } from "./perl.ts";
import type { Row } from "./status.ts";
import type { Values } from "./verify.ts";

/** The node and the cluster around it: version, status, storages, options, ids. */

const VERSION = { version: "9.2.11", release: "9.2", repoid: "14a22df35955d97d" };
const DISK_BYTES = 270_553_174_016;
const DISK_USED_BYTES = 36_911_976_448;
const VMID_MIN = 100;
const VMID_MAX = 999_999_999;

/** GET /version. */
export function version(): Row {
  return VERSION;
}

/** The node in a list; its load is only for those who may audit it. */
function nodeRow(host: Host, caller: Caller): Row {
  const common = { id: `node/${host.name}`, node: host.name, type: "node", level: "", status: "online" };
  if (!caller.can(`/nodes/${host.name}`, "Sys.Audit")) return common;
  const usage = { cpu: 0.01, maxcpu: host.traits.cpuCount, mem: usedMemory(host), maxmem: host.traits.memoryBytes, disk: DISK_USED_BYTES, maxdisk: DISK_BYTES };
  return { ...common, ...usage, uptime: host.uptimeSeconds() };
}

function usedMemory(host: Host): number {
  return Math.floor(host.traits.memoryBytes * 0.04);
}

/** One entry of /nodes. */
export function nodeListRow(host: Host, caller: Caller): Row {
  return { ...nodeRow(host, caller), ssl_fingerprint: host.fingerprint };
}

/** GET /nodes/{node}/status; needs Sys.Audit on the node. */
export function nodeStatus(host: Host, caller: Caller): Row {
  need(caller, `/nodes/${host.name}`, "Sys.Audit");
  const total = host.traits.memoryBytes;
  const used = usedMemory(host);
  const release = "6.18.44-1-pve";
  return {
    cpu: 0,
    idle: 0,
    wait: 0,
    loadavg: ["0.21", "0.46", "0.51"],
    uptime: host.uptimeSeconds(),
    pveversion: `pve-manager/${VERSION.version}/${VERSION.repoid}`,
    kversion: `Linux ${release} #1 SMP PREEMPT_DYNAMIC @0`,
    "current-kernel": { sysname: "Linux", release, version: "#1 SMP PREEMPT_DYNAMIC @0", machine: "x86_64" },
    "boot-info": { mode: "legacy-bios" },
    ksm: { shared: 0 },
    swap: { total: 0, free: 0, used: 0 },
    memory: { total, used, free: total - used, available: total - used },
    rootfs: { total: DISK_BYTES, used: DISK_USED_BYTES, free: DISK_BYTES - DISK_USED_BYTES, avail: DISK_BYTES - DISK_USED_BYTES },
    cpuinfo: cpuInfo(host.traits.cpuCount),
  };
}

function cpuInfo(cpuCount: number): Row {
  const counts = { cpus: cpuCount, cores: cpuCount, sockets: 1, user_hz: 100 };
  return { ...counts, model: "Simulated Processor", vendor: "GenuineIntel", family: "6", mhz: "2599.998", flags: "fpu vme sse sse2 aes vmx", hvm: "1" };
}

/** Members of a simulated cluster: it and another one, without which there is no quorum. */
const CLUSTER_NODES = 2;

/** GET /cluster/status: of a node that is alone no row says anything about quorum. */
export function clusterStatus(host: Host): Row[] {
  const { cluster } = host.traits;
  const node = { id: `node/${host.name}`, name: host.name, type: "node", nodeid: cluster === "" ? 0 : 1, ip: "192.0.2.10", local: 1, online: 1, level: "" };
  return cluster === "" ? [node] : [{ id: "cluster", name: cluster, type: "cluster", nodes: CLUSTER_NODES, quorate: host.isReadOnly ? 0 : 1, version: CLUSTER_NODES }, node];
}

/** Rows of /cluster/resources besides guests. */
export function otherResources(host: Host, caller: Caller): Row[] {
  const storages = host.storages.all().filter((storage) => canSeeStorage(caller, storage.id));
  return [
    { ...nodeRow(host, caller), "cgroup-mode": 2 },
    ...storages.map((storage): Row => ({
      ...{ id: `storage/${host.name}/${storage.id}`, type: "storage", storage: storage.id, node: host.name, status: "available" },
      ...{ plugintype: storage.type, content: [...storage.content].join(","), shared: 0, disk: DISK_USED_BYTES, maxdisk: DISK_BYTES },
    })),
    ...(caller.can("/sdn/zones/localnetwork", "SDN.Audit")
      ? [{ id: `network/${host.name}/zone/localnetwork`, type: "network", network: "localnetwork", "network-type": "zone", node: host.name, status: "ok" }]
      : []),
  ];
}

function canSeeStorage(caller: Caller, id: string): boolean {
  return caller.can(`/storage/${id}`, "Datastore.Audit") || caller.can(`/storage/${id}`, "Datastore.AllocateSpace");
}

/** GET /nodes/{node}/storage: those the caller may see. */
export function storageList(host: Host, caller: Caller): Row[] {
  const usage = { total: DISK_BYTES, used: DISK_USED_BYTES, avail: DISK_BYTES - DISK_USED_BYTES, used_fraction: DISK_USED_BYTES / DISK_BYTES };
  return host.storages
    .all()
    .filter((storage) => canSeeStorage(caller, storage.id))
    .map((storage) => ({ storage: storage.id, type: storage.type, content: [...storage.content].join(","), active: 1, enabled: 1, shared: 0, ...usage }));
}

/** GET /nodes/{node}/storage/{storage}/content, by owner and kind. */
export function storageContent(host: Host, caller: Caller, storageId: string, values: Values): Row[] {
  if (!canSeeStorage(caller, storageId)) throw Died.permission(`/storage/${storageId}, Datastore.Audit|Datastore.AllocateSpace`);
  host.storages.need(storageId);
  const [vmid, content] = [values.get("vmid"), values.get("content")];
  const isWanted = (volume: { readonly id: string; readonly vmid: number; readonly content: string }): boolean =>
    volume.id.startsWith(`${storageId}:`) && (vmid === undefined || String(volume.vmid) === vmid) && (content === undefined || volume.content === content);
  return host.storages
    .volumes()
    .filter(isWanted)
    .sort((left, right) => compareText(left.id, right.id))
    .map((volume) => ({
      ...{ volid: volume.id, vmid: volume.vmid, format: volume.format, content: volume.content, size: volume.sizeBytes },
      ...{ used: Math.floor(volume.sizeBytes / 50), ctime: volume.createdAt, parent: null },
    }));
}

/** GET /cluster/nextid: the lowest free id, as text; a hint, not a reservation. */
export function nextId(host: Host, values: Values): string {
  const asked = values.get("vmid");
  if (asked !== undefined && asked !== null) {
    if (host.findGuest(Number(asked)) !== undefined) throw Died.parameters({ vmid: `VM ${asked} already exists` });
    return asked;
  }
  for (let vmid = VMID_MIN; vmid <= VMID_MAX; vmid++) if (host.findGuest(vmid) === undefined) return String(vmid);
  throw Died.because("unable to get any free VMID");
}

/** All of datacenter.cfg with Sys.Audit on /, else only which tags may be used. */
export function clusterOptions(host: Host, caller: Caller): Row {
  const visible = host.guests().filter((guest) => caller.can(`/vms/${guest.vmid}`, "VM.Audit"));
  const tags = new Set(visible.flatMap((guest) => splitList(guest.option("tags"))));
  const allowed = { "allowed-tags": [...tags].sort(compareText) };
  if (!caller.can("/", "Sys.Audit")) return allowed;
  const shown = (name: string, value: string): unknown => (name === "tag-style" ? propertiesOf(value) : name === "registered-tags" ? splitList(value) : value);
  const settings = [...host.datacenter.settings()].map(([name, value]) => [name, shown(name, value)] as const);
  return { ...Object.fromEntries(settings), ...allowed };
}

function propertiesOf(text: string): Row {
  return Object.fromEntries(text.split(",").map((part) => [part.split("=")[0] ?? "", part.split("=")[1] ?? ""]));
}

/** PUT /cluster/options: writes datacenter.cfg. */
export function setClusterOptions(host: Host, caller: Caller, values: Values): null {
  need(caller, "/", "Sys.Modify");
  const changes = new Map<string, string | null>(splitList(values.get("delete")).map((name) => [name, null]));
  for (const [name, value] of values) {
    if (name === "delete" || value === null) continue;
    changes.set(name, name === "registered-tags" ? uniqueTags(value, host.datacenter.tagStyle()) : value);
  }
  host.setDatacenterConfig(host.datacenter.withSettings(changes));
  return null;
}

/** GET /cluster/ha/resources; needs Sys.Audit on /. */
export function haResourceList(host: Host, caller: Caller): Row[] {
  need(caller, "/", "Sys.Audit");
  return haResources(host).map((resource) => ({ ...resource, digest: "da39a3ee5e6b4b0d3255bfef95601890afd80709" }));
}
