import { describe, expect, test } from "bun:test";
import { GUEST_CONDITIONS, HOST_CONDITIONS } from "../../src/conditions/condition.ts";
import { RECONCILE_RESULTS } from "../../src/reconcile/guest-conditions.ts";
import { createServerApp } from "../../src/server/app.ts";
import { createMetrics, type Metrics } from "../../src/server/metrics.ts";
import type { GaugeSource } from "../../src/server/gauges.ts";
import { readProcessSample } from "../../src/runtime/process-info.ts";
import { BUILD, condition, gaugeSource, recordingLog, viewOf } from "./server-view.ts";

const PROMTOOL = Bun.which("promtool");

/** Everything a running agent would show. */
const BUSY: GaugeSource = gaugeSource({
  hostConditions: () => [condition("JournalReady", "True", "Healthy"), condition("ProxmoxReachable", "False", "Untrusted", "a text")],
  guestConditions: () => [
    { conditions: [condition("Synced", "True", "InSync"), condition("Paused", "False", "NotPaused")] },
    { conditions: [condition("Synced", "False", "Drifted"), condition("Paused", "True", "ByOperator")] },
    { conditions: [condition("Synced", "True", "InSync")] },
  ],
  guests: () => [{ kind: "qemu", state: "running" }, { kind: "qemu", state: "running" }, { kind: "lxc", state: "stopped" }, { kind: "lxc", state: "prelaunch" }],
  driftedFields: () => 3,
  laneDepth: () => 4,
  longestLaneWaitSeconds: () => 1.5,
  queue: () => ({ depth: { wish: 1, event: 2, resync: 7 }, delayed: 5, running: 3, unfinishedSeconds: 4.5, longestRunningSeconds: 4 }),
  backoffGuests: () => 2,
  journalRecords: () => 17,
  journalHead: () => ({ segment: "00000001.log", sequence: 17, hash: "ab".repeat(32) }),
  refusedKeys: () => 0,
  isToldOfChanges: () => true,
  limits: () => ({ max_concurrent_acts: 4, request_timeout_seconds: 30 }),
  process: () => readProcessSample(),
});

async function samples(metrics: Metrics): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const line of (await metrics.text()).split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const space = line.lastIndexOf(" ");
    expect(found.has(line.slice(0, space))).toBe(false);
    found.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return found;
}

function busyMetrics(): Metrics {
  const metrics = createMetrics(BUILD, BUSY);
  metrics.observeReconcile("acted", 0.2);
  metrics.countAction("start", "succeeded");
  metrics.observeProxmoxRequest({ method: "GET", code: "200", seconds: 0.003 });
  metrics.observeProxmoxRequest({ method: "TRACE", code: "418", seconds: 0.003 });
  metrics.observeLaneWait(0.01);
  metrics.observeJournalSync(0.0002);
  metrics.setLastResync(1_700_000_000_500);
  metrics.setReadCycle(12);
  metrics.queue.added();
  metrics.queue.waited(0.02);
  metrics.queue.finished("requeueAfter", 0.3);
  metrics.queue.retried();
  metrics.queue.refused();
  return metrics;
}

describe("values", () => {
  const expected: readonly (readonly [string, number])[] = [
    [`steward_build_info{version="1.2.3",commit="abc1234"}`, 1],
    [`steward_condition{type="JournalReady",status="True",reason="Healthy"}`, 1],
    [`steward_condition{type="JournalReady",status="False",reason="Full"}`, 0],
    [`steward_condition{type="ProxmoxReachable",status="False",reason="Untrusted"}`, 1],
    [`steward_condition{type="Synced",status="True",reason="InSync"}`, 2],
    [`steward_condition{type="Synced",status="False",reason="Drifted"}`, 1],
    [`steward_condition{type="Paused",status="True",reason="ByOperator"}`, 1],
    [`steward_guests{kind="qemu",state="running"}`, 2],
    [`steward_guests{kind="lxc",state="unknown"}`, 1],
    [`steward_guests{kind="lxc",state="running"}`, 0],
    [`steward_drifted_fields`, 3],
    [`steward_lane_depth`, 4],
    [`steward_lane_longest_wait_seconds`, 1.5],
    [`steward_backoff_guests`, 2],
    [`steward_journal_records_total`, 17],
    [`steward_journal_head_sequence`, 17],
    [`steward_journal_head_info{segment="00000001.log",hash="${"ab".repeat(32)}"}`, 1],
    [`steward_limit{name="max_concurrent_acts"}`, 4],
    [`steward_limit{name="request_timeout_seconds"}`, 30],
    [`steward_reconcile_total{result="acted"}`, 1],
    [`steward_reconcile_total{result="failed"}`, 0],
    [`steward_reconcile_seconds_count`, 1],
    [`steward_actions_total{kind="start",outcome="succeeded"}`, 1],
    [`steward_actions_total{kind="shutdown",outcome="unsettled"}`, 0],
    [`steward_proxmox_requests_total{method="GET",code="200"}`, 1],
    [`steward_proxmox_requests_total{method="other",code="other"}`, 1],
    [`steward_proxmox_requests_total{method="PUT",code="no_answer"}`, 0],
    [`steward_proxmox_request_seconds_bucket{le="0.005",method="GET"}`, 1],
    [`steward_proxmox_request_seconds_count{method="DELETE"}`, 0],
    [`steward_lane_wait_seconds_bucket{le="0.01"}`, 1],
    [`steward_journal_sync_seconds_bucket{le="0.0001"}`, 0],
    [`steward_journal_sync_seconds_bucket{le="0.00025"}`, 1],
    [`steward_last_resync_timestamp_seconds`, 1_700_000_000.5],
    [`steward_read_cycle_seconds`, 12],
    [`steward_host_files_used`, 1],
    [`steward_queue_adds_total`, 1],
    [`steward_queue_depth{priority="wish"}`, 1],
    [`steward_queue_depth{priority="event"}`, 2],
    [`steward_queue_depth{priority="resync"}`, 7],
    [`steward_queue_delayed`, 5],
    [`steward_queue_running`, 3],
    [`steward_queue_unfinished_work_seconds`, 4.5],
    [`steward_queue_longest_running_seconds`, 4],
    [`steward_queue_retries_total`, 1],
    [`steward_queue_refused_total`, 1],
    [`steward_queue_results_total{result="requeue_after"}`, 1],
    [`steward_queue_results_total{result="terminal"}`, 0],
    [`steward_queue_wait_seconds_bucket{le="0.025"}`, 1],
    [`steward_queue_work_seconds_count`, 1],
  ];
  for (const [series, value] of expected) {
    test(`${series} is ${value}`, async () => {
      expect((await samples(busyMetrics())).get(series)).toBe(value);
    });
  }

  test("the process's own numbers come from the system", async () => {
    const found = await samples(busyMetrics());
    for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds"]) {
      expect(found.get(name)).toBeGreaterThan(0);
    }
  });

  test("what cannot be read is left out, not shown as 0", async () => {
    const found = await samples(createMetrics(BUILD, gaugeSource()));
    expect([...found.keys()].filter((series) => series.startsWith("process_") || series.startsWith("steward_journal_head"))).toEqual([]);
  });
});

describe("series", () => {
  test("every closed label set is there at 0 before anything happened", async () => {
    const found = await samples(createMetrics(BUILD, gaugeSource()));
    const count = (name: string) => [...found.keys()].filter((series) => series.startsWith(`${name}{`)).length;
    const reasons = [...Object.values(HOST_CONDITIONS), ...Object.values(GUEST_CONDITIONS)].reduce((sum, { reasons: list }) => sum + list.length, 0);
    expect(count("steward_condition")).toBe(reasons * 3);
    expect(count("steward_reconcile_total")).toBe(RECONCILE_RESULTS.length);
    expect(count("steward_actions_total")).toBe(20);
    expect(count("steward_guests")).toBe(10);
    const nonZero = [...found].filter(([series, value]) => value !== 0 && !series.startsWith("steward_build_info"));
    expect(nonZero).toEqual([]);
  });

  test("no label value that comes from outside makes a new series", async () => {
    const metrics = createMetrics(BUILD, BUSY);
    const before = (await samples(metrics)).size;
    for (let index = 0; index < 50; index++) metrics.observeProxmoxRequest({ method: `M${index}`, code: String(700 + index), seconds: 1 });
    expect((await samples(metrics)).size).toBe(before);
  });

  test("what is gone disappears at the next scrape", async () => {
    let head = { segment: "a", sequence: 1, hash: "11" };
    let conditions = [condition("Synced", "False", "Drifted")];
    const metrics = createMetrics(BUILD, gaugeSource({ journalHead: () => head, guestConditions: () => [{ conditions }] }));
    await metrics.text();
    head = { segment: "b", sequence: 2, hash: "22" };
    conditions = [];
    const found = await samples(metrics);
    expect([...found.keys()].filter((series) => series.startsWith("steward_journal_head_info"))).toEqual([`steward_journal_head_info{segment="b",hash="22"}`]);
    expect(found.get(`steward_condition{type="Synced",status="False",reason="Drifted"}`)).toBe(0);
  });

  test("a scraped counter does not grow by being scraped", async () => {
    const metrics = busyMetrics();
    await metrics.text();
    await metrics.text();
    expect((await samples(metrics)).get("steward_journal_records_total")).toBe(17);
  });

  test("two agents in one process do not share a registry", async () => {
    const [one, two] = [createMetrics(BUILD, gaugeSource()), createMetrics(BUILD, gaugeSource())];
    one.countAction("start", "failed");
    expect((await samples(two)).get(`steward_actions_total{kind="start",outcome="failed"}`)).toBe(0);
  });
});

describe("formats", () => {
  async function scrape(accept?: string) {
    const { view } = viewOf({ source: BUSY });
    return createServerApp(view, recordingLog()).request("/metrics", accept === undefined ? {} : { headers: { accept } });
  }

  test("Prometheus text by default, ending with a line end", async () => {
    const answer = await scrape();
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await answer.text();
    expect(text).toEndWith("\n");
    expect(text).not.toContain("# EOF");
  });

  test("OpenMetrics when it is asked for, as Prometheus itself asks", async () => {
    const answer = await scrape("application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2");
    expect(answer.headers.get("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    const lines = (await answer.text()).split("\n");
    expect(lines.slice(-2)).toEqual(["# EOF", ""]);
    expect(lines.slice(0, -1)).not.toContain("");
    expect(lines).toContain("# TYPE steward_actions counter");
    expect(lines).toContain(`steward_actions_total{kind="start",outcome="failed"} 0`);
    expect(lines).toContain("# TYPE steward_lane_wait_seconds histogram");
    expect(lines).toContain("# TYPE steward_lane_depth gauge");
    // Every sample belongs to the family announced last (a counter's with _total, a histogram's with its three endings).
    let family = "";
    for (const line of lines.slice(0, -2)) {
      family = /^# TYPE (\S+)/.exec(line)?.[1] ?? family;
      if (!line.startsWith("#")) expect(/^[a-z_]+/.exec(line)?.[0]).toMatch(new RegExp(`^${family}(_total|_bucket|_sum|_count)?$`));
    }
  });

  test("an OpenMetrics scrape does not change the next Prometheus scrape", async () => {
    const { view } = viewOf({ source: gaugeSource() });
    const app = createServerApp(view, recordingLog());
    const plain = async () => (await app.request("/metrics")).text();
    const before = await plain();
    await app.request("/metrics", { headers: { accept: "application/openmetrics-text" } });
    expect(await plain()).toBe(before);
  });

  test.skipIf(PROMTOOL === null)("promtool finds nothing to complain about (skipped where promtool is not installed: scripts/ci-deps)", async () => {
    const promtool = Bun.spawn([PROMTOOL ?? "", "check", "metrics"], { stdin: new Blob([await busyMetrics().text()]), stdout: "pipe", stderr: "pipe" });
    const [out, problems] = await Promise.all([new Response(promtool.stdout).text(), new Response(promtool.stderr).text()]);
    expect([await promtool.exited, out, problems]).toEqual([0, "", ""]);
  });

  test.skipIf(PROMTOOL === null)("promtool does find a planted fault", async () => {
    const promtool = Bun.spawn([PROMTOOL ?? "", "check", "metrics"], { stdin: new Blob(["# TYPE bad_counter counter\nbad_counter 1\n"]), stdout: "pipe", stderr: "pipe" });
    expect(await promtool.exited).not.toBe(0);
  });
});
