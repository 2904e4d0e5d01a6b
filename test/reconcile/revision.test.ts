import { describe, expect, test } from "bun:test";
import { RevisionGate, isDeclaredAlike } from "../../src/reconcile/revision.ts";
import { openOrThrow } from "../journal/journal-fixture.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { faults } from "../support/proxmox-faults.ts";
import { desiredGuest } from "../support/guests.ts";
import { agentOver, stateOf, TestAgent, type Declared } from "./agent-fixture.ts";

const TEN = Array.from({ length: 10 }, (_, index) => 101 + index);
const SETTINGS = { maxAffectedPercent: 20 };

/** Ten guests with two cores; declared with two cores but for the given ones. */
function declared(changes: Readonly<Record<number, Declared["config"]>> = {}): Declared[] {
  return TEN.map((vmid) => ({ vmid, config: changes[vmid] ?? { cores: 2 } }));
}

function changed(count: number, cores = 4): Declared[] {
  return declared(Object.fromEntries(TEN.slice(0, count).map((vmid) => [vmid, { cores }])));
}

async function ten(guests: readonly Declared[], settings: object = {}): Promise<TestAgent> {
  const agent = await agentOver(guests, (proxmox) => {
    for (const vmid of TEN) proxmox.add(vmid, { config: { cores: 2 } });
  }, { settings: { ...SETTINGS, ...settings } });
  return agent.run(2_000);
}

describe("how large a revision may be", () => {
  // 20 % of ten guests are two, and fewer than three are never held.
  test.each([[0, false], [1, false], [2, false], [3, true], [10, true]])("the first revision, changing %p of ten guests: held %p", async (count, isHeld) => {
    const agent = await ten(changed(count));
    expect(agent.host("RevisionHeld")).toBe(isHeld ? "True TooManyAffected" : "False NotHeld");
    expect(agent.acts()).toHaveLength(isHeld ? 0 : count);
    expect(agent.engine.revisionHeld() !== undefined).toBe(isHeld);
  });

  test.each([[2, false], [3, true]])("a later revision, changing %p of ten guests: held %p", async (count, isHeld) => {
    const agent = await ten(declared());
    agent.desired.declare(changed(count));
    await agent.run(130_000);
    expect(agent.acts()).toHaveLength(isHeld ? 0 : count);
    expect(agent.host("RevisionHeld")).toBe(isHeld ? "True TooManyAffected" : "False NotHeld");
  });

  test("what is deferred anyway does not count, what a bulk task withholds does", async () => {
    const deferred = await ten(declared(Object.fromEntries(TEN.map((vmid) => [vmid, { args: "-x" }]))));
    expect(deferred.host("RevisionHeld")).toBe("False NotHeld");
    const agent = new TestAgent({ guests: TEN.map((vmid) => ({ vmid, state: "running" as const })), settings: SETTINGS });
    for (const vmid of TEN) agent.proxmox.add(vmid);
    const task = agent.proxmox.runTask({ type: "startall" });
    await agent.start();
    await agent.run(5_000);
    agent.proxmox.endTask(task);
    await agent.run(70_000);
    expect([agent.acts(), agent.host("RevisionHeld")]).toEqual([[], "True TooManyAffected"]);
  });

  test("drift is no revision: mending ten guests at once needs nobody's word", async () => {
    const agent = await ten(declared());
    for (const vmid of TEN) agent.proxmox.edit(vmid, { cores: 7 });
    await agent.run(5_000);
    expect(agent.acts()).toHaveLength(10);
  });
});

describe("while a revision is held", () => {
  test("guests declared as before are kept, those whose declaration changed are left alone, whatever happens to them", async () => {
    const agent = await ten(declared());
    agent.desired.declare(changed(5));
    await agent.run(2_000);
    for (const vmid of TEN) agent.proxmox.edit(vmid, { cores: 9 });
    await agent.run(130_000);
    expect([...agent.acts()].sort()).toEqual(TEN.slice(5).map((vmid) => `set_config ${vmid} cores=2`));
    expect(agent.condition(101, "Synced")).toBe("False RevisionHeld");
    expect(agent.condition(110, "Synced")).toBe("True InSync");
  });

  test("a guest it leaves alone does not keep others from starting", async () => {
    const up = (cores: (vmid: number) => number): Declared[] => TEN.map((vmid) => ({ vmid, config: { cores: cores(vmid) }, state: "running" as const }));
    const agent = new TestAgent({ guests: up(() => 2), settings: SETTINGS });
    for (const vmid of TEN) agent.proxmox.add(vmid, { runState: "running", config: { cores: 2, startup: `order=${vmid}` } });
    await agent.start();
    agent.desired.declare(up((vmid) => (vmid < 110 ? 4 : 2)));
    await agent.run(2_000);
    expect(agent.host("RevisionHeld")).toBe("True TooManyAffected");
    for (const vmid of [101, 110]) agent.proxmox.power(vmid, "stopped");
    await agent.run(5_000);
    expect(agent.acts()).toEqual(["start 110"]);
  });

  test("going back to what was accepted is in force at once and no longer held", async () => {
    const agent = await ten(declared());
    agent.desired.declare(changed(5));
    await agent.run(2_000);
    expect(agent.host("RevisionHeld")).toBe("True TooManyAffected");
    agent.desired.declare(declared());
    await agent.run(2_000);
    expect(agent.host("RevisionHeld")).toBe("False NotHeld");
    agent.proxmox.edit(101, { cores: 9 });
    await agent.run(2_000);
    expect(agent.acts()).toEqual(["set_config 101 cores=2"]);
  });

  test("guests declared as before are kept also when what was accepted was accepted in an earlier life", async () => {
    const agent = await ten(declared());
    await agent.restart();
    await agent.run(2_000);
    agent.desired.declare(changed(5));
    await agent.run(2_000);
    for (const vmid of TEN) agent.proxmox.edit(vmid, { cores: 9 });
    await agent.run(5_000);
    expect([...agent.acts()].sort()).toEqual(TEN.slice(5).map((vmid) => `set_config ${vmid} cores=2`));
  });

  test("a smaller one in its place is accepted by itself", async () => {
    const agent = await ten(declared());
    agent.desired.declare(changed(5));
    await agent.run(2_000);
    agent.desired.declare(changed(2));
    await agent.run(2_000);
    expect([agent.acts().length, agent.host("RevisionHeld")]).toEqual([2, "False NotHeld"]);
  });

  test("a restart does not let it through", async () => {
    const agent = await ten(declared());
    agent.desired.declare(changed(5));
    await agent.run(2_000);
    for (let life = 0; life < 3; life++) {
      await agent.restart();
      await agent.run(70_000);
      expect([agent.acts(), agent.host("RevisionHeld")]).toEqual([[], "True TooManyAffected"]);
    }
  });

  test("it asks Proxmox no more than any other state does", async () => {
    const agent = await ten(changed(5), { resyncIntervalMs: 3_600_000, pollIntervalMs: 60_000 });
    const before = agent.proxmox.callCount("readConfig");
    await agent.run(600_000);
    // Off the host every guest is re-read once a poll; a survey on top would double that.
    expect(agent.proxmox.callCount("readConfig") - before).toBeLessThanOrEqual(100);
  });
});

describe("what a later revision costs", () => {
  const IDLE = { resyncIntervalMs: 3_600_000, pollIntervalMs: 60_000 };

  test("a guest that is declared anew is judged and mended by itself, at once; the others are not read", async () => {
    const agent = await ten(declared(), IDLE);
    const read = (): number => agent.proxmox.callCount("readConfig");
    const before = read();
    agent.desired.declare(changed(1));
    await agent.run(1_000);
    expect(agent.acts()).toEqual(["set_config 101 cores=4"]);
    // Judged, reconciled, looked at again before the act and after it; and off the host one round of re-reading.
    expect(read() - before).toBeLessThanOrEqual(TEN.length + 4);
  });

  test("only guests that it declares anew count: drift of the others is none of its doing", async () => {
    const agent = await ten(declared(), { ...IDLE, maxConcurrentActs: 1 });
    for (const vmid of TEN.slice(4)) agent.proxmox.edit(vmid, { cores: 8 });
    agent.desired.declare(changed(2));
    await agent.run(10_000);
    expect(agent.host("RevisionHeld")).toBe("False NotHeld");
    expect(agent.acts()).toHaveLength(8);
  });

  test("a guest that was declared anew by a held revision is kept as soon as a smaller one declares the same of it", async () => {
    const agent = await ten(declared(), IDLE);
    agent.desired.declare(changed(5));
    await agent.run(1_000);
    expect(agent.acts()).toEqual([]);
    agent.desired.declare(changed(1));
    await agent.run(1_000);
    expect(agent.acts()).toEqual(["set_config 101 cores=4"]);
  });

  test("a guest that is newly declared and lives on another node is said to be there, not missing", async () => {
    const agent = await ten(declared(), IDLE);
    agent.proxmox.add(150, { config: { cores: 2 }, node: "pve2" });
    agent.desired.declare([...declared(), { vmid: 150, config: { cores: 4 } }]);
    await agent.run(1_000);
    expect(agent.condition(150, "Synced")).toContain("OnOtherNode");
    expect(agent.acts()).toEqual([]);
  });

  test("a desired state that never was usable does not make every poll a full read", async () => {
    const agent = new TestAgent({ settings: { ...SETTINGS, resyncIntervalMs: 3_600_000 } });
    agent.desired.break({ code: "desired.syntax", message: "guests.yaml:7:3: expected a mapping" });
    await agent.start();
    await agent.run(60_000);
    expect(agent.proxmox.callCount("version")).toBeLessThanOrEqual(2);
  });
});

describe("accepting", () => {
  test("by the first eight characters or more; then everything is sent, and a restart remembers it", async () => {
    const agent = await ten(changed(5));
    const { revision } = stateOf(changed(5));
    for (const wrong of ["", revision.slice(0, 7), "0".repeat(12), `${revision}0`]) {
      const refused = await agent.engine.accept(wrong);
      expect(refused.ok ? "ok" : refused.error.code).toBe("control.refused");
    }
    const accepted = await agent.engine.accept(revision.slice(0, 8));
    expect(accepted).toEqual({ ok: true, value: revision });
    expect(agent.host("RevisionHeld")).toBe("False NotHeld");
    await agent.run(2_000);
    expect(agent.acts()).toHaveLength(5);
    for (const vmid of TEN) agent.proxmox.edit(vmid, { cores: 9 });
    await agent.restart();
    await agent.run(5_000);
    expect(agent.host("RevisionHeld")).toBe("False NotHeld");
    expect(agent.acts()).toHaveLength(15);
  });

  test("one that was let through by itself is remembered too", async () => {
    const agent = await ten(changed(2));
    expect(agent.acts()).toHaveLength(2);
    for (const vmid of TEN) agent.proxmox.edit(vmid, { cores: 9 });
    await agent.restart();
    await agent.run(5_000);
    expect(agent.acts()).toHaveLength(12);
  });

  test("while the survey still reads: the person's word stands", async () => {
    const agent = new TestAgent({ guests: changed(5), settings: SETTINGS });
    for (const vmid of TEN) agent.proxmox.add(vmid, { config: { cores: 2 } });
    agent.proxmox.readMs = 2_000;
    await agent.start();
    await agent.run(9_000);
    expect((await agent.engine.accept(stateOf(changed(5)).revision)).ok).toBe(true);
    agent.proxmox.readMs = 0;
    await agent.run(20_000);
    expect([agent.host("RevisionHeld"), agent.acts().length]).toEqual(["False NotHeld", 5]);
  });

  test("without a journal: in force until the process ends, and the answer says that it could not be kept", async () => {
    const agent = new TestAgent({ guests: changed(5), settings: SETTINGS });
    for (const vmid of TEN) agent.proxmox.add(vmid, { config: { cores: 2 } });
    agent.disk = new MemoryFileSystem({ directories: [] });
    await agent.start();
    await agent.run(1_000);
    const accepted = await agent.engine.accept(stateOf(changed(5)).revision);
    expect(accepted.ok ? "ok" : accepted.error.code).toBe("journal.missing");
    await agent.run(500);
    expect([agent.acts().length, agent.host("RevisionHeld")]).toEqual([5, "False NotHeld"]);
  });
});

describe("guests that cannot be read", () => {
  test("count as changed: a revision that nobody can judge is held, and judged again once it can be", async () => {
    const agent = new TestAgent({ guests: changed(2), settings: SETTINGS });
    for (const vmid of TEN) agent.proxmox.add(vmid, { config: { cores: 2 } });
    agent.proxmox.failEvery("readConfig", faults.other("malformed config"));
    await agent.start();
    await agent.run(10_000);
    expect(agent.host("RevisionHeld")).toBe("True TooManyAffected");
    expect(agent.tracker.hostCondition("RevisionHeld")?.message).toContain("10 cannot be read");
    agent.proxmox.heal();
    await agent.run(62_000);
    expect([agent.host("RevisionHeld"), agent.acts().length]).toEqual(["False NotHeld", 2]);
  });

  test("for Proxmox went away in the middle: nothing is judged, the first full read is not done, and it is made good at once", async () => {
    const agent = new TestAgent({ guests: changed(2), settings: SETTINGS });
    for (const vmid of TEN) agent.proxmox.add(vmid, { config: { cores: 2 } });
    agent.proxmox.failEvery("readConfig", faults.unreachable(), 105);
    await agent.start();
    await agent.run(10_000);
    expect([agent.host("RevisionHeld"), agent.host("FirstFullReadDone"), agent.acts()]).toEqual(["Unknown Starting", "Unknown Starting", []]);
    agent.proxmox.heal();
    await agent.run(1_500);
    expect([agent.host("RevisionHeld"), agent.host("FirstFullReadDone"), agent.acts().length]).toEqual(["False NotHeld", "True Done", 2]);
  });

  test("a later revision that cannot be judged for that reason waits, and what was in force is kept", async () => {
    const agent = await ten(declared());
    agent.proxmox.failEvery("readConfig", faults.unreachable(), 102);
    agent.desired.declare(changed(2));
    await agent.run(5_000);
    agent.proxmox.edit(110, { cores: 9 });
    await agent.run(3_000);
    expect(agent.acts()).toEqual(["set_config 110 cores=2"]);
    agent.proxmox.heal();
    await agent.run(3_000);
    expect(agent.acts()).toHaveLength(3);
  });

  test("a revision that is too large without them stays held when they can be read", async () => {
    const agent = new TestAgent({ guests: changed(5), settings: SETTINGS });
    for (const vmid of TEN) agent.proxmox.add(vmid, { config: { cores: 2 } });
    agent.proxmox.failEvery("readConfig", faults.other("bad"), 110);
    await agent.start();
    await agent.run(70_000);
    agent.proxmox.heal();
    await agent.run(130_000);
    expect([agent.host("RevisionHeld"), agent.acts()]).toEqual(["True TooManyAffected", []]);
  });
});

describe("a dry run", () => {
  test("sends nothing, accepts nothing, and shows what would be done", async () => {
    const agent = await ten(changed(2), { isDryRun: true });
    for (const vmid of TEN) agent.proxmox.edit(vmid, { cores: 9 });
    await agent.run(130_000);
    expect([agent.acts(), agent.condition(101, "Synced"), agent.journal.fact("revision", "accepted")]).toEqual([[], "False DryRun", undefined]);
    expect(agent.journal.openOperations()).toEqual([]);
    expect(agent.tracker.guestCondition(101, "Synced")?.message).toContain("cores 9 → 4");
  });

  test("asks Proxmox no more than a run that acts", async () => {
    const agent = await ten(declared(), { isDryRun: true, resyncIntervalMs: 3_600_000, pollIntervalMs: 60_000 });
    const before = agent.proxmox.callCount("readConfig");
    await agent.run(600_000);
    expect(agent.proxmox.callCount("readConfig") - before).toBeLessThanOrEqual(100);
  });
});

describe("the gate itself", () => {
  const base = { vmid: 101, config: { cores: 2, net0: { model: "virtio", bridge: "vmbr0" } } };
  test.each([
    ["reordered keys", { ...base, config: { net0: { bridge: "vmbr0", model: "virtio" }, cores: 2 } }, true],
    ["another place in the files", { ...base, position: { file: "b.yaml", line: 9, column: 1 } }, true],
    ["another value", { ...base, config: { ...base.config, cores: 3 } }, false],
    ["a key more", { ...base, config: { ...base.config, onboot: 1 } }, false],
    ["another mode", { ...base, mode: "observe" as const }, false],
    ["another run state", { ...base, state: "stopped" as const }, false],
    ["another kind", { ...base, kind: "lxc" as const }, false],
  ])("%s: declared alike %p", (_, other, isAlike) => {
    expect(isDeclaredAlike(desiredGuest(base), desiredGuest(other))).toBe(isAlike);
  });

  test("nothing is in force before anything was accepted", async () => {
    const gate = new RevisionGate(await openOrThrow(new MemoryFileSystem()));
    expect((await gate.acceptNamed("12345678")).ok).toBe(false);
    gate.offer(stateOf([base]));
    expect([gate.standing(), gate.isInForce(desiredGuest(base))]).toEqual(["undecided", false]);
  });
});
