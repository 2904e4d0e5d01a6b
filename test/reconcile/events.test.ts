import { describe, expect, test } from "bun:test";
import { formatTransition } from "../../src/conditions/condition.ts";
import { agentOver, type TestAgent } from "./agent-fixture.ts";

/** The event list of a guest's story: one event a transition, none twice, nothing a pass. */

async function since(agent: TestAgent, work: () => unknown, ms = 30_000): Promise<readonly string[]> {
  agent.events.length = 0;
  await work();
  await agent.run(ms);
  return agent.events.map(formatTransition);
}

const kept = (): Promise<TestAgent> => agentOver([{ vmid: 101, config: { description: "kept", onboot: true }, state: "running" }], (proxmox) => proxmox.add(101, { runState: "running", config: { description: "kept", onboot: 1 } }));

describe("events", () => {
  test("of a guest in sync: none, however long nothing happens", async () => {
    const agent = await kept();
    await agent.run(5_000);
    expect(await since(agent, () => {}, 300_000)).toEqual([]);
  });

  test("of drift that is mended: found, and in sync again, once each, whatever it took", async () => {
    const agent = await kept();
    await agent.run(5_000);
    expect(await since(agent, () => agent.proxmox.edit(101, { description: "by hand" }), 120_000)).toEqual(["qemu/101 Synced False Drifted: description by hand → kept", "qemu/101 Synced True InSync"]);
    // A write and a start: one drift.
    expect(await since(agent, () => {
      agent.proxmox.edit(101, { description: "by hand" });
      agent.proxmox.power(101, "stopped");
    }, 120_000)).toEqual(["qemu/101 Synced False Drifted: description by hand → kept; start", "qemu/101 Synced True InSync"]);
  });

  test("of a lock: held once with each condition, not once a look", async () => {
    const agent = await kept();
    await agent.run(5_000);
    const held = await since(agent, () => {
      agent.proxmox.lock(101, "backup");
      agent.proxmox.edit(101, { description: "by hand" });
    }, 180_000);
    expect(held.map((event) => event.split(":")[0])).toEqual(["qemu/101 Synced False Held", "qemu/101 Held True Locked"]);
    const freed = await since(agent, () => agent.proxmox.lock(101, undefined), 120_000);
    // What was held is on record as the reason already: mending it is no second drift.
    expect(freed.map((event) => event.split(":")[0])).toEqual(["qemu/101 Synced True InSync", "qemu/101 Held False NotHeld"]);
  });

  test("of a restart: what was pending is not any more", async () => {
    const agent = await agentOver([{ vmid: 101, config: { sockets: 2 } }], (proxmox) => proxmox.add(101, { runState: "running", config: { sockets: 1 } }));
    await agent.run(5_000);
    const events = await since(agent, () => void agent.engine.restart({ vmid: 101, key: "k", keyLifeMs: 3_600_000, waitMs: 60_000 }), 120_000);
    expect(events).toEqual(["qemu/101 RestartPending False NothingPending"]);
  });
});
