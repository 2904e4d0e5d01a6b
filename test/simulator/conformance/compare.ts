/**
 * Compares a recorded body with a simulated one: same keys, same JSON types, same values. What is
 * chance or time (process ids, seconds, load) must be there and of the same type. UPIDs are matched up
 * as they appear.
 */

/** Chance, time and load, wherever they stand. */
const VOLATILE = new Set([
  ...["pid", "pstart", "starttime", "endtime", "uptime", "cpu", "netin", "netout", "ctime", "snaptime", "used", "idle", "wait"],
  ...["pressurecpusome", "pressurecpufull", "pressureiosome", "pressureiofull", "pressurememorysome", "pressurememoryfull"],
]);
/** Of the machine below, in rows about the node and its storages. */
const MACHINE = new Set(["mem", "disk", "maxdisk", "avail", "used_fraction", "free", "total", "available", "loadavg", "flags", "model", "mhz", "kversion", "release", "level", "hvm", "cores"]);

export class Comparison {
  /** Recorded UPID → simulated UPID. */
  readonly upids = new Map<string, string>();
  /** Values that the simulation draws by chance, like new UUIDs: a digest over them cannot be the same. */
  isDigestFree = false;

  /** What differs, in words; empty when nothing does. */
  differences(recorded: unknown, simulated: unknown, path = ""): string[] {
    if (Array.isArray(recorded) && Array.isArray(simulated)) return this.#arrays(recorded, simulated, path);
    if (isObject(recorded) && isObject(simulated)) return this.#objects(recorded, simulated, path);
    const known = typeof recorded === "string" && !isUpid(recorded) ? this.#withKnownUpids(recorded) : recorded;
    return Object.is(known, simulated) ? [] : [`${path}: recorded ${JSON.stringify(recorded)}, simulated ${JSON.stringify(simulated)}`];
  }

  #withKnownUpids(text: string): string {
    return text.replace(/UPID:\S+:/g, (upid) => this.upids.get(upid) ?? upid);
  }

  #arrays(recorded: readonly unknown[], simulated: readonly unknown[], path: string): string[] {
    const [left, right] = [inOrder(recorded), inOrder(simulated)];
    const size = left.length === right.length ? [] : [`${path}: recorded ${left.length} rows, simulated ${right.length}: ${JSON.stringify(names(left))} / ${JSON.stringify(names(right))}`];
    return [...size, ...left.flatMap((item, index) => (index < right.length ? this.differences(item, right[index], `${path}[${nameOf(item) ?? index}]`) : []))];
  }

  #objects(recorded: Record<string, unknown>, simulated: Record<string, unknown>, path: string): string[] {
    const result: string[] = [];
    for (const key of new Set([...Object.keys(recorded), ...Object.keys(simulated)])) {
      const at = `${path}.${key}`;
      if (!(key in simulated)) result.push(`${at}: missing, recorded ${JSON.stringify(recorded[key])}`);
      else if (!(key in recorded)) result.push(`${at}: not recorded, simulated ${JSON.stringify(simulated[key])}`);
      else result.push(...this.#values(key, recorded, simulated, at));
    }
    return result;
  }

  #values(key: string, recorded: Record<string, unknown>, simulated: Record<string, unknown>, at: string): string[] {
    const [left, right] = [recorded[key], simulated[key]];
    const isOfMachine = MACHINE.has(key) && !("vmid" in recorded);
    if (VOLATILE.has(key) || isOfMachine) return typeof left === typeof right ? [] : [`${at}: recorded a ${typeof left}, simulated a ${typeof right}`];
    if (key === "upid" || (key === "data" && isUpid(left))) return this.#upids(left, right, at);
    const isDigest = key === "digest" || (key === "value" && recorded["key"] === "digest");
    if (isDigest && this.isDigestFree) return typeof right === "string" && right.length === 40 ? [] : [`${at}: no digest`];
    if (isRandomText(key, left)) return typeof right === "string" && right.length === String(left).length ? [] : this.differences(left, right, at);
    if (key === "content" && typeof left === "string" && typeof right === "string") return this.differences(left.split(",").sort().join(), right.split(",").sort().join(), at);
    return this.differences(left, right, at);
  }

  /** Same node, type, id and user; pid and times are chance. */
  #upids(left: unknown, right: unknown, at: string): string[] {
    const stable = (upid: unknown): string => String(upid).split(":").filter((_, index) => index < 2 || index > 4).join(":");
    if (!isUpid(right)) return this.differences(left, right, at);
    if (!this.upids.has(String(left))) this.upids.set(String(left), String(right));
    return this.differences(stable(left), stable(right), at);
  }
}

function isUpid(value: unknown): boolean {
  return typeof value === "string" && value.startsWith("UPID:");
}

/** UUIDs and creation times that the host draws; those of the start state are fixed and recognised by their pattern. */
function isRandomText(key: string, value: unknown): boolean {
  return typeof value === "string" && (key === "vmgenid" || key === "smbios1" || key === "meta") && !/(?:aaaaaaaa|bbbbbbbb|AAAAAAAA)-0000|ctime=1790000000/.test(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Proxmox gives these lists in random order: guests, resources, /pending. Tasks and log lines are ordered. */
function nameOf(row: unknown): string | undefined {
  if (!isObject(row)) return undefined;
  if ("upid" in row || "n" in row) return undefined;
  const name = row["vmid"] ?? row["id"] ?? row["key"] ?? row["volid"];
  return typeof name === "string" || typeof name === "number" ? String(name) : undefined;
}

function names(rows: readonly unknown[]): (string | undefined)[] {
  return rows.map(nameOf);
}

function inOrder(rows: readonly unknown[]): readonly unknown[] {
  if (!rows.every((row) => nameOf(row) !== undefined)) return rows;
  return [...rows].sort((left, right) => ((nameOf(left) ?? "") < (nameOf(right) ?? "") ? -1 : 1));
}
