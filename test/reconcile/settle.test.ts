import { describe, expect, test } from "bun:test";
import { resolveOperation } from "../../src/control/operator.ts";
import { AGENT_USER } from "../support/fake-proxmox.ts";
import { faults } from "../support/proxmox-faults.ts";
import { agentOver, TestAgent, WINDOW_MS, type Declared } from "./agent-fixture.ts";

const CORES: Declared = { vmid: 101, config: { cores: 2 } };
const UP: Declared = { vmid: 101, state: "running" };

/** Declared, found otherwise, and the answer to the mending act is lost. */
async function lostOver(declared: Declared, happens: "never" | "before" | "late", options: { settings?: object; lateMs?: number } = {}): Promise<TestAgent> {
  const agent = new TestAgent({ guests: [declared, { vmid: 102, config: { cores: 1 } }], settings: options.settings ?? {} });
  agent.proxmox.add(101);
  agent.proxmox.add(102);
  agent.proxmox.loseAnswer(101, { happens, ...(options.lateMs === undefined ? {} : { lateMs: options.lateMs }) });
  return agent.start();
}

describe("a config write whose answer is lost (row O40)", () => {
  const LATE_MS = 36_000;
  const rows = [
    { happens: "never", observed: "failed", acts: 2 },
    { happens: "before", observed: "succeeded", acts: 1 },
    { happens: "late", observed: "succeeded", acts: 1 },
  ] as const;
  test.each(rows)("and that happens $happens: $observed by observation, $acts request(s), only after the window", async ({ happens, observed, acts }) => {
    const agent = await lostOver(CORES, happens, { lateMs: LATE_MS });
    await agent.run(WINDOW_MS - 1_500);
    expect(agent.acts(101)).toHaveLength(1);
    expect(agent.operations()).toEqual(["set_config 101 started"]);
    expect([agent.condition(101, "OutcomeUnknown"), agent.condition(101, "Held")]).toEqual(["Unknown Settling", "True ActUnsettled"]);
    await agent.run(3_500);
    const first = agent.allOperations()[0];
    expect([first?.state, first?.outcomeBy]).toEqual([observed, "observation"]);
    expect(agent.acts(101)).toHaveLength(acts);
    expect(agent.proxmox.config(101)["cores"]).toBe(2);
    expect(agent.condition(101, "OutcomeUnknown")).toBe("False AllKnown");
    expect(agent.proxmox.violations).toEqual([]);
  });

  test("keeps nobody else waiting meanwhile", async () => {
    const agent = await lostOver(CORES, "never");
    agent.proxmox.edit(102, { cores: 9 });
    await agent.run(3_000);
    expect(agent.acts(102)).toEqual(["set_config 102 cores=1"]);
  });

  test("is not sent again within the window though the wall clock is set forward meanwhile", async () => {
    const agent = await lostOver(CORES, "late", { lateMs: 40_000 });
    await agent.run(10_000);
    agent.clock.jumpWallClock(3_600_000);
    await agent.run(30_500);
    expect(agent.acts(101)).toHaveLength(1);
    await agent.run(10_000);
    expect(agent.operations()).toEqual(["set_config 101 succeeded"]);
    expect(agent.proxmox.violations).toEqual([]);
  });

  test("is settled in time though the wall clock is set back meanwhile", async () => {
    const agent = await lostOver(CORES, "before");
    await agent.run(10_000);
    agent.clock.jumpWallClock(-3_600_000);
    await agent.run(WINDOW_MS);
    expect(agent.operations()).toEqual(["set_config 101 succeeded"]);
    expect(agent.events.filter((event) => event.type === "ClockSane").map((event) => event.reason)).toEqual(["Sane", "BehindJournal", "Sane"]);
  });

  test("stays open while the guest cannot be read, and is settled once it can", async () => {
    const agent = await lostOver(CORES, "before");
    await agent.run(40_000);
    agent.proxmox.failEvery("readConfig", faults.other("bad"), 101);
    await agent.run(60_000);
    expect(agent.operations()).toEqual(["set_config 101 started"]);
    agent.proxmox.heal();
    await agent.run(5_000);
    expect(agent.operations()).toEqual(["set_config 101 succeeded"]);
  });

  test("says that it cannot know when the guest has gone to another node meanwhile", async () => {
    const agent = await lostOver(CORES, "before");
    await agent.run(40_000);
    agent.proxmox.guest(101).node = "pve2";
    await agent.run(30_000);
    expect(agent.operations()).toEqual(["set_config 101 unknown"]);
    expect(agent.condition(101, "OutcomeUnknown")).toBe("True Unknown");
  });

  test("is not given up while the cluster's list still has the guest here: it lags behind a move", async () => {
    const agent = await lostOver(CORES, "before");
    await agent.run(40_000);
    const locate = agent.proxmox.locateGuests.bind(agent.proxmox);
    agent.proxmox.locateGuests = () => Promise.resolve({ ok: true, value: [{ kind: "qemu", vmid: 101, node: "pve1" }] });
    agent.proxmox.guest(101).node = "pve2";
    await agent.run(20_000);
    expect(agent.operations()).toEqual(["set_config 101 started"]);
    agent.proxmox.locateGuests = locate;
    await agent.run(3_000);
    expect(agent.operations()).toEqual(["set_config 101 unknown"]);
  });

  test("has failed when the guest is gone, or its number is another guest's now (row O32)", async () => {
    for (const reuse of [false, true]) {
      const agent = await lostOver(CORES, "before");
      await agent.run(40_000);
      agent.proxmox.remove(101);
      if (reuse) agent.proxmox.add(101, { config: { smbios1: "uuid=ffffffff-0000-4000-8000-000000000001", cores: 2 } });
      await agent.run(10_000);
      expect(agent.operations()).toEqual(["set_config 101 failed"]);
      expect(agent.allOperations()[0]?.detail).toContain("no longer exists");
    }
  });
});

describe("a start whose answer is lost", () => {
  test("is known by the one task that fits, however long that runs (row O41)", async () => {
    const agent = new TestAgent({ guests: [UP] });
    agent.proxmox.add(101);
    agent.proxmox.taskMs = () => 120_000;
    agent.proxmox.loseAnswer(101, { happens: "before" });
    await agent.start();
    await agent.run(100_000);
    expect(agent.operations()).toEqual(["start 101 task_running"]);
    await agent.run(30_000);
    expect(agent.operations()).toEqual(["start 101 succeeded"]);
    expect(agent.allOperations()[0]?.outcomeBy).toBe("answer");
    expect(agent.acts()).toEqual(["start 101"]);
  });

  test("that never happened has failed after the window and is sent again", async () => {
    const agent = await lostOver(UP, "never");
    await agent.run(WINDOW_MS + 3_000);
    expect(agent.operations()).toEqual(["start 101 failed", "start 101 succeeded"]);
  });

  test("that happens late is found by its task", async () => {
    const agent = await lostOver(UP, "late", { lateMs: 38_000 });
    await agent.run(WINDOW_MS + 3_000);
    expect(agent.operations()).toEqual(["start 101 succeeded"]);
    expect(agent.acts(101)).toHaveLength(1);
    expect(agent.proxmox.violations).toEqual([]);
  });

  test("with two tasks that fit stays unknown, says so, and takes no act until a person closes it", async () => {
    const agent = await lostOver(UP, "before");
    await agent.run(1_000);
    agent.proxmox.power(101, "stopped");
    agent.proxmox.endTask(agent.proxmox.runTask({ type: "qmstart", vmid: 101, user: AGENT_USER }), "start failed");
    await agent.run(WINDOW_MS + 60_000);
    expect(agent.operations()).toEqual(["start 101 unknown"]);
    expect([agent.condition(101, "OutcomeUnknown"), agent.condition(101, "Held")]).toEqual(["True Unknown", "True ActUnsettled"]);
    expect(agent.tracker.guestCondition(101, "OutcomeUnknown")?.message).toContain("agent op resolve");
    expect(agent.acts(101)).toHaveLength(1);
    const [open] = agent.journal.openOperations();
    const resolved = await resolveOperation(agent, open?.id ?? "", "failed", "it is off, I looked");
    expect(resolved.ok).toBe(true);
    agent.engine.refresh();
    await agent.run(2_000);
    expect(agent.acts(101)).toHaveLength(2);
    expect(agent.condition(101, "OutcomeUnknown")).toBe("False AllKnown");
  });

  test("an unknown act that turns out to be there is settled by looking, without a person", async () => {
    const agent = await lostOver(UP, "before");
    await agent.run(1_000);
    agent.proxmox.power(101, "stopped");
    agent.proxmox.endTask(agent.proxmox.runTask({ type: "qmstart", vmid: 101, user: AGENT_USER }), "start failed");
    await agent.run(WINDOW_MS + 10_000);
    agent.proxmox.power(101, "running");
    await agent.run(62_000);
    expect(agent.operations()).toEqual(["start 101 succeeded"]);
  });

  test.each([
    ["somebody else's", { user: "root@pam" }],
    ["one of before", { user: AGENT_USER, startedAtMs: Date.UTC(2025, 11, 31) }],
    ["another kind of work", { user: AGENT_USER, type: "qmreboot" }],
  ] as const)("is not mistaken for %s task", async (_, task) => {
    const agent = await lostOver(UP, "never");
    const other = agent.proxmox.runTask({ type: "qmstart", vmid: 101, ...task });
    agent.proxmox.endTask(other);
    await agent.run(WINDOW_MS + 3_000);
    expect(agent.operations()).toEqual(["start 101 failed", "start 101 succeeded"]);
  });

  test("is not mistaken for the task of this agent's own act a moment before", async () => {
    const agent = await agentOver([UP], (proxmox) => {
      proxmox.add(101);
      proxmox.taskMs = () => 100;
    });
    await agent.run(600);
    expect(agent.operations()).toEqual(["start 101 succeeded"]);
    agent.proxmox.power(101, "stopped");
    agent.proxmox.loseAnswer(101, { happens: "never" });
    agent.engine.requestResync();
    await agent.run(400);
    expect(agent.acts()).toHaveLength(2);
    await agent.run(WINDOW_MS + 3_000);
    expect(agent.operations()).toEqual(["start 101 succeeded", "start 101 failed", "start 101 succeeded"]);
    expect(agent.proxmox.guest(101).runState).toBe("running");
  });

  test("waits while the task list cannot be read", async () => {
    const agent = await lostOver(UP, "before");
    const list = agent.proxmox.listTasks.bind(agent.proxmox);
    agent.proxmox.listTasks = (query) => (query.vmid === undefined ? list(query) : Promise.resolve({ ok: false, error: faults.forbidden() }));
    await agent.run(WINDOW_MS + 20_000);
    expect(agent.operations()).toEqual(["start 101 started"]);
    agent.proxmox.listTasks = list;
    await agent.run(3_000);
    expect(agent.operations()).toEqual(["start 101 succeeded"]);
  });
});

describe("a task that runs on", () => {
  test("past the task timeout keeps its guest closed until it ends, then its end is what counts", async () => {
    const agent = await agentOver([{ ...UP, config: { onboot: 1 } }], (proxmox) => {
      proxmox.add(101, { config: { onboot: 1 } });
      proxmox.taskMs = () => Number.POSITIVE_INFINITY;
    }, { settings: { taskTimeoutMs: 30_000 } });
    await agent.run(31_000);
    agent.proxmox.edit(101, { onboot: 0 });
    await agent.run(600_000);
    expect(agent.acts()).toEqual(["start 101"]);
    expect(agent.condition(101, "OutcomeUnknown")).toBe("Unknown Settling");
    const upid = agent.proxmox.mutations[0]?.upid ?? "";
    agent.proxmox.taskMs = () => 100;
    agent.proxmox.endTask(upid, "start failed: QEMU exited with code 1");
    await agent.run(5_000);
    expect(agent.operations()[0]).toBe("start 101 failed");
    expect(agent.acts().slice(1)).toEqual(["set_config 101 onboot=1", "start 101"]);
    expect(agent.proxmox.violations).toEqual([]);
  });

  const exits = [
    ["OK", "start 101 succeeded"],
    ["WARNINGS: 2", "start 101 succeeded"],
    ["unexpected status", "start 101 unknown"],
    ["received interrupt", "start 101 failed"],
  ] as const;
  test.each(exits)("that ends with %p is %p", async (exit, operation) => {
    const agent = await agentOver([UP], (proxmox) => {
      proxmox.add(101);
      proxmox.taskMs = () => Number.POSITIVE_INFINITY;
    });
    await agent.run(500);
    agent.proxmox.power(101, exit.startsWith("WARN") ? "running" : "stopped");
    agent.proxmox.endTask(agent.proxmox.mutations[0]?.upid ?? "", exit);
    await agent.run(900);
    expect(agent.operations()[0]).toBe(operation);
  });

  test("that Proxmox forgets: what is there settles it, what is not leaves it unknown", async () => {
    for (const isThere of [true, false]) {
      const agent = await agentOver([UP], (proxmox) => {
        proxmox.add(101);
        proxmox.taskMs = () => Number.POSITIVE_INFINITY;
      }, { settings: { taskTimeoutMs: 5_000 } });
      await agent.run(6_000);
      agent.proxmox.power(101, isThere ? "running" : "stopped");
      agent.proxmox.forgetTask(agent.proxmox.mutations[0]?.upid ?? "");
      await agent.run(3_000);
      expect(agent.operations()).toEqual([isThere ? "start 101 succeeded" : "start 101 unknown"]);
      expect(agent.acts()).toHaveLength(1);
    }
  });

  test("and cannot be read is waited for, not repeated", async () => {
    const agent = await agentOver([UP], (proxmox) => {
      proxmox.add(101);
      proxmox.taskMs = () => 30_000;
    });
    await agent.run(500);
    agent.proxmox.failEvery("taskState", faults.forbidden());
    await agent.run(60_000);
    expect([agent.acts(), agent.operations()]).toEqual([["start 101"], ["start 101 task_running"]]);
    agent.proxmox.heal();
    await agent.run(3_000);
    expect(agent.operations()).toEqual(["start 101 succeeded"]);
  });
});

describe("a crash", () => {
  test("after the intent and before the request: abandoned by observation after the window, then done", async () => {
    const agent = new TestAgent({ guests: [CORES] });
    agent.proxmox.add(101);
    agent.proxmox.onMutate = () => {
      throw new Error("the process dies here");
    };
    await agent.start();
    agent.proxmox.onMutate = () => {};
    await agent.restart({ downMs: 2_000 });
    await agent.run(WINDOW_MS - 5_000);
    expect(agent.acts()).toEqual([]);
    await agent.run(8_000);
    expect(agent.operations()).toEqual(["set_config 101 failed", "set_config 101 succeeded"]);
  });

  const moments = [
    ["while a config write is under way", CORES, 2],
    ["while a start's task runs", UP, 100],
    ["right after a start's answer", UP, 1],
    ["while a shutdown's task runs", { vmid: 101, state: "stopped" } as Declared, 150],
  ] as const;
  test.each(moments)("%s: nothing is repeated, and what happened is found out", async (_, declared, afterMs) => {
    const agent = new TestAgent({ guests: [declared] });
    agent.proxmox.add(101, { runState: declared.state === "stopped" ? "running" : "stopped" });
    await agent.start();
    await agent.run(afterMs);
    await agent.restart({ downMs: 5_000 });
    await agent.run(WINDOW_MS + 5_000);
    expect(agent.acts()).toHaveLength(1);
    expect(agent.operations()[0]).toEndWith("succeeded");
    expect(agent.condition(101, "Synced")).toBe("True InSync");
    expect(agent.proxmox.violations).toEqual([]);
  });

  test.each([0, -3_600_000, 3_600_000])("with the wall clock moved by %p ms over the restart: a late write is not overtaken when the clock stood or went back", async (jumpMs) => {
    const agent = await lostOver(CORES, "late", { lateMs: 39_000 });
    await agent.run(2_000);
    agent.crash();
    agent.clock.jumpWallClock(jumpMs);
    await agent.start();
    await agent.run(120_000);
    expect(agent.proxmox.config(101)["cores"]).toBe(2);
    // A clock set forward over a restart cannot be told from a long downtime; the digest still guards the write.
    if (jumpMs <= 0) expect([agent.acts(101).length, agent.proxmox.violations]).toEqual([1, []]);
  });

  test("during a task that then fails: failed, and tried again", async () => {
    const agent = await agentOver([UP], (proxmox) => {
      proxmox.add(101);
      proxmox.taskMs = () => Number.POSITIVE_INFINITY;
    });
    await agent.run(500);
    agent.proxmox.endTask(agent.proxmox.mutations[0]?.upid ?? "", "start failed");
    agent.crash();
    agent.proxmox.taskMs = () => 100;
    await agent.start();
    await agent.run(3_000);
    expect(agent.operations()).toEqual(["start 101 failed", "start 101 succeeded"]);
  });

  test("again while settling: the window is not begun anew, nothing is repeated", async () => {
    const agent = await lostOver(CORES, "late", { lateMs: 39_000 });
    for (let life = 0; life < 4; life++) await agent.restart({ downMs: 9_000 });
    await agent.run(12_000);
    expect(agent.acts(101)).toHaveLength(1);
    expect(agent.operations()).toEqual(["set_config 101 succeeded"]);
  });

  test("with an unknown act: still unknown, still closed, after any number of restarts", async () => {
    const agent = await lostOver(UP, "before");
    await agent.run(1_000);
    agent.proxmox.power(101, "stopped");
    agent.proxmox.endTask(agent.proxmox.runTask({ type: "qmstart", vmid: 101, user: AGENT_USER }), "start failed");
    await agent.run(WINDOW_MS + 5_000);
    for (let life = 0; life < 3; life++) {
      await agent.restart();
      await agent.run(70_000);
      expect([agent.operations(), agent.acts(101).length]).toEqual([["start 101 unknown"], 1]);
    }
  });

  test("of a guest that is no longer declared afterwards: its act is settled, nothing else is done to it", async () => {
    const agent = await lostOver(CORES, "before");
    await agent.run(100);
    agent.crash();
    agent.desired.declare([{ vmid: 102, config: { cores: 1 } }]);
    agent.proxmox.edit(101, { tags: "x" });
    await agent.start();
    await agent.run(WINDOW_MS + 5_000);
    expect(agent.operations()).toEqual(["set_config 101 succeeded"]);
    expect(agent.acts(101)).toHaveLength(1);
    expect(agent.engine.guests().map((view) => view.guest.vmid)).toEqual([102]);
  });

  test("and then the vmid is another guest's: the old act is closed, the new guest is kept", async () => {
    const agent = await lostOver(UP, "before");
    await agent.run(1_000);
    agent.proxmox.power(101, "stopped");
    agent.proxmox.endTask(agent.proxmox.runTask({ type: "qmstart", vmid: 101, user: AGENT_USER }), "start failed");
    await agent.run(WINDOW_MS + 5_000);
    expect(agent.operations()).toEqual(["start 101 unknown"]);
    agent.crash();
    agent.proxmox.remove(101);
    agent.proxmox.add(101, { config: { smbios1: "uuid=ffffffff-0000-4000-8000-000000000001" } });
    await agent.start();
    await agent.run(5_000);
    expect(agent.operations()).toEqual(["start 101 failed", "start 101 succeeded"]);
  });
});
