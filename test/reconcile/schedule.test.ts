import { describe, expect, test } from "bun:test";
import { pause, resume } from "../../src/control/operator.ts";
import { CONCURRENT_LOOKS_MAX } from "../../src/reconcile/guest-runner.ts";
import { FileHostSource } from "../../src/reconcile/host-file-source.ts";
import { HELD_LOOK_MAX_MS } from "../../src/reconcile/retries.ts";
import { recordingLog } from "../journal/journal-fixture.ts";
import { FakeWatcher } from "../support/fake-watcher.ts";
import { faults } from "../support/proxmox-faults.ts";
import { agentOver, TestAgent, WINDOW_MS, type AgentOptions, type Declared } from "./agent-fixture.ts";

/** Guests that are as declared, on the host, where what happens tells itself; a resync far away. */
async function onHost(guests: readonly Declared[], found: (agent: TestAgent) => void = () => {}, options: AgentOptions = {}): Promise<TestAgent> {
  const agent = new TestAgent({
    guests, ...options, settings: { pollIntervalMs: 250, resyncIntervalMs: 3_600_000, ...options.settings },
    source: (api) => new FileHostSource({ watcher: new FakeWatcher(agent.proxmox), api, log: recordingLog(), node: "pve1" }),
  });
  for (const { vmid } of guests) agent.proxmox.add(vmid, { config: { cores: 2 } });
  found(agent);
  await agent.start();
  return agent.run(2_000);
}

const many = (count: number, declared: Omit<Declared, "vmid"> = { config: { cores: 2 } }): Declared[] => Array.from({ length: count }, (_, index) => ({ vmid: 101 + index, ...declared }));

/** When the guest was read, in milliseconds from `sinceMs`. */
const readsOf = (agent: TestAgent, vmid: number, sinceMs: number): readonly number[] =>
  agent.proxmox.calls.filter((call) => call.method === "readConfig" && call.vmid === vmid && call.atMs > sinceMs).map((call) => call.atMs - sinceMs);

describe("an idle host", () => {
  test("costs nothing for each guest at a poll: no request, no key in the queue", async () => {
    const agent = await onHost(many(200));
    const before = [agent.proxmox.callCount(), agent.results.length];
    await agent.run(60_000);
    expect([agent.proxmox.callCount(), agent.results.length]).toEqual(before);
    expect(agent.engine.queueState()).toEqual({ depth: { wish: 0, event: 0, resync: 0 }, delayed: 0, running: 0, unfinishedSeconds: 0, longestRunningSeconds: 0 });
  });

  test("an edit costs the guest that was edited", async () => {
    const agent = await onHost(many(50));
    const before = agent.clock.monotonic();
    agent.proxmox.edit(120, { tags: "mine" });
    await agent.run(2_000);
    expect(new Set(agent.proxmox.calls.filter((call) => call.atMs > before && call.vmid !== undefined).map((call) => call.vmid))).toEqual(new Set([120]));
  });
});

describe("who is next", () => {
  test("an event overtakes the resync that is under way, and a person's wish both", async () => {
    const guests = many(4 * CONCURRENT_LOOKS_MAX);
    const agent = await onHost(guests);
    const last = 100 + guests.length;
    agent.proxmox.readMs = 1_000;
    agent.engine.requestResync();
    for (let step = 0; step < 100 && agent.engine.queueState().depth.resync === 0; step++) await agent.run(50);
    const startedMs = agent.clock.monotonic();
    agent.proxmox.edit(last, { tags: "mine" });
    await agent.run(300);
    agent.engine.refresh(last - 1);
    await agent.run(10_000);
    const order = agent.proxmox.calls.filter((call) => call.method === "readConfig" && call.atMs > startedMs).map((call) => call.vmid);
    // The first workers were busy with the resync already; of those still to come, these two are the first.
    expect(order.slice(0, 2)).toEqual([last - 1, last]);
    expect(order.length).toBeGreaterThan(2 * CONCURRENT_LOOKS_MAX);
  });

  test("guests that wait for their act's turn keep no worker: an edit of another one is mended meanwhile", async () => {
    const guests = [...many(2 * CONCURRENT_LOOKS_MAX, { state: "running" }), { vmid: 900, config: { cores: 2 } }];
    const agent = await onHost(guests, ({ proxmox }) => void (proxmox.taskMs = () => 60_000), { settings: { maxConcurrentActs: 4, maxConcurrentStarts: 2 } });
    agent.proxmox.edit(900, { cores: 1 });
    await agent.run(1_000);
    expect(agent.acts(900)).toEqual(["set_config 900 cores=2"]);
    expect(agent.acts().filter((what) => what.startsWith("start"))).toHaveLength(2);
  });

  test("what a person asks for before the first full read waits for it", async () => {
    const agent = new TestAgent({ guests: many(2) });
    for (const { vmid } of many(2)) agent.proxmox.add(vmid, { config: { cores: 1 } });
    agent.proxmox.isDown = faults.unreachable();
    await agent.start();
    agent.engine.refresh(101);
    await agent.run(10_000);
    expect([agent.acts(), agent.results]).toEqual([[], []]);
    agent.proxmox.heal();
    await agent.run(2_000);
    expect(agent.acts()).toEqual(["set_config 101 cores=2", "set_config 102 cores=2"]);
  });
});

describe("a guest that waits is looked at when its time has come", () => {
  test("locked: at growing intervals, saying by whom; at once when the lock is taken away", async () => {
    const agent = await onHost([{ vmid: 101, config: { cores: 2 } }]);
    agent.proxmox.lock(101, "backup");
    agent.proxmox.runTask({ type: "vzdump", vmid: 101, user: "root@pam" });
    await agent.run(1_000);
    const sinceMs = agent.clock.monotonic();
    agent.proxmox.edit(101, { cores: 9 });
    await agent.run(300_000);
    const waits = readsOf(agent, 101, sinceMs).map((atMs, index, all) => atMs - (all[index - 1] ?? 0)).slice(1);
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, HELD_LOOK_MAX_MS, HELD_LOOK_MAX_MS, HELD_LOOK_MAX_MS]);
    expect(agent.condition(101, "Held")).toBe("True Locked");
    expect(agent.tracker.guestCondition(101, "Held")?.message).toMatch(/^locked by Proxmox \(backup; running: vzdump by root@pam /);
    agent.proxmox.lock(101, undefined);
    await agent.run(250);
    expect(agent.acts()).toEqual(["set_config 101 cores=2"]);
  });

  test("for somebody else's task: at once when that has ended, and the same for a task over all guests", async () => {
    for (const vmid of [101, undefined]) {
      const agent = await onHost([{ vmid: 101, state: "running" }], (fresh) => fresh.proxmox.power(101, "running"));
      const upid = agent.proxmox.runTask({ type: vmid === undefined ? "startall" : "qmsnapshot", ...(vmid === undefined ? {} : { vmid }) });
      agent.proxmox.power(101, "stopped");
      await agent.run(100_000);
      expect([agent.acts(), agent.condition(101, "Synced")]).toEqual([[], "False Held"]);
      agent.proxmox.endTask(upid);
      await agent.run(500);
      expect(agent.acts()).toEqual(["start 101"]);
    }
  });

  test("for an act without an answer: every ten seconds while the window is open, and at its end to the moment", async () => {
    const agent = await onHost([{ vmid: 101, config: { cores: 2 } }]);
    agent.proxmox.loseAnswer(101, { happens: "never" });
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(500);
    const sentAtMs = agent.proxmox.mutations[0]?.atMs ?? 0;
    // The answer is given up after the request timeout; from then on only time is missing.
    await agent.run(WINDOW_MS + 1_000);
    const [, second] = agent.proxmox.mutations;
    expect((second?.atMs ?? 0) - sentAtMs).toBe(WINDOW_MS);
    expect(readsOf(agent, 101, sentAtMs).length).toBeLessThanOrEqual(6);
  });

  test("for its backoff: to the moment, not at the next poll", async () => {
    const agent = await onHost([{ vmid: 101, state: "running" }], ({ proxmox }) => {
      proxmox.remove(101);
      proxmox.add(101, { startError: "start failed: QEMU exited with code 1" });
    }, { settings: { pollIntervalMs: 60_000 } });
    await agent.run(10_000);
    // At 0, and about 1, 3 and 7 s later, between two polls.
    expect(agent.acts()).toHaveLength(4);
  });

  test("paused with an end: at that end, in sync or not; without one, by the resume alone", async () => {
    const agent = await onHost([{ vmid: 101, config: { cores: 2 } }, { vmid: 102, config: { cores: 2 } }]);
    await pause(agent, { target: 101, reason: "", forMs: 90_100 });
    await pause(agent, { target: 102, reason: "" });
    agent.engine.refresh();
    agent.proxmox.edit(102, { cores: 9 });
    await agent.run(1_000);
    const sinceMs = agent.clock.monotonic();
    await agent.run(89_000);
    expect(readsOf(agent, 101, sinceMs).length + readsOf(agent, 102, sinceMs).length).toBe(0);
    await agent.run(200);
    expect(agent.condition(101, "Paused")).toBe("False NotPaused");
    await resume(agent, 102);
    agent.engine.refresh(102);
    await agent.run(50);
    expect(agent.acts()).toEqual(["set_config 102 cores=2"]);
  });
});

describe("failures of Proxmox that are not the guest's", () => {
  test("while Proxmox cannot be reached no guest asks it anything; back, all are looked at at once", async () => {
    const guests = [{ vmid: 101, config: { cores: 2 } }];
    for (const agent of [await onHost(guests), await agentOver(guests, (proxmox) => void proxmox.add(101, { config: { cores: 2 } }))]) {
      await agent.run(2_000);
      agent.proxmox.isDown = faults.unreachable();
      agent.proxmox.edit(101, { cores: 9 });
      await agent.run(1_000);
      const reads = agent.proxmox.callCount("readConfig");
      await agent.run(600_000);
      expect([agent.proxmox.callCount("readConfig") - reads, agent.host("ProxmoxReachable")]).toEqual([0, "False Unreachable"]);
      agent.proxmox.heal();
      await agent.run(1_500);
      expect(agent.acts()).toEqual(["set_config 101 cores=2"]);
    }
  });

  test("a guest that is not listed here is not called missing while the cluster cannot be asked where it is", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, config: { cores: 2 } }] });
    agent.proxmox.failEvery("locateGuests", faults.other("cluster resources are broken"));
    await agent.start();
    await agent.run(5_000);
    expect(agent.condition(101, "Synced")).toBe("Unknown Unreadable");
    expect(agent.view(101).message).toContain("cluster resources are broken");
    agent.proxmox.heal();
    await agent.run(10_000);
    expect(agent.condition(101, "Synced")).toBe("False Missing");
  });

  test("without quorum nothing is sent: said for the host, held for the guests; both over when it is back", async () => {
    const agent = await onHost([{ vmid: 101, config: { cores: 2 } }, { vmid: 102, state: "running" }], (fresh) => fresh.proxmox.power(102, "running"));
    agent.proxmox.quorum = false;
    agent.engine.requestResync();
    await agent.run(500);
    agent.proxmox.edit(101, { cores: 9 });
    agent.proxmox.power(102, "stopped");
    await agent.run(120_000);
    expect([agent.host("QuorumOk"), agent.condition(101, "Held"), agent.condition(102, "Held"), agent.acts()]).toEqual(["False NoQuorum", "True NoQuorum", "True NoQuorum", []]);
    agent.proxmox.quorum = true;
    await agent.run(6_000);
    expect([agent.host("QuorumOk"), agent.acts()]).toEqual(["True Quorate", ["set_config 101 cores=2", "start 102"]]);
    expect([agent.condition(101, "Synced"), agent.condition(102, "Synced")]).toEqual(["True InSync", "True InSync"]);
  });

  test("quorum lost under a write: the guest is held, not tried again and again, though the cluster's state is not visible", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }], (proxmox) => {
      proxmox.add(101, { config: { cores: 1 } });
      proxmox.quorum = null;
      proxmox.failEvery("mutate", faults.readOnly(), 101);
    });
    await agent.run(60_000);
    expect(agent.acts().length).toBeLessThanOrEqual(8);
    agent.proxmox.heal();
    await agent.run(62_000);
    expect(agent.condition(101, "Synced")).toBe("True InSync");
  });

  test("a start that failed is looked at again before anybody hears of it: it runs, so nothing has failed", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, state: "running" }] });
    agent.proxmox.add(101, { startError: "start failed: got timeout" });
    const mutate = agent.proxmox.mutate.bind(agent.proxmox);
    agent.proxmox.mutate = async (request) => {
      const answer = await mutate(request);
      agent.proxmox.power(101, "running");
      return answer;
    };
    await agent.start();
    await agent.run(10_000);
    expect([agent.acts(), agent.outcomes, agent.condition(101, "Synced")]).toEqual([["start 101"], ["start 101 failed"], "True InSync"]);
    expect(agent.events.filter((event) => event.reason === "ActFailed")).toEqual([]);
  });

  test("a start that HA only queued is observed: not sent again, and over when the guest runs", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, state: "running" }] });
    agent.proxmox.add(101);
    const mutate = agent.proxmox.mutate.bind(agent.proxmox);
    agent.proxmox.mutate = async (request) => {
      // It became HA's between look and act: the task ends well and has only asked the HA manager.
      agent.proxmox.guest(101).ha = { isManaged: true, state: "started" };
      const answer = await mutate(request);
      agent.clock.schedule(300, () => agent.proxmox.power(101, "stopped"));
      agent.clock.schedule(8_000, () => agent.proxmox.power(101, "running"));
      return answer;
    };
    await agent.start();
    await agent.run(6_000);
    expect([agent.acts(), agent.condition(101, "Held")]).toEqual([["start 101"], "True HaManaged"]);
    await agent.run(5_000);
    expect([agent.acts(), agent.condition(101, "Synced")]).toEqual([["start 101"], "True InSync"]);
  });
});
