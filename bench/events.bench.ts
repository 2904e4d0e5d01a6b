import { atMost, rowOf, type BenchSettings, type Goal, type Results, type Row, type Table } from "./contest.ts";
import { EventSite, nameKeyOf } from "./event-site.ts";

/**
 * How the agent hears of what others do to guests: on the host, where Proxmox's own files say what
 * changed, and beside it by polling the API, as it does off the host. The compiled program against a
 * simulated host in another process; what is measured is seen from outside: the simulator's request
 * log, /proc.
 */
const OURS = "on the host";
const POLLING = "polling the API";
const FIRST_VMID = 100;
const EDITS_GOAL_MS = 1_000;
const CPU_GOAL_PERCENT = 1;
const PERCENTILE = 0.99;
const LOOK_INTERVAL_MS = 250;
/** A round of re-reading 10,000 guests takes a minute or two. */
const PATIENCE_MS = 600_000;

interface Extent {
  readonly guestCounts: readonly number[];
  readonly edits: number;
  readonly idleSeconds: number;
  /** After the first full read: the runtime compiles, collects and gives memory back. */
  readonly quietSeconds: number;
}

const FULL: Extent = { guestCounts: [1_000, 10_000], edits: 100, idleSeconds: 60, quietSeconds: 30 };
const QUICK: Extent = { guestCounts: [1_000], edits: 20, idleSeconds: 5, quietSeconds: 2 };
const NOTE =
  "Both by their default settings but for the resync, which is put off: off the host the lists are asked for every second, and 50 guests are read again each time. " +
  "An edit is a name changed in a guest's file by somebody else, at a random moment; mended is when the host gets the request that changes it back.";

/** Edits come at random moments, this long apart on average: none waits for the one before. */
const EDIT_INTERVAL_MS = 300;

/** What was seen of one agent. */
interface Seen {
  readonly mendingMs: readonly number[];
  readonly idleRequestsPerMinute: number;
  readonly requestsPerEdit: number;
  readonly cpuPercent: number;
  readonly residentMib: number;
}

export async function run({ isQuick, print }: BenchSettings): Promise<Results> {
  const extent = isQuick ? QUICK : FULL;
  const found = new Map<string, Map<string, Seen>>();
  for (const guests of extent.guestCounts) {
    const setting = `${guests.toLocaleString("en")} guests`;
    for (const contender of [OURS, POLLING]) {
      print(`${contender}, ${setting} …`);
      const seen = await observe(guests, contender === OURS, extent);
      found.set(setting, (found.get(setting) ?? new Map<string, Seen>()).set(contender, seen));
    }
  }
  return resultsOf(found, extent);
}

async function observe(guests: number, isOnHost: boolean, extent: Extent): Promise<Seen> {
  await using site = await EventSite.open({ guests, isOnHost });
  await Bun.sleep(extent.quietSeconds * 1_000);
  const idle = await watchIdle(site, extent.idleSeconds);
  const before = await site.requests();
  const mendingMs = await mend(site, guests, extent.edits);
  return { ...idle, mendingMs, requestsPerEdit: ((await site.requests()) - before) / extent.edits };
}

async function watchIdle(site: EventSite, seconds: number): Promise<Omit<Seen, "mendingMs" | "requestsPerEdit">> {
  const before = { requests: await site.requests(), cpuMs: site.cpuMs(), atMs: performance.now() };
  await Bun.sleep(seconds * 1_000);
  const tookMs = performance.now() - before.atMs;
  const cpuPercent = (100 * (site.cpuMs() - before.cpuMs)) / tookMs;
  return { idleRequestsPerMinute: ((await site.requests()) - before.requests) * (60_000 / tookMs), cpuPercent, residentMib: site.residentMib() };
}

/** Renames `count` different guests at random moments; how long each waited for the request that names it back. */
async function mend(site: EventSite, guests: number, count: number): Promise<readonly number[]> {
  const stride = Math.floor(guests / count);
  const editedAtMs = new Map<number, number>();
  for (let edit = 0; edit < count; edit++) {
    await Bun.sleep(Math.random() * 2 * EDIT_INTERVAL_MS);
    const index = edit * stride + Math.floor(Math.random() * stride);
    editedAtMs.set(FIRST_VMID + index, Date.now());
    await site.edit(FIRST_VMID + index, { [nameKeyOf(index)]: `edited-${index}` });
  }
  const mendedAtMs = await mendings(site, count);
  return [...editedAtMs].map(([vmid, atMs]) => (mendedAtMs.get(vmid) ?? Number.POSITIVE_INFINITY) - atMs);
}

/** When the first change of each guest was asked for; waits until there are `count`. */
async function mendings(site: EventSite, count: number): Promise<ReadonlyMap<number, number>> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const first = new Map<number, number>();
    for (const { path, atMs } of await site.changes()) {
      const vmid = Number(/\/(?:qemu|lxc)\/(\d+)\/config$/.exec(path)?.[1]);
      if (!first.has(vmid)) first.set(vmid, atMs);
    }
    if (first.size >= count) return first;
    if (performance.now() > deadlineMs) throw new Error(`${count - first.size} of ${count} edits were not mended in ${PATIENCE_MS / 1_000} s`);
    await Bun.sleep(LOOK_INTERVAL_MS);
  }
}

function resultsOf(found: ReadonlyMap<string, ReadonlyMap<string, Seen>>, { edits, idleSeconds }: Extent): Results {
  const table = (title: string, unit: string, rowsOf: (seen: Seen) => Omit<Row, "contender" | "setting">): Table => ({
    title, ours: OURS, unit, better: "lower",
    rows: [...found].flatMap(([setting, byContender]) => [...byContender].map(([contender, seen]) => ({ contender, setting, ...rowsOf(seen) }))),
  });
  const mending = table(`From somebody's edit to the request that mends it, median of ${edits}`, "ms", (seen) => latency(seen.mendingMs));
  const idle = table("Requests while nothing happens", "requests/min", (seen) => single(seen.idleRequestsPerMinute));
  const perEdit = table("Requests an edit, all that were sent until the last one was mended", "requests", (seen) => single(seen.requestsPerEdit));
  const cpu = table(`Processor while nothing happens, over ${idleSeconds} s`, "% of a core", (seen) => single(seen.cpuPercent));
  const memory = table("Memory while nothing happens", "MiB resident", (seen) => single(seen.residentMib));
  const goals = [...found.keys()].flatMap((setting): readonly Goal[] => [
    atMost(`${setting}, on the host: no request while nothing happens`, rowOf(idle, OURS, setting).value, 0, "requests/min"),
    atMost(`${setting}, on the host: p99 of an edit's mending at most ${EDITS_GOAL_MS} ms`, rowOf(mending, OURS, setting).p99Ms ?? Number.POSITIVE_INFINITY, EDITS_GOAL_MS, "ms"),
    atMost(`${setting}, on the host: at most ${CPU_GOAL_PERCENT} % of a core while nothing happens`, rowOf(cpu, OURS, setting).value, CPU_GOAL_PERCENT, "%"),
  ]);
  return { name: "events", title: "Events", tables: [mending, idle, perEdit, cpu, memory], goals, notes: [NOTE] };
}

function single(value: number): Omit<Row, "contender" | "setting"> {
  return { value, min: value, max: value, p50Ms: null, p99Ms: null, rounds: 1 };
}

function latency(samplesMs: readonly number[]): Omit<Row, "contender" | "setting"> {
  const sorted = samplesMs.toSorted((left, right) => left - right);
  const at = (fraction: number): number => sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)] ?? Number.NaN;
  return { value: at(0.5), min: at(0), max: at(1), p50Ms: at(0.5), p99Ms: at(PERCENTILE), rounds: 1 };
}
