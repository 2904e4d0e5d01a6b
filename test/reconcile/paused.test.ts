import { describe, expect, test } from "bun:test";
import { STATUS_READS_PER_RESYNC_MAX, StatusTurns } from "../../src/reconcile/status-turns.ts";
import { faults } from "../support/proxmox-faults.ts";
import { agentOver } from "./agent-fixture.ts";

describe("a VM that is declared running and is paused, which the list calls running", () => {
  test("is found at the next resync, shown as held, and again in sync soon after somebody resumed it", async () => {
    const agent = await agentOver([{ vmid: 101, state: "running" }], (proxmox) => void proxmox.add(101, { runState: "running" }));
    await agent.run(2_000);
    expect(agent.condition(101, "Synced")).toBe("True InSync");
    agent.proxmox.guest(101).runState = "paused";
    await agent.run(61_000);
    expect([agent.condition(101, "Synced"), agent.condition(101, "Held"), agent.view(101).runState]).toEqual(["False Held", "True GuestPaused", "paused"]);
    // It stays so with every look, not only with each resync.
    await agent.run(10_000);
    expect(agent.condition(101, "Held")).toBe("True GuestPaused");
    agent.proxmox.guest(101).runState = "running";
    await agent.run(2_000);
    expect([agent.condition(101, "Synced"), agent.condition(101, "Held")]).toEqual(["True InSync", "False NotHeld"]);
    expect(agent.acts()).toEqual([]);
  });

  test("is asked about once a resync, and only where it matters", async () => {
    const agent = await agentOver([{ vmid: 101, state: "running" }, { vmid: 102, config: { cores: 1 } }, { vmid: 103, kind: "lxc", state: "running" }], (proxmox) => {
      proxmox.add(101, { runState: "running" });
      proxmox.add(102, { runState: "running", config: { cores: 1 } });
      proxmox.add(103, { kind: "lxc", runState: "running" });
    });
    await agent.run(182_000);
    const asked = agent.proxmox.calls.filter(({ method }) => method === "readStatus").map(({ vmid }) => vmid);
    expect(asked).toEqual([101, 101, 101, 101]);
  });

  test("whose status cannot be read keeps the list's word, and its config is kept", async () => {
    const agent = await agentOver([{ vmid: 101, state: "running", config: { cores: 2 } }], (proxmox) => {
      proxmox.add(101, { runState: "running", config: { cores: 1 } });
      proxmox.failEvery("readStatus", faults.forbidden(), 101);
    });
    await agent.run(2_000);
    expect([agent.acts(), agent.condition(101, "Synced")]).toEqual([["set_config 101 cores=2"], "True InSync"]);
  });
});

describe("whose turn it is", () => {
  test("goes round when there are more than one resync may ask about", () => {
    const turns = new StatusTurns();
    const vmids = Array.from({ length: STATUS_READS_PER_RESYNC_MAX + 50 }, (_, index) => 100 + index);
    const asked = (): number[] => vmids.filter((vmid) => turns.wants(vmid));
    const seen = new Set<number>();
    for (let resync = 0; resync < 2; resync++) {
      turns.begin(vmids);
      expect(asked()).toHaveLength(STATUS_READS_PER_RESYNC_MAX);
      for (const vmid of asked()) {
        seen.add(vmid);
        turns.note(vmid, "running");
      }
    }
    expect(seen.size).toBe(vmids.length);
    turns.begin([]);
    expect(asked()).toEqual([]);
  });
});
