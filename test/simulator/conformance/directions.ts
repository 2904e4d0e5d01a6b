import type { Comparison } from "./compare.ts";
import type { Stage } from "./stage.ts";

/**
 * What the recordings do not show: files that were put back between sections, requests that were sent
 * without being printed, locks held by others, and who was calling. By recording, before the given line.
 */

export interface Direction {
  readonly line: number;
  readonly act: (stage: Stage, comparison: Comparison) => Promise<void> | void;
}

const CONFIG_101 = "/nodes/pve1/qemu/101/config";

function lock(line: number, vmid: number, name: string): Direction {
  return { line, act: (stage) => stage.reset(vmid, `lock: ${name}\n`) };
}

function as(line: number, name: string): Direction {
  return { line, act: (stage) => stage.as(name) };
}

function reset(line: number, vmid: number): Direction {
  return { line, act: (stage) => stage.reset(vmid) };
}

function gap(line: number, gapMs: number): Direction {
  return {
    line,
    act: (stage) => {
      stage.gapMs = gapMs;
    },
  };
}

function wait(line: number, durationMs: number): Direction {
  return { line, act: (stage) => stage.wait(durationMs) };
}

/** From here on the file holds something by chance, or something that was not recorded: its digest cannot be the same. */
function freeDigest(line: number): Direction {
  return {
    line,
    act: (_, comparison) => {
      comparison.isDigestFree = true;
    },
  };
}

function fixedDigest(line: number): Direction {
  return {
    line,
    act: (_, comparison) => {
      comparison.isDigestFree = false;
    },
  };
}

let releaseLock: () => void = () => undefined;

export const DIRECTIONS: Readonly<Record<string, readonly Direction[]>> = {
  "02-auth": [
    as(22, "nobody@pve!tok"),
    as(224, "op@pve!tok"),
    as(429, "ro@pve!tok"),
    as(632, "agent@pve!tok"),
    gap(632, 20),
    as(843, "root@pam!sep"),
    as(1581, "agent@pve!tok"),
    as(1629, "root@pam!agent"),
  ],
  "03-description": [reset(495, 101)],
  "04-values": [freeDigest(661), { line: 115, act: async (stage) => void (await stage.send("PUT", CONFIG_101, { tags: "Q;c" })) }],
  "05-update-semantics": [reset(392, 101)],
  "06-locks-concurrency": [
    ...["backup", "clone", "create", "migrate", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended"].map((name, index) => lock(2 + 20 * index, 101, name)),
    lock(181, 101, "backup"),
    as(411, "agent@pve!tok"),
    as(452, "root@pam!agent"),
    lock(452, 101, "bogus"),
    { line: 472, act: (stage) => stage.reset(101, "not a line that means anything\n") },
    freeDigest(472),
    fixedDigest(502),
    lock(502, 200, "backup"),
    {
      line: 570,
      act: async (stage) => {
        stage.reset(101);
        releaseLock = await stage.node.holdLock(101);
      },
    },
    {
      line: 637,
      act: async (stage) => {
        releaseLock();
        await stage.wait(1_000);
        releaseLock = await stage.node.holdLock(101);
        stage.clock.schedule(3_500, releaseLock);
      },
    },
    {
      line: 653,
      act: async (stage) => {
        stage.reset(101);
        await stage.send("PUT", CONFIG_101, { description: "waited" });
      },
    },
    {
      line: 694,
      act: async (stage, comparison) => {
        const [first, second] = await Promise.all([stage.fork("qemu/101/status/start"), stage.fork("qemu/101/status/start")]);
        comparison.upids.set("UPID:pve1:00000ACA:00059DEB:6B00ECBD:qmstart:101:root@pam!agent:", first);
        comparison.upids.set("UPID:pve1:00000ACB:00059DEB:6B00ECBD:qmstart:101:root@pam!agent:", second);
      },
    },
  ],
  "07-power": [
    wait(383, 1_000),
    { line: 559, act: async (stage) => void (await stage.send("PUT", CONFIG_101, { net0: "virtio,bridge=doesnotexist" })) },
    { line: 589, act: async (stage) => void (await stage.send("PUT", CONFIG_101, { delete: "net0" })) },
    { line: 619, act: (stage) => stage.run("qemu/101/status/stop") },
    {
      line: 624,
      act: async (stage) => {
        await stage.wait(1_000);
        await stage.run("qemu/101/status/start");
        await stage.node.edit({ vmid: 101, power: "stop" });
      },
    },
    {
      line: 639,
      act: async (stage, comparison) => {
        await stage.wait(1_000);
        await stage.run("qemu/101/status/start");
        comparison.upids.set("UPID:pve1:00000BBF:0005B441:6B00ECF6:qmshutdown:101:root@pam!agent:", await stage.fork("qemu/101/status/shutdown", { timeout: "120" }));
        await stage.wait(1_000);
      },
    },
    wait(507, 2_000),
    gap(740, 0),
    {
      line: 822,
      act: async (stage, comparison) => {
        await stage.run("qemu/101/status/start");
        stage.gapMs = 300;
        comparison.upids.set("UPID:pve1:00000BDE:0005C5A0:6B00ED22:qmshutdown:101:root@pam!agent:", await stage.fork("qemu/101/status/shutdown", { timeout: "60" }));
        await stage.wait(1_000);
      },
    },
    wait(1_000, 1_500),
  ],
  "08-tasks": [
    {
      line: 2,
      act: async (stage, comparison) => {
        await stage.fork("qemu/101/status/start");
        await stage.wait(4_000);
        comparison.upids.set("UPID:pve1:00000C7E:0005CF07:6B00ED3B:qmshutdown:101:root@pam!agent:", await stage.fork("qemu/101/status/shutdown", { timeout: "60" }));
        await stage.wait(100);
        stage.gapMs = 10;
      },
    },
    as(189, "agent@pve!tok"),
    as(201, "op@pve!tok"),
    {
      line: 257,
      act: async (stage) => {
        stage.as("root@pam!agent");
        await stage.fork("qemu/101/status/stop", { "overrule-shutdown": "1" });
        await stage.wait(1_000);
      },
    },
  ],
  "09-create-destroy": [
    freeDigest(2),
    fixedDigest(432),
    { line: 313, act: async (stage) => void (await stage.send("PUT", "/nodes/pve1/qemu/151/config", { protection: "1" })) },
    { line: 322, act: async (stage) => void (await stage.send("PUT", "/nodes/pve1/qemu/151/config", { protection: "0" })) },
    { line: 432, act: (stage) => stage.newHost() },
    freeDigest(530),
    {
      line: 855,
      act: async (stage) => {
        await stage.node.edit({ vmid: 160, destroy: true });
        await stage.wait(11_000);
      },
    },
  ],
  "11-running": [
    { line: 3, act: (stage) => stage.run("qemu/101/status/start") },
    gap(4, 0),
    wait(153, 10_000),
    { line: 434, act: (stage) => stage.run("qemu/101/status/stop") },
    {
      line: 522,
      act: async (stage) => {
        await stage.wait(1_000);
        stage.newHost();
        await stage.run("qemu/101/status/start");
      },
    },
    { line: 535, act: (stage) => stage.run("qemu/101/status/stop") },
    { line: 546, act: (stage) => stage.run("qemu/101/status/start") },
    { line: 731, act: (stage) => stage.run("qemu/101/status/stop") },
    {
      line: 735,
      act: async (stage) => {
        await stage.wait(1_000);
        stage.newHost();
      },
    },
  ],
  "13-failures": [
    {
      line: 110,
      act: async (stage, comparison) => {
        stage.newHost();
        await stage.run("qemu/101/status/start");
        const upid = await stage.fork("qemu/101/status/shutdown", { timeout: "60" });
        comparison.upids.set("UPID:pve1:00000FFF:0005FEFB:6B00EDB5:qmshutdown:101:root@pam!agent:", upid);
        await stage.wait(1_000);
        stage.node.killTask(upid);
        await stage.wait(1_000);
      },
    },
  ],
};
