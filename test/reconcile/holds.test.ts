import { describe, expect, test } from "bun:test";
import { pause, resume } from "../../src/control/operator.ts";
import type { NewGuest } from "../support/fake-guest.ts";
import type { FakeProxmox } from "../support/fake-proxmox.ts";
import { faults } from "../support/proxmox-faults.ts";
import { agentOver, TestAgent, type Declared } from "./agent-fixture.ts";

/** Both its config and its run state differ: shows whether a hold is for power alone. */
const BOTH: Declared = { vmid: 101, state: "running", config: { cores: 2 } };

interface Row {
  readonly hold: string;
  readonly found?: NewGuest;
  readonly stand: (proxmox: FakeProxmox) => void;
  readonly end: (proxmox: FakeProxmox) => void;
  /** What is sent while it stands. */
  readonly during: readonly string[];
  /** What is sent in all, once it is over. */
  readonly after: readonly string[];
}

const CONFIG = "set_config 101 cores=2";
const ALL = [CONFIG, "start 101"];

describe("what stands in the way is respected, reported, and over when it is over (rows O29 and 66)", () => {
  let task = "";
  const rows: readonly Row[] = [
    { hold: "Locked", stand: (proxmox) => proxmox.lock(101, "backup"), end: (proxmox) => proxmox.lock(101, undefined), during: [], after: ALL },
    { hold: "HaManaged", found: { ha: { isManaged: true, state: "started" } }, stand: () => {}, end: (proxmox) => void (proxmox.guest(101).ha = { isManaged: true, state: "ignored" }), during: [CONFIG], after: ALL },
    { hold: "ForeignTask", stand: (proxmox) => void (task = proxmox.runTask({ type: "qmsnapshot", vmid: 101 })), end: (proxmox) => proxmox.endTask(task), during: [CONFIG], after: ALL },
    ...["startall", "stopall", "migrateall", "suspendall"].map((type): Row => ({ hold: "BulkTask", stand: (proxmox) => void (task = proxmox.runTask({ type })), end: (proxmox) => proxmox.endTask(task), during: [CONFIG], after: ALL })),
    { hold: "Template", found: { config: { template: 1 } }, stand: () => {}, end: (proxmox) => void delete proxmox.guest(101).running["template"], during: [CONFIG], after: ALL },
  ];
  test.each(rows)("$hold", async ({ hold, found, stand, end, during, after }) => {
    const agent = new TestAgent({ guests: [BOTH] });
    agent.proxmox.add(101, found ?? {});
    stand(agent.proxmox);
    await agent.start();
    await agent.run(30_000);
    expect(agent.acts()).toEqual([...during]);
    expect(agent.condition(101, "Held")).toBe(`True ${hold}`);
    expect(agent.condition(101, "Synced")).toBe("False Held");
    end(agent.proxmox);
    await agent.run(62_000);
    expect(agent.acts()).toEqual([...after]);
    expect([agent.condition(101, "Held"), agent.condition(101, "Synced")]).toEqual(["False NotHeld", "True InSync"]);
  });

  test("a guest that is paused in QEMU is neither shut down nor called in sync; once it runs again it is shut down (row R3)", async () => {
    const agent = await agentOver([{ vmid: 101, state: "stopped" }], (proxmox) => void proxmox.add(101, { runState: "paused" }));
    await agent.run(30_000);
    expect([agent.acts(), agent.condition(101, "Held"), agent.condition(101, "Synced")]).toEqual([[], "True GuestPaused", "False Held"]);
    expect(agent.tracker.guestCondition(101, "Synced")?.message).toContain("paused");
    agent.proxmox.power(101, "running");
    await agent.run(3_000);
    expect(agent.acts()).toEqual(["shutdown 101"]);
  });

  test("a guest in sync is not held by any of it", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 1 } }], (proxmox) => {
      proxmox.add(101);
      proxmox.lock(101, "backup");
      proxmox.runTask({ type: "vzdump", vmid: 101 });
      proxmox.runTask({ type: "stopall" });
    });
    await agent.run(5_000);
    expect([agent.condition(101, "Held"), agent.condition(101, "Synced")]).toEqual(["False NotHeld", "True InSync"]);
  });

  test("this agent's own task is nobody else's, also when an earlier life of it started it", async () => {
    const agent = await agentOver([{ vmid: 101, state: "running" }], (proxmox) => {
      proxmox.add(101);
      proxmox.taskMs = () => 20_000;
    });
    await agent.run(2_000);
    await agent.restart();
    await agent.run(10_000);
    expect(agent.condition(101, "Held")).toBe("True ActUnsettled");
    await agent.run(30_000);
    expect([agent.acts().length, agent.condition(101, "Synced")]).toEqual([1, "True InSync"]);
  });

  test("a lock that comes between read and write: Proxmox refuses, the guest is held, then done", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, config: { cores: 2 } }] });
    agent.proxmox.add(101);
    agent.proxmox.beforeMutate = () => agent.proxmox.lock(101, "snapshot");
    await agent.start();
    agent.proxmox.beforeMutate = () => {};
    await agent.run(10_000);
    expect(agent.condition(101, "Held")).toBe("True Locked");
    expect(agent.acts()).toHaveLength(1);
    agent.proxmox.lock(101, undefined);
    await agent.run(10_000);
    expect(agent.proxmox.config(101)["cores"]).toBe(2);
  });
});

describe("places and modes", () => {
  const rows: readonly { what: string; declared: Declared; found: (proxmox: FakeProxmox) => void; synced: string }[] = [
    { what: "on another node", declared: BOTH, found: (proxmox) => void proxmox.add(101, { node: "pve2" }), synced: "Unknown OnOtherNode" },
    { what: "missing", declared: BOTH, found: () => {}, synced: "False Missing" },
    { what: "missing, and declared absent", declared: { vmid: 101, state: "absent" }, found: () => {}, synced: "True InSync" },
    { what: "of another kind than declared", declared: BOTH, found: (proxmox) => void proxmox.add(101, { kind: "lxc" }), synced: "Unknown Unreadable" },
    { what: "in mode observe", declared: { ...BOTH, mode: "observe" }, found: (proxmox) => void proxmox.add(101), synced: "False Observing" },
    { what: "in mode observe and as declared", declared: { vmid: 101, mode: "observe" }, found: (proxmox) => void proxmox.add(101), synced: "True Observing" },
    { what: "in mode ignore", declared: { ...BOTH, mode: "ignore" }, found: (proxmox) => void proxmox.add(101), synced: "Unknown Ignored" },
  ];
  test.each(rows)("a guest $what is left alone and shown as such", async ({ declared, found, synced }) => {
    const agent = await agentOver([declared], found);
    await agent.run(130_000);
    expect([agent.acts(), agent.condition(101, "Synced")]).toEqual([[], synced]);
  });

  test("a guest of another kind than declared says what to correct, and it is not asked for under the wrong kind", async () => {
    const agent = await agentOver([BOTH], (proxmox) => void proxmox.add(101, { kind: "lxc" }));
    await agent.run(1_000);
    expect(agent.view(101).message).toBe('declared as qemu/101, found lxc/101: correct "kind" in the desired state');
    expect(agent.proxmox.callCount("readConfig")).toBe(0);
  });

  test("a guest that comes over from another node is kept from then on, one that leaves is left alone (row 84)", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }], (proxmox) => void proxmox.add(101, { node: "pve2" }));
    await agent.run(5_000);
    agent.proxmox.guest(101).node = "pve1";
    await agent.run(3_000);
    expect(agent.acts()).toHaveLength(1);
    agent.proxmox.guest(101).node = "pve2";
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(130_000);
    expect([agent.acts().length, agent.condition(101, "Synced")]).toEqual([1, "Unknown OnOtherNode"]);
  });

  test("a vmid that is declared twice is nobody's; the others are kept; the host says where", async () => {
    const agent = new TestAgent();
    agent.proxmox.add(101);
    agent.proxmox.add(102);
    agent.desired.declare([{ vmid: 102, config: { cores: 2 } }], [{ vmid: 101, positions: [{ file: "a.yaml", line: 3, column: 5 }, { file: "b.yaml", line: 9, column: 5 }] }]);
    await agent.start();
    await agent.run(5_000);
    expect([agent.acts(), agent.host("DesiredStateReady")]).toEqual([["set_config 102 cores=2"], "False Conflicts"]);
    expect(agent.tracker.hostCondition("DesiredStateReady")?.message).toContain("a.yaml:3:5 and b.yaml:9:5");
  });
});

describe("pauses", () => {
  const inSync = async (): Promise<TestAgent> => {
    const agent = await agentOver([101, 102].map((vmid) => ({ vmid, config: { cores: 2 } })), (proxmox) => {
      for (const vmid of [101, 102]) proxmox.add(vmid, { config: { cores: 2 } });
    });
    await agent.run(1_000);
    return agent;
  };
  const breakBoth = (agent: TestAgent): void => [101, 102].forEach((vmid) => agent.proxmox.edit(vmid, { cores: 9 }));

  test("a paused guest is read and reported, and not touched until it is resumed, across a restart too", async () => {
    const agent = await inSync();
    await pause(agent, { target: 101, reason: "backup by hand" });
    agent.engine.refresh();
    breakBoth(agent);
    await agent.run(5_000);
    await agent.restart();
    await agent.run(5_000);
    expect(agent.acts()).toEqual(["set_config 102 cores=2"]);
    expect([agent.condition(101, "Paused"), agent.condition(101, "Held")]).toEqual(["True ByOperator", "True Paused"]);
    expect(agent.tracker.guestCondition(101, "Synced")?.message).toContain("cores 9 → 2");
    await resume(agent, 101);
    agent.engine.refresh();
    await agent.run(1_000);
    expect(agent.acts(101)).toEqual(["set_config 101 cores=2"]);
    expect(agent.condition(101, "Paused")).toBe("False NotPaused");
  });

  test("a pause of all covers all, and a guest's own outlives it", async () => {
    const agent = await inSync();
    await pause(agent, { target: "all", reason: "" });
    await pause(agent, { target: 101, reason: "mine" });
    agent.engine.refresh();
    breakBoth(agent);
    await agent.run(70_000);
    expect(agent.acts()).toEqual([]);
    await resume(agent, "all");
    agent.engine.refresh();
    await agent.run(2_000);
    expect(agent.acts()).toEqual(["set_config 102 cores=2"]);
  });

  test("a pause with an end is over within a poll of it, and in sync guests lose the condition too", async () => {
    const agent = await inSync();
    await pause(agent, { target: 101, reason: "", forMs: 120_000 });
    agent.engine.refresh();
    await agent.run(1_000);
    agent.proxmox.edit(101, { cores: 9 });
    await agent.run(118_000);
    expect(agent.acts()).toEqual([]);
    await agent.run(3_000);
    expect(agent.acts()).toEqual(["set_config 101 cores=2"]);
    expect([agent.engine.pauses(), agent.condition(101, "Paused")]).toEqual([[], "False NotPaused"]);
  });
});

describe("somebody else writes at the same time", () => {
  test("a digest conflict is read and planned again at once, and what they wrote stays (row O30)", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, config: { cores: 2 } }] });
    agent.proxmox.add(101);
    let edits = 2;
    agent.proxmox.beforeMutate = () => {
      if (edits-- > 0) agent.proxmox.edit(101, { tags: `t${edits}` });
    };
    await agent.start();
    await agent.run(900);
    expect(agent.outcomes).toEqual(["set_config 101 conflict", "set_config 101 conflict", "set_config 101 succeeded"]);
    expect(agent.proxmox.config(101)).toMatchObject({ cores: 2, tags: "t0" });
    expect(agent.operations()).toEqual(["set_config 101 failed", "set_config 101 failed", "set_config 101 succeeded"]);
  });

  test("all the time: at most five tries in a row, then it waits longer and longer", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, config: { cores: 2 } }] });
    agent.proxmox.add(101);
    let edits = 0;
    agent.proxmox.beforeMutate = () => agent.proxmox.edit(101, { tags: `t${edits++}` });
    await agent.start();
    // The second try at once, then after 100, 200 and 400 ms.
    await agent.run(50);
    expect(agent.acts()).toHaveLength(2);
    await agent.run(750);
    expect(agent.acts()).toHaveLength(5);
    expect(agent.condition(101, "Synced")).toBe("False ActFailed");
    await agent.run(60_000);
    expect(agent.acts().length).toBeLessThanOrEqual(5 * 7);
    agent.proxmox.beforeMutate = () => {};
    await agent.run(130_000);
    expect(agent.condition(101, "Synced")).toBe("True InSync");
  });

  test("a value that somebody puts back each time is mended each time, one act a change", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }], (proxmox) => void proxmox.add(101, { config: { cores: 2 } }));
    await agent.run(500);
    for (let round = 0; round < 20; round++) {
      agent.proxmox.edit(101, { cores: 1 });
      await agent.run(2_000);
    }
    expect(agent.acts()).toHaveLength(20);
  });

  test("a value that Proxmox takes and does not keep is not sent over and over", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, config: { cores: 2 } }] });
    agent.proxmox.add(101);
    const mutate = agent.proxmox.mutate.bind(agent.proxmox);
    agent.proxmox.mutate = async (request) => {
      const answer = await mutate(request);
      agent.proxmox.edit(101, { cores: 1 });
      return answer;
    };
    await agent.start();
    await agent.run(300_000);
    expect(agent.condition(101, "Synced")).toBe("False ActFailed");
    // 1, 2, 4 … s apart, not once a second.
    expect(agent.acts().length).toBeLessThanOrEqual(10);
  });
});

describe("failures are backed off, guest by guest", () => {
  test("each wait is about twice the one before, up to five minutes, though every poll and resync looks at the guest", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }, { vmid: 102, config: { cores: 2 } }], (proxmox) => {
      proxmox.add(101);
      proxmox.add(102);
      proxmox.failEvery("mutate", faults.other("got no worker upid - start worker failed"), 101);
    });
    await agent.run(3_600_000);
    const times = agent.proxmox.mutations.filter(({ request }) => request.guest.vmid === 101).map(({ atMs }) => atMs);
    const waits = times.slice(1).map((atMs, index) => (atMs - (times[index] ?? 0)) / 1000);
    // Up to a fifth of jitter, and the polls are a second apart.
    waits.forEach((wait, index) => {
      const expected = Math.min(300, 2 ** index);
      expect(wait).toBeGreaterThanOrEqual(expected * 0.8 - 0.001);
      expect(wait).toBeLessThanOrEqual(expected * 1.2 + 2);
    });
    expect(waits.length).toBeGreaterThan(15);
    expect(agent.acts(102)).toHaveLength(1);
    expect(agent.engine.backoffCount()).toBe(1);
  });

  test("a success starts it over", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }], (proxmox) => {
      proxmox.add(101);
      proxmox.failEvery("mutate", faults.other("got no worker upid - start worker failed"), 101);
    });
    await agent.run(60_000);
    agent.proxmox.heal();
    await agent.run(70_000);
    expect([agent.condition(101, "Synced"), agent.engine.backoffCount()]).toEqual(["True InSync", 0]);
    agent.proxmox.failNext("mutate", faults.other("got no worker upid - start worker failed"), 101);
    agent.proxmox.edit(101, { cores: 1 });
    const before = agent.acts().length;
    await agent.run(5_000);
    expect(agent.acts()).toHaveLength(before + 2);
  });

  test("a declaration that was mended is tried at once", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 200 } }], (proxmox) => {
      proxmox.add(101);
      proxmox.failEvery("mutate", faults.badParameter(), 101);
    });
    await agent.run(300_000);
    agent.proxmox.heal();
    agent.desired.declare([{ vmid: 101, config: { cores: 4 } }]);
    await agent.run(1_000);
    expect(agent.acts().at(-1)).toBe("set_config 101 cores=4");
  });

  test("what somebody mended by hand is noticed at once", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }], (proxmox) => {
      proxmox.add(101);
      proxmox.failEvery("mutate", faults.badParameter(), 101);
    });
    await agent.run(300_000);
    agent.proxmox.edit(101, { cores: 2 });
    await agent.run(61_000);
    expect(agent.condition(101, "Synced")).toBe("True InSync");
  });

  test("a guest that does not start is not started once a second", async () => {
    const agent = await agentOver([{ vmid: 101, state: "running" }], (proxmox) => void proxmox.add(101, { startError: "start failed: QEMU exited with code 1" }));
    await agent.run(300_000);
    expect(agent.acts().length).toBeLessThanOrEqual(10);
    expect(agent.condition(101, "Synced")).toBe("False ActFailed");
  });

  test("guests that failed only because Proxmox was down are mended as soon as it is back", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 1 } }], (proxmox) => void proxmox.add(101));
    await agent.run(1_000);
    agent.proxmox.edit(101, { cores: 5 });
    agent.proxmox.isDown = faults.unreachable();
    await agent.run(1_800_000);
    agent.proxmox.heal();
    await agent.run(3_000);
    expect(agent.proxmox.config(101)["cores"]).toBe(1);
  });

  test("a defect in a job is shown as a failure, tried again later, and harms nobody else", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101 }, { vmid: 102, config: { cores: 2 } }] });
    agent.proxmox.add(101);
    agent.proxmox.add(102);
    const read = agent.proxmox.readConfig.bind(agent.proxmox);
    await agent.start();
    await agent.run(1_000);
    agent.proxmox.readConfig = (guest) => {
      if (guest.vmid === 101) throw new Error("a bug");
      return read(guest);
    };
    agent.proxmox.edit(102, { cores: 1 });
    const reads = agent.proxmox.callCount();
    await agent.run(30_000);
    expect(agent.condition(101, "Synced")).toBe("False ActFailed");
    expect(agent.acts(102)).toHaveLength(2);
    expect(agent.log.lines.filter((line) => line.message === "a reconcile failed unexpectedly").length).toBeLessThan(10);
    expect(agent.proxmox.callCount()).toBeGreaterThan(reads);
    agent.proxmox.readConfig = read;
    await agent.run(62_000);
    expect(agent.condition(101, "Synced")).toBe("True InSync");
  });
});
