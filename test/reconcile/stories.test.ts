import { describe, expect, test } from "bun:test";
import { TestAgent, type Declared } from "./agent-fixture.ts";

/**
 * Whole stories with their whole log: every act and every transition of a guest, in order and with its
 * second. Taken from what Proxmox's own HA manager is tested with, as far as it translates to one node.
 */
interface Story {
  readonly story: string;
  readonly guests: readonly Declared[];
  readonly found: (agent: TestAgent) => void;
  /** What happens, and for how long nothing else does. */
  readonly steps: readonly (readonly [seconds: number, what: (agent: TestAgent) => unknown])[];
  readonly log: readonly string[];
}

const declare = (...guests: readonly Declared[]) => (agent: TestAgent): unknown => agent.desired.declare(guests);
const nothing = (): void => {};
let bulk = "";

const STORIES: readonly Story[] = [
  {
    story: "started, stopped, started again: each act once",
    guests: [{ vmid: 101, state: "running" }],
    found: ({ proxmox }) => void proxmox.add(101),
    steps: [[10, nothing], [10, declare({ vmid: 101, state: "stopped" })], [100, declare({ vmid: 101, state: "running" })]],
    log: [
      "0 start 101", "0 101 Synced False Drifted", "0 101 Synced True InSync",
      "10 shutdown 101", "10 101 Synced False Drifted", "10 101 Synced True InSync",
      "20 start 101", "20 101 Synced False Drifted", "20 101 Synced True InSync",
    ],
  },
  {
    story: "stopped and stopped already, a template too: no act, no complaint",
    guests: [{ vmid: 101, state: "stopped" }, { vmid: 102, state: "stopped" }],
    found: ({ proxmox }) => {
      proxmox.add(101);
      proxmox.add(102, { config: { template: 1 } });
    },
    steps: [[120, nothing]],
    log: [],
  },
  {
    story: "an administrator does this and that by hand: what is declared wins, what is not stays",
    guests: [{ vmid: 101, state: "running", config: { cores: 2 } }],
    found: ({ proxmox }) => void proxmox.add(101, { runState: "running", config: { cores: 2 } }),
    steps: [
      [10, ({ proxmox }) => proxmox.power(101, "stopped")],
      [10, ({ proxmox }) => proxmox.edit(101, { tags: "by-hand", onboot: 1 })],
      [10, ({ proxmox }) => proxmox.edit(101, { cores: 8 })],
    ],
    log: [
      "1 start 101", "1 101 Synced False Drifted", "1 101 Synced True InSync",
      "21 set_config 101 cores=2", "21 101 Synced False Drifted", "21 101 Synced True InSync",
    ],
  },
  {
    story: "the agent restarts: no guest is restarted with it",
    guests: [{ vmid: 101, state: "running" }, { vmid: 102, state: "running" }],
    found: ({ proxmox }) => [101, 102].forEach((vmid) => proxmox.add(vmid, { runState: "running" })),
    steps: [[10, nothing], [60, (agent) => agent.restart({ downMs: 30_000 })]],
    log: [],
  },
  {
    story: "the host reboots: Proxmox starts its own first, the agent then only what is missing, in order",
    guests: [{ vmid: 101, state: "running" }, { vmid: 102, state: "running" }, { vmid: 103, state: "running" }],
    found: ({ proxmox }) => {
      proxmox.add(101, { runState: "running", config: { onboot: 1 } });
      proxmox.add(102, { runState: "running", config: { startup: "order=2" } });
      proxmox.add(103, { runState: "running", config: { startup: "order=1,up=20" } });
    },
    steps: [
      [5, nothing],
      [10, async (agent) => {
        agent.crash();
        for (const vmid of [101, 102, 103]) agent.proxmox.power(vmid, "stopped");
        bulk = agent.proxmox.runTask({ type: "startall" });
        await agent.start();
      }],
      [60, ({ proxmox }) => {
        proxmox.power(101, "running");
        proxmox.endTask(bulk);
      }],
    ],
    log: [
      "5 101 Synced False Held", "5 101 Held True BulkTask", "5 102 Synced False Held", "5 102 Held True BulkTask", "5 103 Synced False Held", "5 103 Held True BulkTask",
      "16 start 103", "16 101 Synced True InSync", "16 101 Held False NotHeld", "16 102 Held True WaitingForOrder",
      "16 103 Synced True InSync", "16 103 Held False NotHeld",
      "36 start 102", "36 102 Synced True InSync", "36 102 Held False NotHeld",
    ],
  },
  {
    story: "a start that fails is tried again with growing patience; declared stopped, it is left in peace",
    guests: [{ vmid: 101, state: "running" }],
    found: ({ proxmox }) => void proxmox.add(101, { startError: "start failed: QEMU exited with code 1" }),
    steps: [[20, nothing], [120, declare({ vmid: 101, state: "stopped" })]],
    log: [
      "0 start 101", "0 101 Synced False Drifted", "0 101 Synced False ActFailed",
      "1 start 101", "3 start 101", "7 start 101", "15 start 101", "20 101 Synced True InSync",
    ],
  },
  {
    story: "a lock that nobody removes is waited for, and never removed by the agent",
    guests: [{ vmid: 101, state: "running", config: { cores: 2 } }],
    found: (agent) => {
      agent.proxmox.add(101);
      agent.proxmox.lock(101, "create");
    },
    steps: [[3_600, nothing], [5, ({ proxmox }) => proxmox.lock(101, undefined)]],
    log: ["0 101 Synced False Held", "0 101 Held True Locked", "3601 set_config 101 cores=2", "3601 start 101", "3601 101 Synced True InSync", "3601 101 Held False NotHeld"],
  },
  {
    story: "a guest nobody may touch stays untouched, whatever is declared of its neighbours",
    guests: [{ vmid: 101, mode: "ignore", state: "running", config: { cores: 4 } }, { vmid: 102, state: "running" }],
    found: ({ proxmox }) => [101, 102].forEach((vmid) => proxmox.add(vmid)),
    steps: [[10, ({ proxmox }) => proxmox.edit(101, { cores: 8 })], [60, nothing]],
    log: ["0 start 102", "0 101 Synced Unknown Ignored", "0 102 Synced False Drifted", "0 102 Synced True InSync"],
  },
  {
    story: "a guest removed from the desired state while it is shut down: the act is finished, then it is forgotten",
    guests: [{ vmid: 101, state: "stopped" }],
    found: ({ proxmox }) => {
      proxmox.add(101, { runState: "running" });
      proxmox.taskMs = () => 8_000;
    },
    steps: [[3, nothing], [20, declare()], [60, ({ proxmox }) => proxmox.power(101, "running")]],
    log: ["0 shutdown 101", "0 101 Synced False Drifted"],
  },
];

describe("stories", () => {
  test.each(STORIES)("$story", async ({ guests, found, steps, log }) => {
    const agent = new TestAgent({ guests });
    found(agent);
    await agent.start();
    for (const [seconds, what] of steps) {
      await what(agent);
      await agent.run(seconds * 1000);
    }
    expect(transcript(agent)).toEqual([...log]);
    expect(agent.proxmox.violations).toEqual([]);
    expect(agent.journal.openOperations()).toEqual([]);
  });
});

/** Acts and transitions of Synced and Held, by whole seconds since the start; within one, the acts first. */
function transcript(agent: TestAgent): readonly string[] {
  const acts = agent.proxmox.mutations.map(({ atMs }, index) => ({ atMs, line: agent.acts()[index] ?? "" }));
  const startedMs = agent.clock.now() - agent.clock.monotonic();
  const events = agent.events.flatMap(({ at, guest, type, to, reason }) =>
    guest === undefined || (type !== "Synced" && type !== "Held") ? [] : [{ atMs: Date.parse(at) - startedMs, line: `${guest.vmid} ${type} ${to} ${reason}` }]);
  return [...acts, ...events].sort((left, right) => Math.floor(left.atMs / 1000) - Math.floor(right.atMs / 1000)).map(({ atMs, line }) => `${Math.floor(atMs / 1000)} ${line}`);
}
