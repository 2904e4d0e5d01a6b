import { describe, expect, test } from "bun:test";
import { callerWith, HostUnderTest, LXC_200, QEMU_101, QEMU_102, ROOT } from "./host-under-test.ts";

const LOCK_TIMEOUT = "can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout";

async function statusOf(host: HostUnderTest, guest: string): Promise<unknown> {
  return ((await host.get(`${guest}/status/current`)) as Record<string, unknown>)["qmpstatus"] ?? ((await host.get(`${guest}/status/current`)) as Record<string, unknown>)["status"];
}

describe("a QEMU guest (row O25)", () => {
  const stopped: readonly (readonly [string, string])[] = [["start", "OK"], ["stop", "OK"], ["shutdown", "OK"]];
  for (const [act, exit] of stopped) {
    test(`that is stopped: ${act} is a task that ends with ${exit}`, async () => expect(await new HostUnderTest().run(`qemu/101/status/${act}`)).toBe(exit));
  }
  for (const act of ["reboot", "reset", "suspend", "resume"]) {
    test(`that is stopped: ${act} is refused at once`, async () => {
      expect(await new HostUnderTest().outcome("POST", `qemu/101/status/${act}`)).toBe("500 VM 101 not running");
    });
  }

  test("that does not exist gets a task, which fails", async () => {
    const host = new HostUnderTest();
    expect(await host.run("qemu/999/status/start")).toBe("Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist");
    expect(await host.run("qemu/999/status/stop")).toBe("unable to find configuration file for VM 999 on node 'pve1'");
  });

  const failing: readonly (readonly [string, string, string])[] = [
    ["more vcpus than the host has", "cores: 9\nsockets: 2\n", "MAX 16 vcpus allowed per VM on this node"],
    ["a missing bridge", "net0: virtio=BC:24:11:00:00:01,bridge=gone\n", "bridge 'gone' does not exist"],
    ["a template", "template: 1\n", "you can't start a vm if it's a template"],
    ["a lock", "lock: migrate\n", "VM is locked (migrate)"],
    ["an option that QEMU does not know", "args: -nonsense\n", "start failed: QEMU exited with code 1"],
  ];
  for (const [what, config, exit] of failing) {
    test(`with ${what} is not started (row O20)`, async () => {
      const host = new HostUnderTest({ "qemu-server/101": config });
      expect(await host.run("qemu/101/status/start")).toBe(exit);
      expect(await statusOf(host, "qemu/101")).toBe("stopped");
    });
  }

  test("whose volume is gone is not started", async () => {
    const host = new HostUnderTest({ "qemu-server/101": "name: x\n", "qemu-server/102": QEMU_102 });
    host.node.putConfigFile(102, QEMU_102.replace("disk-0", "disk-7"));
    expect(await host.run("qemu/102/status/start")).toBe("volume 'local:102/vm-102-disk-7.qcow2' does not exist");
  });

  test("is started once", async () => {
    const host = new HostUnderTest();
    expect(await host.run("qemu/101/status/start")).toBe("OK");
    expect(await host.run("qemu/101/status/start")).toBe("VM 101 already running");
    expect(host.node.runningGuests()).toEqual([{ kind: "qemu", vmid: 101 }]);
  });

  test("that obeys is shut down within its time; one that does not is not, unless forced (row O26)", async () => {
    const host = new HostUnderTest();
    for (const guest of ["qemu/101", "qemu/102"]) await host.run(`${guest}/status/start`);
    expect(await host.run("qemu/102/status/shutdown", { timeout: "5" })).toBe("OK");
    expect(await host.run("qemu/101/status/shutdown", { timeout: "5" })).toBe("VM quit/powerdown failed - got timeout");
    expect(await statusOf(host, "qemu/101")).toBe("running");
    const forced = await host.fork("qemu/101/status/shutdown", { timeout: "1", forceStop: "1" });
    expect(await host.exitOf(forced)).toBe("OK");
    expect(await host.log(forced)).toEqual(["VM still running - terminating now with SIGTERM", "TASK OK"]);
  });

  test("waits for its shutdown as long as its startup option says", async () => {
    const host = new HostUnderTest({ "qemu-server/101": `${QEMU_101}startup: order=1,down=7\n` });
    await host.run("qemu/101/status/start");
    const began = host.clock.monotonic();
    await host.run("qemu/101/status/shutdown");
    expect(host.clock.monotonic() - began).toBeWithin(7_000, 8_000);
  });

  test("that is paused is not shut down", async () => {
    const host = new HostUnderTest();
    await host.run("qemu/102/status/start");
    await host.run("qemu/102/status/suspend");
    expect(await statusOf(host, "qemu/102")).toBe("paused");
    expect(await host.outcome("POST", "qemu/102/status/shutdown")).toBe("500 VM is paused - cannot shutdown");
    await host.run("qemu/102/status/resume");
    expect(await statusOf(host, "qemu/102")).toBe("running");
  });

  test("suspended to disk keeps a lock and a state until it is resumed", async () => {
    const host = new HostUnderTest();
    await host.run("qemu/102/status/start");
    expect(await host.run("qemu/102/status/suspend", { todisk: "1" })).toBe("OK");
    expect(await host.config("qemu/102")).toMatchObject({ lock: "suspended", vmstate: "local:102/vm-102-state-suspend.raw" });
    await host.clock.advance(1_000);
    expect(await host.run("qemu/102/status/start")).toBe("OK");
    expect((await host.config("qemu/102"))["lock"]).toBeUndefined();
  });

  test("is rebooted by a shutdown and a start of the host's own, pending changes applied (row O18)", async () => {
    const host = new HostUnderTest();
    await host.run("qemu/102/status/start");
    await host.send("PUT", "qemu/102/config", { memory: "512" });
    expect(await host.run("qemu/102/status/reboot")).toBe("OK");
    await host.clock.advance(2_000);
    expect(await statusOf(host, "qemu/102")).toBe("running");
    expect(await host.config("qemu/102", { current: "1" })).toMatchObject({ memory: "512" });
    const [latest] = (await host.get("tasks", { limit: "1" }, ROOT)) as { type: string; user: string; tokenid?: string }[];
    expect([latest?.type, latest?.user, latest?.tokenid]).toEqual(["qmstart", "root@pam", undefined]);
  });

  test("holds its lock through a shutdown: everything else on it waits ten seconds and fails (row O27)", async () => {
    const host = new HostUnderTest();
    await host.run("qemu/101/status/start");
    await host.fork("qemu/101/status/shutdown", { timeout: "60" });
    await host.clock.advance(100);
    expect(await host.outcome("PUT", "qemu/101/config", { name: "x" })).toBe(`500 ${LOCK_TIMEOUT}`);
    expect(await host.run("qemu/101/config", { name: "x" })).toBe(LOCK_TIMEOUT);
    expect(await host.run("qemu/101/status/stop")).toBe(LOCK_TIMEOUT);
    expect(await host.run("qemu/101/status/stop", { "overrule-shutdown": "1" })).toBe("OK");
  });

  test("started again at once after it died: its cleanup holds the lock up to half a minute (row O28)", async () => {
    const host = new HostUnderTest();
    await host.run("qemu/101/status/start");
    await host.run("qemu/101/status/stop");
    await host.run("qemu/101/status/start");
    await host.clock.advance(500);
    expect(await host.outcome("PUT", "qemu/101/config", { name: "x" })).toBe(`500 ${LOCK_TIMEOUT}`);
    await host.clock.advance(25_000);
    expect(await host.outcome("PUT", "qemu/101/config", { name: "x" })).toBe("200");
  });

  test("a write that waits for the lock is done even when nobody waits for its answer any more (row O40)", async () => {
    const host = new HostUnderTest();
    const release = await host.node.holdLock(101);
    const answer = host.begin("PUT", "qemu/101/config", { name: "late" });
    await host.clock.advance(6_000);
    expect((await host.config("qemu/101"))["name"]).toBe("tiny");
    release();
    await host.clock.advance(10);
    expect((await host.config("qemu/101"))["name"]).toBe("late");
    expect((await answer).status).toBe(200);
  });

  test("that HA manages: a request is taken, the guest follows by a task of the host's own", async () => {
    const host = new HostUnderTest(undefined, { files: { "/etc/pve/ha/resources.cfg": "vm: 101\n\tstate stopped\n" } });
    const upid = await host.fork("qemu/101/status/start");
    expect(upid).toContain(":hastart:101:");
    expect(await host.exitOf(upid)).toBe("OK");
    expect(await statusOf(host, "qemu/101")).toBe("stopped");
    expect(await host.get("qemu/101/status/current")).toMatchObject({ ha: { managed: 1, state: "started" } });
    await host.clock.advance(12_000);
    expect(await statusOf(host, "qemu/101")).toBe("running");
  });
});

describe("a container", () => {
  const refused: readonly (readonly [string, string])[] = [
    ["stop", "500 CT 200 not running"], ["shutdown", "500 CT 200 not running"], ["reboot", "500 VM 200 not running"], ["suspend", "500 CT 200 not running"],
  ];
  for (const [act, outcome] of refused) test(`that is stopped: ${act} is refused`, async () => expect(await new HostUnderTest().outcome("POST", `lxc/200/status/${act}`)).toBe(outcome));

  test("starts, and only once", async () => {
    const host = new HostUnderTest();
    expect(await host.run("lxc/200/status/start")).toBe("OK");
    expect(await host.outcome("POST", "lxc/200/status/start")).toBe("500 CT 200 already running");
  });

  test("keeps its lock from the request to the end of the task", async () => {
    const host = new HostUnderTest(undefined, { traits: { honoursShutdown: () => false } });
    await host.run("lxc/200/status/start");
    await host.fork("lxc/200/status/shutdown", { timeout: "60" });
    expect(await host.outcome("PUT", "lxc/200/config", { hostname: "x" })).toBe("500 can't lock file '/run/lock/lxc/pve-config-200.lock' - got timeout");
    expect(await host.run("lxc/200/status/stop", { "overrule-shutdown": "1" })).toBe("OK");
  });

  test("that does not obey in time makes its shutdown fail, unless it is forced", async () => {
    const host = new HostUnderTest(undefined, { traits: { honoursShutdown: () => false } });
    await host.run("lxc/200/status/start");
    expect(await host.run("lxc/200/status/shutdown", { timeout: "2" })).toContain("failed: exit code 1");
    expect(await host.run("lxc/200/status/shutdown", { timeout: "2", forceStop: "1" })).toBe("OK");
  });

  test("is rebooted", async () => {
    const host = new HostUnderTest();
    await host.run("lxc/200/status/start");
    const before = (await host.get("lxc/200/status/current")) as { pid: number };
    expect(await host.run("lxc/200/status/reboot")).toBe("OK");
    const after = (await host.get("lxc/200/status/current")) as { pid: number; status: string };
    expect(after.status).toBe("running");
    expect(after.pid).not.toBe(before.pid);
  });

  test("that has a lock or a missing bridge is not started (row O29)", async () => {
    const locked = new HostUnderTest({ "lxc/200": `${LXC_200}lock: backup\n` });
    expect(await locked.run("lxc/200/status/start")).toBe("CT is locked (backup)");
    const unbridged = new HostUnderTest({ "lxc/200": LXC_200.replace("vmbr0", "gone") });
    expect(await unbridged.run("lxc/200/status/start")).toBe("bridge 'gone' does not exist");
  });
});

describe("who may", () => {
  const power: readonly (readonly [string, string, readonly string[], string])[] = [
    ["POST", "qemu/101/status/start", [], "403 Permission check failed (/vms/101, VM.PowerMgmt)"],
    ["POST", "qemu/999/status/start", [], "403 Permission check failed (/vms/999, VM.PowerMgmt)"],
    ["GET", "qemu/101/config", [], "403 Permission check failed (/vms/101, VM.Audit)"],
    ["GET", "qemu/999/config", ["VM.Audit"], "500 Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist"],
    ["DELETE", "qemu/101", ["VM.Audit"], "403 Permission check failed (/vms/101, VM.Allocate)"],
    ["GET", "/cluster/ha/resources", ["VM.Audit"], "403 Permission check failed (/, Sys.Audit)"],
    ["GET", "status", ["VM.Audit"], "403 Permission check failed (/nodes/pve1, Sys.Audit)"],
    ["GET", "storage/local/content", [], "403 Permission check failed (/storage/local, Datastore.Audit|Datastore.AllocateSpace)"],
  ];
  for (const [method, path, privileges, outcome] of power) {
    test(`${method} ${path} with [${privileges.join()}]`, async () => {
      expect(await new HostUnderTest().outcome(method as "GET", path, {}, callerWith(privileges))).toBe(outcome);
    });
  }

  const keys: readonly (readonly [string, Record<string, string>, string])[] = [
    ["VM.Config.CPU", { cores: "1" }, "VM.Config.Options"], ["VM.Config.Memory", { memory: "64" }, "VM.Config.CPU"], ["VM.Config.HWType", { kvm: "0" }, "VM.Config.CPU"],
    ["VM.Config.Options", { name: "x" }, "VM.Config.CPU"], ["VM.Config.Network", { net0: "virtio" }, "VM.Config.CPU"], ["VM.Config.Disk", { boot: "cdn" }, "VM.Config.CPU"],
    ["VM.Config.CDROM", { ide2: "none,media=cdrom" }, "VM.Config.CPU"], ["VM.Config.Options", { tags: "x" }, "VM.Config.CPU"],
  ];
  for (const [privilege, parameters, other] of keys) {
    const [key = ""] = Object.keys(parameters);
    test(`${key} needs ${privilege}`, async () => {
      const host = new HostUnderTest();
      expect(await host.outcome("PUT", "qemu/101/config", parameters, callerWith([privilege]))).toBe("200");
      expect(await host.outcome("PUT", "qemu/101/config", parameters, callerWith([other]))).toBe(`403 Permission check failed (/vms/101, ${privilege})`);
    });
  }

  test("start order changes the host, so it needs Sys.Modify on / too", async () => {
    const host = new HostUnderTest();
    expect(await host.outcome("PUT", "qemu/101/config", { startup: "1" }, callerWith(["VM.Config.Options"]))).toBe("403 Permission check failed (/, Sys.Modify)");
  });

  test("a bridge needs SDN.Use, a new disk AllocateSpace, a registered tag Sys.Modify (row 21)", async () => {
    const host = new HostUnderTest(undefined, { files: { "/etc/pve/datacenter.cfg": "registered-tags: reserved\n" } });
    const caller = callerWith(["VM.Config.Network", "VM.Config.Disk", "VM.Config.Options"]);
    expect(await host.outcome("PUT", "qemu/101/config", { net0: "virtio,bridge=vmbr0" }, caller)).toBe("403 Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)");
    expect(await host.outcome("PUT", "qemu/101/config", { scsi0: "local:1" }, caller)).toBe("403 Permission check failed (/storage/local, Datastore.AllocateSpace)");
    expect(await host.outcome("PUT", "qemu/101/config", { tags: "reserved" }, caller)).toBe("403 Permission check failed (/, Sys.Modify for modifying tag 'reserved')");
    expect(await host.outcome("PUT", "qemu/101/config", { tags: "free" }, caller)).toBe("200");
  });

  test("lists show only what may be seen", async () => {
    const host = new HostUnderTest();
    const caller = callerWith(["VM.Audit"], "/vms/101");
    expect(((await host.get("qemu", {}, caller)) as { vmid: number }[]).map((row) => row.vmid)).toEqual([101]);
    expect(await host.get("lxc", {}, caller)).toEqual([]);
    expect(((await host.get("/cluster/resources", { type: "vm" }, caller)) as unknown[]).length).toBe(1);
    expect(await host.get("/cluster/options", {}, caller)).toEqual({ "allowed-tags": [] });
  });

  test("tasks of others need Sys.Audit, stopping them Sys.Modify", async () => {
    const host = new HostUnderTest();
    const upid = await host.fork("qemu/101/status/start");
    const stranger = callerWith(["VM.Audit"]);
    expect(await host.outcome("GET", `tasks/${upid}/status`, {}, stranger)).toBe("403 Permission check failed (/nodes/pve1, Sys.Audit)");
    expect(await host.outcome("DELETE", `tasks/${upid}`, {}, stranger)).toBe("403 Permission check failed (/nodes/pve1, Sys.Modify)");
    expect(await host.get("tasks", { source: "all" }, stranger)).toEqual([]);
  });
});
