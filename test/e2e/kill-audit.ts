/**
 * Holds what the host saw against what the journal says, when all is over. Each request that asked for a
 * change must belong to one operation: of its guest and its kind, begun in the journal before the request
 * came and not settled by then. No operation may have two requests, no key two operations that may have
 * happened, and what was told as done must be in the journal.
 */

export interface SeenRequest {
  /** Milliseconds since the epoch, by the clock that also stamps the journal's records. */
  readonly atMs: number;
  readonly method: string;
  readonly path: string;
}

export interface CampaignRecords {
  /** What `agent journal export` printed. */
  readonly journal: string;
  /** Requests for changes as the simulator got them, oldest first. */
  readonly requests: readonly SeenRequest[];
  /** The log lines of all lives. */
  readonly told: string;
  /** Keys whose restart was answered with success, one an answer. */
  readonly restarted: readonly string[];
}

export interface Audit {
  readonly operations: number;
  readonly requests: number;
  /** Operations by how they stand in the end. */
  readonly states: Readonly<Record<string, number>>;
  /** Outcomes told in the log. */
  readonly acknowledged: number;
  /** Keys whose restart happened. */
  readonly keys: number;
}

interface SeenOperation {
  readonly id: string;
  readonly target: string;
  readonly key: string | undefined;
  startedAtMs: number;
  settledAtMs: number;
  state: string;
  requests: number;
}

/** Throws with everything that is wrong, a line each. */
export function auditCampaign({ journal, requests, told, restarted }: CampaignRecords): Audit {
  const operations = operationsOf(journal);
  const wrong = [...unfounded(requests, operations), ...repeated(operations), ...forgotten(told, operations), ...unkept(restarted, operations)];
  if (wrong.length > 0) throw new Error(`the host's log and the journal disagree:\n${wrong.join("\n")}`);
  const states: Record<string, number> = {};
  for (const { state } of operations) states[state] = (states[state] ?? 0) + 1;
  const keys = new Set(operations.flatMap(({ key, state }) => (key !== undefined && state === "succeeded" ? [key] : []))).size;
  return { operations: operations.length, requests: requests.length, states, acknowledged: acknowledgedIn(told).length, keys };
}

interface ExportedRecord {
  readonly kind: string;
  readonly at: string;
  readonly op?: string;
  readonly operation?: { readonly guest: { readonly kind: string; readonly vmid: number }; readonly action: string; readonly key?: string };
  readonly event?: { readonly type: string };
}

const STATE_AFTER: Readonly<Record<string, string>> = { start: "started", task: "task_running", succeed: "succeeded", fail: "failed", lose: "unknown", abandon: "abandoned" };
const SETTLING: ReadonlySet<string> = new Set(["succeed", "fail", "abandon"]);

function operationsOf(journal: string): readonly SeenOperation[] {
  const operations = new Map<string, SeenOperation>();
  for (const record of recordsIn(journal)) {
    const id = record.op ?? "";
    if (record.kind === "planned" && record.operation !== undefined) {
      const { guest, action, key } = record.operation;
      operations.set(id, { id, target: `${guest.kind}/${guest.vmid} ${action}`, key, startedAtMs: Number.POSITIVE_INFINITY, settledAtMs: Number.POSITIVE_INFINITY, state: "planned", requests: 0 });
    }
    const operation = operations.get(id);
    if (record.kind !== "event" || operation === undefined || record.event === undefined) continue;
    operation.state = STATE_AFTER[record.event.type] ?? record.event.type;
    if (record.event.type === "start") operation.startedAtMs = Date.parse(record.at);
    if (SETTLING.has(record.event.type)) operation.settledAtMs = Date.parse(record.at);
  }
  return [...operations.values()];
}

function recordsIn(journal: string): readonly ExportedRecord[] {
  return journal.split("\n").flatMap((line): ExportedRecord[] => {
    if (line === "") return [];
    const record: ExportedRecord & { readonly snapshot?: boolean } = JSON.parse(line);
    return record.snapshot === true ? [] : [record];
  });
}

const ACTION_OF: Readonly<Record<string, string>> = { config: "set_config", "status/start": "start", "status/shutdown": "shutdown", "status/reboot": "reboot" };

/** "qemu/100 start", undefined for what this agent has no business to send. */
function targetOf({ path }: SeenRequest): string | undefined {
  const [, guest, rest = ""] = /\/nodes\/[^/]+\/((?:qemu|lxc)\/\d+)\/(.*)$/.exec(path) ?? [];
  const action = ACTION_OF[rest];
  return guest === undefined || action === undefined ? undefined : `${guest} ${action}`;
}

/** Requests without an operation of their own; counts those that have one. */
function unfounded(requests: readonly SeenRequest[], operations: readonly SeenOperation[]): readonly string[] {
  return requests.flatMap((request) => {
    const target = targetOf(request);
    const open = operations.filter((operation) => operation.target === target && operation.startedAtMs <= request.atMs && request.atMs <= operation.settledAtMs);
    const owner = open.find((operation) => operation.requests === 0) ?? open[0];
    if (owner !== undefined) owner.requests += 1;
    return owner === undefined ? [`${request.method} ${request.path} at ${new Date(request.atMs).toISOString()}: no operation was begun for it before it was sent`] : [];
  });
}

function repeated(operations: readonly SeenOperation[]): readonly string[] {
  const twice = operations.filter(({ requests }) => requests > 1).map(({ id, target, requests }) => `${target}: ${requests} requests for the one operation ${id}`);
  const byKey = Map.groupBy(operations.filter(({ key, state }) => key !== undefined && state !== "failed" && state !== "planned"), ({ key }) => key);
  const again = [...byKey].filter(([, sharing]) => sharing.length > 1).map(([key, sharing]) => `key ${key} was used by ${sharing.map(({ id, state }) => `${id} (${state})`).join(", ")}`);
  return [...twice, ...again];
}

/** "qemu/100 start" of every act that the agent's log tells as done. */
function acknowledgedIn(told: string): readonly string[] {
  return told.split("\n").flatMap((line) => {
    if (!line.includes('"message":"acted"') || !line.includes('"outcome":"succeeded"')) return [];
    const [guest, action] = [/"guest":"([^"]+)"/.exec(line)?.[1], /"action":"([^"]+)"/.exec(line)?.[1]];
    return [`${guest} ${action}`];
  });
}

/** Acts told as done beyond those that the journal has as done. */
function forgotten(told: string, operations: readonly SeenOperation[]): readonly string[] {
  const done = Map.groupBy(operations.filter(({ state }) => state === "succeeded"), ({ target }) => target);
  const acknowledged = Map.groupBy(acknowledgedIn(told), (target) => target);
  return [...acknowledged].flatMap(([target, times]) => {
    const found = done.get(target)?.length ?? 0;
    return found < times.length ? [`${target} was told as done ${times.length} times, the journal has ${found}`] : [];
  });
}

function unkept(restarted: readonly string[], operations: readonly SeenOperation[]): readonly string[] {
  return [...new Set(restarted)].filter((key) => !operations.some((operation) => operation.key === key && operation.state === "succeeded")).map((key) => `a restart with key ${key} was answered with success, the journal has none`);
}
