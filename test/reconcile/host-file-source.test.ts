import { describe, expect, test } from "bun:test";
import type { HostProblem } from "../../src/proxmox/run-states.ts";
import { FileHostSource } from "../../src/reconcile/host-file-source.ts";
import { recordingLog } from "../journal/journal-fixture.ts";
import { FakeWatcher } from "../support/fake-watcher.ts";
import { faults } from "../support/proxmox-faults.ts";
import { TestAgent, type AgentOptions, type Declared } from "./agent-fixture.ts";

const DECLARED: readonly Declared[] = [{ vmid: 101, config: { cores: 2 } }, { vmid: 102, state: "running" }];

/** An agent on the host; its guests are as declared, and time has passed. */
async function onHost(options: AgentOptions = {}, answers: () => Promise<boolean> = () => Promise.resolve(true)): Promise<{ agent: TestAgent; watcher: FakeWatcher; log: ReturnType<typeof recordingLog> }> {
  const log = recordingLog();
  const watchers: FakeWatcher[] = [];
  const agent = new TestAgent({
    guests: DECLARED, settings: { pollIntervalMs: 250 }, ...options,
    source: (api) => {
      const watcher = new FakeWatcher(agent.proxmox);
      watchers.push(watcher);
      return new FileHostSource({ watcher, api, log, node: "pve1", answers });
    },
  });
  agent.proxmox.add(101, { config: { cores: 2 } });
  agent.proxmox.add(102, { runState: "running" });
  agent.proxmox.add(999, { runState: "running" });
  await agent.start();
  await agent.run(2_000);
  const watcher = watchers[0];
  if (watcher === undefined) throw new Error("no watcher was made");
  return { agent, watcher, log };
}

describe("how often", () => {
  test("the files are looked at four times a second, however rarely the API is to be polled", async () => {
    const { agent, watcher } = await onHost({ settings: { pollIntervalMs: 60_000 } });
    const before = watcher.polls;
    await agent.run(10_000);
    expect(watcher.polls - before).toBe(40);
  });

  test("the API, while they cannot be used, as rarely as was asked for", async () => {
    const { agent, watcher } = await onHost({ settings: { pollIntervalMs: 10_000 } });
    watcher.problems = [unusable("/etc/pve/.vmlist")];
    await agent.run(1_000);
    const before = agent.proxmox.callCount("listGuests");
    await agent.run(30_000);
    // Two lists a poll.
    expect(agent.proxmox.callCount("listGuests") - before).toBe(6);
  });
});

describe("a file system that does not answer", () => {
  test("is not read: the API is asked, edits are found by reading again, and the files are used when it answers", async () => {
    let isAnswering = true;
    const { agent, watcher, log } = await onHost({}, () => Promise.resolve(isAnswering));
    isAnswering = false;
    await agent.run(1_000);
    const polls = watcher.polls;
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(3_000);
    expect([agent.acts(), watcher.polls - polls]).toEqual([["set_config 101 cores=2"], 0]);
    isAnswering = true;
    await agent.run(1_000);
    expect(watcher.polls).toBeGreaterThan(polls);
    expect(log.lines.map(({ level, message }) => `${level} ${message}`)).toEqual(["warn the host's own files cannot be used; asking the API instead", "info the host's own files can be used again"]);
  });
});

const unusable = (path: string, kind: HostProblem["kind"] = "unreadable"): HostProblem => ({ path, kind, message: `cannot read ${path}: permission denied` });

describe("on the host", () => {
  test("an unchanged host costs no request at all between two full reads", async () => {
    const { agent, watcher } = await onHost();
    const before = agent.proxmox.callCount();
    const polls = watcher.polls;
    await agent.run(55_000);
    expect([agent.proxmox.callCount() - before, watcher.polls - polls]).toEqual([0, 220]);
    await agent.run(10_000);
    // One full read: version, tag style, HA, quorum, each declared guest once, and whether the one declared running really runs.
    expect(agent.proxmox.callCount() - before).toBe(7);
  });

  test("nor do an act that waits for a person, a held revision, a dry run, or a guest on another node", async () => {
    const { agent } = await onHost({ guests: [...DECLARED, { vmid: 103, state: "running" }] });
    agent.proxmox.add(103, { node: "pve2" });
    const opened = await agent.journal.begin({ guest: { kind: "qemu", vmid: 101, identity: {} }, action: "start", params: {}, provenance: "desired" });
    if (!opened.ok) throw new Error(opened.error.message);
    await agent.journal.apply(opened.value.id, { type: "lose", reason: "nobody knows" });
    await agent.run(70_000);
    const before = agent.proxmox.callCount();
    await agent.run(40_000);
    expect(agent.proxmox.callCount() - before).toBe(0);
    const dry = await onHost({ settings: { isDryRun: true, pollIntervalMs: 250 } });
    const dryBefore = dry.agent.proxmox.callCount();
    await dry.agent.run(40_000);
    expect(dry.agent.proxmox.callCount() - dryBefore).toBe(0);
  });

  test("a changed config is read within one poll, that guest and no other", async () => {
    const { agent } = await onHost();
    const reads = [agent.proxmox.callCount("readConfig", 101), agent.proxmox.callCount("readConfig", 102)];
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(260);
    expect(agent.acts()).toEqual(["set_config 101 cores=2"]);
    expect(agent.proxmox.callCount("readConfig", 101)).toBeGreaterThan(reads[0] ?? 0);
    expect(agent.proxmox.callCount("readConfig", 102)).toBe(reads[1] ?? 0);
    await agent.run(1_000);
    const settled = agent.proxmox.callCount();
    await agent.run(30_000);
    expect(agent.proxmox.callCount()).toBe(settled);
  });

  test("a guest of nobody's that changes is not read", async () => {
    const { agent } = await onHost();
    const before = agent.proxmox.callCount();
    agent.proxmox.edit(999, { cores: 7 });
    agent.proxmox.power(999, "stopped");
    await agent.run(5_000);
    expect(agent.proxmox.callCount() - before).toBe(0);
  });

  test("a guest that was powered off is noticed within one poll", async () => {
    const { agent } = await onHost();
    agent.proxmox.power(102, "stopped");
    await agent.run(260);
    expect(agent.acts()).toEqual(["start 102"]);
  });

  test("a foreign task in the host's task list holds a power act without a request for it", async () => {
    const { agent } = await onHost();
    agent.proxmox.runTask({ type: "stopall" });
    agent.proxmox.power(102, "stopped");
    await agent.run(5_000);
    expect([agent.acts(), agent.condition(102, "Held"), agent.proxmox.callCount("listTasks")]).toEqual([[], "True BulkTask", 0]);
  });

  test("a restart of pmxcfs, another tag style, another HA set: everything is read again", async () => {
    const changes: readonly ((watcher: FakeWatcher) => void)[] = [
      (watcher) => void (watcher.starttime = 2),
      (watcher) => void (watcher.tagStyle = { isOrdered: true, isCaseSensitive: false }),
      (watcher) => void (watcher.haResources = [{ kind: "qemu", vmid: 102, state: "started" }]),
    ];
    for (const change of changes) {
      const { agent, watcher } = await onHost();
      const before = agent.proxmox.callCount("readConfig");
      change(watcher);
      await agent.run(300);
      expect(agent.proxmox.callCount("readConfig") - before).toBe(2);
    }
  });

  test("what changed while the API was down is not forgotten", async () => {
    const { agent, watcher } = await onHost();
    agent.proxmox.isDown = faults.unreachable();
    agent.proxmox.edit(101, { cores: 1 });
    watcher.starttime = 2;
    await agent.run(3_000);
    expect(agent.host("ProxmoxReachable")).toBe("False Unreachable");
    agent.proxmox.heal();
    await agent.run(1_000);
    expect([agent.acts(), agent.host("ProxmoxReachable")]).toEqual([["set_config 101 cores=2"], "True Reachable"]);
  });

  test("an API that is down when a guest changes is noticed with that guest, and both are well when it is back", async () => {
    const { agent } = await onHost();
    agent.proxmox.isDown = faults.unreachable();
    await agent.run(5_000);
    expect(agent.host("ProxmoxReachable")).toBe("True Reachable");
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(260);
    expect([agent.host("ProxmoxReachable"), agent.condition(101, "Synced")]).toEqual(["False Unreachable", "Unknown Unreadable"]);
    agent.proxmox.heal();
    await agent.run(1_000);
    expect([agent.host("ProxmoxReachable"), agent.acts()]).toEqual(["True Reachable", ["set_config 101 cores=2"]]);
  });

  test("an API that is down and not needed is noticed at the next full read and said to be back by itself", async () => {
    const { agent } = await onHost();
    agent.proxmox.isDown = faults.unreachable();
    await agent.run(61_000);
    expect(agent.host("ProxmoxReachable")).toBe("False Unreachable");
    agent.proxmox.heal();
    await agent.run(500);
    expect(agent.host("ProxmoxReachable")).toBe("True Reachable");
  });

  test("a guest on another node is known from the host's list alone", async () => {
    const { agent } = await onHost();
    agent.proxmox.guest(101).node = "pve2";
    await agent.run(1_000);
    expect([agent.condition(101, "Synced"), agent.proxmox.callCount("locateGuests")]).toEqual(["Unknown OnOtherNode", 0]);
  });
});

describe("files that cannot be used", () => {
  const rows: readonly (readonly [string, HostProblem])[] = [
    ["the list of guests", unusable("/etc/pve/.vmlist")],
    ["the counters", unusable("/etc/pve/.version", "malformed")],
    ["what runs (QEMU)", unusable("/run/qemu-server")],
    ["what runs (LXC)", unusable("/sys/fs/cgroup/lxc")],
    ["the tasks at work", unusable("/var/log/pve/tasks/active")],
  ];
  test.each(rows)("%s: the API is asked instead, once said, and the files are used again when they can be", async (_, problem) => {
    const { agent, watcher, log } = await onHost();
    watcher.problems = [problem];
    await agent.run(2_000);
    const asked = agent.proxmox.callCount("listGuests");
    expect(asked).toBeGreaterThan(4);
    agent.proxmox.power(102, "stopped");
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(2_000);
    expect([...agent.acts()].sort()).toEqual(["set_config 101 cores=2", "start 102"]);
    watcher.problems = [];
    await agent.run(1_000);
    const settled = agent.proxmox.callCount();
    await agent.run(30_000);
    expect(agent.proxmox.callCount()).toBe(settled);
    expect(log.lines.map((line) => line.level)).toEqual(["warn", "info"]);
  });

  const tolerated: readonly (readonly [string, HostProblem])[] = [
    ["datacenter.cfg", unusable("/etc/pve/datacenter.cfg")],
    ["the HA resources", unusable("/etc/pve/ha/resources.cfg")],
    ["a task list caught half-written", unusable("/var/log/pve/tasks/active", "malformed")],
  ];
  test.each(tolerated)("%s alone is no reason to ask the API for all of it", async (_, problem) => {
    const { agent, watcher } = await onHost();
    watcher.problems = [problem];
    const before = agent.proxmox.callCount();
    await agent.run(20_000);
    expect(agent.proxmox.callCount()).toBe(before);
  });

  test("a tag style or HA set that the files do not tell is asked of the API", async () => {
    const { agent, watcher } = await onHost();
    watcher.tagStyle = null;
    watcher.haResources = null;
    agent.proxmox.tagStyleSeen = { isOrdered: true, isCaseSensitive: false };
    agent.proxmox.haResourcesSeen = [{ kind: "qemu", vmid: 102, state: "stopped" }];
    await agent.run(61_000);
    agent.proxmox.power(102, "stopped");
    await agent.run(1_000);
    // status/current has the last word on HA, and it says unmanaged here.
    expect(agent.acts()).toEqual(["start 102"]);
    agent.proxmox.edit(101, { tags: "b;a" });
    agent.desired.declare([{ vmid: 101, config: { cores: 2, tags: ["b", "a"] } }, ...DECLARED.slice(1)]);
    agent.proxmox.guest(101).running["tags"] = "b;a";
    await agent.run(1_000);
    expect(agent.acts(101)).toEqual([]);
  });

  test("API and files both unusable: unreachable, nothing is sent, and both come back", async () => {
    const { agent, watcher } = await onHost();
    watcher.problems = [unusable("/etc/pve/.vmlist")];
    agent.proxmox.isDown = faults.unreachable();
    agent.proxmox.power(102, "stopped");
    await agent.run(10_000);
    expect([agent.acts(), agent.host("ProxmoxReachable")]).toEqual([[], "False Unreachable"]);
    watcher.problems = [];
    agent.proxmox.heal();
    await agent.run(1_000);
    expect([agent.acts(), agent.host("ProxmoxReachable")]).toEqual([["start 102"], "True Reachable"]);
  });
});
