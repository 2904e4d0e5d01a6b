import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PATIENCE_MS, until } from "../support/agent-process.ts";
import { guests, machine, Site, TEST_TIMEOUT_MS, type Daemon } from "./site.ts";

/**
 * What the agent depends on, broken one thing at a time: a condition with a reason and a message,
 * /livez 200, /readyz 503, nothing else harmed, and recovery by itself once it is mended.
 */

setDefaultTimeout(TEST_TIMEOUT_MS);

const DECLARED = guests({ vmid: 100, kind: "qemu", config: { description: "as declared" } });
const OTHER_CA = join(import.meta.dir, "../proxmox/fixtures/other-ca.pem");
const FILES = { "qemu-server/100": machine({ name: "web", description: "drifted" }) };

async function open(options: Parameters<typeof Site.open>[0] = {}): Promise<Site> {
  return Site.open({ files: FILES, desired: { "guests.yaml": DECLARED }, ...options });
}

async function alive(daemon: Daemon): Promise<void> {
  expect((await daemon.get("/livez")).status).toBe(200);
  expect((await daemon.get("/healthz")).status).toBe(503);
}

async function mended(site: Site, daemon: Daemon): Promise<void> {
  await daemon.ready(2 * PATIENCE_MS);
  await site.inSync();
  expect(daemon.process.isRunning()).toBe(true);
  expect(await daemon.process.stop()).toBe(0);
  expect((await site.run(["journal", "verify"])).code).toBe(0);
}

describe("Proxmox", () => {
  test.concurrent("down at the start, then up, then down again, then up", async () => {
    await using site = await open({ isOn: false });
    const daemon = await site.daemon();
    await daemon.failing("ProxmoxReachable", "Unreachable: .*ECONNREFUSED");
    await alive(daemon);
    expect(await site.run(["plan"])).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("ProxmoxReachable is False (Unreachable)") });
    await site.powerOn();
    await daemon.ready();
    await until("the first mending", () => site.mutations().length === 1);
    await site.powerOff();
    await daemon.failing("ProxmoxReachable", "Unreachable");
    await alive(daemon);
    // The host comes back as it was at first: drifted.
    await site.powerOn();
    await mended(site, daemon);
    expect(site.mutations()).toEqual(["PUT /qemu/100/config"]);
  });

  test.concurrent("answers, but never finishes an answer", async () => {
    await using site = await open({ requestTimeout: "1s" });
    site.simulator.faults.add({ kind: "hang" });
    const daemon = await site.daemon();
    await daemon.failing("ProxmoxReachable", "Unreachable");
    await alive(daemon);
    site.simulator.faults.remove();
    await mended(site, daemon);
  });
});

describe("the token", () => {
  test.concurrent("is wrong, then right: Unauthenticated, and read again by itself", async () => {
    await using site = await open();
    site.writeToken("root@pam!agent=00000000-0000-4000-8000-000000000000");
    const daemon = await site.daemon();
    expect(await daemon.failing("ProxmoxReachable", "Unauthenticated")).toContain("401");
    await daemon.process.wrote(/^<4>.*host ProxmoxReachable False Unauthenticated: /m);
    await alive(daemon);
    site.writeToken();
    await mended(site, daemon);
  });

  test.concurrent.each([
    ["is missing", (site: Site) => rmSync(site.path("token")), "create it with mode 0600"],
    ["can be read by others", (site: Site) => site.writeToken(undefined, 0o644), "chmod 600"],
    ["is no token", (site: Site) => site.writeToken("swordfish"), "user@realm!name=uuid"],
  ] as const)("%s: TokenUnusable, and nothing is sent", async (_name, spoil, advice) => {
    await using site = await open();
    spoil(site);
    const daemon = await site.daemon();
    const line = await daemon.failing("ProxmoxReachable", "TokenUnusable");
    expect(line).toContain(advice);
    expect(line).not.toContain("swordfish");
    await alive(daemon);
    expect(site.simulator.requestLog.count()).toBe(0);
    site.writeToken();
    await mended(site, daemon);
  });
});

describe("the certificate", () => {
  test.concurrent("has another fingerprint: no request and so no token arrives; the right one in agent.yaml mends it", async () => {
    await using site = await open({ settings: {} });
    site.configure({ proxmox: site.proxmox(`{ fingerprint: "${"AB:".repeat(31)}AB" }`) });
    const daemon = await site.daemon();
    const line = await daemon.failing("ProxmoxReachable", "Untrusted");
    expect(line).toContain(site.simulator.fingerprint);
    expect(line).toContain("nothing was sent");
    await alive(daemon);
    expect((await site.run(["plan"])).code).toBe(1);
    await until("several attempts", () => site.simulator.counts().tcpConnections >= 4);
    expect(site.simulator.requestLog.entries()).toEqual([]);
    expect(site.simulator.requestLog.count()).toBe(0);
    site.configure({ proxmox: site.proxmox(`{ fingerprint: "${site.simulator.fingerprint}" }`) });
    daemon.process.signal("SIGHUP");
    await mended(site, daemon);
  });

  test.concurrent("comes from another CA: no request arrives; the right CA file mends it", async () => {
    await using site = await open();
    const caFile = site.path("tls/pve-root-ca.pem");
    const right = readFileSync(caFile, "utf8");
    writeFileSync(caFile, readFileSync(OTHER_CA));
    const daemon = await site.daemon();
    await daemon.failing("ProxmoxReachable", "Untrusted");
    await alive(daemon);
    await until("several attempts", () => site.simulator.counts().tcpConnections >= 3);
    expect(site.simulator.requestLog.count()).toBe(0);
    writeFileSync(caFile, right);
    await mended(site, daemon);
  });
});

describe("the desired state", () => {
  test.concurrent.each([
    ["broken YAML", "version: 1\nguests: [\n", "Invalid", /guests\.yaml:\d+:\d+: expected valid YAML/],
    ["an empty file", "", "Invalid", /guests\.yaml:1:1: .*empty or truncated/],
    ["a file cut off", DECLARED.slice(0, -20), "Invalid", /guests\.yaml:\d+:\d+/],
    ["an unknown key", "version: 1\nguests: []\nguest: 3\n", "Invalid", /guests\.yaml:3:1: .*guest/],
    ["a reserved key", "version: 1\nguests:\n  - { vmid: 100, kind: qemu, requires: [] }\n", "Invalid", /guests\.yaml:3:\d+: .*not supported by this version/],
    ["a vmid twice", guests({ vmid: 100, kind: "qemu" }, { vmid: 100, kind: "qemu" }), "Conflicts", /vmid 100 is declared at .*guests\.yaml:1:\d+ and /],
  ] as const)("%s keeps the last good state, says where, and recovers by itself", async (_name, text, reason, message) => {
    await using site = await open();
    const daemon = await site.daemon();
    await daemon.ready();
    await until("the first mending", () => site.mutations().length === 1);
    site.declare("guests.yaml", text);
    expect(await daemon.failing("DesiredStateReady", reason)).toMatch(message);
    await alive(daemon);
    if (reason === "Invalid") {
      await site.edit({ vmid: 100, set: { description: "edited meanwhile" } });
      await until("the last good state to be kept", () => site.mutations().length === 2);
    }
    site.declare("guests.yaml", DECLARED);
    await mended(site, daemon);
  });

  test.concurrent("broken at the start: nothing is managed until it is mended", async () => {
    await using site = await open({ desired: { "guests.yaml": "guests: [" } });
    const daemon = await site.daemon();
    expect(await daemon.failing("DesiredStateReady", "Invalid")).toContain("nothing is managed until it is mended");
    await alive(daemon);
    expect(await site.run(["plan"])).toMatchObject({ code: 1, stderr: expect.stringMatching(/guests\.yaml:1:\d+/) });
    expect(await site.run(["run", "--once"])).toMatchObject({ code: 1, stdout: "Nothing was sent.\n" });
    expect(site.mutations()).toEqual([]);
    site.declare("guests.yaml", DECLARED);
    await mended(site, daemon);
  });

  test.concurrent("a directory that is missing is unreadable, not empty", async () => {
    await using site = await open({ settings: { desired: "{ source: directory, path: elsewhere }" } });
    const daemon = await site.daemon();
    expect(await daemon.failing("DesiredStateReady", "Unreadable")).toContain("elsewhere");
    await alive(daemon);
    mkdirSync(site.path("elsewhere"));
    writeFileSync(site.path("elsewhere/guests.yaml"), DECLARED);
    await mended(site, daemon);
  });
});

describe("the state directory", () => {
  test.concurrent("is a file: JournalReady False, guests are kept all the same, and recovery once it is gone", async () => {
    await using site = await open();
    writeFileSync(site.path("state"), "in the way");
    const daemon = await site.daemon();
    expect(await daemon.failing("JournalReady", "Unwritable")).toContain(site.path("state"));
    await alive(daemon);
    rmSync(site.path("state"));
    await mended(site, daemon);
  });
});

/** A small file system of its own, gone with the test: needs root and a kernel that lets it mount. */
class SmallDisk implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "steward-disk-"));
  readonly isMounted: boolean;

  constructor() {
    this.isMounted = this.#run("mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", this.path);
  }

  setReadOnly(isReadOnly: boolean): void {
    if (!this.#run("mount", "-o", `remount,${isReadOnly ? "ro" : "rw"}`, this.path)) throw new Error("cannot remount");
  }

  /** Takes the last byte there is, as a log that runs wild does. */
  fill(): void {
    const block = Buffer.alloc(4096, "x");
    for (let index = 0; ; index++) {
      try {
        writeFileSync(join(this.path, `filler-${index}`), block);
      } catch {
        return;
      }
    }
  }

  makeRoom(): void {
    for (const name of readdirSync(this.path)) if (name.startsWith("filler-")) rmSync(join(this.path, name));
  }

  [Symbol.dispose](): void {
    if (this.isMounted) this.#run("umount", "--lazy", this.path);
    rmSync(this.path, { recursive: true, force: true });
  }

  #run(...words: readonly string[]): boolean {
    return Bun.which(words[0] ?? "") !== null && Bun.spawnSync([...words], { stdout: "ignore", stderr: "ignore" }).success;
  }
}

function canMount(): boolean {
  using disk = new SmallDisk();
  if (!disk.isMounted) console.log("SKIPPED: a full and a read-only disk need root and the right to mount a tmpfs");
  return disk.isMounted;
}

describe.skipIf(!canMount())("the disk of the state directory", () => {
  test.concurrent("full: nothing new is sent, and it goes on by itself once there is room", async () => {
    using disk = new SmallDisk();
    await using site = await open({ settings: { stateDir: disk.path } });
    const daemon = await site.daemon();
    await daemon.ready();
    await until("the first mending", () => site.mutations().length === 1);
    disk.fill();
    expect(await daemon.failing("JournalReady", "Full")).toContain(disk.path);
    await alive(daemon);
    await site.edit({ vmid: 100, set: { description: "edited meanwhile" } });
    await until("the guest to wait for the journal", async () => (await daemon.get("/metrics")).body.includes('type="Synced",status="False",reason="JournalUnavailable"} 1'));
    expect(site.mutations()).toHaveLength(1);
    disk.makeRoom();
    await mended(site, daemon);
    expect(site.mutations()).toHaveLength(2);
  });

  test.concurrent("full while an act runs: its outcome is recorded all the same", async () => {
    using disk = new SmallDisk();
    await using site = await open({ settings: { stateDir: disk.path } });
    const daemon = await site.daemon();
    await daemon.ready();
    await until("the first mending", () => site.mutations().length === 1);
    const slow = site.simulator.faults.add({ kind: "latency", ms: 2_000, match: { method: "PUT" } });
    await site.edit({ vmid: 100, set: { description: "edited before the disk is full" } });
    await site.shows(["op", "ls"], /set_config +(?:started|task_running)/);
    disk.fill();
    expect(await daemon.failing("JournalReady", "Full")).toContain(disk.path);
    const [, id = ""] = await site.shows(["op", "ls", "--all"], /set_config +succeeded[^]*\n(\S+) +\S+ +set_config +succeeded[^\n]*\n$/);
    site.simulator.faults.remove(slow);
    expect(site.mutations()).toHaveLength(2);
    await site.edit({ vmid: 100, set: { description: "edited while the disk is full" } });
    disk.makeRoom();
    await mended(site, daemon);
    // Not only in memory: what the files hold after the agent has gone.
    expect((await site.run(["journal", "show", id])).stdout).toMatch(/^state +succeeded$/m);
  });

  test.concurrent("read-only: it says so, and goes on by itself once it is writable", async () => {
    using disk = new SmallDisk();
    await using site = await open({ settings: { stateDir: disk.path } });
    disk.setReadOnly(true);
    const daemon = await site.daemon();
    expect(await daemon.failing("JournalReady", "Unwritable")).toContain(disk.path);
    await alive(daemon);
    disk.setReadOnly(false);
    await mended(site, daemon);
  });
});
