import { describe, expect, test } from "bun:test";
import { faults } from "../support/proxmox-faults.ts";
import { agentOver, TestAgent, type Declared } from "./agent-fixture.ts";

const downAll = (count: number): Declared[] => Array.from({ length: count }, (_, index) => ({ vmid: 101 + index, state: "stopped" as const }));

async function busy(count: number, taskMs: number, settings = {}): Promise<TestAgent> {
  const agent = await agentOver(downAll(count), (proxmox) => {
    for (const { vmid } of downAll(count)) proxmox.add(vmid, { runState: "running" });
    proxmox.taskMs = () => taskMs;
  }, { settings });
  return agent.run(500);
}

/** Lets time pass until the stop is over; how long that took. */
async function stopped(agent: TestAgent, timeoutMs: number): Promise<number> {
  const startedMs = agent.clock.monotonic();
  let endedMs: number | undefined;
  void agent.engine.stop(timeoutMs).then(() => (endedMs = agent.clock.monotonic()));
  for (let step = 0; step < 2_000 && endedMs === undefined; step++) await agent.run(100);
  if (endedMs === undefined) throw new Error("stop did not end");
  return endedMs - startedMs;
}

describe("stop", () => {
  test("waits for running acts, journals their outcomes, and drops what has not begun", async () => {
    const agent = await busy(8, 5_000);
    expect(agent.acts()).toHaveLength(4);
    const tookMs = await stopped(agent, 60_000);
    // The task's end is noticed at its next poll, at most two seconds later.
    expect(tookMs).toBeLessThanOrEqual(7_100);
    expect(agent.acts()).toHaveLength(4);
    expect(agent.operations()).toEqual([101, 102, 103, 104].map((vmid) => `shutdown ${vmid} succeeded`));
    await agent.run(300_000);
    expect(agent.acts()).toHaveLength(4);
    expect(agent.lanes.depth()).toBe(0);
  });

  test("waits no longer than it was told; what runs on is found by the next life", async () => {
    const agent = await busy(1, 300_000);
    expect(await stopped(agent, 10_000)).toBeLessThanOrEqual(10_100);
    expect(agent.operations()).toEqual(["shutdown 101 task_running"]);
    await agent.lanes.close({ timeoutMs: 0 });
    await agent.journal.close();
    await agent.start();
    await agent.run(310_000);
    expect(agent.operations()).toEqual(["shutdown 101 succeeded"]);
    expect(agent.acts()).toHaveLength(1);
  });

  test("is bounded though a pass hangs on a read", async () => {
    const agent = await busy(1, 100);
    await agent.run(2_000);
    agent.proxmox.listGuests = () => new Promise(() => {});
    await agent.run(2_000);
    expect(await stopped(agent, 3_000)).toBeLessThanOrEqual(3_100);
  });

  test("with nothing to do is over at once, closes the desired source, and leaves no timer behind", async () => {
    const agent = await busy(1, 100);
    await agent.run(2_000);
    expect(await stopped(agent, 60_000)).toBeLessThanOrEqual(100);
    expect([agent.desired.isClosed, agent.clock.pendingTimers()]).toEqual([true, 0]);
  });

  test("in the middle of a guest's list of acts sends none of those that are left", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, config: { cores: 2 }, state: "running" }] });
    agent.proxmox.add(101);
    agent.proxmox.writeMs = 3_000;
    await agent.start();
    await agent.run(1_000);
    await stopped(agent, 60_000);
    expect([agent.acts(), agent.operations()]).toEqual([["set_config 101 cores=2"], ["set_config 101 succeeded"]]);
  });
});

describe("run --once", () => {
  async function once(agent: TestAgent, deadlineMs = 600_000): Promise<number> {
    await agent.open();
    const startedMs = agent.clock.monotonic();
    let endedMs: number | undefined;
    let beats = 0;
    void agent.engine.runOnce(startedMs + deadlineMs, () => void beats++).then(() => (endedMs = agent.clock.monotonic()));
    for (let step = 0; step < 20_000 && endedMs === undefined; step++) await agent.run(50);
    if (endedMs === undefined) throw new Error("the run did not end");
    return endedMs - startedMs;
  }

  function agentWith(guests: readonly Declared[], settings = {}): TestAgent {
    const agent = new TestAgent({ guests, settings });
    for (const { vmid } of guests) agent.proxmox.add(vmid);
    return agent;
  }

  test("does everything there is to do and ends; a second one sends nothing", async () => {
    const agent = agentWith([101, 102, 103, 104, 105].map((vmid) => ({ vmid, config: { cores: 2 }, state: "running" as const })));
    for (const vmid of [103, 105]) agent.proxmox.guest(vmid).running["startup"] = "order=1,up=10";
    await once(agent);
    expect(agent.proxmox.guests().every((guest) => guest.runState === "running" && guest.running["cores"] === 2)).toBe(true);
    const before = agent.acts().length;
    await agent.journal.close();
    await once(agent);
    expect(agent.acts()).toHaveLength(before);
  });

  test("waits for what only needs time, such as an answer that was lost, and not for what needs a person", async () => {
    const lost = agentWith([{ vmid: 101, config: { cores: 2 } }]);
    lost.proxmox.loseAnswer(101, { happens: "never" });
    expect(await once(lost)).toBeGreaterThan(45_000);
    expect(lost.view(101).result).toBe("acted");
    const held = agentWith([{ vmid: 101, config: { cores: 2 } }]);
    held.proxmox.lock(101, "backup");
    expect(await once(held)).toBeLessThan(2_000);
    expect(held.view(101).result).toBe("held");
  });

  test("ends at its deadline", async () => {
    const agent = agentWith([{ vmid: 101, state: "running" }], { taskTimeoutMs: 5_000 });
    agent.proxmox.taskMs = () => Number.POSITIVE_INFINITY;
    expect(await once(agent, 20_000)).toBeLessThan(30_000);
    expect(agent.view(101).result).toBe("settling");
  });

  test("against a Proxmox that is down ends after one try", async () => {
    const agent = agentWith([{ vmid: 101 }]);
    agent.proxmox.isDown = faults.unreachable();
    expect(await once(agent)).toBeLessThan(1_000);
    expect(agent.host("ProxmoxReachable")).toBe("False Unreachable");
  });

  test("asked of a running agent tries a guest that waits out a failure now, and passes never overlap", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }], (proxmox) => {
      proxmox.add(101);
      proxmox.failEvery("mutate", faults.badParameter(), 101);
    });
    await agent.run(600_000);
    agent.proxmox.heal();
    let underWay = 0;
    let most = 0;
    const poll = agent.proxmox.version.bind(agent.proxmox);
    agent.proxmox.readMs = 20;
    agent.proxmox.version = async () => {
      most = Math.max(most, ++underWay);
      const answer = await poll();
      underWay--;
      return answer;
    };
    let isOver = false;
    void Promise.all([1, 2, 3].map(() => agent.engine.runOnce(agent.clock.monotonic() + 10_000))).then(() => (isOver = true));
    await agent.run(20_000);
    expect([isOver, most, agent.proxmox.config(101)["cores"]]).toEqual([true, 1, 2]);
  });
});
