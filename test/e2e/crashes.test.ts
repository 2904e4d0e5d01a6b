import { expect, setDefaultTimeout, test } from "bun:test";
import { readRecords } from "../../src/journal/inspect.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { until } from "../support/agent-process.ts";
import { guests, machine, Site, TEST_TIMEOUT_MS, type Daemon } from "./site.ts";

/** The agent ended at any moment, by SIGKILL and by SIGTERM, while answers get lost: what it does with the rest of its life. */

setDefaultTimeout(TEST_TIMEOUT_MS);

/** An act without an answer is settled 16 s after it was started at the latest (requestTimeout 1 s + 15 s). */
const SETTLED_MS = 40_000;

const VMIDS = [100, 101, 102, 103, 104, 105] as const;
const FILES = Object.fromEntries(VMIDS.map((vmid) => [`qemu-server/${vmid}`, machine({ name: `guest-${vmid}`, cores: 1 }, `11111111-2222-4333-8444-000000000${vmid}`)]));
const DECLARED = guests(...VMIDS.map((vmid) => ({ vmid, kind: "qemu", state: vmid % 2 === 0 ? "running" : undefined, config: { description: `declared ${vmid}`, tags: ["kept"] } })));

/** mulberry32; the seed is printed, so that a failure can be played again with STEWARD_TEST_SEED. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How many acts the journal says were started: each was recorded before its request was sent. */
function startedActs(site: Site): number {
  let count = 0;
  for (const { record, isSnapshot } of readRecords(createFileSystem(), site.path("state/journal"))) {
    if (!isSnapshot && record.kind === "event" && record.event.type === "start") count += 1;
  }
  return count;
}

async function breakSomething(site: Site, fraction: () => number): Promise<void> {
  const vmid = VMIDS[Math.floor(fraction() * VMIDS.length)] ?? 100;
  await site.simulator.node.edit({ vmid, set: { description: `edited ${fraction()}` } });
  // Not running just now is as good.
  if (fraction() < 0.5) await site.simulator.node.edit({ vmid, power: "stop" });
}

test.concurrent("SIGKILL at random moments while answers are lost: it converges, and the journal proves every request", async () => {
  const seed = Number(process.env["STEWARD_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`crashes: STEWARD_TEST_SEED=${seed}`);
  const fraction = seeded(seed);
  await using site = await Site.open({ files: FILES, desired: { "guests.yaml": DECLARED }, requestTimeout: "1s", settings: { maxAffectedPercent: "100" } });
  const { faults } = site.simulator;
  for (const method of ["PUT", "POST"] as const) {
    faults.add({ kind: "latency", ms: 30, match: { method } });
    faults.add({ kind: "drop_after", probability: 0.2, match: { method } });
    faults.add({ kind: "drop_before", probability: 0.1, match: { method } });
    faults.add({ kind: "late", ms: 300, probability: 0.1, match: { method } });
  }
  for (let round = 0; round < 6; round++) {
    await breakSomething(site, fraction);
    const daemon = await site.daemon();
    // This is the moment that is random; nothing is waited for by it.
    await Bun.sleep(fraction() * 900);
    await daemon.process.kill();
    const verified = await site.run(["journal", "verify"]);
    expect([0, 3]).toContain(verified.code);
  }
  faults.remove();
  await breakSomething(site, fraction);
  const daemon = await site.daemon();
  await daemon.ready();
  let last = "";
  await until("the plan to be empty and every act to have an outcome", async () => {
    const [plan, open] = [await site.run(["plan"]), await site.run(["op", "ls"])];
    last = `${plan.code} ${plan.stdout}${plan.stderr}${open.stdout}`;
    return plan.code === 0 && open.stdout === "No open acts.\n";
  }, SETTLED_MS, 250).catch((error: unknown) => {
    throw new Error(`seed ${seed}: ${String(error)}: ${last}`);
  });
  expect(await daemon.process.stop()).toBe(0);
  expect(await site.run(["journal", "verify"])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^intact: /) });
  expect(site.mutations().length).toBeGreaterThan(0);
  expect(startedActs(site)).toBeGreaterThanOrEqual(site.mutations().length);
});

async function whileStarting(site: Site): Promise<Daemon> {
  site.simulator.faults.add({ kind: "task_hang" });
  const daemon = await site.daemon();
  await site.shows(["op", "ls"], /task_running/);
  return daemon;
}

const ONE_GUEST = { files: { "qemu-server/100": machine({ name: "web" }) }, desired: { "guests.yaml": guests({ vmid: 100, kind: "qemu", state: "running" }) } };

test.concurrent("SIGTERM while a task runs: its outcome is waited for and journaled", async () => {
  await using site = await Site.open({ ...ONE_GUEST, settings: { shutdownTimeout: "30s" } });
  const daemon = await whileStarting(site);
  daemon.process.signal("SIGTERM");
  await daemon.process.wrote(/"message":"stopping/);
  expect((await site.run(["status"])).code).toBe(0);
  site.simulator.faults.remove();
  expect(await daemon.process.end()).toBe(0);
  expect(daemon.process.stderr()).toMatch(/"message":"acted".*"outcome":"succeeded"[^]*"message":"stopped"/);
  expect((await site.run(["op", "ls", "--all"])).stdout).toMatch(/start +succeeded/);
});

test.concurrent("SIGTERM while a task hangs: it ends within shutdownTimeout, the act stays open, and the next start settles it by its task", async () => {
  await using site = await Site.open({ ...ONE_GUEST, settings: { shutdownTimeout: "1s" } });
  const daemon = await whileStarting(site);
  const askedMs = performance.now();
  expect(await daemon.process.stop()).toBe(0);
  expect(performance.now() - askedMs).toBeLessThan(5_000);
  expect((await site.run(["op", "ls"])).stdout).toMatch(/qemu\/100 +start +task_running/);
  expect(await site.run(["plan"])).toMatchObject({ code: 2, stdout: expect.stringContaining("earlier") });
  site.simulator.faults.remove();
  const next = await site.daemon();
  await site.shows(["op", "ls"], /^No open acts\.$/m);
  await site.inSync();
  expect(site.mutations()).toEqual(["POST /qemu/100/status/start"]);
  expect(await next.process.stop()).toBe(0);
});

test.concurrent("a second Ctrl-C ends it at once; the journal stays whole", async () => {
  await using site = await Site.open({ ...ONE_GUEST, settings: { shutdownTimeout: "30s" } });
  const daemon = await whileStarting(site);
  daemon.process.signal("SIGINT");
  await daemon.process.wrote(/"message":"stopping/);
  daemon.process.signal("SIGINT");
  expect(await daemon.process.end(5_000)).toBe(1);
  expect(daemon.process.stderr()).toContain("agent: interrupted again");
  expect((await site.run(["journal", "verify"])).code).toBe(0);
});
