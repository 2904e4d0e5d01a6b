import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { guests, machine, Site, TEST_TIMEOUT_MS } from "../e2e/site.ts";

/** `agent run` as a process: what stops it from starting, how it takes a new config, what it writes where. */

setDefaultTimeout(TEST_TIMEOUT_MS);

const FILES = { "qemu-server/100": machine({ name: "web" }) };
const DECLARED = guests({ vmid: 100, kind: "qemu", config: { description: "kept" } });
const open = (settings: Readonly<Record<string, string>> = {}): Promise<Site> => Site.open({ files: FILES, desired: { "guests.yaml": DECLARED }, settings });

/** A port that somebody else listens on. */
async function takenPort(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { port: address.port, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) };
}

describe("what keeps it from starting", () => {
  test.concurrent("a taken port: it ends at once, names the port and node_exporter, and gives the lock back", async () => {
    await using other = await takenPort();
    await using site = await open({ server: `{ listen: "127.0.0.1:${other.port}" }` });
    const beganMs = performance.now();
    const finished = await site.run(["run"]);
    expect(performance.now() - beganMs).toBeLessThan(5_000);
    expect(finished).toMatchObject({ code: 1, stdout: "" });
    expect(finished.stderr).toMatch(new RegExp(`found port ${other.port} taken by another program \\(node_exporter uses 9100 too`));
    expect(site.mutations()).toEqual([]);
    expect((await site.run(["run", "--once"])).code).toBe(0);
  });

  test.concurrent("a file in place of the socket is left alone", async () => {
    await using site = await open();
    writeFileSync(site.path("agent.sock"), "a diary");
    expect(await site.run(["run"])).toMatchObject({ code: 1, stderr: expect.stringContaining("to be a socket or absent, found another file") });
    expect(await Bun.file(site.path("agent.sock")).text()).toBe("a diary");
  });

  test.concurrent("an address that is not this host's", async () => {
    await using site = await open({ server: '{ listen: "203.0.113.1:9100" }' });
    expect(await site.run(["run"])).toMatchObject({ code: 1, stderr: expect.stringContaining("set server.listen to an address of this host") });
  });
});

describe("a new config", () => {
  test.concurrent("SIGHUP: it is in force, without a restart", async () => {
    await using site = await open({ dryRun: "true" });
    const daemon = await site.daemon();
    await daemon.ready();
    await site.shows(["status"], /dry_run/);
    expect((await site.run(["status"])).stdout).toContain("DRY RUN: nothing is sent");
    expect(site.mutations()).toEqual([]);
    site.configure({ dryRun: null });
    daemon.process.signal("SIGHUP");
    await daemon.process.wrote(/a new config is in force/, 3_000);
    await site.inSync();
    expect(site.mutations()).toEqual(["PUT /qemu/100/config"]);
    expect(await site.run(["status"])).toMatchObject({ code: 0, stdout: expect.not.stringContaining("DRY RUN") });
  });

  test.concurrent("a changed file is noticed by itself; an unusable one is not taken, and told in status", async () => {
    await using site = await open();
    const daemon = await site.daemon();
    await daemon.ready();
    site.configure({ pollIntervall: "1s" });
    await daemon.process.wrote(/the new config is unusable; the old one stays in force/);
    expect((await site.run(["--socket", site.path("agent.sock"), "status"], { STEWARD_CONFIG: "" })).code).toBe(1);
    rmSync(site.path("other.yaml"), { force: true });
    writeFileSync(site.path("other.yaml"), `socket: ${site.path("agent.sock")}\n`);
    const status = await site.run(["--config", site.path("other.yaml"), "status"]);
    expect(status.stdout).toMatch(/the newest config is not in force: .*agent\.yaml:\d+:1: pollIntervall: /);
    expect((await daemon.get("/readyz")).status).toBe(200);
    site.configure({ pollIntervall: null, log: "{ level: debug }" });
    await daemon.process.wrote(/a new config is in force/);
    expect((await site.run(["status"])).stdout).not.toContain("not in force");
  });

  test.concurrent("what takes effect after a restart is said, and nothing else happens", async () => {
    await using site = await open();
    const daemon = await site.daemon();
    await daemon.ready();
    site.configure({ server: '{ listen: "127.0.0.1:1" }', socket: "elsewhere.sock" });
    daemon.process.signal("SIGHUP");
    await daemon.process.wrote(/server takes effect after a restart/);
    await daemon.process.wrote(/socket takes effect after a restart/);
    expect(daemon.process.stderr()).not.toContain("a new config is in force");
    expect((await site.run(["--socket", site.path("agent.sock"), "status"])).code).toBe(0);
    expect((await daemon.get("/readyz")).status).toBe(200);
  });
});

describe("files it makes", () => {
  test.concurrent("only its own user may read the journal or use the socket, and the socket is gone after the end", async () => {
    await using site = await open();
    const daemon = await site.daemon();
    await daemon.ready();
    const mode = (path: string): string => (statSync(site.path(path)).mode & 0o777).toString(8);
    expect([mode("agent.sock"), mode("state"), mode("state/journal"), mode("state/journal/0000000000000001.journal")]).toEqual(["600", "700", "700", "600"]);
    expect(await daemon.process.stop()).toBe(0);
    expect(() => statSync(site.path("agent.sock"))).toThrow("ENOENT");
  });

  test.concurrent("a journal that others may write to is not trusted, and mended by chmod", async () => {
    await using site = await open();
    expect((await site.run(["run", "--once"])).code).toBe(0);
    chmodSync(site.path("state/journal"), 0o777);
    const daemon = await site.daemon();
    expect(await daemon.failing("JournalReady", "Insecure")).toContain(site.path("state/journal"));
    chmodSync(site.path("state/journal"), 0o700);
    await daemon.ready();
  });
});

describe("the environment cannot subvert it", () => {
  test.concurrent("proxies, extra CAs and verification switches are ignored", async () => {
    await using site = await open();
    const proxy = "http://127.0.0.1:1";
    const environment = { HTTPS_PROXY: proxy, https_proxy: proxy, HTTP_PROXY: proxy, ALL_PROXY: proxy, NODE_TLS_REJECT_UNAUTHORIZED: "0", NODE_EXTRA_CA_CERTS: "/nonexistent" };
    expect((await site.run(["run", "--once"], environment)).code).toBe(0);
    site.configure({ proxmox: site.proxmox(`{ fingerprint: "${"AB:".repeat(31)}AB" }`) });
    const requests = site.simulator.requestLog.count();
    expect(await site.run(["run", "--once"], environment)).toMatchObject({ code: 1, stderr: expect.stringContaining("Untrusted") });
    expect(site.simulator.requestLog.count()).toBe(requests);
  });
});
