import { describe, expect, test } from "bun:test";
import type { DesiredProblem } from "../../src/desired/model.ts";
import type { ProxmoxFault } from "../../src/ports/proxmox-api.ts";
import { HostConditions } from "../../src/reconcile/host-conditions.ts";
import { ConditionTracker } from "../../src/conditions/tracker.ts";
import { JOURNAL_STATES_BY_REASON } from "./journal-reasons.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { faults } from "../support/proxmox-faults.ts";
import { agentOver, stateOf, TestAgent } from "./agent-fixture.ts";

const one = (agentSettings = {}): Promise<TestAgent> => agentOver([{ vmid: 101, config: { cores: 2 } }], (proxmox) => void proxmox.add(101), { settings: agentSettings });

describe("Proxmox out of reach", () => {
  const rows: readonly (readonly [string, ProxmoxFault, string])[] = [
    ["nothing listens", faults.unreachable(), "False Unreachable"],
    ["no answer comes", faults.noAnswer(), "False Unreachable"],
    ["the certificate is not the right one", faults.untrusted(), "False Untrusted"],
    ["the token is wrong", faults.unauthenticated(), "False Unauthenticated"],
    ["the token cannot be used at all", faults.tokenUnusable(), "False TokenUnusable"],
    ["the token may not look", faults.forbidden(), "False Forbidden"],
    ["pmxcfs restarts", faults.transient(), "False Failing"],
    ["something else answers", faults.unexpected(), "False Failing"],
  ];
  test.each(rows)("%s: said as such, nothing is sent, and it recovers by itself", async (_, fault, condition) => {
    const agent = await one();
    await agent.run(1_000);
    agent.proxmox.edit(101, { cores: 1 });
    agent.proxmox.isDown = fault;
    const before = agent.acts().length;
    await agent.run(120_000);
    expect([agent.host("ProxmoxReachable"), agent.acts().length]).toEqual([condition, before]);
    expect(agent.tracker.hostCondition("ProxmoxReachable")?.message).toBe(fault.message);
    expect(agent.engine.stalledMs()).toBeLessThanOrEqual(1_000);
    agent.proxmox.heal();
    await agent.run(2_000);
    expect([agent.host("ProxmoxReachable"), agent.proxmox.config(101)["cores"]]).toEqual(["True Reachable", 2]);
  });

  test("a flapping API is one event a flap, not one a request", async () => {
    const agent = await one();
    await agent.run(1_000);
    agent.events.length = 0;
    for (let flap = 0; flap < 5; flap++) {
      agent.proxmox.isDown = faults.unreachable();
      await agent.run(20_000);
      agent.proxmox.heal();
      await agent.run(20_000);
    }
    expect(agent.events.filter((event) => event.type === "ProxmoxReachable").map((event) => event.to)).toEqual(Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? "False" : "True")));
  });

  test.each(["version", "tagStyle", "haResources", "listGuests", "listTasks"] as const)("a host read that fails now and then (%s) loses nothing that was asked for", async (method) => {
    const agent = await one();
    await agent.run(1_000);
    agent.proxmox.edit(101, { cores: 1 });
    const fullReads = agent.proxmox.callCount("hasQuorum");
    agent.proxmox.failNext(method, faults.transient());
    agent.engine.requestResync();
    await agent.run(3_000);
    expect(agent.proxmox.callCount("hasQuorum")).toBe(fullReads + 1);
    expect(agent.proxmox.config(101)["cores"]).toBe(2);
    expect(agent.host("ProxmoxReachable")).toBe("True Reachable");
  });

  test("a pass that throws is a failed pass: the next one goes on", async () => {
    const agent = await one();
    await agent.run(1_000);
    const list = agent.proxmox.listGuests.bind(agent.proxmox);
    agent.proxmox.listGuests = () => {
      throw new Error("a bug");
    };
    await agent.run(5_000);
    expect(agent.log.lines.filter((line) => line.message === "a pass failed unexpectedly").length).toBeGreaterThan(2);
    expect(agent.engine.stalledMs()).toBeLessThanOrEqual(1_000);
    agent.proxmox.listGuests = list;
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(2_000);
    expect(agent.proxmox.config(101)["cores"]).toBe(2);
  });

  test("a wish for a full pass that comes while one is under way is kept for the next", async () => {
    const agent = await one();
    await agent.run(1_000);
    const loads = agent.desired.loads;
    agent.proxmox.readMs = 300;
    agent.engine.requestResync();
    await agent.run(200);
    agent.engine.requestResync();
    await agent.run(5_000);
    expect(agent.desired.loads - loads).toBe(2);
  });
});

describe("quorum", () => {
  test.each([[true, "True Quorate"], [false, "False NoQuorum"], [null, "Unknown NotVisible"]] as const)("as Proxmox tells it (%p): %s", async (quorum, condition) => {
    const agent = new TestAgent({ guests: [] });
    agent.proxmox.quorum = quorum;
    await agent.start();
    expect(agent.host("QuorumOk")).toBe(condition);
  });

  test("lost while writing: said, the write is tried again, and it is back with the next full read", async () => {
    const agent = await one();
    await agent.run(1_000);
    agent.proxmox.edit(101, { cores: 1 });
    agent.proxmox.failNext("mutate", faults.readOnly());
    await agent.run(1_000);
    expect(agent.host("QuorumOk")).toBe("False NoQuorum");
    await agent.run(62_000);
    expect([agent.host("QuorumOk"), agent.proxmox.config(101)["cores"]]).toEqual(["True Quorate", 2]);
  });
});

describe("the desired state", () => {
  const problem = (code: DesiredProblem["code"], message = "a.yaml:1:1: expected a list"): DesiredProblem => ({ code, message });

  test("a bad newest version keeps the last good one in force, says where, and recovers by itself", async () => {
    const agent = await one();
    await agent.run(1_000);
    agent.desired.break(problem("desired.syntax", "guests.yaml:7:3: expected a mapping"));
    await agent.run(1_000);
    expect(agent.host("DesiredStateReady")).toBe("False Invalid");
    expect(agent.tracker.hostCondition("DesiredStateReady")?.message).toBe("guests.yaml:7:3: expected a mapping (the last good state stays in force)");
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(2_000);
    expect(agent.proxmox.config(101)["cores"]).toBe(2);
    agent.desired.declare([{ vmid: 101, config: { cores: 3 } }]);
    await agent.run(1_000);
    expect([agent.host("DesiredStateReady"), agent.proxmox.config(101)["cores"]]).toEqual(["True Loaded", 3]);
  });

  test.each([[["desired.unreadable"], "False Unreadable"], [["desired.unreadable", "desired.syntax"], "False Invalid"], [["desired.empty"], "False Invalid"]] as const)("%p is %s", async (codes, condition) => {
    const agent = new TestAgent();
    agent.desired.break(...codes.map((code) => problem(code)));
    await agent.start();
    expect(agent.host("DesiredStateReady")).toBe(condition);
  });

  test("never good since the start: nothing is managed, the host is not ready, the loop lives", async () => {
    const agent = new TestAgent();
    const load = agent.desired.load.bind(agent.desired);
    agent.desired.load = () => Promise.resolve({ state: undefined, problems: [problem("desired.syntax")] });
    agent.proxmox.add(101);
    await agent.start();
    await agent.run(10_000);
    expect([agent.host("FirstFullReadDone"), agent.engine.generation(), agent.engine.stalledMs() <= 1_000]).toEqual(["Unknown Starting", "", true]);
    agent.desired.load = load;
    agent.desired.declare([{ vmid: 101, config: { cores: 2 } }]);
    await agent.run(1_000);
    expect([agent.host("FirstFullReadDone"), agent.acts().length]).toEqual(["True Done", 1]);
  });

  test("an empty source is ready and touches nothing", async () => {
    const agent = new TestAgent();
    agent.desired.kind = "empty";
    agent.proxmox.add(101, { runState: "running" });
    await agent.start();
    await agent.run(130_000);
    expect([agent.host("DesiredStateReady"), agent.host("FirstFullReadDone"), agent.acts()]).toEqual(["True SourceEmpty", "True Done", []]);
  });

  test("more problems than fit are counted", async () => {
    const tracker = new ConditionTracker(0, () => {});
    const conditions = new HostConditions(tracker, new FakeClock(), () => "");
    conditions.desired("directory", { state: undefined, problems: Array.from({ length: 8 }, (_, index) => problem("desired.schema", `f${index}.yaml:1:1: bad`)) });
    expect(tracker.hostCondition("DesiredStateReady")?.message).toMatch(/f4\.yaml:1:1: bad; and 3 more \(nothing is managed until it is mended\)$/);
  });
});

describe("the journal and the clock", () => {
  test.each(JOURNAL_STATES_BY_REASON)("a journal that is %s is JournalReady %s", (state, condition) => {
    const tracker = new ConditionTracker(0, () => {});
    new HostConditions(tracker, new FakeClock(), () => "").journal({ state, message: "m" });
    const { status, reason } = tracker.hostCondition("JournalReady") ?? { status: "", reason: "" };
    expect(`${status} ${reason}`).toBe(condition);
  });

  test.each([[undefined, "True Sane"], [0, "True Sane"], [119_000, "True Sane"], [121_000, "False BehindJournal"]] as const)("a newest record %p ms ahead of the clock: ClockSane %s", (aheadMs, condition) => {
    const tracker = new ConditionTracker(0, () => {});
    const clock = new FakeClock();
    new HostConditions(tracker, clock, () => "").clock(aheadMs === undefined ? undefined : clock.now() + aheadMs);
    const { status, reason } = tracker.hostCondition("ClockSane") ?? { status: "", reason: "" };
    expect(`${status} ${reason}`).toBe(condition);
  });

  test("a clock set back an hour is said, and guests are kept all the same", async () => {
    const agent = await one();
    await agent.run(1_000);
    agent.clock.jumpWallClock(-3_600_000);
    await agent.run(1_000);
    expect(agent.host("ClockSane")).toBe("False BehindJournal");
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(2_000);
    expect(agent.proxmox.config(101)["cores"]).toBe(2);
  });

  test("conditions carry the revision they were computed from", async () => {
    const agent = await one();
    await agent.run(1_000);
    const { revision } = stateOf([{ vmid: 101, config: { cores: 2 } }]);
    expect([agent.engine.generation(), agent.tracker.guestCondition(101, "Synced")?.observedGeneration]).toEqual([revision, revision]);
  });
});

describe("an engine in the place of another", () => {
  test("drops what the one before said of guests that are no longer declared", async () => {
    const agent = await agentOver([{ vmid: 101 }, { vmid: 102 }], (proxmox) => {
      proxmox.add(101);
      proxmox.add(102);
    });
    await agent.run(1_000);
    await agent.engine.stop(1_000);
    await agent.journal.close();
    agent.desired.declare([{ vmid: 102 }]);
    await agent.start();
    await agent.run(1_000);
    expect(agent.tracker.guests().map(({ guest }) => guest.vmid)).toEqual([102]);
  });
});
