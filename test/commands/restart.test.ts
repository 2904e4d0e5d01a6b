import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import type { RestartReport } from "../../src/reconcile/restart-request.ts";
import { commandHost, type CommandHost, type Ran } from "../support/command-host.ts";
import { scratchDirectory } from "../support/temporary-directory.ts";

/** `agent restart` against a simulated host over HTTPS: its words and exit codes, alone and through a running agent. */

const WEB = "cores: 2\nmemory: 1024\nname: web\nostype: l26\nsmbios1: uuid=aaaaaaaa-0000-4000-8000-000000000100\n";
const FILES = "arch: amd64\nhostname: files\nmemory: 512\nostype: debian\ntty: 2\nrootfs: local:103/vm-103-disk-0.raw,size=4G\n";
const TWO = { "nodes/pve1/qemu-server/100.conf": WEB, "nodes/pve1/lxc/103.conf": FILES };
const DECLARED = { version: 1, guests: [{ vmid: 100, kind: "qemu", config: { sockets: 2 } }, { vmid: 103, kind: "lxc", config: { tty: 4 } }] };

/** Both guests run, with a value that waits for a restart. Each test has its own: they spend their time waiting, at the same time. */
async function hostOf(): Promise<CommandHost & AsyncDisposable> {
  const scratch = scratchDirectory();
  const host = await commandHost({ files: TWO, running: [100, 103], directory: scratch.path });
  writeFileSync(join(host.desired, "guests.yaml"), JSON.stringify(DECLARED));
  const ran = await host.run("run", "--once");
  expect([ran.code, ran.complaints]).toEqual([0, ""]);
  const end = async (): Promise<void> => {
    await host.stop();
    scratch[Symbol.dispose]();
  };
  return Object.assign(host, { [Symbol.asyncDispose]: end });
}

/** Power acts, as sent. */
function acts(host: CommandHost): readonly string[] {
  return host.simulator.requestLog.mutations().filter(({ method }) => method === "POST").map(({ path, parameters }) => `${path.split("/").slice(-3).join("/")} ${JSON.stringify(parameters)}`);
}

const restart = (host: CommandHost, vmid: number, ...more: readonly string[]): Promise<Ran> => host.run("restart", String(vmid), "--key", "deploy-7", ...more);
const reportIn = ({ out }: Ran): RestartReport => JSON.parse(out) as RestartReport;

describe("without a running agent", () => {
  test.concurrent("a VM is rebooted by one request, once for its key", async () => {
    await using host = await hostOf();
    const first = await restart(host, 100);
    expect([first.code, first.complaints]).toEqual([0, ""]);
    expect(first.out).toMatch(/^qemu\/100 \(web\) restarted: it was restarted and runs\.\n {2}applied: sockets\n {2}operation \w+, key deploy-7 until 20\d\d-/);
    const again = await restart(host, 100, "-o", "json");
    expect([again.code, reportIn(again)]).toEqual([0, expect.objectContaining({ state: "succeeded", isRepeat: true })]);
    expect(acts(host)).toEqual(['status/reboot {"timeout":"60"}'].map((act) => `100/${act}`));
    expect((await host.run("plan")).code).toBe(0);
  }, 60_000);

  test.concurrent("a container is shut down and started, never rebooted and never killed", async () => {
    await using host = await hostOf();
    const ran = await restart(host, 103, "-o", "json");
    expect([ran.code, reportIn(ran)]).toEqual([0, expect.objectContaining({ kind: "lxc", state: "succeeded", applied: ["tty"], stillPending: [] })]);
    expect(acts(host)).toEqual(['103/status/shutdown {"timeout":"60"}', "103/status/start {}"]);
  }, 60_000);

  test.concurrent("exit codes: held is 2, refused for good is 1, a wrong command line is 64", async () => {
    await using host = await hostOf();
    await host.run("pause", "100", "--reason", "hands off");
    const held = await restart(host, 100);
    expect([held.code, held.complaints]).toEqual([2, expect.stringContaining("hands off")]);
    await host.run("pause", "--all");
    // What a person said about the guest, or all of them, is part of its story.
    expect((await host.run("journal", "ls", "--guest", "100")).out).toMatch(/pause\/100 =.*\n.*pause\/all =/);
    await host.run("resume", "--all");
    await host.run("resume", "100");
    const undeclared = await restart(host, 999);
    expect([undeclared.code, undeclared.complaints]).toEqual([1, expect.stringContaining("guest 999 is not declared")]);
    for (const words of [["100"], ["web", "--key", "k"], ["100", "--key", "a b"], ["100", "--key", "k", "--key-expires", "soon"], ["100", "--key", "k", "--timeout", "2d"], ["100", "--key", "k", "--issued-at", "yesterday"]]) {
      expect([words, (await host.run("restart", ...words)).code]).toEqual([words, 64]);
    }
    expect(acts(host)).toEqual([]);
  }, 60_000);

  test.concurrent("an agent that is about to start or to end holds the journal for a moment: it is waited for", async () => {
    await using host = await hostOf();
    const lock = createFileSystem().lock(join(host.directory, "state/journal/lock"), "somebody");
    if (!lock.ok) throw new Error(lock.error.message);
    const ran = restart(host, 100);
    await Bun.sleep(1_000);
    expect(acts(host)).toEqual([]);
    lock.value.release();
    expect([(await ran).code, acts(host).length]).toEqual([0, 1]);
  }, 60_000);

  test.concurrent("exit codes: a host that does not answer is 2, a guest that did not shut down is 1 and has its key back", async () => {
    await using host = await hostOf();
    host.simulator.faults.add({ kind: "task_fail", taskType: "qmreboot", exit: "VM quit/powerdown failed - got timeout" });
    const failed = await restart(host, 100);
    expect([failed.code, failed.out]).toEqual([1, expect.stringMatching(/the key is free again\.\n {2}still pending: sockets\n {2}operation \w+\n$/)]);
    host.simulator.faults.remove();
    await host.simulator.stop();
    const dead = await restart(host, 100);
    expect([dead.code, dead.complaints]).toEqual([2, expect.stringContaining("ECONNREFUSED")]);
  }, 60_000);

  test.concurrent("a guest that is off: 0, and nothing is sent", async () => {
    await using host = await hostOf();
    await host.simulator.node.edit({ vmid: 100, power: "stop" });
    const ran = await restart(host, 100);
    expect([ran.code, ran.out]).toEqual([0, expect.stringContaining("qemu/100 (web) not restarted: it is stopped")]);
    expect(acts(host)).toEqual([]);
  }, 60_000);
});

describe("with a running agent", () => {
  test.concurrent("it is told, its outcome is told again, and its refusals arrive with their words and codes", async () => {
    await using host = await hostOf();
    const daemon = host.spawn("run", "--poll-interval", "200ms");
    for (let tries = 0; tries < 100 && !(await host.run("status")).out.includes("agent restart 103 --key NAME"); tries++) await Bun.sleep(50);
    const first = await restart(host, 103, "-o", "json");
    expect([first.code, reportIn(first).state]).toEqual([0, "succeeded"]);
    const again = await restart(host, 103, "-o", "json");
    expect([reportIn(again).isRepeat, reportIn(again).operation]).toEqual([true, reportIn(first).operation]);
    const other = await restart(host, 100);
    expect([other.code, other.complaints]).toEqual([1, expect.stringContaining('key "deploy-7" belongs to another act (shutdown of lxc/103')]);
    await host.simulator.node.edit({ vmid: 100, lock: "backup" });
    const held = await host.run("restart", "100", "--key", "other");
    expect([held.code, held.complaints]).toEqual([2, expect.stringContaining("qemu/100 is held (Locked)")]);
    const short = await host.run("restart", "103", "--key", "third", "--timeout", "1ms", "-o", "json");
    expect([short.code, reportIn(short).state]).toEqual([2, "running"]);
    daemon.kill("SIGTERM");
    expect(await daemon.exited).toBe(0);
  }, 60_000);
});
