import { describe, expect, test } from "bun:test";
import type { MutatingRequest, ProxmoxFault } from "../../src/ports/proxmox-api.ts";
import { classifyAnswer } from "../../src/proxmox/classify.ts";
import { isAboutKeys, namedKeys } from "../../src/reconcile/refused-keys.ts";
import { Refusals } from "../../src/reconcile/refusals.ts";
import type { FieldChange } from "../../src/plan/types.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { faults } from "../support/proxmox-faults.ts";
import { agentOver, TestAgent } from "./agent-fixture.ts";

const change = (key: string, send: string | undefined = "x"): FieldChange =>
  ({ key, change: send === undefined ? "delete" : "set", declared: send ?? null, found: null, foundRaw: undefined, send, applies: "now" });

const isDue = (refusals: Refusals): boolean => refusals.remainingMs(101) === 0;

function answered(status: number, message: string, errors?: Readonly<Record<string, string>>): ProxmoxFault {
  return classifyAnswer({ status, reason: message, body: JSON.stringify({ message: `${message}\n`, data: null, ...(errors === undefined ? {} : { errors }) }) }, "PUT /nodes/pve1/qemu/101/config");
}

describe("which keys an answer is about", () => {
  const rows: readonly { name: string; fault: ProxmoxFault; sent: readonly string[]; named: readonly string[] }[] = [
    { name: "a 400 that names one", fault: answered(400, "Parameter verification failed.", { cores: "value must have a maximum value of 128" }), sent: ["cores", "memory"], named: ["cores"] },
    { name: "a 400 that names two", fault: answered(400, "Parameter verification failed.", { cores: "x", memory: "y" }), sent: ["cores", "memory", "name"], named: ["cores", "memory"] },
    { name: "a failed hotplug", fault: answered(400, "Parameter verification failed.", { net3: "hotplug problem - VM 101 qmp command 'netdev_add' failed\n" }), sent: ["net3", "cores"], named: ["net3"] },
    { name: "a sub-key", fault: answered(400, "Parameter verification failed.", { "net0.rate": "x" }), sent: ["net0", "cores"], named: ["net0"] },
    { name: "a deletion, by its text", fault: answered(400, "Parameter verification failed.", { delete: "unknown option 'hookscript'" }), sent: ["hookscript", "cores"], named: ["hookscript"] },
    { name: "a parameter that was not among the keys", fault: answered(400, "Parameter verification failed.", { digest: "x" }), sent: ["cores", "memory"], named: [] },
    { name: "the boot order, not the device it quotes", fault: answered(500, "invalid bootorder: device 'net0' does not exist'"), sent: ["boot", "net0"], named: ["boot"] },
    { name: "a required option", fault: answered(500, "unable to delete required option 'memory'"), sent: ["memory", "cores"], named: ["memory"] },
    { name: "a key for root alone", fault: answered(500, "only root can set 'args' config"), sent: ["args", "cores"], named: ["args"] },
    { name: "the same as a 403", fault: answered(403, "only root can set 'affinity' config"), sent: ["affinity", "cores"], named: ["affinity"] },
    { name: "a privilege: none is named", fault: answered(403, "Permission check failed (/vms/101, VM.Config.CPU)"), sent: ["cores", "name"], named: [] },
    { name: "a text that quotes a value", fault: answered(500, "storage 'cores' does not exist"), sent: ["cores", "name"], named: [] },
  ];
  test.each(rows)("$name", ({ fault, sent, named }) => {
    expect(isAboutKeys(fault)).toBe(true);
    expect([...namedKeys(fault, sent.map((key) => change(key))).keys()]).toEqual([...named]);
  });

  test("locks, digests, quorum, lost answers and a missing guest are about no key", () => {
    const guest = { kind: "qemu", vmid: 101 } as const;
    const others = [faults.locked(guest, "backup"), faults.lockTimeout(guest), faults.digestConflict(), faults.readOnly(), faults.transient(), faults.noAnswer(), faults.unreachable(), faults.unauthenticated(), faults.missing(guest)];
    expect(others.filter((fault) => isAboutKeys(fault))).toEqual([]);
  });
});

describe("when a refused key is tried again", () => {
  const basis = { digest: "d1", version: "9.2.11" };
  function refusedOnce(isValue = true): { clock: FakeClock; refusals: Refusals } {
    const clock = new FakeClock();
    const refusals = new Refusals(clock);
    refusals.refused(101, change("cores", "999"), "too many", isValue, basis);
    return { clock, refusals };
  }

  test("at once when it is another change, or the host has another version", () => {
    const { refusals } = refusedOnce();
    expect(refusals.standing(101, change("cores", "999"), basis)).toBe("waiting");
    expect(refusals.standing(101, change("cores", "998"), basis)).toBe("fresh");
    expect(refusals.standing(101, { ...change("cores", "999"), foundRaw: "4" }, basis)).toBe("fresh");
    expect(refusals.standing(101, change("cores", "999"), { ...basis, version: "9.3.0" })).toBe("fresh");
    expect(refusals.standing(101, change("memory"), basis)).toBe("fresh");
    expect(refusals.standing(102, change("cores", "999"), basis)).toBe("fresh");
  });

  test("ten seconds after anything else in the config changed, and later with each refusal", async () => {
    const { clock, refusals } = refusedOnce();
    refusals.noteRead(101, [change("cores", "999")], "d2");
    expect(isDue(refusals)).toBe(false);
    await clock.advance(10_000);
    expect([isDue(refusals), refusals.standing(101, change("cores", "999"), { ...basis, digest: "d2" })]).toEqual([true, "due"]);
    refusals.refused(101, change("cores", "999"), "too many", true, { ...basis, digest: "d2" });
    refusals.noteRead(101, [change("cores", "999")], "d3");
    await clock.advance(10_000);
    expect(isDue(refusals)).toBe(false);
    await clock.advance(10_000);
    expect(isDue(refusals)).toBe(true);
  });

  test.each([[true, [300, 600, 1_200, 2_400, 3_600, 3_600]], [false, [10, 20, 40, 80, 160, 300, 300]]] as const)("else after growing waits up to a bound (value: %p)", async (isValue, waitsSeconds) => {
    const { clock, refusals } = refusedOnce(isValue);
    for (const seconds of waitsSeconds) {
      await clock.advance(seconds * 1_000 - 1);
      expect(isDue(refusals)).toBe(false);
      await clock.advance(1);
      expect(isDue(refusals)).toBe(true);
      refusals.refused(101, change("cores", "999"), "too many", isValue, basis);
    }
  });

  test("a key that no longer differs is forgotten, the others stay", () => {
    const { refusals } = refusedOnce();
    refusals.refused(101, change("args"), "only root", true, basis);
    refusals.noteRead(101, [change("args")], "d1");
    expect(refusals.of(101)).toEqual([{ key: "args", message: "only root" }]);
    expect([refusals.keyCount(), refusals.vmids()]).toEqual([1, [101]]);
    refusals.noteRead(101, [], "d1");
    expect([refusals.keyCount(), refusals.vmids(), isDue(refusals)]).toEqual([0, [], false]);
  });
});

/** Refuses writes as long as they hold one of `bad`, as `answer` says; keeps what was sent. */
function refusing(agent: TestAgent, bad: ReadonlySet<string>, answer: (request: Extract<MutatingRequest, { type: "set_config" }>) => ProxmoxFault): void {
  agent.proxmox.beforeMutate = (request) => {
    if (request.type === "set_config" && Object.keys(request.set).some((key) => bad.has(key))) agent.proxmox.refuseNow = answer(request);
  };
}

const sentKeys = (agent: TestAgent): readonly string[] =>
  agent.proxmox.mutations.map(({ request }) => (request.type === "set_config" ? Object.keys(request.set).join("+") : request.type));

describe("one key that Proxmox refuses", () => {
  const DECLARED = [{ vmid: 101, state: "running", config: { cores: 2, memory: 1024, onboot: true } }] as const;
  async function over(bad: readonly string[], answer: Parameters<typeof refusing>[2]): Promise<{ agent: TestAgent; bad: Set<string> }> {
    const agent = new TestAgent({ guests: DECLARED });
    agent.proxmox.add(101, { config: { cores: 1, memory: "512" } });
    const set = new Set(bad);
    refusing(agent, set, answer);
    await agent.start();
    return { agent, bad: set };
  }
  const naming = (): ProxmoxFault => answered(400, "Parameter verification failed.", { cores: "value must have a maximum value of 1" });

  test("is set aside with Proxmox's words; the others and the start go on at once", async () => {
    const { agent } = await over(["cores"], naming);
    await agent.run(2_000);
    expect(sentKeys(agent)).toEqual(["cores+memory+onboot", "memory+onboot", "start"]);
    expect(agent.proxmox.config(101)).toMatchObject({ cores: 1, memory: "1024", onboot: 1 });
    expect(agent.condition(101, "Synced")).toBe("False ActFailed");
    expect(agent.tracker.guestCondition(101, "Synced")?.message).toContain("Proxmox refuses cores: value must have a maximum value of 1");
    expect(agent.view(101).refused).toEqual([{ key: "cores", message: "value must have a maximum value of 1" }]);
    expect([agent.engine.backoffCount(), agent.engine.refusedKeyCount()]).toEqual([1, 1]);
    expect(agent.operations().filter((line) => line.startsWith("set_config"))).toEqual(["set_config 101 failed", "set_config 101 succeeded"]);
    expect(agent.proxmox.violations).toEqual([]);
  });

  test("is not sent with every poll and resync, but after minutes, alone; meanwhile the others are mended at once", async () => {
    const { agent } = await over(["cores"], naming);
    await agent.run(30_000);
    const before = sentKeys(agent).length;
    await agent.run(200_000);
    expect(sentKeys(agent)).toHaveLength(before);
    agent.proxmox.edit(101, { onboot: 0 });
    await agent.run(2_000);
    expect(agent.proxmox.config(101)["onboot"]).toBe(1);
    await agent.run(3_600_000);
    const later = sentKeys(agent).slice(before + 1);
    expect(new Set(later)).toEqual(new Set(["cores"]));
    expect(later.length).toBeGreaterThan(1);
    expect(later.length).toBeLessThan(12);
  });

  test("is sent again at once when it is declared otherwise, and is forgotten when Proxmox takes it", async () => {
    const { agent, bad } = await over(["cores"], naming);
    await agent.run(5_000);
    bad.clear();
    agent.desired.declare([{ ...DECLARED[0], config: { ...DECLARED[0].config, cores: 4 } }]);
    await agent.run(2_000);
    // The guest runs by now: cores waits for its restart.
    expect(sentKeys(agent).at(-1)).toBe("cores");
    expect(agent.condition(101, "Synced")).toBe("True InSync");
    expect([agent.engine.backoffCount(), agent.engine.refusedKeyCount(), agent.view(101).refused]).toEqual([0, 0, []]);
  });

  test("that is not named is found by sending each alone: never more requests than keys and one", async () => {
    const { agent } = await over(["memory"], () => answered(403, "Permission check failed (/vms/101, VM.Config.Memory)"));
    await agent.run(1_000);
    expect(sentKeys(agent)).toEqual(["cores+memory+onboot", "cores", "memory", "onboot", "start"]);
    expect(agent.view(101).refused).toEqual([{ key: "memory", message: expect.stringContaining("(/vms/101, VM.Config.Memory)") }]);
  });

  test("refused with a 500 that says nothing of keys is set aside when another key is taken", async () => {
    const { agent } = await over(["onboot"], () => answered(500, "something is wrong"));
    await agent.run(1_000);
    expect(sentKeys(agent)).toEqual(["cores+memory+onboot", "cores", "memory", "onboot", "start"]);
    expect(agent.view(101).refused.map(({ key }) => key)).toEqual(["onboot"]);
  });

  test("a 500 for every key is the guest's trouble: nothing is set aside or started, and it is tried again as ever", async () => {
    const { agent, bad } = await over(["cores", "memory", "onboot"], () => answered(500, "got no worker upid - start worker failed"));
    await agent.run(500);
    expect(sentKeys(agent)).toEqual(["cores+memory+onboot", "cores", "memory", "onboot"]);
    expect([agent.view(101).refused, agent.condition(101, "Synced")]).toEqual([[], "False ActFailed"]);
    bad.clear();
    await agent.run(5_000);
    expect(sentKeys(agent).slice(4)).toEqual(["cores+memory+onboot", "start"]);
    expect(agent.condition(101, "Synced")).toBe("True InSync");
  });

  test("several, each named in an answer of its own, cost one request each", async () => {
    const { agent } = await over(["cores", "memory"], ({ set }) => answered(400, "Parameter verification failed.", { ["cores" in set ? "cores" : "memory"]: "no" }));
    await agent.run(1_000);
    expect(sentKeys(agent)).toEqual(["cores+memory+onboot", "memory+onboot", "onboot", "start"]);
    expect(agent.view(101).refused.map(({ key }) => key)).toEqual(["cores", "memory"]);
  });

  test("a failed hotplug is read back: what became pending is no refusal", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 4, onboot: true } }], (proxmox) => {
      proxmox.add(101, { runState: "running", config: { cores: 1 } });
      proxmox.beforeMutate = (request) => {
        // As the real one does: the keys are written, then the hotplug fails.
        proxmox.edit(101, { cores: 4, onboot: 1 });
        if (request.type === "set_config") proxmox.refuseNow = answered(400, "Parameter verification failed.", { cores: "hotplug problem - no" });
      };
    });
    await agent.run(2_000);
    expect(sentKeys(agent)).toEqual(["cores+onboot"]);
    expect([agent.condition(101, "Synced"), agent.condition(101, "RestartPending"), agent.engine.refusedKeyCount()]).toEqual(["True InSync", "True PendingValues", 0]);
  });

  test("a guest that is no longer declared, and a run by a person, forget it", async () => {
    const { agent } = await over(["cores"], naming);
    await agent.run(5_000);
    const before = sentKeys(agent).length;
    const once = agent.engine.runOnce(agent.clock.monotonic());
    await agent.run(1_000);
    await once;
    expect(sentKeys(agent).slice(before)).toEqual(["cores"]);
    agent.desired.declare([]);
    await agent.run(2_000);
    expect(agent.engine.refusedKeyCount()).toBe(0);
  });
});
