import { isVmid, type GuestKind } from "../guest/key.ts";
import { DEFAULT_TAG_STYLE, type TagStyle } from "../guest/host-facts.ts";
import type { HaResource, TaskRecord } from "../ports/proxmox-api.ts";
import { cleanText } from "./faults.ts";
import { parseTagStyle } from "./tag-style.ts";
import { parseUpid } from "./upid.ts";

/** The counters of /etc/pve/.version that matter here. A counter that is not there is undefined. */
export interface HostVersion {
  /** Changes when pmxcfs restarts; every counter begins anew then. */
  readonly startTime: number;
  readonly vmlist: number;
  readonly datacenterCfg: number | undefined;
  readonly haResources: number | undefined;
}

/** One guest of /etc/pve/.vmlist. `version` moves with every write of its configuration; compare for inequality only. */
export interface VmlistEntry {
  readonly kind: GuestKind;
  readonly node: string;
  readonly version: number;
}

/** Parses .version; undefined when it is cut off or not what pmxcfs writes. */
export function parseHostVersion(text: string): HostVersion | undefined {
  const json = parseJsonObject(text);
  const startTime = json?.["starttime"];
  const vmlist = json?.["vmlist"];
  if (json === undefined || typeof startTime !== "number" || typeof vmlist !== "number") return undefined;
  return { startTime, vmlist, datacenterCfg: counter(json["datacenter.cfg"]), haResources: counter(json["ha/resources.cfg"]) };
}

function counter(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** Parses .vmlist; undefined when it is cut off. Entries of kinds this agent does not know are left out. */
export function parseVmlist(text: string): Map<number, VmlistEntry> | undefined {
  const ids = asObject(parseJsonObject(text)?.["ids"]);
  if (ids === undefined) return undefined;
  const guests = new Map<number, VmlistEntry>();
  for (const [id, value] of Object.entries(ids)) {
    const entry = asObject(value);
    const vmid = Number(id);
    const { type, node, version } = { type: entry?.["type"], node: entry?.["node"], version: entry?.["version"] };
    if (!isVmid(vmid) || typeof node !== "string" || typeof version !== "number") continue;
    if (type === "qemu" || type === "lxc") guests.set(vmid, { kind: type, node, version });
  }
  return guests;
}

function parseJsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    // Half-written, or read while pmxcfs was going down.
    return undefined;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
}

/** A running worker in the tasks file, with the process to look for. */
export interface ActiveTask {
  readonly task: TaskRecord;
  readonly pid: number;
}

/** `UPID saved`, and for finished workers also `endtime status`. */
const ACTIVE_LINE = /^(UPID:\S+) [01](?: ([0-9A-Fa-f]{8,9})(?: (.*))?)?$/;

/** Workers of <taskDir>/active that have no end in it. Lines that are not complete are left out: they come again. */
export function parseActiveTasks(text: string): ActiveTask[] {
  return text.split("\n").flatMap((line) => {
    const match = ACTIVE_LINE.exec(line.trimEnd());
    const [, upid = "", endedAt] = match ?? [];
    const parsed = parseUpid(upid);
    if (parsed === undefined || endedAt !== undefined) return [];
    const { node, type, id, user, startedAt, pid } = parsed;
    return [{ task: { upid, node, type, id, user, startedAt, isRunning: true, exit: undefined }, pid }];
  });
}

/** `tag-style` of datacenter.cfg; Proxmox's default when the file says nothing about it. */
export function parseDatacenterTagStyle(text: string): TagStyle {
  const line = /^\s*tag-style:\s*(\S.*?)\s*$/m.exec(text)?.[1];
  return line === undefined ? DEFAULT_TAG_STYLE : parseTagStyle(line);
}

/** Guests of ha/resources.cfg: `vm: 100` or `ct: 200`, with indented properties below. */
export function parseHaResources(text: string): HaResource[] {
  return text.split(/\n(?=\S)/).flatMap((section) => {
    const head = /^(vm|ct):\s*(\d+)\s*$/m.exec(section);
    const state = /^\s+state\s+(\S+)\s*$/m.exec(section)?.[1];
    const resource = head === null ? undefined : haResourceOf(`${head[1]}:${head[2]}`, state);
    return resource === undefined ? [] : [resource];
  });
}

/** A service id like "vm:100" as a guest; undefined for services that are none. Without a state Proxmox means "started". */
export function haResourceOf(sid: string, state: string | undefined): HaResource | undefined {
  const match = /^(vm|ct):(\d+)$/.exec(sid);
  const vmid = Number(match?.[2]);
  if (match === null || !isVmid(vmid)) return undefined;
  return { kind: match[1] === "vm" ? "qemu" : "lxc", vmid, state: cleanText(state ?? "started") };
}
