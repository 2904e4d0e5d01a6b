import { describe, expect, test } from "bun:test";
import type { Result } from "../../src/ports/errors.ts";
import type { RestartReport, RestartRequest } from "../../src/reconcile/restart-request.ts";
import { faults } from "../support/proxmox-faults.ts";
import { agentOver, WINDOW_MS, type Declared, type TestAgent } from "./agent-fixture.ts";

/** `agent restart` inside the engine: who is restarted, who is not, how often, and what a crash leaves. */

const DAY_MS = 86_400_000;
const KINDS = ["qemu", "lxc"] as const;

/** A key that a running guest takes at its next start. */
const PENDING = { qemu: "sockets", lxc: "tty" } as const;

/** A running guest with a value that waits for a restart; declared as it will be then. */
function declared(kind: "qemu" | "lxc", more: Partial<Declared> = {}): Declared {
  return { vmid: 101, kind, mode: "enforce", state: undefined, config: { [PENDING[kind]]: 4 }, ...more };
}

async function agentWith(kind: "qemu" | "lxc" = "qemu", more: Partial<Declared> = {}): Promise<TestAgent> {
  return agentOver([declared(kind, more)], (proxmox) => {
    proxmox.add(101, { kind, runState: "running", config: { [PENDING[kind]]: 2 } });
    proxmox.edit(101, { [PENDING[kind]]: 4 });
  });
}

type Asked = Partial<RestartRequest>;

/** Asks, and lets time pass until there is an answer. */
async function asked(agent: TestAgent, more: Asked = {}): Promise<Result<RestartReport>> {
  let result: Result<RestartReport> | undefined;
  const request = { vmid: 101, key: "K", keyLifeMs: 7 * DAY_MS, waitMs: 600_000, ...more };
  void agent.engine.restart(request).then((value) => (result = value));
  for (let steps = 0; steps < 2_000 && result === undefined; steps++) await agent.run(500);
  if (result === undefined) throw new Error("the restart does not end");
  return result;
}

async function reportOf(agent: TestAgent, more: Asked = {}): Promise<RestartReport> {
  const result = await asked(agent, more);
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

async function refusalOf(agent: TestAgent, more: Asked = {}): Promise<string> {
  const result = await asked(agent, more);
  if (result.ok) throw new Error(`not refused: ${result.value.state} ${result.value.message}`);
  return `${result.error.code}: ${result.error.message}`;
}

/** What shuts the guest down, and all of it. */
const firstAct = { qemu: "reboot 101", lxc: "shutdown 101" } as const;
const wholeRestart = { qemu: ["reboot 101"], lxc: ["shutdown 101", "start 101"] } as const;
const isRunning = (agent: TestAgent): boolean => agent.proxmox.guest(101).runState === "running";

describe("a restart", () => {
  for (const kind of KINDS) {
    test(`row O18: of ${kind} applies what is pending, and the condition clears`, async () => {
      const agent = await agentWith(kind);
      expect(agent.condition(101, "RestartPending")).toBe("True PendingValues");
      const report = await reportOf(agent);
      expect(report).toMatchObject({ kind, vmid: 101, state: "succeeded", isRepeat: false, applied: [PENDING[kind]], stillPending: [], message: "it was restarted and runs" });
      await agent.run(1_000);
      expect([agent.acts(), isRunning(agent), agent.condition(101, "RestartPending"), agent.proxmox.violations]).toEqual([[...wholeRestart[kind]], true, "False NothingPending", []]);
      const [operation] = agent.allOperations();
      expect(operation).toMatchObject({ id: report.operation, action: kind === "qemu" ? "reboot" : "shutdown", provenance: "operation", key: "K", state: "succeeded", keyExpiresAt: report.keyExpiresAt });
      expect(agent.journal.facts("restart").size).toBe(0);
    });

    test(`of ${kind} is done once for its key, also after crashes and compactions`, async () => {
      const agent = await agentWith(kind);
      const first = await reportOf(agent);
      for (const between of [async () => {}, () => agent.journal.compact(), () => agent.restart(), async () => void (await agent.journal.compact(), await agent.restart())]) {
        await between();
        await agent.run(2_000);
        expect(await reportOf(agent)).toMatchObject({ state: "succeeded", isRepeat: true, operation: first.operation });
      }
      expect(agent.acts()).toEqual([...wholeRestart[kind]]);
    });
  }

  test("of a VM that nobody declares running is not taken for somebody else's stop: nothing else is sent", async () => {
    const agent = await agentWith("qemu", { state: "running" });
    await reportOf(agent);
    await agent.run(60_000);
    expect(agent.acts()).toEqual(["reboot 101"]);
  });

  test("with nothing pending is done all the same: a person asked for it", async () => {
    const agent = await agentOver([declared("qemu")], (proxmox) => proxmox.add(101, { runState: "running", config: { sockets: 4 } }));
    expect(await reportOf(agent)).toMatchObject({ state: "succeeded", applied: [] });
    expect(agent.acts()).toEqual(["reboot 101"]);
  });

  test("waits behind what runs in the guest's lane, and never overlaps it", async () => {
    const agent = await agentWith();
    agent.desired.declare([declared("qemu", { config: { sockets: 4, description: "new" } })]);
    agent.proxmox.writeMs = 3_000;
    const report = await reportOf(agent);
    expect([report.state, agent.acts().length, agent.proxmox.violations]).toEqual(["succeeded", 2, []]);
  });

  test("that takes longer than is waited for goes on, and the same key tells its end", async () => {
    const agent = await agentWith();
    agent.proxmox.taskMs = () => 20_000;
    const first = await reportOf(agent, { waitMs: 5_000 });
    expect([first.state, first.isRepeat]).toEqual(["running", false]);
    expect(first.message).toContain("ask again with the same key");
    expect(await reportOf(agent)).toMatchObject({ state: "succeeded", isRepeat: true, operation: first.operation });
    expect(agent.acts()).toEqual(["reboot 101"]);
  });

  for (const kind of KINDS) {
    test(`that ${kind} does not follow fails, kills nothing, and gives the key back`, async () => {
      const agent = await agentWith(kind);
      agent.proxmox.guest(101).ignoresShutdown = true;
      const report = await reportOf(agent);
      expect(report).toMatchObject({ state: "failed", stillPending: [PENDING[kind]] });
      expect([isRunning(agent), agent.journal.facts("restart").size]).toEqual([true, 0]);
      agent.proxmox.guest(101).ignoresShutdown = false;
      expect(await reportOf(agent)).toMatchObject({ state: "succeeded", isRepeat: false });
      expect(agent.acts()).toEqual([firstAct[kind], ...wholeRestart[kind]]);
    });
  }

  test("gives the guest its own time to shut down, and never none", async () => {
    const agent = await agentOver([declared("qemu")], (proxmox) => proxmox.add(101, { runState: "running", config: { sockets: 4, startup: "order=1,down=240" } }));
    await reportOf(agent);
    expect(agent.proxmox.mutations.map(({ request }) => request)).toEqual([{ type: "reboot", guest: { kind: "qemu", vmid: 101 }, timeoutSeconds: 240 }]);
  });
});

describe("what is refused, with nothing sent", () => {
  const situations: readonly (readonly [string, Partial<Declared>, (agent: TestAgent) => unknown, string])[] = [
    ["a guest that is not declared", {}, (agent) => agent.desired.declare([]), "control.refused: guest 101 is not declared"],
    ["one that is only observed", { mode: "observe" }, () => {}, "control.refused: guest 101 is declared with mode: observe"],
    ["one that is ignored", { mode: "ignore" }, () => {}, "control.refused: guest 101 is declared with mode: ignore"],
    ["one that is declared stopped", {}, (agent) => {
      agent.proxmox.guest(101).ignoresShutdown = true;
      agent.desired.declare([declared("qemu", { state: "stopped" })]);
    }, "control.refused: guest 101 is declared stopped"],
    ["a locked one", {}, (agent) => agent.proxmox.lock(101, "backup"), "reconcile.held: qemu/101 is held (Locked)"],
    ["one that a person paused", {}, (agent) => agent.journal.putFact("pause", "101", { reason: "hands off", since: "S" }), "reconcile.held: qemu/101 is held (Paused)"],
    ["any while everything is paused", {}, (agent) => agent.journal.putFact("pause", "all", { reason: "", since: "S" }), "reconcile.held: qemu/101 is held (Paused)"],
    ["one whose VM is paused", {}, (agent) => agent.proxmox.power(101, "paused"), "reconcile.held: qemu/101 is held (GuestPaused)"],
    ["one of HA", {}, (agent) => (agent.proxmox.guest(101).ha = { isManaged: true, state: "started" }), "reconcile.held: qemu/101 is held (HaManaged)"],
    ["one on which somebody's task runs", {}, (agent) => agent.proxmox.runTask({ type: "vzdump", vmid: 101 }), "reconcile.held: qemu/101 is held (ForeignTask)"],
    ["any while a task over all guests runs", {}, (agent) => agent.proxmox.runTask({ type: "stopall" }), "reconcile.held: qemu/101 is held (BulkTask)"],
    ["a template", {}, (agent) => (agent.proxmox.guest(101).running["template"] = 1), "control.refused: qemu/101 is a template"],
    ["one that is gone", {}, (agent) => agent.proxmox.remove(101), "control.refused: qemu/101 cannot be read"],
    ["any while Proxmox does not answer", {}, (agent) => agent.proxmox.failEvery("any", faults.unreachable()), "proxmox.unreachable"],
  ];
  for (const [what, declaration, make, message] of situations) {
    test(what, async () => {
      const agent = await agentWith("qemu", declaration);
      await make(agent);
      await agent.run(2_000);
      const before = agent.acts().length;
      expect(await refusalOf(agent)).toContain(message);
      expect([agent.acts().slice(before).filter((act) => act.startsWith("reboot")), agent.journal.keyHolder("K"), agent.journal.facts("restart").size]).toEqual([[], undefined, 0]);
    });
  }

  test("a stopped guest: nothing waits for a restart, it stays off, and the key is not used up", async () => {
    const agent = await agentWith();
    agent.proxmox.power(101, "stopped");
    expect(await reportOf(agent)).toMatchObject({ state: "not_running", operation: "", keyExpiresAt: "" });
    expect([agent.acts(), agent.journal.keyHolder("K")]).toEqual([[], undefined]);
  });

  test("an HA resource that HA ignores is restarted like any other", async () => {
    const agent = await agentWith();
    agent.proxmox.guest(101).ha = { isManaged: true, state: "ignored" };
    expect((await reportOf(agent)).state).toBe("succeeded");
  });

  const keys: readonly (readonly [string, Asked])[] = [
    ["an empty key", { key: "" }], ["a key with a space", { key: "a b" }], ["a key with a line end", { key: "a\n" }], ["a key that begins with a dash", { key: "-a" }],
    ["a key of 129 characters", { key: "k".repeat(129) }], ["a life of a minute", { keyLifeMs: 60_000 }], ["a life of ten years", { keyLifeMs: 3_650 * DAY_MS }],
  ];
  for (const [what, more] of keys) {
    test(what, async () => {
      expect(await refusalOf(await agentWith(), more)).toStartWith("command.usage: expected a key");
    });
  }

  test("a key of 128 characters of every kind is taken", async () => {
    const key = `A9._:@/+-${"k".repeat(119)}`;
    expect(await reportOf(await agentWith(), { key })).toMatchObject({ state: "succeeded", key });
  });

  test("a key that another guest's restart holds", async () => {
    const agent = await agentWith();
    agent.desired.declare([declared("qemu"), { ...declared("qemu"), vmid: 102 }]);
    agent.proxmox.add(102, { runState: "running", config: { sockets: 4 } });
    await agent.run(2_000);
    await reportOf(agent);
    expect(await refusalOf(agent, { vmid: 102 })).toContain('key "K" belongs to another act (reboot of qemu/101');
    expect(agent.acts(102)).toEqual([]);
  });

  test("a key whose guest was destroyed and whose number another guest has", async () => {
    const agent = await agentWith();
    await reportOf(agent);
    agent.proxmox.remove(101);
    agent.proxmox.add(101, { runState: "running", config: { sockets: 4, smbios1: "uuid=eeeeeeee-0000-4000-8000-000000000101" } });
    await agent.run(2_000);
    expect(await refusalOf(agent)).toContain("belongs to another act");
    expect(agent.acts()).toEqual(["reboot 101"]);
  });

  test("an agent that may only look", async () => {
    const agent = await agentOver([declared("qemu")], (proxmox) => proxmox.add(101, { runState: "running", config: { sockets: 4 } }), { settings: { isDryRun: true } });
    expect(await refusalOf(agent)).toContain("dryRun");
  });

  test("any before the first full read", async () => {
    const agent = await agentWith();
    agent.crash();
    agent.proxmox.readMs = 60_000;
    await agent.start();
    expect(await refusalOf(agent, { waitMs: 1 })).toStartWith("reconcile.not_ready");
  });

  const troubles: readonly (readonly [string, (agent: TestAgent) => void])[] = [
    ["unwritable", (agent) => agent.disk.failAt(1, { kind: "read_only", lasts: "for ever" })],
    ["full", (agent) => (agent.disk.capacityBytes = 100)],
  ];
  for (const [state, spoil] of troubles) {
    test(`any while the journal is ${state}, though benign acts may go on`, async () => {
      const agent = await agentWith();
      spoil(agent);
      await agent.run(10_000);
      expect(agent.journal.health().state).not.toBe("healthy");
      expect(await refusalOf(agent)).toStartWith("reconcile.held: a one-shot act needs a healthy journal");
      expect(agent.acts()).toEqual([]);
    });
  }

  test("any whose intent cannot be written just now", async () => {
    const agent = await agentWith();
    agent.disk.failAt(1, { kind: "io", lasts: "once" });
    expect(await refusalOf(agent)).toContain("nothing was sent");
    expect(agent.acts()).toEqual([]);
  });
});

describe("keys", () => {
  test("expire, and then name another restart", async () => {
    const agent = await agentWith();
    await reportOf(agent, { keyLifeMs: 3_600_000 });
    await agent.run(3_500_000);
    expect((await reportOf(agent)).isRepeat).toBe(true);
    await agent.run(200_000);
    expect((await reportOf(agent)).isRepeat).toBe(false);
    expect(agent.acts()).toEqual(["reboot 101", "reboot 101"]);
  });

  test("a restart whose outcome is unknown is not begun again until a person has said what is true", async () => {
    const agent = await agentWith();
    agent.proxmox.taskMs = () => Number.POSITIVE_INFINITY;
    void agent.engine.restart({ vmid: 101, key: "K", keyLifeMs: DAY_MS, waitMs: 600_000 });
    await agent.run(1_000);
    const [mutation] = agent.proxmox.mutations;
    agent.proxmox.forgetTask(mutation?.upid ?? "");
    await agent.restart({ downMs: 60_000 });
    await agent.run(5_000);
    expect(agent.condition(101, "OutcomeUnknown")).toBe("True Unknown");
    const report = await reportOf(agent);
    expect([report.state, report.isRepeat]).toEqual(["unknown", true]);
    expect(report.message).toContain("agent op resolve");
    expect(await refusalOf(agent, { key: "L" })).toContain("agent op resolve");
    expect(agent.acts()).toEqual(["reboot 101"]);
    await agent.journal.apply(report.operation, { type: "fail", by: "person", error: "it was not" });
    agent.proxmox.taskMs = () => 200;
    const violations = agent.proxmox.violations.splice(0);
    expect(violations).toEqual([]);
    expect(await reportOf(agent)).toMatchObject({ state: "succeeded", isRepeat: false });
  });

  test("a lost request is only believed not to have happened where the host's task list reaches back to it", async () => {
    // Tasks of others since; may the token see those; was there a task before; what comes of it.
    for (const [others, quorum, hasEarlier, state] of [[200, true, false, "succeeded"], [200, null, false, "unknown"], [300, true, false, "unknown"], [300, null, true, "succeeded"]] as const) {
      const agent = await agentWith();
      agent.proxmox.quorum = quorum;
      if (hasEarlier) agent.proxmox.endTask(agent.proxmox.runTask({ type: "vzdump", vmid: 555 }));
      await agent.run(10_000);
      agent.proxmox.loseAnswer(101, { happens: "never" });
      const first = await reportOf(agent);
      expect(first.state).toBe("running");
      for (let count = 0; count < others; count++) agent.proxmox.endTask(agent.proxmox.runTask({ type: "vzdump", vmid: 555 }));
      await agent.run(WINDOW_MS);
      expect([others, quorum, (await reportOf(agent)).state, agent.acts().length]).toEqual([others, quorum, state, state === "unknown" ? 1 : 2]);
    }
  });

  test("of a journal that came from a backup are refused unless the person says that the restart is a new one", async () => {
    const agent = await agentWith();
    await agent.journal.recordRestored("an older copy");
    const epochMs = agent.clock.now();
    await agent.run(1_000);
    expect(await refusalOf(agent)).toContain("--issued-at");
    expect(await refusalOf(agent, { issuedAtMs: epochMs - 1 })).toContain("--issued-at");
    expect(await reportOf(agent, { issuedAtMs: epochMs + 1 })).toMatchObject({ state: "succeeded" });
    await agent.run(3_600_000);
    expect(await reportOf(agent, { key: "L", keyLifeMs: 3_600_000 })).toMatchObject({ state: "succeeded" });
  });

  test("are bounded in number", async () => {
    const agent = await agentWith();
    const guest = { kind: "qemu", vmid: 999, identity: {} };
    const keyExpiresAt = new Date(agent.clock.now() + DAY_MS).toISOString();
    await Promise.all(Array.from({ length: 10_000 }, (_, index) => agent.journal.begin({ guest, action: "reboot", params: {}, provenance: "operation", key: `k${index}`, keyExpiresAt })));
    for (const { id } of agent.journal.openOperations()) void agent.journal.apply(id, { type: "succeed", by: "answer" });
    await agent.run(1_000);
    expect(await refusalOf(agent)).toContain("expected fewer than 10000 keys");
  });
});

/** Runs until the guest's n-th mutation arrives (or its task has ended) and kills the agent there. */
describe("a crash", () => {
  type Moment = readonly [string, (agent: TestAgent, kill: () => void) => void];
  const moments: readonly Moment[] = [
    ["before anything is sent", (agent, kill) => {
      agent.proxmox.failNext("mutate", faults.unreachable());
      agent.proxmox.onMutate = kill;
    }],
    ["with the request on its way", (agent, kill) => (agent.proxmox.onMutate = kill)],
    ["with the first task running", (agent, kill) => (agent.proxmox.onMutate = () => void agent.clock.schedule(100, kill))],
    ["right after the first task", (agent, kill) => (agent.proxmox.onMutate = () => void agent.clock.schedule(201, kill))],
    ["while it is being started", (agent, kill) => (agent.proxmox.onMutate = () => void agent.clock.schedule(1_050, kill))],
  ];
  for (const kind of KINDS) {
    for (const state of [undefined, "running"] as const) {
      for (const [when, arrange] of moments) {
        test(`${when} (${kind}, declared ${state ?? "without a state"}): at most one restart, and the guest runs in the end`, async () => {
          const agent = await agentWith(kind, { state });
          let isDead = false;
          arrange(agent, () => {
            if (isDead) return;
            isDead = true;
            agent.crash();
          });
          void agent.engine.restart({ vmid: 101, key: "K", keyLifeMs: DAY_MS, waitMs: 600_000 });
          for (let steps = 0; steps < 100 && !isDead; steps++) await agent.run(50);
          expect(isDead).toBe(true);
          agent.proxmox.onMutate = () => {};
          await agent.start();
          await agent.journal.compact();
          await agent.run(WINDOW_MS + 120_000);
          expect([isRunning(agent), agent.proxmox.violations, agent.journal.facts("restart").size]).toEqual([true, [], 0]);
          const before = agent.acts().filter((act) => act === firstAct[kind]).length;
          expect(before).toBe(1);
          const report = await reportOf(agent);
          const wasSent = when !== "before anything is sent";
          expect([report.state, report.isRepeat]).toEqual(["succeeded", wasSent]);
          expect(agent.acts().filter((act) => act === firstAct[kind]).length).toBe(wasSent ? 1 : 2);
          expect([isRunning(agent), Number(agent.proxmox.config(101)[PENDING[kind]]), agent.proxmox.guest(101).pending.length]).toEqual([true, 4, 0]);
        });
      }
    }
  }

  test("between shutdown and start, with a person's pause in between: it stays off until resumed", async () => {
    const agent = await agentWith("lxc");
    agent.proxmox.onMutate = () => {
      agent.proxmox.onMutate = () => {};
      void agent.clock.schedule(100, () => agent.crash());
    };
    void agent.engine.restart({ vmid: 101, key: "K", keyLifeMs: DAY_MS, waitMs: 600_000 });
    await agent.run(1_000);
    await agent.open();
    await agent.journal.putFact("pause", "101", { reason: "mine", since: "S" });
    agent.engine.start();
    await agent.run(120_000);
    expect([isRunning(agent), agent.acts()]).toEqual([false, ["shutdown 101"]]);
    await agent.journal.putFact("pause", "101", null);
    await agent.run(60_000);
    expect([isRunning(agent), agent.acts()]).toEqual([true, ["shutdown 101", "start 101"]]);
  });
});

describe("a container that does not start again", () => {
  test("is reported, and started as soon as it can be", async () => {
    const agent = await agentWith("lxc");
    agent.proxmox.guest(101).startError = "no space left";
    const report = await reportOf(agent);
    expect(report.state).toBe("failed");
    expect(report.message).toContain("does not start again: no space left");
    expect(await reportOf(agent)).toMatchObject({ state: "failed", isRepeat: true });
    agent.proxmox.guest(101).startError = undefined;
    await agent.run(60_000);
    expect([isRunning(agent), agent.acts().filter((act) => act === "shutdown 101").length]).toEqual([true, 1]);
  });

  test("is left off when it is declared stopped by then", async () => {
    const agent = await agentWith("lxc");
    agent.proxmox.guest(101).startError = "no space left";
    await reportOf(agent);
    agent.desired.declare([declared("lxc", { state: "stopped" })]);
    agent.proxmox.guest(101).startError = undefined;
    await agent.run(60_000);
    expect([isRunning(agent), agent.journal.facts("restart").size]).toEqual([false, 0]);
  });
});

describe("a container that is listed as running for a moment after its shutdown has ended", () => {
  test("is not taken for started, and started when it reads as stopped", async () => {
    const agent = await agentWith("lxc");
    const power = agent.proxmox.power.bind(agent.proxmox);
    agent.proxmox.power = (vmid, runState) => {
      if (runState === "stopped") agent.clock.schedule(2_000, () => power(vmid, runState));
      else power(vmid, runState);
    };
    expect(await reportOf(agent)).toMatchObject({ state: "succeeded", applied: ["tty"] });
    expect([agent.acts(), isRunning(agent)]).toEqual([["shutdown 101", "start 101"], true]);
  });

  test("of which somebody else started it at once is left as it is", async () => {
    const agent = await agentWith("lxc");
    const power = agent.proxmox.power.bind(agent.proxmox);
    agent.proxmox.power = (vmid, runState) => {
      power(vmid, runState);
      power(vmid, "running");
    };
    expect(await reportOf(agent)).toMatchObject({ state: "succeeded" });
    expect([agent.acts(), isRunning(agent)]).toEqual([["shutdown 101"], true]);
  });
});

describe("a VM that the host does not start again", () => {
  test("is started by the agent", async () => {
    const agent = await agentWith();
    agent.proxmox.guest(101).startError = "cleanup holds the lock";
    agent.proxmox.onMutate = (request) => {
      if (request.type === "start") agent.proxmox.guest(101).startError = undefined;
    };
    expect(await reportOf(agent)).toMatchObject({ state: "succeeded", applied: ["sockets"] });
    expect([agent.acts(), isRunning(agent)]).toEqual([["reboot 101", "start 101"], true]);
  });
});

describe("a stop of the agent", () => {
  test("in the middle of a container's restart starts it again before the agent ends", async () => {
    const agent = await agentWith("lxc");
    agent.proxmox.taskMs = () => 5_000;
    void agent.engine.restart({ vmid: 101, key: "K", keyLifeMs: DAY_MS, waitMs: 600_000 });
    await agent.run(2_000);
    const stopped = agent.engine.stop(60_000);
    await agent.run(20_000);
    await stopped;
    expect([isRunning(agent), agent.acts()]).toEqual([true, ["shutdown 101", "start 101"]]);
  });
});

describe("without a loop, as the command does it when no agent runs", () => {
  test("host, desired state and task list are read first", async () => {
    const agent = await agentWith();
    agent.crash();
    await agent.open();
    expect(await reportOf(agent)).toMatchObject({ state: "succeeded" });
    expect(agent.acts()).toEqual(["reboot 101"]);
  });
});
