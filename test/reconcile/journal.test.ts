import { describe, expect, test } from "bun:test";
import { openJournal } from "../../src/journal/journal.ts";
import { recordingLog, SeededRandom } from "../journal/journal-fixture.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { agentOver, TestAgent, WINDOW_MS, type Declared } from "./agent-fixture.ts";

const DECLARED: readonly Declared[] = [{ vmid: 101, config: { cores: 2 }, state: "running" }, { vmid: 200, kind: "lxc", state: "running" }];

function addBoth(agent: Pick<TestAgent, "proxmox">): void {
  agent.proxmox.add(101);
  agent.proxmox.add(200, { kind: "lxc" });
}

/** What a process that starts now would find in the journal: only what is durable (the fake disk drops the rest). */
async function durableOperations(agent: TestAgent): Promise<readonly string[]> {
  const disk = new MemoryFileSystem({ directories: agent.disk.directories, files: durableFiles(agent.disk) });
  const journal = await openJournal({ directory: "/state/journal", node: "pve1", machineId: "machine-1", version: "0.1.0", fileSystem: disk, clock: agent.clock, random: new SeededRandom(9), log: recordingLog(), limits: { reserveBytes: 64 } });
  if (!journal.ok) throw new Error(journal.error.message);
  const operations = [...journal.value.recentOperations(), ...journal.value.openOperations()].map((operation) => `${operation.action} ${operation.guest.vmid} ${operation.state}`);
  await journal.value.close();
  return operations;
}

/** Changes a bit in the middle of every segment: of what had been acknowledged. */
function corruptJournal(disk: MemoryFileSystem): void {
  for (const [path, bytes] of disk.snapshot()) {
    if (!path.endsWith(".journal")) continue;
    const damaged = bytes.slice();
    const middle = Math.floor(damaged.length / 2);
    damaged[middle] = (damaged[middle] ?? 0) ^ 0x20;
    disk.overwrite(path, damaged);
  }
}

/** The files as a power cut would leave them: data up to the last sync of each. */
function durableFiles(disk: MemoryFileSystem): Map<string, Uint8Array> {
  const synced = new Map<number, number>();
  for (const change of disk.changes) if (change.type === "dataSync") synced.set(change.inode, change.upTo);
  const files = new Map<string, Uint8Array>();
  for (const [path, bytes] of disk.snapshot()) {
    const status = disk.status(path);
    if (!status.ok) continue;
    const inode = status.value.inode;
    const unsynced = disk.changes.slice(synced.get(inode) ?? 0).reduce((sum, change) => (change.type === "write" && change.inode === inode ? sum + change.bytes.length : sum), 0);
    files.set(path, bytes.slice(0, bytes.length - unsynced));
  }
  return files;
}

describe("intent before act, outcome before report", () => {
  test("when Proxmox gets a request, the started operation is on the disk already", async () => {
    const agent = new TestAgent({ guests: DECLARED });
    addBoth(agent);
    const seen: Promise<string>[] = [];
    agent.proxmox.onMutate = (request) => {
      const expected = `${request.type} ${request.guest.vmid} started`;
      seen.push(durableOperations(agent).then((operations) => (operations.includes(expected) ? "durable" : `${expected} is not among ${operations.join(", ")}`)));
    };
    await agent.start();
    await agent.run(5_000);
    expect(await Promise.all(seen)).toEqual(["durable", "durable", "durable"]);
  });

  test("while the disk takes its time over the intent, nothing is sent", async () => {
    const agent = new TestAgent({ guests: DECLARED });
    addBoth(agent);
    await agent.open();
    const slow = Promise.withResolvers<void>();
    agent.engine.start();
    agent.disk.beforeSync = () => slow.promise;
    await agent.run(20_000);
    expect(agent.acts()).toEqual([]);
    slow.resolve();
    agent.disk.beforeSync = () => Promise.resolve();
    await agent.run(5_000);
    expect(agent.acts()).toHaveLength(3);
  });

  test("while the disk takes its time over the outcome, nobody is told of it", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, config: { cores: 2 } }] });
    agent.proxmox.add(101);
    const slow = Promise.withResolvers<void>();
    agent.proxmox.onMutate = () => void (agent.disk.beforeSync = () => slow.promise);
    await agent.start();
    await agent.run(10_000);
    expect(agent.proxmox.config(101)["cores"]).toBe(2);
    expect([agent.outcomes, agent.results, agent.condition(101, "Synced")]).toEqual([[], [], "False Drifted"]);
    slow.resolve();
    await agent.run(1_000);
    expect(agent.outcomes).toEqual(["set_config 101 succeeded"]);
    expect(agent.operations()).toEqual(["set_config 101 succeeded"]);
  });

  test("an outcome that cannot be written is not reported; the guest is closed until the journal is back and the act settled", async () => {
    const agent = new TestAgent({ guests: [{ vmid: 101, state: "running" }] });
    agent.proxmox.add(101);
    agent.proxmox.taskMs = () => 5_000;
    await agent.start();
    await agent.run(1_000);
    expect(agent.operations()).toEqual(["start 101 task_running"]);
    agent.disk.failAt(1, { kind: "io", lasts: "for ever" });
    await agent.run(10_000);
    expect(agent.proxmox.guest(101).runState).toBe("running");
    expect(agent.outcomes).not.toContain("start 101 succeeded");
    expect(agent.condition(101, "Synced")).toBe("Unknown Acting");
    expect(agent.host("JournalReady")).toStartWith("False ");
    agent.disk.heal();
    await agent.run(20_000);
    expect(agent.host("JournalReady")).toBe("True Healthy");
    expect(agent.operations()).toEqual(["start 101 succeeded"]);
    expect(agent.condition(101, "Synced")).toBe("True InSync");
    expect(agent.acts()).toEqual(["start 101"]);
  });

  test("a verdict is journaled when it changes, not every time", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }], (proxmox) => void proxmox.add(101));
    await agent.run(2_000);
    const perAct = agent.journal.appendedCount();
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(2_000);
    // planned, started, succeeded; the verdict on the same act is known already, and so is the revision.
    expect(agent.journal.appendedCount() - perAct).toBe(3);
  });
});

describe("what goes on without a healthy journal", () => {
  test.each([
    ["missing", (disk: MemoryFileSystem) => new MemoryFileSystem({ directories: [] , nowMs: () => disk.changes.length }), "False Missing"],
    ["insecure", (disk: MemoryFileSystem) => (disk.makeDirectory("/state/journal", 0o777), disk), "False Insecure"],
    ["unwritable", (disk: MemoryFileSystem) => (disk.failAt(1, { kind: "read_only", lasts: "for ever" }), disk), "False Unwritable"],
  ] as const)("%s: benign acts go on, JournalReady is False", async (_, prepare, condition) => {
    const agent = new TestAgent({ guests: DECLARED });
    addBoth(agent);
    agent.disk = prepare(agent.disk);
    await agent.start();
    await agent.run(10_000);
    expect(agent.host("JournalReady")).toBe(condition);
    expect([...agent.acts()].sort()).toEqual(["set_config 101 cores=2", "start 101", "start 200"]);
    expect(agent.log.lines.filter((line) => line.message === "act without a journal record").length).toBeGreaterThan(0);
  });

  test("unwritable later on: acts go on, and the journal heals by itself within seconds", async () => {
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }], (proxmox) => void proxmox.add(101));
    await agent.run(1_000);
    agent.disk.failAt(1, { kind: "read_only", lasts: "for ever" });
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(5_000);
    expect(agent.host("JournalReady")).toMatch(/^False (Unwritable|Poisoned)$/);
    agent.disk.heal();
    await agent.run(10_000);
    expect(agent.host("JournalReady")).toBe("True Healthy");
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(3_000);
    expect(agent.operations().at(-1)).toBe("set_config 101 succeeded");
    expect(agent.proxmox.config(101)["cores"]).toBe(2);
  });

  test("full: nothing new starts, and everything goes on once there is room", async () => {
    const agent = new TestAgent({ guests: DECLARED });
    addBoth(agent);
    agent.disk.capacityBytes = 100;
    await agent.start();
    await agent.run(20_000);
    expect([agent.host("JournalReady"), agent.acts()]).toEqual(["False Full", []]);
    expect(agent.condition(101, "Synced")).toBe("False JournalUnavailable");
    agent.disk.capacityBytes = Number.POSITIVE_INFINITY;
    await agent.run(10_000);
    expect(agent.host("JournalReady")).toBe("True Healthy");
    expect(agent.acts()).toHaveLength(3);
  });

  test("whichever file operation fails, and how: drift is mended once, no act goes out unrecorded while the journal is full or poisoned, and it heals", async () => {
    const seen = new Set<string>();
    for (const kind of ["io", "no_space", "short_write", "interrupted"] as const) {
      for (let k = 1; k <= 8; k++) {
        const agent = await agentOver([{ vmid: 101, config: { cores: 2 } }], (proxmox) => void proxmox.add(101, { config: { cores: 2 } }));
        await agent.run(1_000);
        const unrecorded: string[] = [];
        agent.proxmox.onMutate = ({ guest }) => {
          const { state } = agent.journal.health();
          const isRecorded = agent.journal.openOperations().some((operation) => operation.guest.vmid === guest.vmid && operation.state === "started");
          if (!isRecorded && (state === "full" || state === "poisoned" || state === "healthy")) unrecorded.push(`${kind} ${k}: ${state}`);
        };
        agent.disk.failAt(k, { kind, lasts: "once" });
        agent.proxmox.edit(101, { cores: 1 });
        await agent.run(WINDOW_MS + 20_000);
        expect([unrecorded, agent.acts().length, agent.host("JournalReady"), agent.journal.openOperations().length]).toEqual([[], 1, "True Healthy", 0]);
        expect(agent.proxmox.config(101)["cores"]).toBe(2);
        for (const result of agent.results) seen.add(result);
      }
    }
    expect(seen).toContain("journal_unavailable");
  });

  test("corrupt: no act at all, the guests are read and shown all the same", async () => {
    const agent = await agentOver(DECLARED, (proxmox) => addBoth({ proxmox }));
    await agent.run(5_000);
    agent.crash();
    corruptJournal(agent.disk);
    agent.proxmox.edit(101, { cores: 1 });
    const before = agent.acts().length;
    await agent.start();
    await agent.run(130_000);
    expect(agent.host("JournalReady")).toBe("False Corrupt");
    expect(agent.acts()).toHaveLength(before);
    expect(agent.condition(101, "Synced")).toBe("False JournalUnavailable");
    expect(agent.view(101).plan?.actions).toHaveLength(1);
  });
});

describe("run --once with a corrupt journal", () => {
  test("does not wait for an open act that no outcome can be written of", async () => {
    const agent = await agentOver(DECLARED, (proxmox) => addBoth({ proxmox }));
    await agent.run(5_000);
    agent.proxmox.loseAnswer(101, { happens: "never" });
    agent.proxmox.edit(101, { cores: 1 });
    await agent.run(2_000);
    agent.crash();
    // The open act at the end may be seen or not, and cannot be closed in either case.
    corruptJournal(agent.disk);
    await agent.open();
    let isOver = false;
    const once = agent.engine.runOnce(agent.clock.monotonic() + agent.settings.taskTimeoutMs).then(() => (isOver = true));
    await agent.run(2_000);
    expect([isOver, agent.journal.health().state]).toEqual([true, "corrupt"]);
    await once;
  });
});

describe("an act without a record", () => {
  const unjournaled = async (guests: readonly Declared[], settings = {}): Promise<TestAgent> => {
    const agent = new TestAgent({ guests, settings });
    agent.proxmox.add(101);
    agent.disk = new MemoryFileSystem({ directories: [] });
    return agent;
  };

  test.each(["never", "before", "late"] as const)("whose answer is lost (it happens: %s) closes its guest for the settle window all the same", async (happens) => {
    const agent = await unjournaled([{ vmid: 101, config: { cores: 2 } }]);
    agent.proxmox.loseAnswer(101, { happens, lateMs: 36_000 });
    await agent.start();
    await agent.run(44_000);
    expect(agent.acts()).toEqual(["set_config 101 cores=2"]);
    expect(agent.condition(101, "OutcomeUnknown")).toBe("Unknown Settling");
    await agent.run(10_000);
    expect(agent.acts()).toHaveLength(happens === "never" ? 2 : 1);
    expect(agent.proxmox.config(101)["cores"]).toBe(2);
    expect(agent.proxmox.violations).toEqual([]);
  });

  test("whose task outlives the task timeout closes its guest until the task has ended", async () => {
    const agent = await unjournaled([{ vmid: 101, state: "running" }], { taskTimeoutMs: 20_000 });
    agent.proxmox.taskMs = () => Number.POSITIVE_INFINITY;
    await agent.start();
    await agent.run(300_000);
    expect(agent.acts()).toEqual(["start 101"]);
    agent.proxmox.edit(101, { name: "other" });
    const upid = agent.proxmox.mutations[0]?.upid ?? "";
    agent.proxmox.endTask(upid, "start failed: QEMU exited with code 1");
    agent.proxmox.taskMs = () => 100;
    await agent.run(5_000);
    expect(agent.acts()).toEqual(["start 101", "start 101"]);
    expect(agent.proxmox.violations).toEqual([]);
  });
});
