import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keepHostFiles, type HostFiles } from "../../src/simulator/host-files.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakeNode } from "../support/fake-node.ts";

let directory = "";
let node: FakeNode;
let clock: FakeClock;
let files: HostFiles;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "host-files-"));
  node = new FakeNode();
  clock = new FakeClock();
  node.ids = { 100: { node: "pve1", type: "qemu", version: 3 }, 200: { node: "pve1", type: "lxc", version: 4 } };
  node.datacenter = "keyboard: en-us\n";
  files = keepHostFiles(directory, node, clock);
});
afterEach(() => {
  files.stop();
  rmSync(directory, { recursive: true, force: true });
});

const read = (name: string): string => readFileSync(join(directory, name), "utf8");
const exists = (name: string): boolean => existsSync(join(directory, name));
const inode = (name: string): number => statSync(join(directory, name)).ino;

describe("the files of a host", () => {
  test("are there from the start, in a host's formats", () => {
    expect(JSON.parse(read(".version"))).toEqual({ starttime: 1_700_000_000, vmlist: 1 });
    expect(JSON.parse(read(".vmlist"))).toEqual({ version: 1, ids: node.ids });
    expect(read("datacenter.cfg")).toBe("keyboard: en-us\n");
    expect(read(".vmlist")).toContain('"100": { "node": "pve1", "type": "qemu", "version": 3 }');
  });

  test("an empty file is no file, as on a host where it was never written", () => {
    expect([exists("ha/resources.cfg"), exists("tasks/active")]).toEqual([false, false]);
  });

  test("follow a change after 20 ms, all changes of that time at once", async () => {
    node.ids = { 100: { node: "pve1", type: "qemu", version: 9 } };
    node.change({ kind: "config", vmid: 100 });
    node.tasks = ["UPID:pve1:00000001:00000001:00000001:qmstart:100:root@pam!agent: 0"];
    node.change({ kind: "tasks" });
    await clock.advance(19);
    expect(JSON.parse(read(".vmlist")).version).toBe(1);
    expect(clock.pendingTimers()).toBe(1);
    await clock.advance(1);
    expect(JSON.parse(read(".vmlist"))).toEqual({ version: 3, ids: node.ids });
    expect(read("tasks/active")).toBe("UPID:pve1:00000001:00000001:00000001:qmstart:100:root@pam!agent: 0\n");
  });

  test("are replaced whole, and only those that differ", async () => {
    const before = { version: inode(".version"), datacenter: inode("datacenter.cfg") };
    node.change({ kind: "config", vmid: 100 });
    await clock.advance(20);
    expect(inode(".version")).not.toBe(before.version);
    expect(inode("datacenter.cfg")).toBe(before.datacenter);
    expect(readdirSync(directory).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("HA resources come and go", async () => {
    node.ha = "vm: 100\n\tstate started\n";
    node.change({ kind: "cluster" });
    await clock.advance(20);
    expect(read("ha/resources.cfg")).toBe(node.ha);
    node.ha = "";
    node.change({ kind: "cluster" });
    await clock.advance(20);
    expect(exists("ha/resources.cfg")).toBe(false);
  });
});

describe("run files", () => {
  test("a running machine has a pid file of a living process, a container a cgroup, at once", () => {
    node.running = [{ kind: "qemu", vmid: 100 }, { kind: "lxc", vmid: 200 }];
    node.change({ kind: "run", vmid: 100 });
    expect(read("run/qemu-server/100.pid")).toBe(`${process.pid}\n`);
    expect(statSync(join(directory, "cgroup/lxc/200")).isDirectory()).toBe(true);
    node.running = [];
    node.change({ kind: "run", vmid: 200 });
    expect([exists("run/qemu-server/100.pid"), exists("cgroup/lxc/200")]).toEqual([false, false]);
  });
});

describe("when pmxcfs is gone", () => {
  test("everything below /etc/pve is, and comes back with a new start time", () => {
    node.running = [{ kind: "qemu", vmid: 100 }];
    node.change({ kind: "run", vmid: 100 });
    files.setMounted(false);
    expect([".version", ".vmlist", "datacenter.cfg"].map(exists)).toEqual([false, false, false]);
    expect(exists("run/qemu-server/100.pid")).toBe(true);
    files.setMounted(true);
    expect(JSON.parse(read(".version")).starttime).toBe(Math.floor(clock.now() / 1000));
    expect(JSON.parse(read(".vmlist")).ids).toEqual(node.ids);
  });
});

describe("the directory", () => {
  test("is taken over from an earlier run, without its leftovers", () => {
    node.running = [{ kind: "qemu", vmid: 100 }];
    node.change({ kind: "run", vmid: 100 });
    files.stop();
    files = keepHostFiles(directory, new FakeNode(), clock);
    expect(exists("run/qemu-server/100.pid")).toBe(false);
    expect(exists("datacenter.cfg")).toBe(false);
  });

  test("is refused when it holds anything else: it might be a real host's", () => {
    const foreign = mkdtempSync(join(tmpdir(), "host-files-"));
    writeFileSync(join(foreign, "passwd"), "root\n");
    expect(() => keepHostFiles(foreign, node, clock)).toThrow("give another --host-dir");
    expect(readdirSync(foreign)).toEqual(["passwd"]);
    rmSync(foreign, { recursive: true });
  });
});

test("with 1,000 guests, one edit writes two files and takes a few milliseconds", async () => {
  const rows = Array.from({ length: 1_000 }, (_, index) => [String(100 + index), { node: "pve1", type: "qemu", version: index }] as const);
  node.ids = Object.fromEntries(rows);
  node.running = rows.map(([vmid]) => ({ kind: "qemu", vmid: Number(vmid) }));
  node.change({ kind: "run", vmid: 100 });
  await clock.advance(20);
  const before = statSync(join(directory, "run/qemu-server")).mtimeMs;
  const startMs = performance.now();
  node.change({ kind: "config", vmid: 100 });
  files.flush();
  expect(performance.now() - startMs).toBeLessThan(100);
  expect(statSync(join(directory, "run/qemu-server")).mtimeMs).toBe(before);
  expect(read(".vmlist").length).toBeLessThan(80_000);
});
