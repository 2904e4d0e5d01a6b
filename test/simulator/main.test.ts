import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSimulator, type RunningSimulator, type SimulatorOptions } from "../../src/simulator/main.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { rawRequest, type RawRequest, type RawResponse } from "../support/raw-https.ts";
import { systemRandom } from "../support/served-node.ts";

let directory = "";
let clock: FakeClock;
let running: RunningSimulator | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "simulator-"));
  clock = new FakeClock(Date.now());
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  rmSync(directory, { recursive: true, force: true });
});

async function start(options: Partial<SimulatorOptions> = {}): Promise<RunningSimulator> {
  const listen = { hostname: "127.0.0.1", port: 0 };
  running = await startSimulator({ listen, guests: 8, seed: 3, clock, random: systemRandom, authDelayMs: 0, ...options });
  return running;
}

function ask(simulator: RunningSimulator, method: string, path: string, request: RawRequest = {}): Promise<RawResponse> {
  const target = { port: Number(new URL(simulator.url).port), caPem: simulator.caPem };
  return rawRequest(target, method, `/api2/json${path}`, { token: simulator.token, ...request });
}

const data = (response: RawResponse): unknown => JSON.parse(response.body).data;
const read = (name: string): string => readFileSync(join(directory, name), "utf8");

describe("a simulator", () => {
  test("answers over TLS with the token it gave out", async () => {
    const simulator = await start();
    expect(simulator.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(data(await ask(simulator, "GET", "/version"))).toMatchObject({ version: "9.2.11", release: "9.2" });
    expect(data(await ask(simulator, "GET", "/nodes"))).toMatchObject([{ node: "pve1", ssl_fingerprint: simulator.fingerprint }]);
  });

  test("has as many guests as asked for, of both kinds, some running", async () => {
    const simulator = await start({ guests: 12 });
    const qemu = data(await ask(simulator, "GET", "/nodes/pve1/qemu")) as { vmid: number; status: string }[];
    const lxc = data(await ask(simulator, "GET", "/nodes/pve1/lxc")) as { vmid: number; status: string }[];
    expect([...qemu, ...lxc].map(({ vmid }) => vmid).sort((left, right) => left - right)).toEqual(Array.from({ length: 12 }, (_, index) => 100 + index));
    expect(lxc).toHaveLength(3);
    expect(new Set([...qemu, ...lxc].map(({ status }) => status))).toEqual(new Set(["running", "stopped"]));
  });

  test("writes the token and the certificates, the secret ones for their owner alone", async () => {
    const simulator = await start({ tokenFile: join(directory, "token"), tlsDir: join(directory, "tls") });
    expect(read("token")).toBe(`${simulator.token}\n`);
    expect(statSync(join(directory, "token")).mode & 0o777).toBe(0o600);
    expect(read("tls/pve-root-ca.pem")).toBe(simulator.caPem);
  });

  test("keeps its certificate over a restart", async () => {
    const first = await start({ tlsDir: join(directory, "tls") });
    await first.stop();
    expect((await start({ tlsDir: join(directory, "tls") })).fingerprint).toBe(first.fingerprint);
  });

  test("keeps a directory like a host's while guests change", async () => {
    const hostDir = join(directory, "host");
    const simulator = await start({ hostDir });
    const list = JSON.parse(read("host/.vmlist"));
    expect(Object.keys(list.ids)).toHaveLength(8);
    const pids = readdirSync(join(hostDir, "run/qemu-server")).map((name) => Number(name.split(".")[0]));
    const containers = readdirSync(join(hostDir, "cgroup/lxc")).map(Number);
    expect(new Set([...pids, ...containers])).toEqual(new Set(simulator.node.runningGuests().map(({ vmid }) => vmid)));
    const version = JSON.parse(read("host/.version")).vmlist;
    expect((await ask(simulator, "PUT", "/nodes/pve1/qemu/100/config", { body: "description=new" })).status).toBe(200);
    await clock.advance(25);
    const after = JSON.parse(read("host/.vmlist"));
    expect(after.ids["100"].version).not.toBe(list.ids["100"].version);
    expect(after.ids["101"].version).toBe(list.ids["101"].version);
    expect(JSON.parse(read("host/.version")).vmlist).not.toBe(version);
  });

  test("takes edits from outside, which show in the API", async () => {
    const simulator = await start();
    const body = JSON.stringify({ vmid: 100, set: { cores: "3" }, lock: "backup" });
    const edited = await fetch(`${simulator.controlUrl}/_sim/edit`, { method: "POST", body });
    expect([edited.status, await edited.json()]).toEqual([200, {}]);
    expect(data(await ask(simulator, "GET", "/nodes/pve1/qemu/100/config"))).toMatchObject({ cores: 3, lock: "backup" });
    const refused = await ask(simulator, "PUT", "/nodes/pve1/qemu/100/config", { body: "description=x" });
    expect(refused.statusLine).toBe("HTTP/1.1 500 VM is locked (backup)");
  });

  test("without quorum nothing can be written, until there is one again", async () => {
    const simulator = await start();
    const id = simulator.faults.add({ kind: "read_only" });
    const refused = await ask(simulator, "PUT", "/nodes/pve1/qemu/100/config", { body: "description=x" });
    expect(refused.status).toBe(500);
    simulator.faults.remove(id);
    expect((await ask(simulator, "PUT", "/nodes/pve1/qemu/100/config", { body: "description=x" })).status).toBe(200);
  });

  test("says which port is taken", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    const message = await start({ listen: { hostname: "127.0.0.1", port } }).catch((error: Error) => error.message);
    other.close();
    expect(message).toContain(String(port));
  });

  test("refuses a start state nobody can log in to", async () => {
    const startState = { files: { "/etc/pve/user.cfg": "user:root@pam:1:0::::::\n" } };
    expect(await start({ startState }).catch((error: Error) => error.message)).toContain("no token");
  });
});
