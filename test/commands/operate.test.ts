import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/agent-process.ts";
import { guests, machine, Site, TEST_TIMEOUT_MS } from "../e2e/site.ts";

/** pause, resume, accept, op: with a running agent, which does it, and without one, when the command writes the journal itself. */

setDefaultTimeout(TEST_TIMEOUT_MS);

const FILES = { "qemu-server/100": machine({ name: "web" }), "qemu-server/101": machine({ name: "db" }, "11111111-2222-4333-8444-555555555101") };
const DECLARED = guests({ vmid: 100, kind: "qemu", state: "running", config: { description: "kept" } });
const open = (): Promise<Site> => Site.open({ files: FILES, desired: { "guests.yaml": DECLARED } });

describe("status", () => {
  test.concurrent("without an agent: 1, and how to start one", async () => {
    await using site = await open();
    expect(await site.run(["status"])).toEqual({ code: 1, stdout: "", stderr: expect.stringContaining(`found none; start it with "agent run"`) });
  });

  test.concurrent("of an agent that was killed: the leftover socket is told from a running agent, and replaced", async () => {
    await using site = await open();
    const first = await site.daemon();
    await first.process.kill();
    expect((await site.run(["status"])).code).toBe(1);
    const second = await site.daemon();
    expect(await site.run(["status"])).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining(`pid ${second.process.pid}`) });
  });

  test.concurrent("-w into a pipe: a line an event, until interrupted; a restart of the agent is waited for", async () => {
    await using site = await open();
    const daemon = await site.daemon();
    const watching = site.start(["status", "-w"]);
    await watching.wrote(/^20\S+Z {2}host JournalReady True Healthy$/m);
    await daemon.process.stop();
    await watching.wrote(/agent not reachable, waiting/);
    await site.daemon();
    await watching.wrote(/JournalReady True Healthy[^]*JournalReady True Healthy/);
    watching.signal("SIGINT");
    expect(await watching.end()).toBe(0);
  });
});

describe("pause and resume", () => {
  test.concurrent("without an agent: durable, in the plan, and obeyed by run --once", async () => {
    await using site = await open();
    expect(await site.run(["pause", "100", "--reason", "disk swap"])).toEqual({ code: 0, stdout: 'Guest 100 paused until "agent resume".\n', stderr: "" });
    expect(await site.run(["plan"])).toMatchObject({ code: 2, stdout: expect.stringMatching(/= held .*paused.*disk swap/) });
    expect(await site.run(["run", "--once"])).toMatchObject({ code: 2, stdout: expect.stringMatching(/^Nothing was sent\.\nRemaining:\n +qemu\/100 +held/) });
    expect(site.mutations()).toEqual([]);
    expect((await site.run(["resume", "101"])).code).toBe(1);
    expect(await site.run(["resume", "100"])).toEqual({ code: 0, stdout: "Guest 100 resumed.\n", stderr: "" });
    expect((await site.run(["run", "--once"])).code).toBe(0);
  });

  test.concurrent("with an agent: at once, and shown in status, metrics and after a restart", async () => {
    await using site = await open();
    const daemon = await site.daemon();
    await daemon.ready();
    await site.inSync();
    const before = site.mutations().length;
    expect((await site.run(["pause", "100", "--reason", "hands off"])).code).toBe(0);
    await site.edit({ vmid: 100, set: { description: "by hand" }, power: "stop" });
    await site.shows(["status"], /Paused: paused since/);
    expect((await site.run(["status", "-o", "json"])).stdout).toContain("hands off");
    await until("the metric", async () => (await daemon.get("/metrics")).body.includes('type="Paused",status="True",reason="ByOperator"} 1'));
    await daemon.process.kill();
    const next = await site.daemon();
    await next.ready();
    await until("two more resyncs", async () => Number(/^steward_reconcile_total\{result="held"\} (\d+)/m.exec((await next.get("/metrics")).body)?.[1]) >= 2);
    expect(site.mutations()).toHaveLength(before);
    expect((await site.run(["resume", "100"])).code).toBe(0);
    await site.inSync();
  });

  test.concurrent("--for ends by itself; --all is a pause of its own", async () => {
    await using site = await open();
    expect((await site.run(["pause", "--all", "--for", "2s"])).stdout).toBe("All guests paused for 2s.\n");
    const pausedMs = performance.now();
    expect((await site.run(["resume", "100"])).code).toBe(1);
    await site.daemon();
    await site.inSync();
    expect(performance.now() - pausedMs).toBeGreaterThan(1_000);
    expect((await site.run(["status"])).stdout).not.toMatch(/^Paused$/m);
  });

  test.concurrent("a vmid that is not declared is paused, and doubted", async () => {
    await using site = await open();
    const daemon = await site.daemon();
    await daemon.ready();
    expect(await site.run(["pause", "1001"])).toEqual({ code: 0, stdout: expect.stringContaining("Guest 1001 paused"), stderr: expect.stringContaining("is the VMID right?") });
    expect((await site.run(["pause", "100"])).stderr).toBe("");
  });
});

describe("accept", () => {
  const many = Array.from({ length: 5 }, (_, index) => index + 100);
  const manyFiles = Object.fromEntries(many.map((vmid) => [`qemu-server/${vmid}`, machine({ name: `g${vmid}` }, `11111111-2222-4333-8444-000000000${vmid}`)]));
  const large = guests(...many.map((vmid) => ({ vmid, kind: "qemu", config: { description: "all at once" } })));
  const openLarge = (): Promise<Site> => Site.open({ files: manyFiles, desired: { "guests.yaml": large } });

  test.concurrent("with an agent: held until accepted by its name", async () => {
    await using site = await openLarge();
    const daemon = await site.daemon();
    await daemon.ready();
    const { stdout } = await site.run(["status"]);
    const revision = /^revision ([0-9a-f]{12}) HELD/m.exec(stdout)?.[1] ?? "";
    expect(stdout).toContain(`agent accept ${revision}`);
    expect(await site.run(["plan"])).toMatchObject({ code: 2, stderr: expect.stringContaining(`agent accept ${revision}`) });
    expect((await site.run(["accept", "0000000000000000"])).code).toBe(1);
    expect((await site.run(["accept", "abc"])).code).toBe(1);
    expect(site.mutations()).toEqual([]);
    expect(await site.run(["accept", revision])).toEqual({ code: 0, stdout: `Revision ${revision} accepted.\n`, stderr: "" });
    await site.inSync();
    expect(site.mutations()).toHaveLength(many.length);
  });

  test.concurrent("without an agent: in force from the next run on", async () => {
    await using site = await openLarge();
    const once = await site.run(["run", "--once"]);
    expect(once.code).toBe(2);
    expect(site.mutations()).toEqual([]);
    const revision = /agent accept ([0-9a-f]+)/.exec((await site.run(["plan"])).stderr)?.[1] ?? "";
    expect((await site.run(["accept", `${revision.slice(0, 11)}x`])).code).toBe(1);
    expect(await site.run(["accept", revision])).toMatchObject({ code: 0, stderr: "" });
    expect((await site.run(["run", "--once"])).code).toBe(0);
    expect(site.mutations()).toHaveLength(many.length);
  });
});

describe("op", () => {
  /** A start whose outcome Proxmox itself does not know. */
  async function unknownAct(site: Site): Promise<string> {
    site.simulator.faults.add({ kind: "task_fail", exit: "unexpected status" });
    const daemon = await site.daemon();
    const [, id = ""] = await site.shows(["op", "ls"], /^(\S+) +qemu\/100 +start +unknown/m);
    await until("OutcomeUnknown", async () => (await daemon.get("/metrics")).body.includes('type="OutcomeUnknown",status="True",reason="Unknown"} 1'));
    site.simulator.faults.remove();
    return id;
  }

  test.concurrent("resolve with an agent: nothing is repeated before, it goes on after", async () => {
    await using site = await open();
    const id = await unknownAct(site);
    const before = site.mutations().length;
    expect((await site.run(["op", "resolve", "nosuchact", "--failed", "--reason", "typo"])).code).toBe(1);
    expect((await site.run(["op", "resolve", id, "--failed", "--reason", "  "])).stderr).toContain("--reason");
    expect(site.mutations()).toHaveLength(before);
    expect(await site.run(["op", "resolve", id, "--failed", "--reason", "it is off"])).toEqual({ code: 0, stdout: `Operation ${id} is recorded as failed.\n`, stderr: "" });
    await site.inSync();
    expect((await site.run(["op", "resolve", id, "--failed", "--reason", "again"])).code).toBe(1);
    await site.shows(["op", "ls"], /^No open acts\.$/m);
  });

  test.concurrent("resolve without an agent; the next run goes on from there", async () => {
    await using site = await open();
    const id = await unknownAct(site);
    await site.end();
    expect(await site.run(["plan"])).toMatchObject({ code: 2, stdout: expect.stringContaining(id) });
    expect((await site.run(["op", "resolve", id, "--failed", "--reason", "it is off"])).code).toBe(0);
    expect((await site.run(["run", "--once"])).code).toBe(0);
    const shown = JSON.parse((await site.run(["journal", "show", id, "-o", "json"])).stdout);
    expect(shown).toMatchObject({ id, state: "failed", outcomeBy: "person", detail: "it is off" });
  });
});

describe("one writer", () => {
  test.concurrent("run --once asks the running agent, and gives its report and exit code", async () => {
    await using site = await open();
    const daemon = await site.daemon(["--poll-interval", "1h", "--resync-interval", "24h"]);
    await daemon.ready();
    await site.inSync();
    let report: Readonly<Record<string, unknown>> = {};
    // The agent looks again after its own last act: an edit in that very moment is mended before it is asked.
    await until("an edit that the agent had not found by itself", async () => {
      await site.edit({ vmid: 100, set: { description: "by hand" } });
      const once = await site.run(["run", "--once", "-o", "json"]);
      expect(once).toMatchObject({ code: 0, stderr: "" });
      report = JSON.parse(once.stdout);
      return Array.isArray(report["actions"]) && report["actions"].length > 0;
    });
    expect(report).toEqual({
      version: 1, exitCode: 0, remaining: [], problems: [],
      actions: [{ kind: "qemu", vmid: 100, action: "set_config", outcome: "succeeded", keys: ["description"] }],
    });
    expect(await site.run(["run", "--once", "--dry-run"])).toMatchObject({ code: 1, stderr: expect.stringContaining('"agent plan"') });
  });

  test.concurrent("a second agent, and every command that writes past the socket: 5, naming who holds the lock", async () => {
    await using site = await open();
    const daemon = await site.daemon();
    const holder = new RegExp(`held by process ${daemon.process.pid}`);
    for (const words of [["run"], ["run", "--once"], ["pause", "100"], ["resume", "100"], ["op", "resolve", "x", "--failed", "--reason", "x"]]) {
      const finished = await site.run(["--socket", site.path("other.sock"), ...words]);
      expect([words, finished.code]).toEqual([words, 5]);
      expect(finished.stderr).toMatch(holder);
    }
    // Another state directory, the same socket: that agent is not pushed away either.
    expect(await site.run(["--state-dir", site.path("other"), "run"])).toMatchObject({ code: 5, stderr: expect.stringContaining(site.path("agent.sock")) });
    expect((await site.run(["status"])).code).toBe(0);
  });
});
