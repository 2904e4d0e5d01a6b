import { describe, expect, test } from "bun:test";
import type { NewGuest } from "../support/fake-guest.ts";
import { faults } from "../support/proxmox-faults.ts";
import { agentOver, TestAgent, type Declared } from "./agent-fixture.ts";

describe("each kind of drift is mended once", () => {
  const NIC = "virtio=BC:24:11:AA:AA:01,bridge=vmbr0,firewall=1";
  const rows: readonly { drift: string; found: NewGuest; declared: Omit<Declared, "vmid">; acts: readonly string[] }[] = [
    { drift: "a number", found: { config: { cores: 1 } }, declared: { config: { cores: 4 } }, acts: ["set_config 101 cores=4"] },
    { drift: "several keys go in one request", found: { config: { cores: 1, memory: "512" } }, declared: { config: { cores: 2, memory: 1024, onboot: true } }, acts: ["set_config 101 cores=2 memory=1024 onboot=1"] },
    { drift: "a key that must be absent", found: { config: { description: "old" } }, declared: { config: { description: null } }, acts: ["set_config 101 -description"] },
    { drift: "tags in another order are none", found: { config: { tags: "a;b" } }, declared: { config: { tags: ["B", "a"] } }, acts: [] },
    { drift: "tags", found: { config: { tags: "a" } }, declared: { config: { tags: ["B", "a"] } }, acts: ["set_config 101 tags=a;b"] },
    { drift: "a description with trailing blanks is none", found: { config: { description: "x" } }, declared: { config: { description: "x \n" } }, acts: [] },
    { drift: "a NIC's bridge, its address kept", found: { config: { net0: NIC } }, declared: { config: { net0: { model: "virtio", bridge: "vmbr1" } } }, acts: ["set_config 101 net0=virtio=BC:24:11:AA:AA:01,bridge=vmbr1,firewall=1"] },
    { drift: "a new NIC is given an address once", found: {}, declared: { config: { net0: { model: "virtio", bridge: "vmbr0" } } }, acts: ["set_config 101 net0=virtio,bridge=vmbr0"] },
    { drift: "run state, up", found: { runState: "stopped" }, declared: { state: "running" }, acts: ["start 101"] },
    { drift: "run state, down", found: { runState: "running" }, declared: { state: "stopped" }, acts: ["shutdown 101"] },
    { drift: "config before run state", found: { runState: "stopped" }, declared: { state: "running", config: { cores: 2 } }, acts: ["set_config 101 cores=2", "start 101"] },
    { drift: "run state that is not managed is left alone", found: { runState: "running" }, declared: { config: {} }, acts: [] },
    { drift: "a container's name", found: { kind: "lxc", config: { hostname: "a" } }, declared: { kind: "lxc", config: { hostname: "b" } }, acts: ["set_config 101 hostname=b"] },
    { drift: "a container's start", found: { kind: "lxc" }, declared: { kind: "lxc", state: "running" }, acts: ["start 101"] },
  ];
  test.each(rows)("$drift", async ({ found, declared, acts }) => {
    const agent = await agentOver([{ vmid: 101, ...declared }], (proxmox) => void proxmox.add(101, found));
    await agent.run(10_000);
    expect(agent.acts()).toEqual([...acts]);
    expect(agent.condition(101, "Synced")).toBe("True InSync");
    expect(agent.operations().every((operation) => operation.endsWith("succeeded"))).toBe(true);
    // A minute later, after a full resync: nothing more was sent.
    await agent.run(70_000);
    expect(agent.acts()).toEqual([...acts]);
    expect(agent.proxmox.violations).toEqual([]);
  });

  test("drift that comes back is mended again, also when the content is what it was before", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }], (proxmox) => void proxmox.add(101, { config: { cores: 2 } }));
    for (let round = 1; round <= 3; round++) {
      agent.proxmox.edit(101, { cores: 1 });
      await agent.run(3_000);
      expect(agent.acts()).toHaveLength(round);
      expect(agent.proxmox.config(101)["cores"]).toBe(2);
    }
  });

  test("a guest that somebody powered off is started again", async () => {
    const agent = await agentOver([{ vmid: 101, state: "running" }], (proxmox) => void proxmox.add(101, { runState: "running" }));
    agent.proxmox.power(101, "stopped");
    await agent.run(2_000);
    expect(agent.acts()).toEqual(["start 101"]);
  });

  test("a run state that flips on its own between look and act is judged by the state of the moment (row O25)", async () => {
    const agent = await agentOver([{ vmid: 101, state: "running" }], (proxmox) => void proxmox.add(101, { runState: "running" }));
    agent.proxmox.power(101, "stopped");
    // Somebody starts it while the agent is about to: status/current says so.
    agent.proxmox.failNext("listTasks", faults.transient());
    agent.proxmox.power(101, "running");
    await agent.run(5_000);
    expect(agent.acts()).toEqual([]);
  });
});

describe("what Proxmox holds back", () => {
  test("is sent once, reported as RestartPending, and applied by the guest's own restart (row O18)", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 4 } }], (proxmox) => void proxmox.add(101, { runState: "running", config: { cores: 1 } }));
    await agent.run(130_000);
    expect(agent.acts()).toEqual(["set_config 101 cores=4"]);
    expect(agent.condition(101, "RestartPending")).toBe("True PendingValues");
    expect(agent.condition(101, "Synced")).toBe("True InSync");
    agent.proxmox.power(101, "stopped");
    await agent.run(2_000);
    expect(agent.condition(101, "RestartPending")).toBe("False NothingPending");
    expect(agent.acts()).toHaveLength(1);
  });

  test("a foreign pending value is overwritten once (row O21)", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 1 } }], (proxmox) =>
      void proxmox.add(101, { runState: "running", config: { cores: 1 }, pending: [{ key: "cores", change: "set", value: 8 }] }));
    await agent.run(70_000);
    expect(agent.acts()).toEqual(["set_config 101 cores=1"]);
    expect(agent.proxmox.guest(101).pending).toEqual([]);
  });
});

describe("what is never sent", () => {
  const SCSI = "local-lvm:vm-101-disk-0,size=32G";
  const rows: readonly { what: string; found: Record<string, string | number>; config: Declared["config"]; reason: string }[] = [
    { what: "a detached disk declared away", found: { unused0: "local-lvm:vm-101-disk-9" }, config: { unused0: null }, reason: "holds_data" },
    { what: "a disk that should be larger", found: { scsi0: SCSI }, config: { scsi0: { storage: "local-lvm", size: "64G" } }, reason: "would_grow" },
    { what: "protection taken away", found: { protection: 1 }, config: { protection: 0 }, reason: "removes_protection" },
    { what: "arguments of QEMU", found: {}, config: { args: "-no-hpet" }, reason: "root_only" },
    { what: "a template flag", found: {}, config: { template: 1 }, reason: "template" },
    { what: "another hardware address", found: { net0: "virtio=BC:24:11:AA:AA:01,bridge=vmbr0" }, config: { net0: "virtio=BC:24:11:AA:AA:02,bridge=vmbr0" }, reason: "hardware_address" },
  ];
  test.each(rows)("$what is deferred ($reason), and the harmless rest is done", async ({ found, config, reason }) => {
    const agent = await agentOver([{ vmid: 101, config: { ...config, onboot: 1 } }], (proxmox) => void proxmox.add(101, { config: found }));
    await agent.run(70_000);
    expect(agent.acts()).toEqual(["set_config 101 onboot=1"]);
    expect(agent.condition(101, "Synced")).toBe("False Deferred");
    expect(agent.view(101).plan?.deferred.map((entry) => entry.reason)).toEqual([reason as never]);
  });

  test.each([["absent", "needs_signature"], ["running", "would_create"]] as const)("a guest declared %s: %s", async (state, reason) => {
    const agent = await agentOver([{ vmid: 101, state }], (proxmox) => void (state === "absent" ? proxmox.add(101) : undefined));
    await agent.run(5_000);
    expect(agent.acts()).toEqual([]);
    expect(agent.view(101).plan?.deferred.map((entry) => entry.reason)).toEqual([reason]);
  });

  test("nothing of a guest that is not declared is read or touched, whatever it is", async () => {
    const agent = await agentOver([{ vmid: 101 }], (proxmox) => {
      proxmox.add(101);
      proxmox.add(999, { runState: "running", config: { cores: 8 } });
    });
    agent.proxmox.edit(999, { tags: "mine" });
    await agent.run(70_000);
    expect(agent.proxmox.callCount("readConfig", 999) + agent.proxmox.callCount("mutate")).toBe(0);
  });

  test("what the gate keeps back is one journal record a change, none a pass", async () => {
    const agent = await agentOver([{ vmid: 101, config: { args: "-x" } }], (proxmox) => void proxmox.add(101));
    await agent.run(5_000);
    const before = agent.journal.appendedCount();
    await agent.run(200_000);
    expect(agent.journal.appendedCount()).toBe(before);
    agent.proxmox.guest(101).running["args"] = "-x";
    await agent.run(2_000);
    expect(agent.journal.appendedCount()).toBe(before + 1);
  });

  test("a guest that cannot be read for a while writes no verdict either", async () => {
    const agent = await agentOver([{ vmid: 101, config: { args: "-x" }, state: "running" }], (proxmox) => void proxmox.add(101, { runState: "running" }));
    await agent.run(5_000);
    agent.proxmox.power(101, "stopped");
    agent.proxmox.failNext("readStatus", faults.other("status is broken"));
    const before = agent.journal.appendedCount();
    await agent.run(1_000);
    expect(agent.condition(101, "Synced")).toBe("Unknown Unreadable");
    expect(agent.journal.appendedCount()).toBe(before);
    // The last plan that was made stays visible.
    expect(agent.view(101).plan?.deferred).toHaveLength(1);
  });
});

describe("before the first full read", () => {
  test("nothing is sent, even when the last guest takes ten seconds to read", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, config: { cores: 2 } }, { vmid: 102 }] });
    agent.proxmox.add(101);
    agent.proxmox.add(102);
    agent.proxmox.readMs = 10_000;
    await agent.start();
    await agent.run(39_000);
    expect(agent.host("FirstFullReadDone")).toBe("Unknown Starting");
    expect(agent.acts()).toEqual([]);
    agent.proxmox.readMs = 0;
    await agent.run(20_000);
    expect(agent.acts()).toEqual(["set_config 101 cores=2"]);
  });

  test("nor when a person resumes a guest meanwhile and the revision was accepted in an earlier life", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }, { vmid: 102 }], (proxmox) => {
      proxmox.add(101);
      proxmox.add(102);
    });
    await agent.run(1_000);
    agent.crash();
    agent.proxmox.edit(101, { cores: 1 });
    const before = agent.acts().length;
    await agent.open();
    const held = Promise.withResolvers<void>();
    const read = agent.proxmox.readConfig.bind(agent.proxmox);
    agent.proxmox.readConfig = async (guest) => {
      if (guest.vmid === 102) await held.promise;
      return read(guest);
    };
    agent.engine.start();
    await agent.run(1_000);
    agent.engine.refresh();
    await agent.run(5_000);
    expect(agent.acts()).toHaveLength(before);
    held.resolve();
    await agent.run(2_000);
    expect(agent.acts()).toHaveLength(before + 1);
  });

  test("nothing is read or sent while Proxmox does not answer, and all is well once it does", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, config: { cores: 2 } }] });
    agent.proxmox.add(101);
    agent.proxmox.isDown = faults.unreachable();
    await agent.start();
    await agent.run(20_000);
    expect([agent.acts().length, agent.proxmox.callCount("readConfig")]).toEqual([0, 0]);
    expect(agent.host("ProxmoxReachable")).toBe("False Unreachable");
    agent.proxmox.heal();
    await agent.run(1_000);
    expect(agent.acts()).toEqual(["set_config 101 cores=2"]);
    expect(agent.host("ProxmoxReachable")).toBe("True Reachable");
  });
});

describe("guests in parallel", () => {
  const many = (count: number, state: Partial<Declared>): Declared[] => Array.from({ length: count }, (_, index) => ({ vmid: 101 + index, ...state }));

  test("at most maxConcurrentActs are acted on at once, and all of them in the end", async () => {
    const agent = await agentOver(many(12, { state: "stopped" }), (proxmox) => {
      for (const { vmid } of many(12, {})) proxmox.add(vmid, { runState: "running" });
      proxmox.taskMs = () => 5_000;
    });
    await agent.run(40_000);
    expect(agent.proxmox.mostAtOnce()).toBe(4);
    expect(agent.proxmox.guests().every((guest) => guest.runState === "stopped")).toBe(true);
    expect(agent.proxmox.violations).toEqual([]);
  });

  test("at most maxConcurrentStarts are started at once, and starts do not keep config writes waiting", async () => {
    const agent = await agentOver([...many(6, { state: "running" }), { vmid: 300, config: { cores: 2 } }], (proxmox) => {
      for (const { vmid } of many(6, {})) proxmox.add(vmid);
      proxmox.add(300);
      proxmox.taskMs = () => 10_000;
    });
    await agent.run(2_000);
    expect(agent.acts(300)).toEqual(["set_config 300 cores=2"]);
    await agent.run(60_000);
    expect(agent.proxmox.mostAtOnce("start")).toBe(2);
    expect(agent.proxmox.guests().filter((guest) => guest.runState === "running")).toHaveLength(6);
  });

  test("a guest whose act hangs keeps nobody else waiting, and takes no second act (row O27)", async () => {
    const agent = await agentOver([{ vmid: 101, state: "stopped" }, { vmid: 102, config: { cores: 2 } }], (proxmox) => {
      proxmox.add(101, { runState: "running" });
      proxmox.add(102);
      proxmox.taskMs = ({ guest }) => (guest.vmid === 101 ? Number.POSITIVE_INFINITY : 100);
    });
    await agent.run(1_000);
    agent.proxmox.edit(102, { cores: 1 });
    agent.proxmox.edit(101, { name: "other" });
    await agent.run(5_000);
    expect(agent.acts(102)).toHaveLength(2);
    expect(agent.acts(101)).toEqual(["shutdown 101"]);
  });

  test("a guest that cannot be read keeps nobody else waiting and gets no act", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }, { vmid: 102, config: { cores: 2 } }], (proxmox) => {
      proxmox.add(101);
      proxmox.add(102);
      proxmox.failEvery("readConfig", faults.other("malformed config"), 101);
    });
    await agent.run(30_000);
    expect(agent.acts()).toEqual(["set_config 102 cores=2"]);
    expect(agent.condition(101, "Synced")).toBe("Unknown Unreadable");
    expect(agent.host("ProxmoxReachable")).toBe("True Reachable");
    agent.proxmox.heal();
    await agent.run(61_000);
    expect(agent.acts(101)).toEqual(["set_config 101 cores=2"]);
  });

  test("a read that never ends on one guest is no reason to leave another alone", async () => {
    const agent = await agentOver([{ vmid: 101 }, { vmid: 102, config: { cores: 1 } }], (proxmox) => {
      proxmox.add(101);
      proxmox.add(102);
    });
    const read = agent.proxmox.readConfig.bind(agent.proxmox);
    agent.proxmox.readConfig = (guest) => (guest.vmid === 101 ? new Promise(() => {}) : read(guest));
    agent.proxmox.edit(102, { cores: 5 });
    await agent.run(3_000);
    expect(agent.acts(102)).toEqual(["set_config 102 cores=1"]);
  });
});

describe("start order", () => {
  const ordered = (startup: string, more: NewGuest = {}): NewGuest => ({ config: { startup }, ...more });

  test("lower orders first, each up delay is kept, guests without an order come last", async () => {
    const agent = await agentOver([101, 102, 103, 104].map((vmid) => ({ vmid, state: "running" as const })), (proxmox) => {
      proxmox.add(101);
      proxmox.add(102, ordered("order=2"));
      proxmox.add(103, ordered("order=1,up=30"));
      proxmox.add(104, ordered("order=2"));
    });
    await agent.run(20_000);
    expect(agent.acts()).toEqual(["start 103"]);
    expect(agent.condition(102, "Held")).toBe("True WaitingForOrder");
    await agent.run(30_000);
    expect(agent.acts()).toEqual(["start 103", "start 102", "start 104", "start 101"]);
    const [first, second] = agent.proxmox.mutations;
    expect((second?.atMs ?? 0) - (first?.endedAtMs ?? 0)).toBeGreaterThanOrEqual(30_000);
  });

  /** Two guests that are to start, the lower number after the higher one. */
  async function backwards(before: (agent: TestAgent) => void, settings = {}): Promise<TestAgent> {
    const agent = new TestAgent({ guests: [101, 102, 103].map((vmid) => ({ vmid, state: "running" as const })), settings });
    [101, 102, 103].forEach((vmid, index) => agent.proxmox.add(vmid, ordered(`order=${3 - index},up=10`)));
    before(agent);
    await agent.start();
    return agent.run(5_000);
  }
  const IN_ORDER = ["start 103", "start 102", "start 101"];

  test("is kept when a task over all guests ends", async () => {
    let task = "";
    const agent = await backwards(({ proxmox }) => void (task = proxmox.runTask({ type: "startall" })));
    agent.proxmox.endTask(task);
    await agent.run(60_000);
    expect(agent.acts()).toEqual(IN_ORDER);
  });

  test("is kept when a held revision is accepted", async () => {
    const agent = await backwards(() => {}, { maxAffectedPercent: 20 });
    expect(agent.acts()).toEqual([]);
    await agent.engine.accept(agent.engine.generation());
    await agent.run(60_000);
    expect(agent.acts()).toEqual(IN_ORDER);
  });

  test("is kept when Proxmox answers again, and when the journal has room again", async () => {
    const down = await backwards(({ proxmox }) => proxmox.failEvery("readConfig", faults.unreachable()));
    down.proxmox.heal();
    const full = await backwards(({ disk }) => void (disk.capacityBytes = 100));
    full.disk.capacityBytes = Number.POSITIVE_INFINITY;
    for (const agent of [down, full]) {
      expect(agent.acts()).toEqual([]);
      await agent.run(60_000);
      expect(agent.acts()).toEqual(IN_ORDER);
    }
  });

  test("is kept when Proxmox had been away while they went down", async () => {
    const agent = await backwards(() => {});
    await agent.run(60_000);
    const before = agent.acts().length;
    for (const vmid of [101, 102, 103]) agent.proxmox.power(vmid, "stopped");
    agent.proxmox.failEvery("readConfig", faults.unreachable());
    await agent.run(20_000);
    agent.proxmox.heal();
    await agent.run(60_000);
    expect(agent.acts().slice(before)).toEqual(IN_ORDER);
  });

  test("is kept when all of them are stopped at once", async () => {
    const agent = await backwards(() => {});
    for (const vmid of [101, 102, 103]) agent.proxmox.power(vmid, "stopped");
    const before = agent.acts().length;
    await agent.run(60_000);
    expect(agent.acts().slice(before)).toEqual(IN_ORDER);
  });

  const troubles: readonly (readonly [string, (proxmox: TestAgent["proxmox"], agent: TestAgent) => void])[] = [
    ["fails to start", (proxmox) => void (proxmox.guest(101).startError = "bridge 'x' does not exist")],
    ["is locked", (proxmox) => proxmox.lock(101, "backup")],
    ["cannot be read", (proxmox) => proxmox.failEvery("readConfig", faults.other("bad"), 101)],
    ["hangs while starting", (proxmox) => void (proxmox.taskMs = ({ guest }) => (guest.vmid === 101 ? Number.POSITIVE_INFINITY : 100))],
    ["lost the answer to its start", (proxmox) => proxmox.loseAnswer(101, { happens: "never" })],
    ["is HA-managed", (proxmox) => void (proxmox.guest(101).ha = { isManaged: true, state: "stopped" })],
  ];
  test.each(troubles)("a guest that %s does not keep those behind it from starting for good", async (_, trouble) => {
    const agent = new TestAgent({ guests: [101, 102].map((vmid) => ({ vmid, state: "running" as const })), settings: { taskTimeoutMs: 20_000 } });
    agent.proxmox.add(101, ordered("order=1"));
    agent.proxmox.add(102, ordered("order=2"));
    trouble(agent.proxmox, agent);
    await agent.start();
    await agent.run(60_000);
    expect(agent.proxmox.guest(102).runState).toBe("running");
    expect(agent.proxmox.violations).toEqual([]);
  });
});

describe("shutdown", () => {
  test("a guest that ignores it is shown as would_hard_stop, asked again a quarter of an hour later, and never forced (row O26)", async () => {
    const agent = await agentOver([{ vmid: 101, state: "stopped" }], (proxmox) => void proxmox.add(101, { runState: "running", ignoresShutdown: true }));
    await agent.run(70_000);
    expect(agent.acts()).toEqual(["shutdown 101"]);
    expect(agent.condition(101, "Synced")).toBe("False Deferred");
    expect(agent.view(101).plan?.deferred[0]?.reason).toBe("would_hard_stop");
    await agent.run(14 * 60_000);
    expect(agent.acts()).toEqual(["shutdown 101"]);
    await agent.run(3 * 60_000);
    expect(agent.acts()).toEqual(["shutdown 101", "shutdown 101"]);
    agent.proxmox.power(101, "stopped");
    await agent.run(60_000);
    expect(agent.condition(101, "Synced")).toBe("True InSync");
  });

  test("a guest that was stopped by hand and runs again is asked again at once", async () => {
    const agent = await agentOver([{ vmid: 101, state: "stopped" }], (proxmox) => void proxmox.add(101, { runState: "running", ignoresShutdown: true }));
    await agent.run(70_000);
    agent.proxmox.power(101, "stopped");
    await agent.run(2_000);
    agent.proxmox.guest(101).ignoresShutdown = false;
    agent.proxmox.power(101, "running");
    await agent.run(3_000);
    expect([agent.acts(), agent.proxmox.guest(101).runState]).toEqual([["shutdown 101", "shutdown 101"], "stopped"]);
  });

  const others = [faults.unreachable(), faults.forbidden(), faults.lockTimeout({ kind: "qemu", vmid: 101 }), faults.transient()];
  test.each(others.map((fault) => [fault.code, fault] as const))("a shutdown that Proxmox did not take (%s) is no guest that ignores it: it is asked again soon", async (_, fault) => {
    const agent = await agentOver([{ vmid: 101, state: "stopped" }], (proxmox) => {
      proxmox.add(101, { runState: "running" });
      proxmox.failNext("mutate", fault);
    });
    await agent.run(10_000);
    expect(agent.acts()).toEqual(["shutdown 101", "shutdown 101"]);
    expect(agent.proxmox.guest(101).runState).toBe("stopped");
  });

  test.each([["startup down=", { startup: "order=1,down=120" }, 120], ["the agent's own timeout", {}, 60]] as const)("waits as long as %s says", async (_, config, seconds) => {
    const agent = await agentOver([{ vmid: 101, state: "stopped" }], (proxmox) => void proxmox.add(101, { runState: "running", config }));
    await agent.run(1_000);
    expect(agent.proxmox.mutations[0]?.request).toMatchObject({ type: "shutdown", timeoutSeconds: seconds });
  });
});

describe("guests that come and go", () => {
  test("a guest removed from the desired state is forgotten and never touched again", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }, { vmid: 102 }], (proxmox) => {
      proxmox.add(101, { config: { cores: 2 } });
      proxmox.add(102);
    });
    agent.desired.declare([{ vmid: 102 }]);
    await agent.run(1_000);
    agent.proxmox.edit(101, { cores: 7 });
    const reads = agent.proxmox.callCount("readConfig", 101);
    await agent.run(130_000);
    expect([agent.acts(), agent.proxmox.callCount("readConfig", 101) - reads, agent.tracker.guest(101)]).toEqual([[], 0, []]);
    expect(agent.engine.guests().map((view) => view.guest.vmid)).toEqual([102]);
  });

  test("a newly declared guest is picked up at once", async () => {
    const agent = await agentOver([{ vmid: 102 }], (proxmox) => {
      proxmox.add(101);
      proxmox.add(102);
    });
    agent.desired.declare([{ vmid: 101, config: { cores: 2 } }, { vmid: 102 }]);
    await agent.run(10);
    expect(agent.acts()).toEqual(["set_config 101 cores=2"]);
  });

  test("a declaration that changed while its guest waited for its turn is the one that is acted on", async () => {
    const agent = await agentOver([{ vmid: 101, state: "stopped" }], (proxmox) => {
      proxmox.add(101, { runState: "running", ignoresShutdown: true });
      proxmox.add(102);
      proxmox.add(103);
    }, { settings: { maxConcurrentActs: 1 } });
    agent.desired.declare([{ vmid: 101, state: "stopped" }, { vmid: 102, config: { cores: 2 } }, { vmid: 103, config: { cores: 2 } }]);
    await agent.run(5_000);
    expect(agent.acts()).toEqual(["shutdown 101"]);
    agent.desired.declare([{ vmid: 101, state: "stopped" }, { vmid: 102, config: { cores: 3 } }]);
    await agent.run(90_000);
    expect(agent.acts(102)).toEqual(["set_config 102 cores=3"]);
    expect(agent.acts(103)).toEqual([]);
  });

  test("a guest paused while it waited for its turn is left alone", async () => {
    const agent = await agentOver([{ vmid: 101, state: "stopped" }], (proxmox) => {
      proxmox.add(101, { runState: "running", ignoresShutdown: true });
      proxmox.add(102);
    }, { settings: { maxConcurrentActs: 1 } });
    agent.desired.declare([{ vmid: 101, state: "stopped" }, { vmid: 102, config: { cores: 2 } }]);
    await agent.run(5_000);
    await agent.journal.putFact("pause", "102", { reason: "mine", since: "2026-01-01T00:00:00.000Z" });
    agent.engine.refresh();
    await agent.run(90_000);
    expect(agent.acts(102)).toEqual([]);
    expect(agent.condition(102, "Paused")).toBe("True ByOperator");
  });
});

describe("a guest that does not stay up", () => {
  test("is started again at once, then with growing patience, and shown as failing meanwhile", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, state: "running" }] });
    agent.proxmox.add(101);
    await agent.start();
    const startsBySecond: number[] = [];
    for (let second = 1; second <= 60; second++) {
      await agent.run(1_000);
      startsBySecond.push(agent.outcomes.filter((outcome) => outcome.startsWith("start 101")).length);
      if (agent.proxmox.guest(101).runState === "running") agent.proxmox.power(101, "stopped");
    }
    expect(startsBySecond.at(-1)).toBeGreaterThanOrEqual(4);
    expect(startsBySecond.at(-1)).toBeLessThanOrEqual(6);
    expect(agent.condition(101, "Synced")).toBe("False ActFailed");
  });
});

test("a value that somebody changes back while the guest is being started is mended, not taken for one that Proxmox ignores", async () => {
  const agent = new TestAgent({ guests: [{ vmid: 101, state: "running", config: { cores: 2 } }] });
  agent.proxmox.add(101, { config: { cores: 1, onboot: 1 } });
  agent.proxmox.beforeMutate = (request) => {
    if (request.type === "start") agent.proxmox.edit(101, { cores: 1 });
  };
  await agent.start();
  await agent.run(3_000);
  expect(agent.acts()).toEqual(["set_config 101 cores=2", "start 101", "set_config 101 cores=2"]);
  expect(agent.condition(101, "Synced")).toBe("True InSync");
});
