import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DoctorReport } from "../../src/doctor/doctor.ts";
import { CHECKS } from "../../src/doctor/doctor.ts";
import type { Status } from "../../src/doctor/finding.ts";
import { commandHost, type CommandHost } from "../support/command-host.ts";
import { USER_CONFIG } from "../support/served-node.ts";

/** The whole command against a simulated host over HTTPS: tokens as the recorded host had them. */

const QEMU_100 = "cores: 1\nmemory: 64\nname: tiny\nnet0: virtio=BC:24:11:00:01:00,bridge=vmbr0\nostype: other\nsmbios1: uuid=aaaaaaaa-0000-4000-8000-000000000100\n";
const DESIRED = "version: 1\nguests:\n  - { vmid: 100, kind: qemu, state: running, config: { name: tiny, cores: 2, net0: { bridge: vmbr0 }, startup: order=1, args: -foo } }\n";

let host: CommandHost | undefined;
afterEach(async () => {
  await host?.stop();
  host = undefined;
});

async function start(settings: Readonly<Record<string, unknown>> = {}): Promise<CommandHost> {
  host = await commandHost({ files: { "nodes/pve1/qemu-server/100.conf": QEMU_100, "user.cfg": USER_CONFIG }, settings });
  writeFileSync(join(host.desired, "a.yaml"), DESIRED);
  return host;
}

function useToken({ directory, simulator }: CommandHost, id: string): void {
  writeFileSync(join(directory, "token"), `${id}=${simulator.secrets.get(id) ?? "99999999-1111-4111-8111-111111111111"}\n`);
}

async function examine(at: CommandHost, ...words: readonly string[]): Promise<DoctorReport> {
  const { code, out, complaints } = await at.run(...words, "doctor", "-o", "json");
  const report = JSON.parse(out) as DoctorReport;
  expect([code, complaints]).toEqual([report.exitCode, ""]);
  expect(report.checks.map(({ name }) => name)).toEqual(CHECKS.map(({ name }) => name));
  return report;
}

/** Statuses by name, of what is about this host and not about the machine the test runs on. */
function statuses({ checks }: DoctorReport, ...names: readonly string[]): Record<string, Status> {
  return Object.fromEntries(checks.filter(({ name }) => names.includes(name)).map(({ name, status }) => [name, status]));
}

const ALL = ["config", "desired", "files", "api", "tls", "token", "version", "node", "clock", "quorum", "privileges", "bridges", "root-only-keys", "visibility"];

function told({ checks }: DoctorReport, name: string): string {
  const finding = checks.find((candidate) => candidate.name === name);
  return [finding?.found, ...(finding?.details ?? []), finding?.mend].join("\n");
}

/** Everything that may be sent to Proxmox by the doctor is a GET. */
function requestsOf({ simulator }: CommandHost): readonly string[] {
  return simulator.requestLog.entries().map(({ method }) => method);
}

describe("doctor", () => {
  test("with a token that may do all, everything about Proxmox is well", async () => {
    const at = await start();
    const report = await examine(at);
    expect(statuses(report, ...ALL)).toEqual({ ...Object.fromEntries(ALL.map((name) => [name, "ok"])), "root-only-keys": "warn" });
    expect(told(report, "root-only-keys")).toContain("qemu/100: args");
    expect(new Set(requestsOf(at))).toEqual(new Set(["GET"]));
  });

  test("with a limited token it names what each key lacks", async () => {
    const at = await start();
    useToken(at, "op@pve!tok");
    const report = await examine(at);
    expect(statuses(report, "token", "privileges", "bridges", "visibility", "quorum")).toMatchObject({ token: "ok", privileges: "fail", bridges: "fail", visibility: "warn" });
    const lines = report.checks.find(({ name }) => name === "privileges")?.details;
    expect(lines).toEqual([
      "qemu/100: VM.Config.CPU on /vms/100 for cores",
      "qemu/100: VM.Config.Network on /vms/100 for net0",
      "qemu/100: Sys.Modify on / for startup",
    ]);
    expect(told(report, "bridges")).toContain("/sdn/zones/localnetwork/vmbr0");
    expect(report.exitCode).toBe(1);
  });

  test.each([
    ["nobody@pve!tok", "qemu/100: VM.Audit on /vms/100 for reading (unseen, it counts as missing)"],
    ["ro@pve!tok", "qemu/100: VM.PowerMgmt on /vms/100 for state"],
    ["root@pam!sep", "qemu/100: VM.Audit on /vms/100 for reading"],
  ])("with %s", async (id, line) => {
    const at = await start();
    useToken(at, id);
    expect(told(await examine(at), "privileges")).toContain(line);
  });

  test.each(["agent@pve!old", "ghost@pve!tok", "root@pam!nope"])("with %s, which Proxmox refuses, only the token fails", async (id) => {
    const at = await start();
    useToken(at, id);
    const report = await examine(at);
    expect(statuses(report, "api", "tls", "token", "privileges", "version")).toEqual({ api: "ok", tls: "ok", token: "fail", privileges: "skipped", version: "skipped" });
    expect(told(report, "token")).toContain(`${id} is refused`);
  });

  test("with a certificate that is not the pinned one it sends nothing and shows what was presented", async () => {
    const at = await start({ proxmox: { tls: { fingerprint: Array.from({ length: 32 }, () => "AB").join(":") } } });
    const report = await examine(at);
    expect(statuses(report, "api", "tls", "token", "version")).toEqual({ api: "ok", tls: "fail", token: "skipped", version: "skipped" });
    expect(told(report, "tls")).toContain(`set proxmox.tls to that`);
    expect(told(report, "tls")).toContain(at.simulator.fingerprint);
    expect(requestsOf(at)).toEqual([]);
  });

  test("with the right pin it says how the certificate is trusted", async () => {
    const at = await start();
    const report = await examine(at, "--proxmox-tls-fingerprint", at.simulator.fingerprint);
    expect(told(report, "tls")).toContain("exactly the certificate of proxmox.tls.fingerprint");
  });

  test("with Proxmox down the API fails and the rest is still told", async () => {
    const at = await start();
    await at.simulator.stop();
    const report = await examine(at);
    expect(statuses(report, "api", "tls", "token", "files", "desired", "privileges")).toEqual({ api: "fail", tls: "skipped", token: "skipped", files: "ok", desired: "ok", privileges: "skipped" });
  });

  test("with a token everybody may read nothing is sent, and no part of the secret is shown", async () => {
    const at = await start();
    chmodSync(join(at.directory, "token"), 0o644);
    const report = await examine(at);
    expect(statuses(report, "files", "token", "api", "tls")).toEqual({ files: "fail", token: "fail", api: "ok", tls: "ok" });
    expect(requestsOf(at)).toEqual([]);
    for (const secret of at.simulator.secrets.values()) expect(JSON.stringify(report)).not.toContain(secret);
  });

  test("a node name that is not the host's", async () => {
    const report = await examine(await start(), "--node", "pve7");
    expect(statuses(report, "node")).toEqual({ node: "fail" });
    expect(told(report, "node")).toContain("pve7 is not among pve1");
  });

  test("a config that does not load: what needs none is still looked at", async () => {
    const report = await examine(await start(), "--poll-interval", "never");
    expect(report.summary).toMatchObject({ fail: 1, skipped: CHECKS.length - 2 });
    expect(told(report, "config")).toContain("pollInterval");
  });

  test("changes nothing: the same files before and after, the state directory's included", async () => {
    const at = await start();
    await at.run("run", "--once", "--dry-run");
    const before = snapshotOf(at.directory);
    const report = await examine(at);
    expect(statuses(report, "state-dir", "journal", "journal-time")).toEqual({ "state-dir": "ok", journal: "ok", "journal-time": "ok" });
    expect(report.checks.find(({ name }) => name === "sync-speed")?.found).toMatch(/^\d+ syncs a second/);
    expect(snapshotOf(at.directory)).toEqual(before);
  });

  test("beside a running agent it says so, and finds the journal whole", async () => {
    const at = await start();
    const daemon = at.spawn("run", "--dry-run");
    try {
      await listening(at);
      const report = await examine(at);
      expect(statuses(report, "agent", "journal", "port")).toEqual({ agent: "ok", journal: "ok", port: "ok" });
      expect(told(report, "agent")).toContain(`pid ${daemon.pid}`);
    } finally {
      daemon.kill("SIGTERM");
      await daemon.exited;
    }
  }, 20_000);

  test("text for a person: a line a check, no colours in a pipe", async () => {
    const { out, code } = await (await start()).run("doctor");
    expect(code).toBe(/^FAIL/m.test(out) ? 1 : 0);
    expect(out).toMatch(/^ok +config /m);
    expect(out).not.toContain("\u001b");
    expect(out.trimEnd().split("\n").at(-1)).toMatch(/^\d+ ok/);
  });
});

/** Resolves when the daemon answers on its socket; the bound is the test's own timeout. */
async function listening(at: CommandHost): Promise<void> {
  while ((await at.run("status", "-o", "json")).code !== 0) await Bun.sleep(20);
}

/** Every file below a directory, with its mode and content. */
function snapshotOf(directory: string): Readonly<Record<string, string>> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(names.map((entry) => {
    const path = join(entry.parentPath, entry.name);
    return [path, `${statSync(path).mode.toString(8)} ${Bun.hash(readFileSync(path))}`];
  }));
}
