import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DEFAULT_TAG_STYLE } from "../../src/guest/host-facts.ts";
import { fault, type Fault } from "../../src/ports/errors.ts";
import { PIDS_CHECKED_PER_POLL_MAX } from "../../src/proxmox/machine-pids.ts";
import { createHostWatcher, type HostWatcher, type HostWatcherOptions } from "../../src/proxmox/host-watcher.ts";
import { parseActiveTasks, parseDatacenterTagStyle, parseHaResources, parseHostVersion, parseVmlist } from "../../src/proxmox/host-formats.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";

/** A host's files in a directory of their own, and every path that was read from them. */
class HostDirectory {
  readonly root = mkdtempSync(join(tmpdir(), "steward-host-"));
  readonly reads: string[] = [];
  readonly looks: string[] = [];
  nowMs = 0;
  readonly denied = new Set<string>();
  readonly counters: Record<string, unknown> = { starttime: 1790000000, clinfo: 1, vmlist: 1, "datacenter.cfg": 1, "ha/resources.cfg": 1, kvstore: { pve1: { tasklist: 1 } } };
  readonly guests: Record<string, { node: string; type: string; version: number }> = {
    100: { node: "pve1", type: "qemu", version: 10 },
    200: { node: "pve1", type: "lxc", version: 20 },
    300: { node: "pve2", type: "qemu", version: 30 },
  };

  constructor() {
    for (const pid of ["1", "4242"]) mkdirSync(join(this.root, "proc", pid), { recursive: true });
    for (const path of ["run/qemu-server", "cgroup/lxc", "pve/ha", "tasks"]) mkdirSync(join(this.root, path), { recursive: true });
    this.publish();
  }

  write(path: string, content: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), content);
  }

  remove(path: string): void {
    rmSync(join(this.root, path), { recursive: true });
  }

  /** As pmxcfs does after a write: both counters move. */
  publish(change: () => void = () => {}): void {
    change();
    this.counters["vmlist"] = Number(this.counters["vmlist"]) + 1;
    this.write("pve/.vmlist", JSON.stringify({ version: this.counters["vmlist"], ids: this.guests }, null, 1));
    this.write("pve/.version", JSON.stringify(this.counters));
  }

  /** Polls until the directory of pid files is known not to change any more. */
  settle(watcher: HostWatcher): void {
    watcher.poll();
    this.nowMs += 1_000;
    watcher.poll();
  }

  /** As if the directory of pid files had been changed at one certain moment. */
  stampPidFiles(): void {
    utimesSync(join(this.root, "run/qemu-server"), 1_790_000_000, 1_790_000_000);
  }

  bump(name: string): void {
    this.counters[name] = Number(this.counters[name]) + 1;
    this.write("pve/.version", JSON.stringify(this.counters));
  }

  options(): HostWatcherOptions {
    const real = createFileSystem();
    const refuse = (path: string): { ok: false; error: Fault } => fault("file.denied", `cannot read ${path}: permission denied`);
    const at = (name: string): string => join(this.root, name);
    const guard = <T>(path: string, read: (path: string) => T): T | ReturnType<typeof refuse> => {
      this.reads.push(path.slice(this.root.length + 1));
      return this.denied.has(path.slice(this.root.length + 1)) ? refuse(path) : read(path);
    };
    const files = {
      readFile: (path: string) => guard(path, (at) => real.readFile(at)),
      list: (path: string) => guard(path, (at) => real.list(at)),
      status: (path: string) => {
        this.looks.push(path.slice(this.root.length + 1));
        return real.status(path);
      },
    };
    return { pveDir: at("pve"), runDir: at("run"), taskDir: at("tasks"), cgroupDir: at("cgroup"), procDir: at("proc"), node: "pve1", files, clock: { monotonic: () => this.nowMs } };
  }
}

let host: HostDirectory;
let watcher: HostWatcher;

beforeEach(() => {
  host = new HostDirectory();
  watcher = createHostWatcher(host.options());
});
afterEach(() => rmSync(host.root, { recursive: true }));

describe("presence", () => {
  test("a directory with .vmlist is a Proxmox host, any other is not", () => {
    expect(watcher.isPresent()).toBeTrue();
    host.remove("pve/.vmlist");
    expect(watcher.isPresent()).toBeFalse();
  });
});

describe("the list of guests (row H2)", () => {
  test("the first poll is the baseline: everything known, nothing changed", () => {
    const first = watcher.poll();
    expect([...first.vmlist]).toEqual([
      [100, { node: "pve1", kind: "qemu", version: 10 }], [200, { node: "pve1", kind: "lxc", version: 20 }], [300, { node: "pve2", kind: "qemu", version: 30 }],
    ]);
    expect(first).toMatchObject({ changed: [], runStateChanged: [], starttimeChanged: false, problems: [] });
  });

  test("an unchanged host costs two small files and the names of the containers, however many guests there are", () => {
    for (let vmid = 1_000; vmid < 3_000; vmid++) host.guests[vmid] = { node: "pve1", type: "qemu", version: 1 };
    host.publish();
    for (let vmid = 1_000; vmid < 1_500; vmid++) host.write(`run/qemu-server/${vmid}.pid`, "4242\n");
    host.settle(watcher);
    for (let poll = 0; poll < 10; poll++) {
      host.reads.length = host.looks.length = 0;
      const snapshot = watcher.poll();
      expect(host.reads.toSorted()).toEqual(["cgroup/lxc", "pve/.version", "tasks/active"]);
      expect(host.looks.length).toBeLessThanOrEqual(PIDS_CHECKED_PER_POLL_MAX + 2);
      expect(snapshot.runStates.get(1_499)).toBe("running");
    }
  });

  test("while nothing changes a poll gives the very objects of the one before", () => {
    host.write("run/qemu-server/100.pid", "4242\n");
    const first = watcher.poll();
    const second = watcher.poll();
    expect(second.vmlist).toBe(first.vmlist);
    expect(second.runStates).toBe(first.runStates);
  });

  test.each([
    { title: "a configuration was written", change: (h: HostDirectory) => void (h.guests[100] = { node: "pve1", type: "qemu", version: 11 }), changed: [100] },
    { title: "a counter went back", change: (h: HostDirectory) => void (h.guests[100] = { node: "pve1", type: "qemu", version: 3 }), changed: [100] },
    { title: "a guest was created", change: (h: HostDirectory) => void (h.guests[150] = { node: "pve1", type: "lxc", version: 1 }), changed: [150] },
    { title: "a guest was destroyed", change: (h: HostDirectory) => void delete h.guests[200], changed: [200] },
    { title: "a guest came from another node", change: (h: HostDirectory) => void (h.guests[300] = { node: "pve1", type: "qemu", version: 30 }), changed: [300] },
    { title: "a number was used again for another kind", change: (h: HostDirectory) => void (h.guests[200] = { node: "pve1", type: "qemu", version: 20 }), changed: [200] },
    { title: "several things happened", change: (h: HostDirectory) => { delete h.guests[300]; h.guests[100] = { node: "pve1", type: "qemu", version: 12 }; }, changed: [100, 300] },
    { title: "only the global counter moved", change: () => {}, changed: [] },
  ])("$title: exactly $changed changed, once", ({ change, changed }) => {
    watcher.poll();
    host.publish(() => change(host));
    expect(watcher.poll().changed).toEqual(changed);
    expect(watcher.poll().changed).toEqual([]);
  });

  test("a restart of pmxcfs is told, though every counter reads as before (row H1)", () => {
    watcher.poll();
    host.counters["starttime"] = 1790009999;
    host.counters["vmlist"] = Number(host.counters["vmlist"]) - 1;
    host.publish();
    expect(watcher.poll()).toMatchObject({ starttimeChanged: true, changed: [] });
    expect(watcher.poll().starttimeChanged).toBeFalse();
  });
});

describe("files that cannot be used", () => {
  const rows: readonly { title: string; spoil: (h: HostDirectory) => void; path: string; kind: string }[] = [
    { title: "a half-written .vmlist", spoil: (h) => h.write("pve/.vmlist", '{"version": 9, "ids": {"100": {"no'), path: "pve/.vmlist", kind: "malformed" },
    { title: "an empty .vmlist", spoil: (h) => h.write("pve/.vmlist", ""), path: "pve/.vmlist", kind: "malformed" },
    { title: "a .vmlist that may not be read", spoil: (h) => void h.denied.add("pve/.vmlist"), path: "pve/.vmlist", kind: "unreadable" },
    { title: "a .vmlist that is gone", spoil: (h) => h.remove("pve/.vmlist"), path: "pve/.vmlist", kind: "unreadable" },
  ];
  test.each(rows)("$title keeps what was known, says so, and is read again", ({ spoil, path, kind }) => {
    const known = watcher.poll().vmlist;
    host.publish();
    spoil(host);
    const spoilt = watcher.poll();
    expect(spoilt.vmlist).toEqual(known);
    expect(spoilt.changed).toEqual([]);
    expect(spoilt.problems).toMatchObject([{ path: join(host.root, path), kind }]);
    expect(watcher.poll().problems).toHaveLength(1);
    host.denied.clear();
    // The counter does not move again: the reading that failed is what is repeated.
    host.guests[100] = { node: "pve1", type: "qemu", version: 99 };
    host.write("pve/.vmlist", JSON.stringify({ version: 1, ids: host.guests }));
    expect(watcher.poll()).toMatchObject({ changed: [100], problems: [] });
  });

  test.each([".version cut off", ".version gone"])("%s: nothing changed, a problem is told, everything known stays", (title) => {
    host.write("run/qemu-server/100.pid", "4242\n");
    const before = watcher.poll();
    if (title.endsWith("gone")) host.remove("pve/.version");
    else host.write("pve/.version", '{"starttime": 17900');
    const after = watcher.poll();
    expect(after).toMatchObject({ starttimeChanged: false, changed: [], tagStyle: before.tagStyle });
    expect(after.vmlist).toEqual(before.vmlist);
    expect(after.runStates.get(100)).toBe("running");
    expect(after.problems).toHaveLength(1);
  });

  test("a list that cannot be read at first is no baseline: the first that can be is", () => {
    host.write("pve/.vmlist", "{");
    expect(watcher.poll()).toMatchObject({ changed: [], problems: [{ kind: "malformed" }] });
    host.publish();
    expect(watcher.poll()).toMatchObject({ changed: [], problems: [] });
    host.publish(() => void (host.guests[100] = { node: "pve1", type: "qemu", version: 77 }));
    expect(watcher.poll().changed).toEqual([100]);
  });
});

describe("run states", () => {
  test("a VM runs while its pid file names a live process, a container while it has a cgroup; other nodes' guests are left out (rows H5 and H6)", () => {
    host.write("run/qemu-server/100.pid", "4242\n");
    host.write("run/qemu-server/100.qmp", "");
    mkdirSync(join(host.root, "cgroup/lxc/200"));
    expect([...watcher.poll().runStates]).toEqual([[100, "running"], [200, "running"]]);
    host.remove("proc/4242");
    host.remove("cgroup/lxc/200");
    // A killed QEMU's pid file stands for a moment; the process is gone all the same.
    expect(watcher.poll()).toMatchObject({ runStateChanged: [100, 200] });
    expect([...watcher.poll().runStates]).toEqual([[100, "stopped"], [200, "stopped"]]);
    expect(watcher.poll().runStateChanged).toEqual([]);
  });

  test("a VM that was restarted between two polls is running, under its new pid", () => {
    host.write("run/qemu-server/100.pid", "4242\n");
    watcher.poll();
    host.remove("proc/4242");
    mkdirSync(join(host.root, "proc/5555"));
    host.write("run/qemu-server/100.pid", "5555\n");
    expect(watcher.poll()).toMatchObject({ runStateChanged: [] });
    expect(watcher.poll().runStates.get(100)).toBe("running");
  });

  test.each([["an empty pid file", ""], ["a pid file being written", "42x"], ["a pid of a process that is gone", "777"]])("%s is not running", (_title, content) => {
    host.write("run/qemu-server/100.pid", content);
    expect(watcher.poll().runStates.get(100)).toBe("stopped");
  });

  test("a pid file that may not be read counts by being there: QEMU writes it for root only", () => {
    host.write("run/qemu-server/100.pid", "4242\n");
    host.denied.add("run/qemu-server/100.pid");
    expect(watcher.poll().runStates.get(100)).toBe("running");
    host.remove("run/qemu-server/100.pid");
    expect(watcher.poll()).toMatchObject({ runStateChanged: [100] });
  });

  test("where other users' processes are hidden, a pid file counts by being there, and tasks stay", () => {
    host.write("run/qemu-server/100.pid", "999\n");
    host.write("tasks/active", "UPID:pve1:00000999:0005CF07:6B00ED3B:vzdump:100:root@pam: 0\n");
    host.remove("proc/1");
    const snapshot = watcher.poll();
    expect(snapshot.runStates.get(100)).toBe("running");
    expect(snapshot.activeTasks).toHaveLength(1);
  });

  test("directories that were never made mean that nothing runs; unreadable ones keep what was known", () => {
    host.remove("cgroup/lxc");
    expect(watcher.poll()).toMatchObject({ problems: [] });
    mkdirSync(join(host.root, "cgroup/lxc/200"), { recursive: true });
    expect(watcher.poll().runStates.get(200)).toBe("running");
    host.denied.add("cgroup/lxc");
    const snapshot = watcher.poll();
    expect(snapshot.runStates.get(200)).toBe("running");
    expect(snapshot.problems).toMatchObject([{ kind: "unreadable" }]);
  });

  test("more containers than are listed every time: one whose init died is found within a second, one that a task stopped at once", () => {
    for (let vmid = 1_000; vmid < 1_300; vmid++) {
      host.guests[vmid] = { node: "pve1", type: "lxc", version: 1 };
      mkdirSync(join(host.root, `cgroup/lxc/${vmid}`));
    }
    host.publish();
    watcher.poll();
    host.remove("cgroup/lxc/1000");
    host.nowMs += 250;
    expect(watcher.poll().runStateChanged).toEqual([]);
    host.nowMs += 750;
    expect(watcher.poll().runStateChanged).toEqual([1_000]);
    host.remove("cgroup/lxc/1001");
    host.write("tasks/active", "UPID:pve1:00001092:0005CF07:6B00ED3B:vzshutdown:1001:root@pam: 0\n");
    expect(watcher.poll().runStateChanged).toEqual([1_001]);
  });

  test("pid files are read once, not at every poll", () => {
    host.write("run/qemu-server/100.pid", "4242\n");
    watcher.poll();
    host.reads.length = 0;
    watcher.poll();
    expect(host.reads).not.toContain("run/qemu-server/100.pid");
  });

  test("their directory is listed when a name came or went, and not while none did", () => {
    host.settle(watcher);
    host.reads.length = 0;
    watcher.poll();
    expect(host.reads).not.toContain("run/qemu-server");
    host.write("run/qemu-server/100.pid", "4242\n");
    expect(watcher.poll()).toMatchObject({ runStateChanged: [100] });
    host.remove("run/qemu-server/100.pid");
    expect(watcher.poll()).toMatchObject({ runStateChanged: [100] });
  });

  test("a name that came in the same tick of the clock as the last listing is seen all the same", () => {
    host.stampPidFiles();
    watcher.poll();
    host.write("run/qemu-server/100.pid", "4242\n");
    host.stampPidFiles();
    host.nowMs += 250;
    expect(watcher.poll()).toMatchObject({ runStateChanged: [100] });
  });

  test("and it is listed now and then, whatever its time says", () => {
    host.stampPidFiles();
    host.settle(watcher);
    host.write("run/qemu-server/100.pid", "4242\n");
    host.stampPidFiles();
    host.nowMs += 250;
    expect(watcher.poll().runStateChanged).toEqual([]);
    host.nowMs += 5_000;
    expect(watcher.poll().runStateChanged).toEqual([100]);
  });

  test("another directory by the same name is listed", () => {
    host.settle(watcher);
    host.remove("run/qemu-server");
    host.write("run/qemu-server/100.pid", "4242\n");
    expect(watcher.poll()).toMatchObject({ runStateChanged: [100] });
  });

  test("of more machines than one poll looks at, each one that was killed is found, and all that live stay", () => {
    for (let vmid = 1_000; vmid < 1_350; vmid++) {
      host.guests[vmid] = { node: "pve1", type: "qemu", version: 1 };
      host.write(`run/qemu-server/${vmid}.pid`, vmid === 1_349 ? "5555\n" : "4242\n");
    }
    mkdirSync(join(host.root, "proc/5555"));
    host.publish();
    host.settle(watcher);
    host.remove("proc/5555");
    const found = Array.from({ length: 4 }, () => watcher.poll().runStateChanged);
    expect(found.flat()).toEqual([1_349]);
    expect([...watcher.poll().runStates.values()].filter((state) => state === "running")).toHaveLength(349);
  });

  test("a machine that is started again after it was killed is found by its new number in the old file", () => {
    host.write("run/qemu-server/100.pid", "777\n");
    host.settle(watcher);
    expect(watcher.poll().runStates.get(100)).toBe("stopped");
    writeFileSync(join(host.root, "run/qemu-server/100.pid"), "4242\n");
    expect(watcher.poll()).toMatchObject({ runStateChanged: [100] });
  });

  test("processes that become visible are looked at all at once: none is called stopped for not having had its turn", () => {
    for (let vmid = 1_000; vmid < 1_350; vmid++) {
      host.guests[vmid] = { node: "pve1", type: "qemu", version: 1 };
      host.write(`run/qemu-server/${vmid}.pid`, "4242\n");
    }
    host.remove("proc/1");
    host.remove("proc/4242");
    host.publish();
    host.settle(watcher);
    for (const pid of ["1", "4242"]) mkdirSync(join(host.root, "proc", pid));
    expect(watcher.poll().runStateChanged).toEqual([]);
    expect(watcher.poll().runStates.get(1_349)).toBe("running");
  });
});

describe("tasks", () => {
  const RUNNING = "UPID:pve1:00001092:0005CF07:6B00ED3B:qmshutdown:101:root@pam!agent:"; // 0x1092 = 4242
  const GONE = "UPID:pve1:00000309:0005CF07:6B00ED3B:qmstart:102:root@pam:";

  test("running ones are told, finished ones and those whose process is gone are not (row H4)", () => {
    host.write("tasks/active", `${RUNNING} 0\n${GONE} 0\n${GONE} 1 6B00ED40 OK\n`);
    expect(watcher.poll().activeTasks).toEqual([
      { upid: RUNNING, node: "pve1", type: "qmshutdown", id: "101", user: "root@pam!agent", startedAt: 1795222843, isRunning: true, exit: undefined },
    ]);
    host.remove("proc/4242");
    expect(watcher.poll().activeTasks).toEqual([]);
  });

  test("no file is no task; an unreadable one keeps what was known while it lives", () => {
    expect(watcher.poll()).toMatchObject({ activeTasks: [], problems: [] });
    host.write("tasks/active", `${RUNNING} 0\n`);
    watcher.poll();
    host.denied.add("tasks/active");
    const snapshot = watcher.poll();
    expect(snapshot.activeTasks).toHaveLength(1);
    expect(snapshot.problems).toHaveLength(1);
  });

  test.each([
    ["UPID:pve1:00001092:0005CF07:6B00ED3B:qmstart:101:root@pam:", "no flag: cut off"], ["UPID:pve1:00001092:0005CF07 0", "a UPID cut off"], ["garbage 0", "garbage"], ["", "nothing"],
  ])("'%s' is not a task (%s)", (line) => {
    expect(parseActiveTasks(line)).toEqual([]);
  });
});

describe("cluster files (row H3)", () => {
  test("are optional: without them Proxmox's defaults are in force", () => {
    expect(watcher.poll()).toMatchObject({ tagStyle: DEFAULT_TAG_STYLE, haResources: [] });
  });

  test("are read again when their counter moves", () => {
    watcher.poll();
    host.write("pve/datacenter.cfg", "keyboard: de\ntag-style: ordering=config\n");
    host.write("pve/ha/resources.cfg", "vm: 100\n\tstate stopped\n\tmax_restart 2\n\nct: 200\n\n");
    expect(watcher.poll().tagStyle).toEqual(DEFAULT_TAG_STYLE);
    host.bump("datacenter.cfg");
    host.bump("ha/resources.cfg");
    expect(watcher.poll()).toMatchObject({
      tagStyle: { isOrdered: true },
      haResources: [{ kind: "qemu", vmid: 100, state: "stopped" }, { kind: "lxc", vmid: 200, state: "started" }],
    });
  });

  test("that say the same are the same object, whatever else was written into them: no reason to read every guest", () => {
    host.write("pve/ha/resources.cfg", "vm: 100\n\tstate started\n\n");
    const before = watcher.poll();
    host.write("pve/datacenter.cfg", "keyboard: de\n");
    host.write("pve/ha/resources.cfg", "vm: 100\n\tstate started\n\tmax_restart 3\n\n");
    host.bump("datacenter.cfg");
    host.bump("ha/resources.cfg");
    const after = watcher.poll();
    expect(after.tagStyle).toBe(before.tagStyle);
    expect(after.haResources).toBe(before.haResources);
  });

  test("that may not be read are null, never a default", () => {
    host.denied.add("pve/datacenter.cfg").add("pve/ha/resources.cfg");
    const snapshot = watcher.poll();
    expect(snapshot).toMatchObject({ tagStyle: null, haResources: null });
    expect(snapshot.problems).toHaveLength(2);
    host.denied.clear();
    expect(watcher.poll()).toMatchObject({ tagStyle: DEFAULT_TAG_STYLE, haResources: [], problems: [] });
  });
});

describe("formats", () => {
  test.each(["", "{", "[]", "null", '{"starttime": 1}', '{"starttime": "1", "vmlist": 2}'])(".version '%s' is refused", (text) => {
    expect(parseHostVersion(text)).toBeUndefined();
  });

  test(".version as pmxcfs prints it", () => {
    const text = '{\n"starttime": 1795220000,\n"clinfo": 0,\n"vmlist": 55,\n"datacenter.cfg": 3,\n"ha/resources.cfg": 1,\n"kvstore": {\n"pve1": {\n"tasklist": 9}}\n}\n';
    expect(parseHostVersion(text)).toEqual({ startTime: 1795220000, vmlist: 55, datacenterCfg: 3, haResources: 1 });
  });

  test("entries of .vmlist that are no guests of ours are left out", () => {
    const ids = { 100: { node: "a", type: "qemu", version: 1 }, 101: { node: "a", type: "openvz", version: 1 }, x: { node: "a", type: "lxc", version: 1 }, 102: null, 99: { node: "a", type: "lxc", version: 1 } };
    expect([...(parseVmlist(JSON.stringify({ version: 1, ids }))?.keys() ?? [])]).toEqual([100]);
    expect(parseVmlist('{"version": 1}')).toBeUndefined();
  });

  test("tag style and HA resources among other lines", () => {
    expect(parseDatacenterTagStyle("# tag-style: ordering=config\nmac_prefix: BC:24:11\n")).toEqual(DEFAULT_TAG_STYLE);
    expect(parseDatacenterTagStyle("tag-style: case-sensitive=1,ordering=config")).toEqual({ isOrdered: true, isCaseSensitive: true });
    expect(parseHaResources("# comment\nvm: 100\n  group g\n\nfencing: x\n  state y\nct: 5\n")).toEqual([{ kind: "qemu", vmid: 100, state: "started" }]);
  });
});

test("10,000 guests: a poll on an unchanged host reads no more than with three", () => {
  for (let index = 0; index < 10_000; index++) host.guests[1_000 + index] = { node: "pve1", type: index % 2 === 0 ? "qemu" : "lxc", version: index };
  host.publish();
  for (let index = 0; index < 2_000; index += 2) host.write(`run/qemu-server/${1_000 + index}.pid`, "4242\n");
  const first = watcher.poll();
  expect(first.runStates.size).toBe(10_002);
  host.reads.length = 0;
  const second = watcher.poll();
  expect(host.reads.toSorted()).toEqual(["cgroup/lxc", "pve/.version", "run/qemu-server", "tasks/active"]);
  expect([...second.runStates.values()].filter((state) => state === "running")).toHaveLength(1_000);
  host.publish(() => void (host.guests[5_000] = { node: "pve1", type: "qemu", version: 99_999 }));
  expect(watcher.poll().changed).toEqual([5_000]);
});
