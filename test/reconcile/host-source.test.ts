import { describe, expect, test } from "bun:test";
import { findBulkTask, findForeignTask, taskTypeOf, type HostSnapshot } from "../../src/reconcile/host-snapshot.ts";
import { ApiHostSource } from "../../src/reconcile/host-source.ts";
import type { TaskRecord } from "../../src/ports/proxmox-api.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { AGENT_USER, FakeProxmox } from "../support/fake-proxmox.ts";
import { agentOver } from "./agent-fixture.ts";
import { faults } from "../support/proxmox-faults.ts";

function overApi(): { proxmox: FakeProxmox; source: ApiHostSource } {
  const clock = new FakeClock();
  const proxmox = new FakeProxmox({ clock });
  proxmox.add(101, { runState: "running" });
  proxmox.add(200, { kind: "lxc" });
  return { proxmox, source: new ApiHostSource({ api: proxmox, node: "pve1" }) };
}

function valueOf<T>(result: { ok: true; value: T } | { ok: false; error: { message: string } }): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

describe("polling over the API", () => {
  test("the first poll knows nothing of changes and asks for a full read; later ones tell what differs", async () => {
    const { proxmox, source } = overApi();
    const first = valueOf(await source.poll());
    expect([first.mustResync, [...first.changed], [...first.snapshot.guests.keys()]]).toEqual([true, [], [101, 200]]);
    proxmox.power(101, "stopped");
    proxmox.add(102);
    proxmox.remove(200);
    const second = valueOf(await source.poll());
    expect([second.mustResync, [...second.changed].toSorted((a, b) => a - b)]).toEqual([false, [101, 102, 200]]);
    expect([...valueOf(await source.poll()).changed]).toEqual([]);
  });

  test("a look in between does not swallow a change", async () => {
    const { proxmox, source } = overApi();
    await source.poll();
    proxmox.power(101, "stopped");
    await source.look();
    expect([...valueOf(await source.poll()).changed]).toEqual([101]);
  });

  test("nor does a poll that failed", async () => {
    const { proxmox, source } = overApi();
    await source.poll();
    proxmox.power(101, "stopped");
    proxmox.failNext("listTasks", faults.transient());
    expect((await source.poll()).ok).toBe(false);
    expect([...valueOf(await source.poll()).changed]).toEqual([101]);
  });

  test("only running tasks of this node are kept", async () => {
    const { proxmox, source } = overApi();
    proxmox.endTask(proxmox.runTask({ type: "vzdump", vmid: 101 }));
    const running = proxmox.runTask({ type: "vzdump", vmid: 200 });
    expect(valueOf(await source.look()).tasks.map((task) => task.upid)).toEqual([running]);
  });

  test("what the token may not see falls back to Proxmox's defaults (row R5)", async () => {
    const { proxmox, source } = overApi();
    expect(valueOf(await source.facts())).toMatchObject({ node: "pve1", tagStyle: { isOrdered: false, isCaseSensitive: false }, ha: null });
    proxmox.haResourcesSeen = [{ kind: "qemu", vmid: 101, state: "started" }];
    expect(valueOf(await source.facts()).ha).toEqual(new Map([[101, { isManaged: true, state: "started" }]]));
  });

  test("where a guest is, only for those asked about and elsewhere; none asked about costs no request (row R4)", async () => {
    const { proxmox, source } = overApi();
    proxmox.add(102, { node: "pve2" });
    proxmox.add(103, { node: "pve3" });
    expect(valueOf(await source.locate([101, 102, 999]))).toEqual(new Map([[102, "pve2"]]));
    const asked = proxmox.callCount("locateGuests");
    expect(valueOf(await source.locate([]))).toEqual(new Map());
    expect(proxmox.callCount("locateGuests")).toBe(asked);
  });
});

describe("a change of a guest is told once", () => {
  test.each<readonly [string, (proxmox: FakeProxmox) => void, readonly number[]]>([
    ["nothing", () => {}, []],
    ["a config edit, which the list does not show", (proxmox) => proxmox.edit(101, { cores: 4 }), []],
    ["another run state", (proxmox) => proxmox.power(101, "stopped"), [101]],
    ["another kind", (proxmox) => void proxmox.add(101, { kind: "lxc", runState: "running" }), [101]],
    ["it came", (proxmox) => void proxmox.add(102), [102]],
    ["it went", (proxmox) => proxmox.remove(200), [200]],
    ["it moved away", (proxmox) => void (proxmox.guest(200).node = "pve2"), [200]],
  ])("%s", async (_, change, changed) => {
    const { proxmox, source } = overApi();
    await source.poll();
    change(proxmox);
    expect([...valueOf(await source.poll()).changed]).toEqual([...changed]);
    expect([...valueOf(await source.poll()).changed]).toEqual([]);
  });
});

describe("tasks at work", () => {
  const task = (type: string, id: string, user = "root@pam", isRunning = true): TaskRecord => ({ upid: `UPID:${type}:${id}:${user}`, node: "pve1", type, id, user, startedAt: 0, isRunning, exit: undefined });
  const snapshot = (...tasks: readonly TaskRecord[]): HostSnapshot => ({ guests: new Map(), elsewhere: new Map(), tasks });

  test.each([["startall", true], ["stopall", true], ["migrateall", true], ["suspendall", true], ["vzdump", false], ["qmstart", false]])("%s is a bulk task: %p", (type, isBulk) => {
    expect(findBulkTask(snapshot(task(type, ""))) !== undefined).toBe(isBulk);
    expect(findBulkTask(snapshot(task(type, "", "root@pam", false)))).toBeUndefined();
  });

  test("a foreign task is one of this guest that runs and is not this agent's own", () => {
    const own = task("qmstart", "101", AGENT_USER);
    expect(findForeignTask(snapshot(own), 101, new Set([own.upid]))).toBeUndefined();
    expect(findForeignTask(snapshot(own), 101, new Set())).toBe(own);
    expect(findForeignTask(snapshot(task("vzdump", "1010"), task("vzdump", "")), 101, new Set())).toBeUndefined();
    expect(findForeignTask(snapshot(task("vzdump", "101", "root@pam", false)), 101, new Set())).toBeUndefined();
  });

  test.each([["qemu", "start", "qmstart"], ["lxc", "start", "vzstart"], ["qemu", "shutdown", "qmshutdown"], ["lxc", "shutdown", "vzshutdown"], ["lxc", "set_config", undefined], ["qemu", "of_tomorrow", undefined]] as const)("%s %s is worker type %p", (kind, action, type) => {
    expect(taskTypeOf(kind, action)).toBe(type);
  });
});

describe("a row of the guest list that cannot be read", () => {
  const problem = "status: Invalid type: Expected string but received Object";

  test("makes its guest unreadable, which is not gone; the others go on, and so does it when the row is mended", async () => {
    let isBroken = true;
    const agent = await agentOver([{ vmid: 101, config: { cores: 2 }, state: "running" }, { vmid: 102, config: { cores: 2 } }], (proxmox) => {
      proxmox.add(101, { config: { cores: 1 } });
      proxmox.add(102, { config: { cores: 1 } });
      const list = proxmox.listGuests.bind(proxmox);
      proxmox.listGuests = async (kind) => {
        const rows = await list(kind);
        return rows.ok && isBroken ? { ok: true, value: rows.value.map((row) => (row.vmid === 101 ? { ...row, runState: "unknown" as const, problem } : row)) } : rows;
      };
    });
    await agent.run(3_000);
    expect([agent.acts(), agent.condition(101, "Synced"), agent.condition(102, "Synced")]).toEqual([["set_config 102 cores=2"], "Unknown Unreadable", "True InSync"]);
    expect(agent.tracker.guestCondition(101, "Synced")?.message).toContain(problem);
    expect([agent.host("ProxmoxReachable"), agent.host("FirstFullReadDone")]).toEqual(["True Reachable", "True Done"]);
    isBroken = false;
    await agent.run(2_000);
    expect(agent.acts(101)).toEqual(["set_config 101 cores=2", "start 101"]);
  });
});
