import { afterEach, describe, expect, test } from "bun:test";
import { identityOf } from "../../src/guest/identity.ts";
import type { GuestConfig } from "../../src/guest/observed.ts";
import { ok } from "../../src/ports/errors.ts";
import type { GuestListEntry, ProxmoxApi } from "../../src/ports/proxmox-api.ts";
import { assembleGuest, readGuest } from "../../src/proxmox/reader.ts";
import { FakePveServer, json, refusal, type FakeAnswer } from "../support/fake-pve-server.ts";
import { testClient } from "../support/proxmox-client.ts";
import { readRecording } from "../support/recordings.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A client whose every request is answered by path; anything else is a 501, as Proxmox has it. */
async function clientFor(answers: Readonly<Record<string, FakeAnswer>>): Promise<{ api: ProxmoxApi; server: FakePveServer }> {
  const server = await FakePveServer.start(({ target }) => {
    const path = target.replace("/api2/json", "");
    return answers[path] ?? answers[path.split("?")[0] ?? ""] ?? refusal(501, `Method 'GET ${path}' not implemented`);
  });
  const { api } = testClient(server.url);
  cleanups.push(() => server.stop(), () => api.close());
  return { api, server };
}

const data = (value: unknown, extra: Record<string, unknown> = {}): FakeAnswer => json(200, { data: value, ...extra });
const QEMU = { kind: "qemu", vmid: 100 } as const;
const LXC = { kind: "lxc", vmid: 200 } as const;

describe("answers recorded from a real host", () => {
  const recorded = (path: string): FakeAnswer => {
    const exchange = readRecording("01-basic.txt").find((each) => each.method === "GET" && each.path === path && each.statusLine.includes("200"));
    if (exchange === undefined) throw new Error(`no recording of ${path}`);
    return json(200, exchange.body);
  };

  test("the version", async () => {
    const { api } = await clientFor({ "/version": recorded("/api2/json/version") });
    expect(await api.version()).toEqual(ok({ major: 9, minor: 2, patch: 11 }));
  });

  test("both guest lists", async () => {
    const { api } = await clientFor({
      "/nodes/pve1/qemu": recorded("/api2/json/nodes/pve1/qemu"),
      "/nodes/pve1/lxc": recorded("/api2/json/nodes/pve1/lxc"),
    });
    const entry = { runState: "stopped", isTemplate: false, lock: undefined } as const;
    expect(await api.listGuests("qemu")).toEqual(ok([
      { kind: "qemu", vmid: 101, name: "tiny", ...entry }, { kind: "qemu", vmid: 100, name: "web", ...entry }, { kind: "qemu", vmid: 102, name: "db", ...entry },
    ]));
    expect(await api.listGuests("lxc")).toEqual(ok([{ kind: "lxc", vmid: 200, name: "ct200", ...entry }, { kind: "lxc", vmid: 201, name: "ct201", ...entry }]));
  });

  test("run states", async () => {
    const { api } = await clientFor({
      "/nodes/pve1/qemu/100/status/current": recorded("/api2/json/nodes/pve1/qemu/100/status/current"),
      "/nodes/pve1/lxc/200/status/current": recorded("/api2/json/nodes/pve1/lxc/200/status/current"),
    });
    const stopped = ok({ runState: "stopped", lock: undefined, ha: { isManaged: false }, isTemplate: false } as const);
    expect(await api.readStatus(QEMU)).toEqual(stopped);
    expect(await api.readStatus(LXC)).toEqual(stopped);
  });

  test("a single node has quorum; where guests are", async () => {
    const { api } = await clientFor({
      "/cluster/status": recorded("/api2/json/cluster/status"),
      "/cluster/resources?type=vm": recorded("/api2/json/cluster/resources?type=vm"),
    });
    expect(await api.hasQuorum()).toEqual(ok(true));
    const located = await api.locateGuests();
    expect(located.ok && located.value.map(({ kind, vmid, node }) => `${kind}/${vmid}@${node}`)).toEqual(["qemu/100@pve1", "qemu/101@pve1", "qemu/102@pve1", "lxc/200@pve1", "lxc/201@pve1"]);
  });

  test("a missing guest is 'missing', not 'stopped' (row A12)", async () => {
    const { api } = await clientFor({ "/nodes/pve1/qemu/100/pending": refusal(500, "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist") });
    expect(await api.readConfig(QEMU)).toMatchObject({ error: { code: "proxmox.guest_missing", status: 500 } });
  });

  test("tasks: running ones without an end, finished ones with their exit, users from the UPID (row R6)", async () => {
    const running = { status: "RUNNING", pid: 3197, upid: "UPID:pve1:00000C7D:0005CD74:6B00ED37:qmstart:101:root@pam!agent:", id: "101", user: "root@pam!agent", node: "pve1", type: "qmstart", starttime: 1795222839, saved: "0", pstart: 380276 };
    const done = { user: "op@pve", status: "OK", pid: 3199, starttime: 1795222843, endtime: 1795222843, type: "qmstop", node: "pve1", id: "100", upid: "UPID:pve1:00000C7F:0005CF2A:6B00ED3B:qmstop:100:op@pve!tok:", pstart: 380714, tokenid: "tok" };
    const { api } = await clientFor({ "/nodes/pve1/tasks": data([running, done], { total: 2 }) });
    expect(await api.listTasks({ source: "all", limit: 2 })).toEqual(ok([
      { upid: running.upid, node: "pve1", type: "qmstart", id: "101", user: "root@pam!agent", startedAt: 1795222839, isRunning: true, exit: undefined },
      { upid: done.upid, node: "pve1", type: "qmstop", id: "100", user: "op@pve!tok", startedAt: 1795222843, isRunning: false, exit: "OK" },
    ]));
  });
});

describe("what Proxmox may change without notice", () => {
  test("vmids and booleans as text, floats, nulls and additions are taken", async () => {
    const rows = [
      { vmid: "106", status: "running", name: null, template: "1", lock: "backup", "new-in-10": { a: [1] } },
      { vmid: 1.07e2, status: "suspended", name: 107, template: "", maxmem: 1.2345678901234e21 },
    ];
    const { api } = await clientFor({ "/nodes/pve1/lxc": data(rows) });
    expect(await api.listGuests("lxc")).toEqual(ok([
      { kind: "lxc", vmid: 106, name: undefined, runState: "running", isTemplate: true, lock: "backup" },
      { kind: "lxc", vmid: 107, name: "107", runState: "unknown", isTemplate: false, lock: undefined },
    ]));
  });

  test("a row of the guest list that cannot be read says so, and hides none of the others", async () => {
    const rows = [{ vmid: 100, status: "running" }, { vmid: 101, status: { now: "running" }, lock: "backup" }, { vmid: 102, status: "stopped" }];
    const { api } = await clientFor({ "/nodes/pve1/qemu": data(rows) });
    const list = await api.listGuests("qemu");
    expect(list).toMatchObject({ value: [{ vmid: 100, runState: "running" }, { vmid: 101, runState: "unknown", lock: undefined }, { vmid: 102, runState: "stopped" }] });
    expect(list.ok ? list.value.map(({ problem }) => problem) : []).toEqual([undefined, expect.stringMatching(/^status: /), undefined]);
  });

  describe("a row of the guest list that does not say whose it is", () => {
    const rows = [{ vmid: 100, status: "running" }, { status: "running", name: "web" }, { vmid: 102, status: "stopped" }];
    const here = (vmid: number): object => ({ type: "qemu", vmid, node: "pve1" });
    const others = [here(100), here(102), { type: "qemu", vmid: 103, node: "pve2" }, { type: "lxc", vmid: 200, node: "pve1" }];
    const listed = async (list: readonly unknown[], cluster?: readonly unknown[]) => {
      const { api } = await clientFor({ "/nodes/pve1/qemu": data(list), ...(cluster === undefined ? {} : { "/cluster/resources": data(cluster) }) });
      return api.listGuests("qemu");
    };

    test("is of the guest that the cluster has here and the list does not name", async () => {
      const list = await listed(rows, [...others, here(101)]);
      expect(list).toMatchObject({ value: [{ vmid: 100, runState: "running" }, { vmid: 102, runState: "stopped" }, { kind: "qemu", vmid: 101, runState: "unknown" }] });
      expect(list.ok ? list.value.map(({ problem }) => problem) : []).toEqual([undefined, undefined, expect.stringMatching(/^GET \/nodes\/pve1\/qemu: expected at data\.1\.vmid: /)]);
    });

    test.each([["null", null], ["a list", [101]], ["no whole number", { vmid: "x" }], ["none of a guest", { vmid: 0 }], ["not a number at all", { vmid: { id: 101 } }]])("whatever it holds instead: %s", async (_, row) => {
      expect(await listed([row], [here(101)])).toMatchObject({ value: [{ vmid: 101, problem: expect.stringContaining("at data.0") }] });
    });

    test("makes every guest unreadable that it may be of", async () => {
      const list = await listed(rows, [...others, here(101), here(104)]);
      expect(list.ok ? list.value.filter(({ problem }) => problem !== undefined).map(({ vmid }) => vmid) : []).toEqual([101, 104]);
    });

    test.each([["the cluster cannot be asked", undefined], ["the cluster does not know of it either", others]])("makes the list unusable where %s", async (_, cluster) => {
      const list = await listed(rows, cluster);
      expect(list).toMatchObject({ error: { code: "proxmox.unexpected_answer", message: expect.stringContaining("GET /nodes/pve1/qemu: expected at data.1.vmid") } });
    });

    test("costs no request more where there is none", async () => {
      const { api, server } = await clientFor({ "/nodes/pve1/qemu": data([{ vmid: 100, status: "running" }]) });
      await api.listGuests("qemu");
      expect(server.requests).toHaveLength(1);
    });
  });

  test("an answer of another shape names where it differs", async () => {
    const { api } = await clientFor({ "/nodes/pve1/qemu": data([{ vmid: 100 }, { vmid: "x" }]), "/version": data({ version: "later" }), "/nodes/pve1/qemu/100/pending": data([{ key: "cores", value: 1 }]) });
    const list = await api.listGuests("qemu");
    expect(list).toMatchObject({ error: { code: "proxmox.unexpected_answer" } });
    expect(list.ok ? "" : list.error.message).toContain("GET /nodes/pve1/qemu: expected at data.1.vmid");
    expect(await api.version()).toMatchObject({ error: { code: "proxmox.unexpected_answer" } });
    expect(await api.readConfig(QEMU)).toMatchObject({ error: { code: "proxmox.unexpected_answer" } });
  });
});

describe("run states of status/current (rows R3 and 85)", () => {
  test.each([
    [{ status: "running", qmpstatus: "running" }, "running"], [{ status: "running" }, "running"], [{ status: "stopped", qmpstatus: "stopped" }, "stopped"], [{ status: "stopped" }, "stopped"],
    [{ status: "running", qmpstatus: "paused" }, "paused"], [{ status: "running", qmpstatus: "prelaunch" }, "paused"], [{ status: "running", qmpstatus: "io-error" }, "paused"],
    [{ status: "running", qmpstatus: "suspended" }, "paused"], [{ status: "running", qmpstatus: "stopped" }, "stopped"], [{ status: "unknown" }, "unknown"], [{}, "unknown"],
  ])("%p is %s", async (answer, runState) => {
    const { api } = await clientFor({ "/nodes/pve1/qemu/100/status/current": data({ vmid: 100, ...answer }) });
    expect(await api.readStatus(QEMU)).toMatchObject({ value: { runState } });
  });

  test("HA, the lock and templates", async () => {
    const { api } = await clientFor({ "/nodes/pve1/qemu/100/status/current": data({ status: "stopped", ha: { managed: "1", state: "started" }, lock: "migrate", template: 1 }) });
    expect(await api.readStatus(QEMU)).toEqual(ok({ runState: "stopped", lock: "migrate", ha: { isManaged: true, state: "started" }, isTemplate: true }));
  });
});

describe("what needs more privilege (row R5)", () => {
  const denied = refusal(403, "Permission check failed (/, Sys.Audit)");
  test("is null where it may not be seen", async () => {
    const { api } = await clientFor({ "/cluster/ha/resources": denied, "/cluster/status": denied, "/cluster/options": data({ "allowed-tags": [] }) });
    expect(await api.haResources()).toEqual(ok(null));
    expect(await api.hasQuorum()).toEqual(ok(null));
    expect(await api.tagStyle()).toEqual(ok(null));
  });

  test("is read where it may", async () => {
    const { api } = await clientFor({
      "/cluster/ha/resources": data([{ sid: "vm:100", type: "vm", state: "started", digest: "x" }, { sid: "ct:200", type: "ct" }, { sid: "fencing:x" }]),
      "/cluster/status": data([{ type: "cluster", name: "c", nodes: 3, quorate: 0 }, { type: "node", name: "pve1" }]),
      "/cluster/options": data({ "tag-style": { ordering: "config" } }),
    });
    expect(await api.haResources()).toEqual(ok([{ ...QEMU, state: "started" }, { ...LXC, state: "started" }]));
    expect(await api.hasQuorum()).toEqual(ok(false));
    expect(await api.tagStyle()).toEqual(ok({ isOrdered: true, isCaseSensitive: false }));
  });

  test("any other fault is a fault, not 'may not be seen'", async () => {
    const down = refusal(500, "RPCEnvironment init request failed: Unable to load access control list: Connection refused");
    const { api } = await clientFor({ "/cluster/ha/resources": down, "/cluster/status": down, "/cluster/options": down });
    for (const read of [api.haResources(), api.hasQuorum(), api.tagStyle()]) expect(await read).toMatchObject({ error: { code: "proxmox.transient" } });
  });
});

describe("tasks", () => {
  const UPID = "UPID:pve2:00000C7E:0005CF07:6B00ED3B:qmshutdown:101:root@pam!agent:";
  const path = `/nodes/pve2/tasks/${encodeURIComponent(UPID).replace("!", "%21")}`;

  test.each([
    [{ status: "running" }, { isRunning: true }],
    [{ status: "stopped", exitstatus: "OK" }, { isRunning: false, verdict: "succeeded", exit: "OK" }],
    [{ status: "stopped", exitstatus: "WARNINGS: 2" }, { isRunning: false, verdict: "succeeded_with_warnings", exit: "WARNINGS: 2" }],
    [{ status: "stopped", exitstatus: "unexpected status" }, { isRunning: false, verdict: "unknown", exit: "unexpected status" }],
    [{ status: "stopped" }, { isRunning: false, verdict: "unknown", exit: "" }],
    [{ status: "stopped", exitstatus: "VM is locked (backup)\u001b[2J" }, { isRunning: false, verdict: "failed", exit: "VM is locked (backup) [2J" }],
  ])("%p, asked for on the node in the UPID", async (answer, expected) => {
    const { api } = await clientFor({ [`${path}/status`]: data({ upid: UPID, ...answer }) });
    expect((await api.taskState(UPID)) as unknown).toEqual(ok(expected));
  });

  test("the tail of a short log is one request, of a long one two", async () => {
    const line = (n: number) => ({ n, t: `line ${n}` });
    const short = await clientFor({ [`${path}/log`]: data([line(1), { n: 2, t: "TASK ERROR: \u001b[31mno" }], { total: 2 }) });
    expect(await short.api.taskLogTail(UPID, 3)).toEqual(ok(["line 1", "TASK ERROR: [31mno"]));
    expect(short.server.requests).toHaveLength(1);
    const long = await clientFor({
      [`${path}/log?start=0&limit=3`]: data([line(1), line(2), line(3)], { total: 500 }),
      [`${path}/log?start=497&limit=3`]: data([line(498), line(499), line(500)], { total: 500 }),
    });
    expect(await long.api.taskLogTail(UPID, 3)).toEqual(ok(["line 498", "line 499", "line 500"]));
  });
});

describe("reading one guest", () => {
  const entry: GuestListEntry = { ...QEMU, name: "VM 100", runState: "running", isTemplate: false, lock: undefined };
  const config: GuestConfig = {
    running: { name: "web", lock: "backup", template: 1, smbios1: "uuid=AAAAAAAA-0000-4000-8000-000000000100", meta: "creation-qemu=10.0.13,ctime=1790000000" },
    merged: { name: "renamed" }, pending: [], digest: "d",
  };

  test("takes the config's word over the list's, and status/current's run state where it was read", () => {
    expect(assembleGuest(entry, config, "pve1")).toEqual({
      ...QEMU, node: "pve1", name: "web", runState: "running", isTemplate: true, lock: "backup", ha: undefined, config, identity: identityOf("qemu", config.running),
    });
    const status = { runState: "paused", lock: undefined, ha: { isManaged: true }, isTemplate: false } as const;
    expect(assembleGuest(entry, config, "pve1", status)).toMatchObject({ runState: "paused", ha: { isManaged: true }, lock: "backup" });
  });

  test("gives the fault of its configuration and nothing else", async () => {
    const { api } = await clientFor({ "/nodes/pve1/qemu/100/pending": refusal(403, "Permission check failed (/vms/100, VM.Audit)") });
    expect(await readGuest(api, entry, "pve1")).toMatchObject({ error: { code: "proxmox.forbidden", missing: "(/vms/100, VM.Audit)" } });
  });

  test("is one request (row R1)", async () => {
    const { api, server } = await clientFor({ "/nodes/pve1/lxc/200/pending": data([{ key: "digest", value: "d" }, { key: "hostname", value: "ct" }]) });
    const read = await readGuest(api, { ...entry, ...LXC }, "pve1");
    expect(read).toMatchObject({ value: { kind: "lxc", name: "ct", runState: "running" } });
    expect(server.requests).toHaveLength(1);
  });
});

test("a URL that is not https is a programmer's error: the config refuses it first", () => {
  expect(() => testClient("http://127.0.0.1:8006")).toThrow("must be https");
});

describe("the cloud-init drive (rows 75 and R8)", () => {
  const path = "/nodes/pve1/qemu/100/cloudinit";
  const rows = [
    { key: "ciuser", value: "ubuntu", pending: "admin" }, { key: "citype", pending: "nocloud" }, { key: "nameserver", value: "1.1.1.1" },
    { key: "ciupgrade", delete: 1 }, { key: "searchdomain", delete: 0, value: "x" }, { key: "vmid", value: 1, pending: 2 },
  ];

  test("differences are told, equal values are not", async () => {
    const { api } = await clientFor({ [path]: data(rows) });
    expect(await api.readCloudInitDrive(QEMU, "d1")).toEqual(ok([
      { key: "ciuser", onDrive: "ubuntu", isTold: true }, { key: "citype", onDrive: undefined, isTold: true }, { key: "ciupgrade", onDrive: undefined, isTold: false },
      { key: "vmid", onDrive: "1", isTold: true },
    ]));
  });

  test("is asked for once while the configuration stays the same, and again after a fault", async () => {
    const { api, server } = await clientFor({ [path]: data(rows) });
    const first = await api.readCloudInitDrive(QEMU, "d1");
    expect(await api.readCloudInitDrive(QEMU, "d1")).toEqual(first);
    expect(server.requests).toHaveLength(1);
    await api.readCloudInitDrive(QEMU, "d2");
    await api.readCloudInitDrive(QEMU, "d1");
    expect(server.requests).toHaveLength(3);
    for (let ask = 0; ask < 2; ask++) expect((await api.readCloudInitDrive({ kind: "qemu", vmid: 102 }, "d1")).ok).toBe(false);
    expect(server.requests).toHaveLength(5);
  });
});

test("a value that is a list, as a container's raw lines, is left out of the configuration (rows 80 and R7)", async () => {
  const { api } = await clientFor({ "/nodes/pve1/lxc/200/pending": data([{ key: "digest", value: "d" }, { key: "lxc", value: [["lxc.apparmor.profile", "unconfined"]] }, { key: "cores", value: 1 }]) });
  expect(await api.readConfig(LXC)).toEqual(ok({ running: { cores: 1 }, merged: { cores: 1 }, pending: [], digest: "d" }));
});
