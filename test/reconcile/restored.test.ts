import { expect, test } from "bun:test";
import { readRecords } from "../../src/journal/inspect.ts";
import { AGENT_USER } from "../support/fake-proxmox.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { faults } from "../support/proxmox-faults.ts";
import { TestAgent } from "./agent-fixture.ts";

/** An agent that has acted, and the files of its journal then: what a backup holds. */
async function withBackup(): Promise<{ readonly agent: TestAgent; readonly backup: ReadonlyMap<string, Uint8Array> }> {
  const agent = new TestAgent({ guests: [{ vmid: 101, config: { cores: 2 } }] });
  agent.proxmox.add(101);
  await agent.start();
  await agent.run(60_000);
  expect(agent.acts()).toHaveLength(1);
  return { agent, backup: agent.disk.snapshot() };
}

function epochs(agent: TestAgent): readonly string[] {
  return [...readRecords(agent.disk, "/state/journal")].flatMap(({ record, isSnapshot }) => (record.kind === "epoch" && !isSnapshot ? [`${record.reason}: ${record.detail}`] : []));
}

/** The process dies, a backup is put in place, and it is started again. */
async function restoreFrom(agent: TestAgent, backup: ReadonlyMap<string, Uint8Array>): Promise<void> {
  agent.crash();
  agent.disk = new MemoryFileSystem({ directories: agent.disk.directories, files: backup, nowMs: () => agent.clock.now() });
  await agent.run(600_000);
  await agent.start();
  await agent.run(5_000);
}

test("a restored journal is told by tasks of the agent's own that it does not know: one epoch, and one warning", async () => {
  const { agent, backup } = await withBackup();
  await agent.run(3_600_000);
  const upid = agent.proxmox.runTask({ type: "qmstart", vmid: 101, user: AGENT_USER });
  agent.proxmox.endTask(upid);
  await restoreFrom(agent, backup);
  expect(epochs(agent)).toEqual([expect.stringMatching(/^restored: Proxmox knows 1 task of \S+ that began after the newest record and is not in it \(UPID:/)]);
  expect(agent.log.lines.filter(({ message }) => message.includes("does not know all"))).toHaveLength(1);
  // It is written down: the next start has nothing to add.
  await agent.restart({ downMs: 300_000 });
  await agent.run(1_200_000);
  expect(epochs(agent)).toHaveLength(1);
});

test.each([
  ["somebody else's", { type: "qmstart", vmid: 101, user: "root@pam" }],
  ["one from before the newest record", { type: "qmstart", vmid: 101, user: AGENT_USER, startedAtMs: 1 }],
])("a task that is %s is no sign of it", async (_name, task) => {
  const { agent, backup } = await withBackup();
  await agent.run(3_600_000);
  agent.proxmox.endTask(agent.proxmox.runTask(task));
  await restoreFrom(agent, backup);
  expect(epochs(agent)).toEqual([]);
});

test("nothing is said of the agent's own life: acts, restarts, crashes", async () => {
  const { agent } = await withBackup();
  for (let life = 0; life < 3; life++) {
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(700_000);
    await agent.restart({ downMs: 400_000 });
  }
  expect(agent.acts().length).toBeGreaterThan(1);
  expect(epochs(agent)).toEqual([]);
});

test("while the tasks cannot be read, it is judged later", async () => {
  const { agent, backup } = await withBackup();
  await agent.run(3_600_000);
  agent.proxmox.endTask(agent.proxmox.runTask({ type: "qmstart", vmid: 101, user: AGENT_USER }));
  const list = agent.proxmox.listTasks.bind(agent.proxmox);
  agent.proxmox.listTasks = (query) => (query.source === "all" ? Promise.resolve({ ok: false, error: faults.transient() }) : list(query));
  await restoreFrom(agent, backup);
  expect(epochs(agent)).toEqual([]);
  agent.proxmox.listTasks = list;
  await agent.run(1_200_000);
  expect(epochs(agent)).toHaveLength(1);
});
