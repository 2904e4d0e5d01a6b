import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { PATIENCE_MS, until } from "../support/agent-process.ts";
import { guests, machine, Site, TEST_TIMEOUT_MS, type Daemon } from "./site.ts";

/** The directory of desired state, tortured under a running agent: it says what and where, does nothing else, stays alive, and goes on by itself. */

setDefaultTimeout(TEST_TIMEOUT_MS);

const DECLARED = guests({ vmid: 100, kind: "qemu", config: { description: "as declared" } });
const FILES = { "qemu-server/100": machine({ name: "web", description: "drifted" }) };

/** Bytes of the largest file that is parsed. */
const MEBIBYTE = 1024 * 1024;

/** Between two looks at /livez. */
const PROBE_INTERVAL_MS = 10;

/** Asks for /livez all the time, until `stop`. */
class Prober {
  readonly statuses = new Set<number>();
  longestMs = 0;
  #isStopped = false;
  readonly #done: Promise<void>;

  constructor(daemon: Daemon) {
    this.#done = this.#run(daemon);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  async #run(daemon: Daemon): Promise<void> {
    while (!this.#isStopped) {
      const startMs = performance.now();
      const { status } = await daemon.get("/livez");
      this.longestMs = Math.max(this.longestMs, performance.now() - startMs);
      this.statuses.add(status);
      await Bun.sleep(PROBE_INTERVAL_MS);
    }
  }
}

/** A running agent in sync, after its one mending. */
async function inSync(desired: Readonly<Record<string, string>> = { "guests.yaml": DECLARED }, files: Readonly<Record<string, string>> = FILES) {
  const site = await Site.open({ files, desired, settings: { maxAffectedPercent: "100" } });
  try {
    const daemon = await site.daemon();
    await daemon.ready();
    await until("the first mending", () => site.mutations().length === Object.keys(files).length);
    return { site, daemon, prober: new Prober(daemon), [Symbol.asyncDispose]: () => site[Symbol.asyncDispose]() };
  } catch (error) {
    await site[Symbol.asyncDispose]();
    throw error;
  }
}

async function unharmed({ site, daemon, prober }: Awaited<ReturnType<typeof inSync>>, mutations: number): Promise<void> {
  await daemon.ready(2 * PATIENCE_MS);
  await prober.stop();
  // Told, not judged: other processes have the processor, too.
  console.log(`the longest wait for /livez was ${Math.round(prober.longestMs)} ms`);
  expect([...prober.statuses]).toEqual([200]);
  expect(site.mutations()).toHaveLength(mutations);
  expect(daemon.process.isRunning()).toBe(true);
  expect(await daemon.process.stop()).toBe(0);
  expect((await site.run(["journal", "verify"])).code).toBe(0);
}

describe("one file after the other that cannot be used", () => {
  const everyday = (index: number) => `- { vmid: ${1_000 + index}, kind: qemu, mode: ignore, config: { name: web, memory: 4096, net0: { model: virtio, bridge: vmbr0 } } }\n`;

  test.concurrent("garbage of a megabyte, ten megabytes, bombs, pipes, loops: /livez answers throughout, nothing is sent", async () => {
    await using tortured = await inSync();
    const { site, daemon } = tortured;
    const path = site.path("desired", "zz.yaml");
    const cases: readonly (readonly [string, () => unknown, RegExp])[] = [
      ["closing brackets", () => site.declare("zz.yaml", "]".repeat(MEBIBYTE)), /zz\.yaml:1:1: expected one document/],
      ["commas", () => site.declare("zz.yaml", `[${",".repeat(MEBIBYTE - 2)}]`), /zz\.yaml:1:\d+: expected at most 700000/],
      ["quotes", () => site.declare("zz.yaml", '"'.repeat(MEBIBYTE)), /zz\.yaml:1:\d+: expected valid YAML/],
      ["depth", () => site.declare("zz.yaml", "{a: ".repeat(MEBIBYTE / 4)), /zz\.yaml:1:\d+: expected at most 32 levels/],
      ["everyday guests, the last one cut off", () => site.declare("zz.yaml", `version: 1\nguests:\n${Array.from({ length: 6_000 }, (_, index) => everyday(index)).join("").slice(0, -20)}`), /zz\.yaml:\d+:\d+: expected valid YAML/],
      ["ten megabytes", () => (writeFileSync(path, ""), truncateSync(path, 10_000_000)), /zz\.yaml: expected at most 1048576 bytes, found 10000000/],
      ["a pipe", () => (rmSync(path), Bun.spawnSync(["mkfifo", path])), /zz\.yaml: expected a file, found something else/],
      ["a loop", () => (rmSync(path), symlinkSync("zz.yaml", path)), /zz\.yaml: .*a symlink that leads back to itself/],
      ["a hole of NULs", () => (rmSync(path), writeFileSync(path, new Uint8Array(5_000))), /zz\.yaml:1:1: expected text, found a NUL/],
      ["a file for everybody", () => (writeFileSync(path, DECLARED), chmodSync(path, 0o666)), /zz\.yaml: expected a file that only its owner and group can write/],
    ];
    for (const [name, spoil, message] of cases) {
      spoil();
      await until(`the message about ${name}`, async () => message.test((await daemon.get("/readyz")).body));
    }
    await site.edit({ vmid: 100, set: { description: "edited meanwhile" } });
    await until("the last good state to be kept", () => site.mutations().length === 2);
    rmSync(path);
    await unharmed(tortured, 2);
  });

  test.concurrent("a directory that is taken away, replaced, opened to all, emptied and given back", async () => {
    await using tortured = await inSync();
    const { site, daemon } = tortured;
    const path = site.path("desired");
    renameSync(path, site.path("aside"));
    expect(await daemon.failing("DesiredStateReady", "Unreadable")).toContain(`${path}: expected a directory, found nothing`);
    writeFileSync(path, "in the way");
    await until("the file in its place to be told", async () => (await daemon.get("/readyz")).body.includes("found a file; correct the path"));
    rmSync(path);
    mkdirSync(path);
    await until("its emptiness to be told", async () => (await daemon.get("/readyz")).body.includes(`${path}: expected at least one *.yaml`));
    rmSync(path, { recursive: true });
    renameSync(site.path("aside"), path);
    await daemon.ready();
    chmodSync(path, 0o777);
    writeFileSync(site.path("desired", "guests.yaml"), guests({ vmid: 100, kind: "qemu", config: { description: "from a stranger" } }));
    expect(await daemon.failing("DesiredStateReady", "Unreadable")).toContain("run chmod o-w on it");
    writeFileSync(site.path("desired", "guests.yaml"), DECLARED);
    chmodSync(path, 0o755);
    await unharmed(tortured, 1);
  });
});

test.concurrent("a set that loses most of its guests at once lets them go: nothing is sent for them, neither then nor later", async () => {
  const vmids = [100, 101, 102, 103, 104];
  const one = (vmid: number) => guests({ vmid, kind: "qemu", config: { description: "as declared" } });
  await using tortured = await inSync(
    Object.fromEntries(vmids.map((vmid) => [`${vmid}.json`, one(vmid)])),
    Object.fromEntries(vmids.map((vmid) => [`qemu-server/${vmid}`, machine({ name: `vm${vmid}`, description: "drifted" }, `11111111-2222-4333-8444-555555555${vmid}`)])),
  );
  const { site, daemon } = tortured;
  for (const vmid of vmids.slice(1)) site.undeclare(`${vmid}.json`);
  await until("four guests to be let go", async () => !(await daemon.get("/metrics")).body.includes('vmid="104"') && (await site.run(["plan", "-o", "json"])).stdout.includes("100"));
  for (const vmid of vmids) await site.edit({ vmid, set: { description: "edited later" } });
  await until("the one that is left to be mended", () => site.mutations().length === vmids.length + 1);
  expect(site.mutations().at(-1)).toBe("PUT /qemu/100/config");
  await unharmed(tortured, vmids.length + 1);
});
