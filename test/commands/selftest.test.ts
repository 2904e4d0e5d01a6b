import { afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SelftestReport } from "../../src/reconcile/selftest.ts";
import { commandHost, type CommandHost, type CommandHostOptions } from "../support/command-host.ts";
import { until } from "../support/proxmox-client.ts";

/** `agent selftest task` against a simulated host, alone and through a running agent; killed in the middle, too. */

const DESCRIPTION = "Front web\n% of #2: ünïcode\n";
const WEB = "#Front web\n#%25 of #2%3A %C3%BCn%C3%AFcode\ncores: 2\nmemory: 1024\nname: web\nsmbios1: uuid=aaaaaaaa-0000-4000-8000-000000000100\n";
const FILES = "arch: amd64\nhostname: files\nmemory: 512\nostype: debian\nrootfs: local:103/vm-103-disk-0.raw,size=4G\n";
const TWO = { "nodes/pve1/qemu-server/100.conf": WEB, "nodes/pve1/lxc/103.conf": FILES };

let host: CommandHost;
afterEach(() => host.stop());

async function hostOf(options: Partial<CommandHostOptions> = {}): Promise<CommandHost> {
  host = await commandHost({ files: TWO, ...options });
  return host;
}

async function description(kind: string, vmid: number): Promise<string | undefined> {
  const answer = await fetch(`${host.simulator.url}/api2/json/nodes/pve1/${kind}/${vmid}/config`, {
    headers: { authorization: `PVEAPIToken=${host.simulator.token}` }, tls: { ca: host.simulator.caPem },
  });
  return ((await answer.json()) as { data: { description?: string } }).data.description;
}

/** Keys of every config write, as sent. */
function writes(): readonly string[] {
  return host.simulator.requestLog.mutations().map(({ method, path, parameters }) => `${method} ${path.split("/").slice(-3).join("/")} ${Object.keys(parameters).filter((key) => key !== "digest").join(",")}`);
}

function isMarked(text: string | undefined): boolean {
  return text?.includes("Steward selftest") === true;
}

/** Edits the guest at the host, as somebody else would. */
async function edit(change: Parameters<CommandHost["simulator"]["node"]["edit"]>[0]): Promise<void> {
  expect(await host.simulator.node.edit(change)).toEqual({ ok: true });
}

const report = (out: string): SelftestReport => JSON.parse(out) as SelftestReport;

describe("without a running agent", () => {
  const guests: readonly (readonly [string, number, string | undefined, readonly number[]])[] = [
    ["qemu", 100, DESCRIPTION.trimEnd(), []], ["qemu", 100, DESCRIPTION.trimEnd(), [100]], ["lxc", 103, undefined, [103]],
  ];
  for (const [kind, vmid, before, running] of guests) {
    test(`${kind}/${vmid}, ${running.length === 0 ? "stopped" : "running"}: a round trip that leaves nothing behind`, async () => {
      await hostOf({ running });
      const ran = await host.run("selftest", "task", "--vmid", String(vmid), "--yes", "-o", "json");
      expect(ran.complaints).toContain(`Guest ${vmid} of node pve1 gets one more line in its description`);
      expect(ran.code).toBe(0);
      expect(report(ran.out)).toMatchObject({ version: 1, kind, vmid, isPassed: true, isRestored: true });
      expect(report(ran.out).steps.map(({ step, isOk }) => [step, isOk])).toEqual([
        ["read", true], ["remember the old description in the journal", true], ["write and wait", true], ["read back and compare", true], ["restore", true],
      ]);
      expect(writes()).toEqual([`PUT ${kind}/${vmid}/config description`, `PUT ${kind}/${vmid}/config ${before === undefined ? "delete" : "description"}`]);
      expect(await description(kind, vmid)).toBe(before);
    });
  }

  test("prints each step with its time, and the journal has both acts as a person's", async () => {
    await hostOf();
    const ran = await host.run("selftest", "task", "--vmid", "100", "--yes");
    expect(ran.out).toMatch(/^ {2}ok {2}\d+(?:\.\d)? ms +write and wait +Proxmox did it at once, without a task$/m);
    expect(ran.out).toEndWith("Passed: qemu/100 (web); the description is as it was.\n");
    const listed = await host.run("op", "ls", "--all", "-o", "json");
    expect((JSON.parse(listed.out) as { state: string; provenance: string }[]).map(({ state, provenance }) => [state, provenance])).toEqual([["succeeded", "operation"], ["succeeded", "operation"]]);
  });

  test("asks first: without --yes and without a terminal nothing is sent", async () => {
    await hostOf();
    const ran = await host.run("selftest", "task", "--vmid", "100");
    expect([ran.code, writes()]).toEqual([64, []]);
    expect(ran.complaints).toContain("expected --yes, found no terminal to ask on; nothing was sent");
  });

  test("a no is a no, a yes is a yes", async () => {
    await hostOf();
    host.answer = false;
    expect([(await host.run("selftest", "task", "--vmid", "100")).code, writes()]).toEqual([1, []]);
    host.answer = true;
    expect((await host.run("selftest", "task", "--vmid", "100")).code).toBe(0);
  });

  const refusals: readonly (readonly [string, Partial<CommandHostOptions>, (host: CommandHost) => Promise<unknown>, string, number])[] = [
    ["a locked guest", {}, () => edit({ vmid: 100, lock: "backup" }), "it is locked by Proxmox (backup); nothing was sent", 1],
    ["a template", { files: { "nodes/pve1/qemu-server/100.conf": `${WEB}template: 1\n` } }, async () => {}, "it is a template", 1],
    ["a guest of HA", { files: { ...TWO, "ha/resources.cfg": "vm: 100\n\tstate started\n" } }, async () => {}, "HA manager", 1],
    ["a paused guest", {}, (it) => it.run("pause", "100", "--reason", "hands off"), "hands off", 1],
    ["a guest that is not there", { files: { "nodes/pve1/lxc/103.conf": FILES } }, async () => {}, "expected guest 100 on node pve1, found none there", 1],
    ["an agent that may only look", { settings: { dryRun: true } }, async () => {}, "dryRun", 1],
  ];
  for (const [what, options, make, message, code] of refusals) {
    test(`${what} is refused, and nothing was sent`, async () => {
      await hostOf(options);
      await make(host);
      const ran = await host.run("selftest", "task", "--vmid", "100", "--yes");
      expect([ran.code, writes()]).toEqual([code, []]);
      expect(ran.complaints).toContain(message);
    });
  }

  test("no VMID, a wrong one", async () => {
    await hostOf();
    expect((await host.run("selftest", "task", "--yes")).code).toBe(64);
    expect((await host.run("selftest", "task", "--vmid", "web", "--yes")).code).toBe(64);
  });

  test("a write that Proxmox refuses is a failed test, and nothing is left", async () => {
    await hostOf();
    host.simulator.faults.add({ kind: "error", status: 500, reason: "disk on fire", match: { method: "PUT" }, times: 1 });
    const ran = await host.run("selftest", "task", "--vmid", "100", "--yes");
    expect([ran.code, await description("qemu", 100)]).toEqual([1, DESCRIPTION.trimEnd()]);
    expect(ran.out).toMatch(/FAILED .*write and wait .*disk on fire/);
    expect(ran.out).toEndWith("Failed: qemu/100 (web); the description is as it was.\n");
  });

  test("a refused restore is tried again until it goes through", async () => {
    await hostOf();
    host.simulator.faults.add({ kind: "latency", ms: 0, match: { method: "PUT" }, times: 1 });
    const first = host.run("selftest", "task", "--vmid", "100", "--yes");
    await until(() => writes().length === 1);
    host.simulator.faults.add({ kind: "error", status: 500, reason: "not now", match: { method: "PUT" }, times: 1 });
    const ran = await first;
    expect([ran.code, writes().length, await description("qemu", 100)]).toEqual([0, 3, DESCRIPTION.trimEnd()]);
  }, 60_000);
});

/** Starts a selftest in a process of its own and kills it once Proxmox has the new description and before it is back. */
async function killedInTheMiddle(isAnswered: boolean): Promise<void> {
  if (isAnswered) host.simulator.faults.add({ kind: "latency", ms: 300, match: { method: "PUT" } });
  else host.simulator.faults.add({ kind: "late", ms: 0, match: { method: "PUT" } });
  const child = host.spawn("selftest", "task", "--vmid", "100", "--yes");
  await until(() => writes().length === 1);
  // Whatever comes after the write hangs.
  host.simulator.faults.add({ kind: "hang", match: { method: "GET", path: "/nodes/pve1/qemu/100/pending" } });
  await untilAsync(async () => isMarked(await description("qemu", 100)));
  if (isAnswered) await untilAsync(async () => (await host.run("op", "ls")).out === "No open acts.\n");
  child.kill("SIGKILL");
  await child.exited;
  host.simulator.faults.remove();
  expect([isMarked(await description("qemu", 100)), writes().length]).toEqual([true, 1]);
}

async function untilAsync(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(20);
}

describe("killed with -9 after the write", () => {
  // A short request timeout shortens the window in which a lost act may still happen.
  const settings = { proxmox: { requestTimeout: "1s" } };

  async function interrupted(isAnswered = true): Promise<void> {
    await hostOf({ settings });
    await killedInTheMiddle(isAnswered);
  }

  for (const isAnswered of [true, false]) {
    test(`the next selftest restores first, then tests; the write was ${isAnswered ? "" : "not "}answered`, async () => {
      await interrupted(isAnswered);
      const ran = await host.run("selftest", "task", "--vmid", "100", "--yes", "-o", "json");
      expect([ran.code, report(ran.out).steps[0]?.step]).toEqual([0, "restore what an interrupted selftest left"]);
      expect([await description("qemu", 100), writes().length]).toEqual([DESCRIPTION.trimEnd(), 4]);
    }, 60_000);
  }

  test("so does the agent when it starts, though the guest is not declared", async () => {
    await interrupted();
    writeFileSync(join(host.desired, "none.yaml"), "version: 1\nguests: []\n");
    const daemon = host.spawn("run", "--resync-interval", "1s");
    await untilAsync(async () => (await description("qemu", 100)) === DESCRIPTION.trimEnd());
    daemon.kill("SIGTERM");
    expect([await daemon.exited, writes().length]).toEqual([0, 2]);
  }, 60_000);

  test("what somebody wrote since is left alone", async () => {
    await interrupted();
    await edit({ vmid: 100, set: { description: "mine" } });
    const ran = await host.run("selftest", "task", "--vmid", "100", "--yes", "-o", "json");
    expect(report(ran.out).steps[0]?.detail).toContain("somebody has written another description since");
    expect([ran.code, await description("qemu", 100)]).toEqual([0, "mine"]);
  }, 60_000);

  test("another guest with that number is left alone", async () => {
    await interrupted();
    const marked = await description("qemu", 100);
    await edit({ vmid: 100, set: { smbios1: "uuid=cccccccc-0000-4000-8000-000000000100" } });
    const ran = await host.run("selftest", "task", "--vmid", "100", "--yes", "-o", "json");
    expect(report(ran.out).steps[0]?.detail).toContain("another guest has this number now");
    expect(await description("qemu", 100)).toBe(marked);
  }, 60_000);
});

describe("with a running agent", () => {
  async function daemonOf(options: Partial<CommandHostOptions> = {}): Promise<Bun.Subprocess<"ignore", "pipe", "pipe">> {
    await hostOf(options);
    writeFileSync(join(host.desired, "none.yaml"), "version: 1\nguests: []\n");
    const daemon = host.spawn("run");
    await untilAsync(async () => /FirstFullReadDone +True/.test((await host.run("status")).out));
    return daemon;
  }

  async function ended(daemon: Bun.Subprocess<"ignore", "pipe", "pipe">): Promise<void> {
    daemon.kill("SIGTERM");
    expect(await daemon.exited).toBe(0);
  }

  test("it is a job in that guest's lane: drift of the description is not fought meanwhile", async () => {
    await hostOf();
    writeFileSync(join(host.desired, "web.yaml"), JSON.stringify({ version: 1, guests: [{ vmid: 100, kind: "qemu", config: { description: DESCRIPTION } }] }));
    const daemon = host.spawn("run", "--poll-interval", "100ms");
    await untilAsync(async () => (await host.run("status")).out.includes("in_sync"));
    host.simulator.faults.add({ kind: "latency", ms: 100, match: { vmid: 100 } });
    const ran = await host.run("selftest", "task", "--vmid", "100", "--yes", "-o", "json");
    expect([ran.code, report(ran.out).isPassed]).toEqual([0, true]);
    host.simulator.faults.remove();
    expect(writes()).toEqual(["PUT qemu/100/config description", "PUT qemu/100/config description"]);
    await ended(daemon);
  }, 60_000);

  test("a SIGTERM in the middle: the agent puts the description back before it ends", async () => {
    const daemon = await daemonOf();
    host.simulator.faults.add({ kind: "latency", ms: 300, match: { vmid: 100 } });
    const running = host.run("selftest", "task", "--vmid", "100", "--yes", "-o", "json");
    await until(() => writes().length === 1);
    await ended(daemon);
    await running;
    host.simulator.faults.remove();
    expect([await description("qemu", 100), writes().length]).toEqual([DESCRIPTION.trimEnd(), 2]);
  }, 60_000);

  test("its refusals arrive with their words", async () => {
    const daemon = await daemonOf();
    await edit({ vmid: 100, lock: "migrate" });
    const ran = await host.run("selftest", "task", "--vmid", "100", "--yes");
    expect([ran.code, writes()]).toEqual([1, []]);
    expect(ran.complaints).toContain("it is locked by Proxmox (migrate)");
    await ended(daemon);
  }, 60_000);
});

describe("interrupted with a signal, without a running agent", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`${signal}: the description is put back before the command ends`, async () => {
      await hostOf();
      host.simulator.faults.add({ kind: "latency", ms: 200, match: { vmid: 100 } });
      const child = host.spawn("selftest", "task", "--vmid", "100", "--yes");
      await until(() => writes().length === 1);
      child.kill(signal);
      await child.exited;
      host.simulator.faults.remove();
      expect([await description("qemu", 100), writes().length]).toEqual([DESCRIPTION.trimEnd(), 2]);
    }, 60_000);
  }
});
