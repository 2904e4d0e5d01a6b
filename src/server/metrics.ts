import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { RECONCILE_RESULTS } from "../reconcile/guest-conditions.ts";
import type { QueueObserver } from "../reconcile/types.ts";
import { registerGauges, type GaugeSource } from "./gauges.ts";
import { ACTION_KINDS, ACTION_OUTCOMES, HTTP_METHODS, PROXMOX_CODES, QUEUE_RESULTS, closedLabel, type ActionKind, type ActionOutcome } from "./metric-labels.ts";

/** Counts what happens and writes it all down for a scraper. Durations are seconds. */
export interface Metrics {
  /** Prometheus text format 0.0.4. */
  text(): Promise<string>;
  /** One run of reconcileGuest; `result` is one of RECONCILE_RESULTS. */
  observeReconcile(result: (typeof RECONCILE_RESULTS)[number], seconds: number): void;
  /** One act that was tried: its action's type and how it went. */
  countAction(kind: ActionKind, outcome: ActionOutcome): void;
  /** One HTTP request; `code` is its status, or the last word of the fault's code when there was none. */
  observeProxmoxRequest(request: { readonly method: string; readonly code: string; readonly seconds: number }): void;
  /** How long a job waited for its lane. */
  observeLaneWait(seconds: number): void;
  /** How long the disk took to make records durable. */
  observeJournalSync(seconds: number): void;
  /** A full resync ended at this time, milliseconds since the epoch. */
  setLastResync(atMs: number): void;
  /** How long one round of re-reading all declared guests took; the longest a change off the host stays unseen. */
  setReadCycle(seconds: number): void;
  /** What the queue of guests does. */
  readonly queue: QueueObserver;
}

/** Waiting and reconciling: from "at once" to a task that is waited for. */
const RECONCILE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** One fdatasync: 0.2 ms on a good SSD, seconds on a sick disk. */
const SYNC_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];
/** One request: 2 ms for a read on the host, up to the request timeout. */
const REQUEST_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * The agent's metrics in a registry of their own. prom-client's default metrics stay off: under Bun
 * some of them are wrong; process_* comes from the source instead.
 */
export function createMetrics(build: { readonly version: string; readonly commit: string }, source: GaugeSource): Metrics {
  const registry = new Registry();
  registerBuild(registry, build);
  registerGauges(registry, source);
  return {
    text: () => registry.metrics(),
    ...eventMetrics(registry),
    ...requestMetrics(registry),
    ...timeMetrics(registry),
    queue: queueMetrics(registry),
  };
}

function registerBuild(registry: Registry, build: { readonly version: string; readonly commit: string }): void {
  const info = new Gauge({ name: "steward_build_info", help: "The running program; the value is always 1.", labelNames: ["version", "commit"], registers: [registry] });
  info.set({ ...build }, 1);
}

function eventMetrics(registry: Registry): Pick<Metrics, "observeReconcile" | "countAction"> {
  const registers = [registry];
  const results = new Counter({ name: "steward_reconcile_total", help: "Reconciles of one guest by how they ended.", labelNames: ["result"], registers });
  const duration = new Histogram({ name: "steward_reconcile_seconds", help: "How long reconciling one guest took, acts included.", buckets: RECONCILE_BUCKETS, registers });
  const actions = new Counter({ name: "steward_actions_total", help: "Acts that were tried, by kind and by how they went.", labelNames: ["kind", "outcome"], registers });
  for (const result of RECONCILE_RESULTS) results.inc({ result }, 0);
  for (const kind of ACTION_KINDS) for (const outcome of ACTION_OUTCOMES) actions.inc({ kind, outcome }, 0);
  return {
    observeReconcile: (result, seconds) => {
      results.inc({ result });
      duration.observe(seconds);
    },
    countAction: (kind, outcome) => actions.inc({ kind, outcome }),
  };
}

function requestMetrics(registry: Registry): Pick<Metrics, "observeProxmoxRequest"> {
  const registers = [registry];
  const help = "Requests to Proxmox by method and by HTTP status, or by what went wrong when there was no answer.";
  const requests = new Counter({ name: "steward_proxmox_requests_total", help, labelNames: ["method", "code"], registers });
  const duration = new Histogram({
    name: "steward_proxmox_request_seconds", help: "How long requests to Proxmox took, failed ones included.", labelNames: ["method"], buckets: REQUEST_BUCKETS, registers,
  });
  for (const method of HTTP_METHODS) {
    duration.zero({ method });
    for (const code of PROXMOX_CODES) requests.inc({ method, code }, 0);
  }
  return {
    observeProxmoxRequest: (request) => {
      const method = closedLabel(HTTP_METHODS, request.method);
      requests.inc({ method, code: closedLabel(PROXMOX_CODES, request.code) });
      duration.observe({ method }, request.seconds);
    },
  };
}

function timeMetrics(registry: Registry): Pick<Metrics, "observeLaneWait" | "observeJournalSync" | "setLastResync" | "setReadCycle"> {
  const registers = [registry];
  const waits = new Histogram({ name: "steward_lane_wait_seconds", help: "How long jobs waited for their guest's lane.", buckets: RECONCILE_BUCKETS, registers });
  const syncs = new Histogram({ name: "steward_journal_sync_seconds", help: "How long the disk took to make journal records durable.", buckets: SYNC_BUCKETS, registers });
  const resync = new Gauge({ name: "steward_last_resync_timestamp_seconds", help: "When the last full resync ended, in seconds since the epoch; 0 before the first.", registers });
  const cycle = new Gauge({ name: "steward_read_cycle_seconds", help: "How long the last round of re-reading all declared guests took; 0 where changes announce themselves.", registers });
  return {
    observeLaneWait: (seconds) => waits.observe(seconds),
    observeJournalSync: (seconds) => syncs.observe(seconds),
    setLastResync: (atMs) => resync.set(atMs / 1000),
    setReadCycle: (seconds) => cycle.set(seconds),
  };
}

function queueMetrics(registry: Registry): QueueObserver {
  const registers = [registry];
  const adds = new Counter({ name: "steward_queue_adds_total", help: "Guests that became ready to be looked at; one that is ready already is not counted again.", registers });
  const refused = new Counter({ name: "steward_queue_refused_total", help: "Guests that the queue had no room for; the next full resync asks for them again.", registers });
  const retries = new Counter({ name: "steward_queue_retries_total", help: "Guests that failed, or were not finished, and are looked at again after their backoff.", registers });
  const results = new Counter({ name: "steward_queue_results_total", help: "How the work on a guest ended, for the queue.", labelNames: ["result"], registers });
  const waits = new Histogram({ name: "steward_queue_wait_seconds", help: "How long guests were ready before a worker took them.", buckets: RECONCILE_BUCKETS, registers });
  const work = new Histogram({ name: "steward_queue_work_seconds", help: "How long a guest was worked on, waiting for its turn and its acts included.", buckets: RECONCILE_BUCKETS, registers });
  for (const result of Object.values(QUEUE_RESULTS)) results.inc({ result }, 0);
  return {
    added: () => adds.inc(),
    refused: () => refused.inc(),
    retried: () => retries.inc(),
    waited: (seconds) => waits.observe(seconds),
    finished: (result, seconds) => {
      results.inc({ result: QUEUE_RESULTS[result] });
      work.observe(seconds);
    },
  };
}
