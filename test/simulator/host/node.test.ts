import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { HostChange } from "../../../src/simulator/api.ts";
import { FileLock } from "../../../src/simulator/host/file-lock.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { HostUnderTest, QEMU_101, ROOT } from "./host-under-test.ts";

describe("calls", () => {
  const odd: readonly (readonly ["GET" | "POST", string, Record<string, string>, string])[] = [
    ["GET", "/nope", {}, "501 Method 'GET /nope' not implemented"],
    ["POST", "lxc/200/config", {}, "501 Method 'POST /nodes/pve1/lxc/200/config' not implemented"],
    ["GET", "/nodes/other/qemu", {}, "500 hostname lookup 'other' failed - failed to get address info for: other: Name or service not known"],
    ["GET", "qemu/99/config", {}, '400 {"vmid":"invalid format - value does not look like a valid VM ID\\n"}'],
    ["GET", "qemu/101/config", { snapshot: "a1", current: "1" }, `400 {"snapshot":"cannot use 'snapshot' parameter with 'current'","current":"cannot use 'snapshot' parameter with 'current'"}`],
    ["GET", "tasks/nonsense/status", {}, '400 {"upid":"unable to parse worker upid"}'],
    ["GET", "/cluster/nextid", { vmid: "101" }, '400 {"vmid":"VM 101 already exists"}'],
  ];
  for (const [method, path, parameters, outcome] of odd) test(`${method} ${path} ${JSON.stringify(parameters)}`, async () => expect(await new HostUnderTest().outcome(method, path, parameters)).toBe(outcome));

  test("only those that pvedaemon would answer are proxied", () => {
    const { node } = new HostUnderTest();
    expect(node.isProxied("GET", ["nodes", "pve1", "qemu"])).toBe(true);
    expect(node.isProxied("GET", ["nodes", "pve1", "qemu", "101", "config"])).toBe(false);
    expect(node.isProxied("PUT", ["nodes", "pve1", "qemu", "101", "config"])).toBe(true);
    expect(node.isProxied("GET", ["nope"])).toBe(false);
  });

  test("the same seed gives the same answers, another one other orders", async () => {
    const keysOf = async (seed: number): Promise<string> => Object.keys(await new HostUnderTest(undefined, { seed }).config("qemu/102")).join();
    expect(await keysOf(5)).toBe(await keysOf(5));
    expect(await keysOf(5)).not.toBe(await keysOf(6));
  });

  test("the next free id is the lowest", async () => {
    expect(await new HostUnderTest().get("/cluster/nextid")).toBe("100");
  });

  test("a write with background_delay waits for its task and answers null", async () => {
    const host = new HostUnderTest();
    expect(await host.send("POST", "qemu/101/config", { name: "x", background_delay: "5" })).toMatchObject({ status: 200, data: null });
    const release = await host.node.holdLock(101);
    expect(await host.send("POST", "qemu/101/config", { name: "y", background_delay: "2" })).toMatchObject({ data: expect.stringContaining(":qmconfig:101:") });
    release();
  });
});

describe("what others do at the host", () => {
  test("an edit changes the file and its version, not by any lock or pending section (row H2)", async () => {
    const host = new HostUnderTest();
    await host.run("qemu/101/status/start");
    const { version, ids } = host.node.vmlist();
    await host.node.holdLock(101);
    expect(await host.node.edit({ vmid: 101, set: { cores: "4" }, delete: ["name"], lock: "backup" })).toEqual({ ok: true });
    expect(await host.config("qemu/101", { current: "1" })).toMatchObject({ cores: 4, lock: "backup" });
    const after = host.node.vmlist();
    expect(after.version).not.toBe(version);
    expect(after.ids["101"]?.version).not.toBe(ids["101"]?.version);
    expect(after.ids["102"]).toEqual(ids["102"]);
  });

  test("power by others writes no task; starting and stopping moves no version", async () => {
    const host = new HostUnderTest();
    const before = host.node.vmlist();
    for (const power of ["start", "pause", "resume", "stop"] as const) expect(await host.node.edit({ vmid: 101, power })).toEqual({ ok: true });
    for (const power of ["start", "stop"] as const) expect(await host.node.edit({ vmid: 200, power })).toEqual({ ok: true });
    expect(host.node.vmlist()).toEqual(before);
    expect(await host.get("tasks", { source: "all" })).toEqual([]);
    expect(await host.node.edit({ vmid: 101, power: "stop" })).toMatchObject({ ok: false });
    expect(await host.node.edit({ vmid: 404, lock: null })).toMatchObject({ ok: false });
  });

  test("a guest that is destroyed is gone from every list", async () => {
    const host = new HostUnderTest();
    await host.node.edit({ vmid: 101, destroy: true });
    expect(host.node.vmlist().ids["101"]).toBeUndefined();
    expect(await host.outcome("GET", "qemu/101/config")).toStartWith("500 Configuration file");
  });

  test("changes are told as they happen", async () => {
    const host = new HostUnderTest();
    const heard: HostChange[] = [];
    const end = host.node.onChange((change) => heard.push(change));
    await host.send("PUT", "lxc/200/config", { hostname: "x" });
    await host.run("qemu/101/status/start");
    await host.send("PUT", "/cluster/options", { keyboard: "de" });
    expect(heard.map((change) => change.kind)).toEqual(["config", "tasks", "run", "tasks", "cluster"]);
    end();
    await host.send("PUT", "lxc/200/config", { hostname: "y" });
    expect(heard.length).toBe(5);
  });

  test("without quorum nothing is written or started, and all of it works again after", async () => {
    const host = new HostUnderTest();
    const release = host.node.addFault({ kind: "read_only" });
    const before = host.node.configFile(101);
    expect(await host.outcome("PUT", "qemu/101/config", { name: "x" })).toMatch(/^500 unable to open file '\/etc\/pve\/nodes\/pve1\/qemu-server\/101\.conf\.tmp\.\d+' - Permission denied$/);
    expect(await host.outcome("POST", "qemu/101/status/start")).toBe("500 cluster not ready - no quorum?");
    expect(host.node.configFile(101)).toBe(before);
    release();
    expect(await host.outcome("PUT", "qemu/101/config", { name: "x" })).toBe("200");
  });

  test("only a member of a cluster says whether there is quorum (row R5)", async () => {
    const alone = new HostUnderTest();
    expect(await alone.send("GET", "/cluster/status")).toMatchObject({ data: [{ type: "node" }] });
    const member = new HostUnderTest(undefined, { traits: { cluster: "home" } });
    expect(await member.send("GET", "/cluster/status")).toMatchObject({ data: [{ type: "cluster", name: "home", quorate: 1 }, { type: "node" }] });
    member.node.addFault({ kind: "read_only" });
    expect(await member.send("GET", "/cluster/status")).toMatchObject({ data: [{ type: "cluster", quorate: 0 }, { type: "node" }] });
  });

  test("the counters of .version move with what they count", async () => {
    const host = new HostUnderTest();
    const read = (): Record<string, unknown> => host.node.clusterVersion();
    const before = read();
    await host.run("qemu/101/status/start");
    expect(read()["kvstore"]).not.toEqual(before["kvstore"]);
    expect(read()["vmlist"]).toBe(before["vmlist"]);
    await host.send("PUT", "qemu/101/config", { name: "x" });
    expect(read()["vmlist"]).not.toBe(before["vmlist"]);
    await host.send("PUT", "/cluster/options", { keyboard: "de" });
    expect(read()["datacenter.cfg"]).not.toBe(before["datacenter.cfg"]);
    expect(host.node.datacenterConfig()).toBe("keyboard: de\n");
  });
});

describe("tasks", () => {
  test("that hang do nothing until they are let go", async () => {
    const host = new HostUnderTest();
    const release = host.node.addFault({ kind: "task_hang", taskType: "qmstart", vmid: 101 });
    const upid = await host.fork("qemu/101/status/start");
    expect(await host.run("qemu/102/status/start")).toBe("OK");
    await host.clock.advance(60_000);
    expect(await host.get(`tasks/${upid}/status`)).toMatchObject({ status: "running" });
    release();
    expect(await host.exitOf(upid)).toBe("OK");
  });

  test("that hang can be stopped, and are made to fail by a fault", async () => {
    const host = new HostUnderTest();
    host.node.addFault({ kind: "task_hang", taskType: "qmstart" });
    const upid = await host.fork("qemu/101/status/start");
    await host.send("DELETE", `tasks/${upid}`);
    expect(await host.exitOf(upid)).toBe("received interrupt");
    host.node.addFault({ kind: "task_fail", taskType: "qmstop", exit: "no way" });
    expect(await host.run("qemu/101/status/stop")).toBe("no way");
  });

  test("whose worker is killed end as unexpected status, with nothing in their log", async () => {
    const host = new HostUnderTest();
    await host.run("qemu/101/status/start");
    const upid = await host.fork("qemu/101/status/shutdown", { timeout: "60" });
    await host.clock.advance(1_000);
    host.node.killTask(upid);
    expect(await host.exitOf(upid)).toBe("unexpected status");
    expect(await host.log(upid)).toEqual(["no content"]);
    expect(await host.get("tasks", { statusfilter: "unknown" })).toMatchObject([{ upid }]);
  });

  test("running and ended ones are listed apart", async () => {
    const host = new HostUnderTest();
    await host.run("qemu/101/status/start");
    const upid = await host.fork("qemu/101/status/shutdown", { timeout: "60" });
    expect(await host.get("tasks", { source: "active" })).toMatchObject([{ upid, status: "RUNNING", user: "root@pam!agent", saved: "0" }]);
    expect(await host.get("tasks", { vmid: "101" })).toMatchObject([{ type: "qmstart", status: "OK", user: "root@pam", tokenid: "agent" }]);
    expect(await host.get("tasks", { userfilter: "root@pam!agent" })).toEqual([]);
    expect(host.node.activeTasks()[0]).toBe(`${upid} 0`);
    expect(host.node.activeTasks()[1]).toMatch(/^UPID:pve1:.*:qmstart:101:root@pam!agent: 1 [0-9A-F]{8} OK$/);
  });

  test("are forgotten after their index was rotated twice", async () => {
    const host = new HostUnderTest();
    const first = await host.fork("qemu/101/status/stop");
    await host.exitOf(first);
    for (let count = 0; count < 1_500; count++) {
      await host.begin("POST", "qemu/101/status/stop");
      if (count % 100 === 99) await host.clock.advance(1_000);
    }
    expect(await host.outcome("GET", `tasks/${first}/status`)).toBe('400 {"upid":"no such task"}');
    const { length } = (await host.get("tasks", { limit: "0" }, ROOT)) as unknown[];
    expect(length).toBeWithin(600, 1_400);
  });
});

describe("/cluster/resources", () => {
  const row = async (host: HostUnderTest, vmid: number): Promise<Record<string, unknown> | undefined> =>
    ((await host.get("/cluster/resources", { type: "vm" })) as Record<string, unknown>[]).find((each) => each["vmid"] === vmid);

  test("lags: a started guest still reads stopped for up to ten seconds (row R4)", async () => {
    const host = new HostUnderTest();
    await host.clock.advance(500);
    await host.run("qemu/101/status/start");
    expect(await row(host, 101)).toMatchObject({ status: "stopped" });
    await host.clock.advance(10_000);
    expect(await row(host, 101)).toMatchObject({ status: "running" });
  });

  test("knows nothing of a new guest but that it is there, and its tags", async () => {
    const host = new HostUnderTest();
    await host.clock.advance(500);
    expect(await host.run("qemu", { vmid: "150", name: "new", tags: "x" })).toBe("OK");
    expect(await row(host, 150)).toEqual({ id: "qemu/150", vmid: 150, node: "pve1", type: "qemu", status: "unknown", tags: "x" });
    await host.clock.advance(10_000);
    expect(await row(host, 150)).toMatchObject({ status: "stopped", name: "new" });
  });
});

describe("guests made, changed in size and destroyed", () => {
  test("a new guest gets what Proxmox gives it", async () => {
    const host = new HostUnderTest();
    expect(await host.run("qemu", { vmid: "150", scsi0: "local-lvm:4", net0: "virtio,bridge=vmbr0", ide2: "none,media=cdrom" })).toBe("OK");
    const config = await host.config("qemu/150");
    expect(config).toMatchObject({ boot: "order=scsi0;ide2;net0", scsi0: "local-lvm:vm-150-disk-0,size=4G", vmgenid: expect.any(String), smbios1: expect.stringMatching(/^uuid=/), meta: expect.stringMatching(/ctime=\d+$/) });
    expect(await host.outcome("POST", "qemu", { vmid: "200" })).toBe("500 unable to create VM 200 - CT 200 already exists on node 'pve1'");
  });

  test("one whose disk cannot be made is not left behind", async () => {
    const host = new HostUnderTest();
    expect(await host.run("qemu", { vmid: "150", scsi0: "local:150/vm-150-disk-4.raw" })).toBe("volume 'local:150/vm-150-disk-4.raw' does not exist");
    expect(host.node.configFile(150)).toBeUndefined();
  });

  test("a disk grows and never shrinks", async () => {
    const host = new HostUnderTest();
    expect(await host.run("qemu/102/resize", { disk: "scsi0", size: "+1G" }, "PUT")).toBe("OK");
    expect((await host.config("qemu/102"))["scsi0"]).toBe("local:102/vm-102-disk-0.qcow2,iothread=1,size=1040M");
    expect(await host.outcome("PUT", "qemu/102/resize", { disk: "scsi0", size: "1M" })).toBe("500 shrinking disks is not supported");
    expect(await host.run("lxc/200/resize", { disk: "rootfs", size: "1G" }, "PUT")).toBe("OK");
    expect((await host.config("lxc/200"))["rootfs"]).toBe("local:200/vm-200-disk-0.raw,size=1G");
  });

  test("destroying takes the guest's volumes along; protection, running and locks are in the way", async () => {
    const host = new HostUnderTest();
    await host.send("PUT", "qemu/102/config", { protection: "1" });
    expect(await host.outcome("DELETE", "qemu/102")).toBe("500 can't remove VM 102 - protection mode enabled");
    await host.send("PUT", "qemu/102/config", { protection: "0" });
    expect(await host.run("qemu/102", {}, "DELETE")).toBe("OK");
    expect(await host.get("storage/local/content", { vmid: "102" })).toEqual([]);
    await host.run("lxc/200/status/start");
    expect(await host.outcome("DELETE", "lxc/200")).toBe("500 unable to destroy CT 200 - container is running");
  });

  test("a clone has disks, addresses and identity of its own", async () => {
    const host = new HostUnderTest();
    expect(await host.run("qemu/102/clone", { newid: "160", full: "1" })).toBe("OK");
    const [original, clone] = [await host.config("qemu/102"), await host.config("qemu/160")];
    expect(clone["name"]).toBe("Copy-of-db");
    for (const key of ["scsi0", "net0", "smbios1"]) expect(clone[key]).not.toBe(original[key]);
  });

  test("a snapshot is rolled back to and deleted", async () => {
    const host = new HostUnderTest();
    await host.run("qemu/102/snapshot", { snapname: "one" });
    await host.send("PUT", "qemu/102/config", { cores: "7" });
    expect(await host.run("qemu/102/snapshot/one/rollback")).toBe("OK");
    expect(await host.config("qemu/102")).toMatchObject({ cores: 2, parent: "one" });
    expect(await host.run("qemu/102/snapshot/one", {}, "DELETE")).toBe("OK");
    expect((await host.config("qemu/102"))["parent"]).toBeUndefined();
    expect(await host.run("qemu/102/snapshot/one/rollback")).toBe("snapshot 'one' does not exist");
  });

  test("a template is not started and its disk becomes a base image", async () => {
    const host = new HostUnderTest();
    expect(await host.run("qemu/102/template")).toBe("OK");
    expect(await host.config("qemu/102")).toMatchObject({ template: 1, scsi0: "local:102/base-102-disk-0.qcow2,iothread=1,size=16M" });
    expect(await host.run("qemu/102/status/start")).toBe("you can't start a vm if it's a template");
  });
});

describe("a lock file", () => {
  test("is given to those who wait in the order they came", async () => {
    const clock = new FakeClock();
    const lock = new FileLock("/x", clock);
    const order: number[] = [];
    const release = await lock.acquire(1_000);
    const waiting = [1, 2, 3].map(async (name) => {
      const mine = await lock.acquire(1_000);
      order.push(name);
      mine();
    });
    release();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
    expect(lock.isHeld).toBe(false);
  });

  test("is not given to one who gave up, and giving it back twice does no harm", async () => {
    const clock = new FakeClock();
    const lock = new FileLock("/x", clock);
    const release = await lock.acquire(0);
    const late = lock.acquire(1_000).then(() => "got it", (error: Error) => error.message);
    await clock.advance(1_000);
    expect(await late).toBe("can't lock file '/x' - got timeout");
    release();
    release();
    expect(lock.isHeld).toBe(false);
  });

  test("is held by one at a time, whatever the order of coming and going", async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.record({ atMs: fc.nat(50), holdMs: fc.nat(30), patienceMs: fc.nat(40) }), { maxLength: 12 }), async (visits) => {
      const clock = new FakeClock();
      const lock = new FileLock("/x", clock);
      let inside = 0;
      const visit = async ({ atMs, holdMs, patienceMs }: (typeof visits)[number]): Promise<void> => {
        await clock.sleep(atMs);
        const release = await lock.acquire(patienceMs).catch(() => undefined);
        if (release === undefined) return;
        inside++;
        expect(inside).toBe(1);
        await clock.sleep(holdMs);
        inside--;
        release();
      };
      const all = Promise.all(visits.map(visit));
      await clock.advance(5_000);
      await all;
      expect(lock.isHeld).toBe(false);
    }), { numRuns: 30 });
  });
});

test("a host that was stopped does nothing more", async () => {
  const host = new HostUnderTest({ "qemu-server/101": QEMU_101 });
  const upid = await host.fork("qemu/101/status/start");
  host.node.stop();
  await host.clock.advance(10_000);
  expect(host.node.runningGuests()).toEqual([]);
  expect(await host.get(`tasks/${upid}/status`)).toMatchObject({ status: "running" });
});
