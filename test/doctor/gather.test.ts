import { afterEach, describe, expect, test } from "bun:test";
import { judgeAll } from "../../src/doctor/doctor.ts";
import type { ApiFacts, ConfiguredFacts, Facts } from "../../src/doctor/facts.ts";
import { gather, type DoctorOptions } from "../../src/doctor/gather.ts";
import { ok } from "../../src/ports/errors.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { bare, FakePveServer, FIXTURES, json, refusal, type FakeAnswer } from "../support/fake-pve-server.ts";
import { readRecording } from "../support/recordings.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONFIG, desiredOf, TWO_GUESTS } from "./facts.ts";

/** Gathering with time in hand: what hangs is given up, what breaks stays alone. */

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const quiet = (): void => {};

function optionsFor(clock: FakeClock, url: string, changes: Partial<DoctorOptions> = {}): DoctorOptions {
  const directory = temporaryDirectory();
  const tokenFile = join(directory, "token");
  writeFileSync(tokenFile, "root@pam!agent=11111111-1111-4111-8111-111111111111\n", { mode: 0o600 });
  const config = { ...CONFIG, stateDir: join(directory, "state"), proxmox: { ...CONFIG.proxmox, url, tokenFile, tls: { caFile: `${FIXTURES}/ca.pem` } }, host: { ...CONFIG.host, pveDir: directory } };
  return {
    loaded: ok({ config, origins: new Map(), file: undefined, fingerprint: "" }),
    clock, random: { fraction: () => 0.5, bytes: (size) => new Uint8Array(size) }, log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    files: createFileSystem(), ownUid: process.getuid?.() ?? 0, processId: process.pid, version: "1.2.3", procDir: "/proc", ownAddresses: [],
    askAgent: () => Promise.resolve({ state: "absent" }),
    loadDesired: () => Promise.resolve(TWO_GUESTS),
    ...changes,
  };
}

/** Gathers while time passes, so that every deadline comes. */
async function gathered(clock: FakeClock, options: DoctorOptions): Promise<Facts> {
  let isDone = false;
  const settle = (): void => {
    isDone = true;
  };
  const work = gather(options);
  work.then(settle, settle);
  while (!isDone) await clock.advance(50);
  return work;
}

function configuredOf(facts: Facts): ConfiguredFacts {
  if (!facts.configured.ok) throw new Error(facts.configured.error.message);
  return facts.configured.value;
}

function apiOf(facts: Facts): ApiFacts {
  const { api } = configuredOf(facts);
  if (!api.ok) throw new Error(api.error.message);
  return api.value;
}

function answersOf(facts: Facts) {
  const { answers } = apiOf(facts);
  if (answers?.ok !== true) throw new Error("Proxmox did not answer");
  return answers.value;
}

async function serve(answers: Readonly<Record<string, FakeAnswer>>): Promise<FakePveServer> {
  const server = await FakePveServer.start(({ target }) => {
    const path = target.replace("/api2/json", "");
    return answers[path] ?? answers[path.split("?")[0] ?? ""] ?? refusal(501, "not implemented");
  });
  cleanups.push(() => server.stop());
  return server;
}

const recorded = (path: string): FakeAnswer => {
  const exchange = readRecording("02-auth.txt").find((each) => each.section.startsWith("token op@pve!tok") && each.path === path);
  if (exchange === undefined) throw new Error(`no recording of ${path}`);
  return json(200, exchange.body);
};

const data = (value: unknown): FakeAnswer => json(200, { data: value });
const VERSION = { "/version": recorded("/api2/json/version"), "/nodes": recorded("/api2/json/nodes"), "/cluster/status": data([{ type: "node" }]) };

describe("what Proxmox is asked", () => {
  test("recorded answers: version, nodes; privileges by path, none where it names no path", async () => {
    const given = JSON.parse(readRecording("02-auth.txt").find(({ section, path }) => section.startsWith("token op@pve!tok") && path.endsWith("/access/permissions"))?.body ?? "") as { data: Record<string, object> };
    const server = await serve({ ...VERSION, "/access/permissions?path=%2Fvms%2F101": data({ "/vms/101": given.data["/vms/100"] }), "/access/permissions": data({}) });
    const clock = new FakeClock();
    const { version, nodes, clock: time, quorum, privileges } = answersOf(await gathered(clock, optionsFor(clock, server.url)));
    expect({ version, nodes, time, quorum }).toEqual({ version: { major: 9, minor: 2, patch: 11 }, nodes: ok([{ name: "pve1", isOnline: true }]), time: ok(null), quorum: ok(true) });
    expect([...privileges].map(([path, names]) => [path, names.ok ? [...names.value].sort() : names.error.code] as const).sort(([left], [right]) => (left < right ? -1 : 1))).toEqual([
      ["/", []],
      ["/nodes/pve1", []],
      ["/sdn/zones/localnetwork/vmbr0", []],
      ["/vms/101", ["VM.Audit", "VM.Config.Options", "VM.PowerMgmt"]],
      ["/vms/200", []],
    ]);
  });

  test("the host's clock is read from the date of an answer", async () => {
    const clock = new FakeClock(Date.UTC(2026, 5, 1, 12, 0, 0));
    const dated = json(200, { data: { version: "9.2.11" } }, { headers: ["Date: Mon, 01 Jun 2026 12:00:09 GMT"] });
    const server = await serve({ ...VERSION, "/version": dated, "/access/permissions": data({}) });
    const { clock: time } = answersOf(await gathered(clock, optionsFor(clock, server.url)));
    if (!time.ok || time.value === null) throw new Error("no time was told");
    expect(Math.abs(time.value.skewMs - 9_500)).toBeLessThanOrEqual(time.value.uncertaintyMs);
    expect(time.value.uncertaintyMs).toBeGreaterThanOrEqual(500);
  });

  test("refusals of single questions cost those questions only", async () => {
    const server = await serve({ ...VERSION, "/nodes": refusal(500, "no"), "/cluster/status": refusal(403, "Permission check failed (/, Sys.Audit)"), "/access/permissions": data({}) });
    const clock = new FakeClock();
    const { version, nodes, quorum } = answersOf(await gathered(clock, optionsFor(clock, server.url)));
    expect([version.major, nodes.ok, quorum]).toEqual([9, false, ok(null)]);
  });

  test("a refused token is not tried on anything else", async () => {
    const server = await serve({ "/version": bare(401, "Authentication failed!") });
    const clock = new FakeClock();
    const { answers } = apiOf(await gathered(clock, optionsFor(clock, server.url)));
    expect(answers).toMatchObject({ ok: false, error: { code: "proxmox.unauthenticated" } });
    expect(new Set(server.requests.map(({ target }) => target))).toEqual(new Set(["/api2/json/version"]));
  });
});

describe("what hangs", () => {
  test("privileges: given up in time, the rest is told", async () => {
    const server = await serve({ ...VERSION, "/access/permissions": "silence" });
    const clock = new FakeClock();
    const many = desiredOf(Array.from({ length: 300 }, (_, index) => `  - { vmid: ${100 + index}, kind: lxc }\n`).join(""));
    const facts = await gathered(clock, optionsFor(clock, server.url, { loadDesired: () => Promise.resolve(many) }));
    expect(clock.monotonic()).toBeLessThan(75_000);
    const report = judgeAll(facts);
    expect(report.checks.find(({ name }) => name === "privileges")).toMatchObject({ status: "warn", found: expect.stringContaining("300 paths could not be asked about") });
    expect(report.checks.filter(({ name, status }) => ["version", "node", "quorum", "token"].includes(name) && status !== "ok")).toEqual([]);
  });

  test("the agent and the desired state: given up after 30 s each, Proxmox is still asked", async () => {
    const server = await serve({ ...VERSION, "/access/permissions": data({}) });
    const clock = new FakeClock();
    const never = new Promise<never>(() => {});
    const facts = await gathered(clock, optionsFor(clock, server.url, { askAgent: () => never, loadDesired: () => never }));
    const { agent, desired } = configuredOf(facts);
    expect([agent, desired].map((fact) => (fact.ok ? "ok" : fact.error.message))).toEqual(["the agent's socket: no answer within 30 s", "the desired state: no answer within 30 s"]);
    expect(answersOf(facts).version.major).toBe(9);
    expect(clock.pendingTimers()).toBe(0);
  });
});

describe("what breaks", () => {
  test("stays alone", async () => {
    const server = await serve({ ...VERSION, "/access/permissions": data({}) });
    const clock = new FakeClock();
    const facts = await gathered(clock, optionsFor(clock, server.url, { askAgent: () => Promise.reject(new Error("a defect")), loadDesired: () => { throw new Error("another"); } }));
    const report = judgeAll(facts);
    expect(report.checks.filter(({ status, name }) => status === "fail" && (name === "agent" || name === "desired")).map(({ found }) => found)).toEqual(["the agent's socket: a defect", "the desired state: another"]);
    expect(answersOf(facts).version.major).toBe(9);
  });

  test("a file to trust that is not there: nothing is opened", async () => {
    const server = await serve(VERSION);
    const clock = new FakeClock();
    const options = optionsFor(clock, server.url);
    if (!options.loaded.ok) throw new Error("a config expected");
    const { config } = options.loaded.value;
    const without = { ...config, proxmox: { ...config.proxmox, tls: { caFile: "/nonexistent/ca.pem" } } };
    const { connection, answers } = apiOf(await gathered(clock, { ...options, loaded: ok({ ...options.loaded.value, config: without }) }));
    expect([connection.trust.ok, connection.certificate, answers, server.tcpConnections]).toEqual([false, undefined, undefined, 0]);
  });
});

describe("the environment", () => {
  test("is this process's and, while one runs, the agent's, as they were started", async () => {
    const server = await serve({ ...VERSION, "/access/permissions": data({}) });
    const clock = new FakeClock();
    const child = Bun.spawn([process.execPath, "-e", "await new Promise(() => setTimeout(() => {}, 60_000))"], { env: { PATH: "/bin", HTTPS_PROXY: "http://u:secret@proxy" }, stdout: "ignore", stderr: "ignore" });
    cleanups.push(async () => {
      child.kill("SIGKILL");
      await child.exited;
    });
    // Between fork and exec the child still shows this process's environment.
    for (let look = 0; look < 1_000 && !readFileSync(`/proc/${child.pid}/environ`, "latin1").includes("HTTPS_PROXY"); look++) await new Promise((resolve) => setImmediate(resolve));
    const { environments } = await gathered(clock, optionsFor(clock, server.url, { askAgent: () => Promise.resolve({ state: "running", pid: child.pid, version: "1.2.3", node: "pve1", configProblem: "", troubles: [] }) }));
    expect(environments.map(({ who }) => who)).toEqual(["this command", `the running agent (pid ${child.pid})`]);
    expect(environments[1]?.variables).toEqual(["HTTPS_PROXY"]);
    expect(JSON.stringify(environments)).not.toContain("secret");
  });
});
