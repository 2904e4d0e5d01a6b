import { expect, test } from "bun:test";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { runHere } from "../commands/command-line.ts";
import { until } from "../support/agent-process.ts";
import { HangingDisk } from "../support/hanging-disk.ts";
import { guests, machine, Site, TEST_TIMEOUT_MS } from "./site.ts";

/**
 * A disk whose sync does not come back. STEWARD_HANG_MS=30000 makes it as long as promised: the answer to a
 * probe does not depend on it, because nothing waits for the disk but what is written to it.
 */
const HANG_MS = Number(process.env["STEWARD_HANG_MS"] ?? 2_000);
const PROBE_INTERVAL_MS = 25;
/** What docs/journal.md promises. Printed, not gated: this machine may be busy. That probes are answered at all while the sync hangs is the proof. */
const ANSWER_MS_PROMISED = 100;

async function portOfNobody(): Promise<number> {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", reusePort: false, fetch: () => new Response() });
  const { port } = server;
  await server.stop(true);
  if (port === undefined) throw new Error("no port");
  return port;
}

/** Probes one after the other for a while: their statuses, and the longest wait for one. */
async function probe(url: string, durationMs: number): Promise<{ readonly statuses: readonly number[]; readonly longestMs: number }> {
  const statuses: number[] = [];
  let longestMs = 0;
  for (const endMs = performance.now() + durationMs; performance.now() < endMs; await Bun.sleep(PROBE_INTERVAL_MS)) {
    const beganMs = performance.now();
    statuses.push((await fetch(url)).status);
    longestMs = Math.max(longestMs, performance.now() - beganMs);
  }
  return { statuses, longestMs };
}

test("while a sync hangs /livez answers, nothing is sent that is not recorded, and it goes on when the disk does", async () => {
  const port = await portOfNobody();
  await using site = await Site.open({
    files: { "qemu-server/100": machine({ name: "web", description: "drifted" }) },
    desired: { "guests.yaml": guests({ vmid: 100, kind: "qemu", config: { description: "as declared" } }) },
    settings: { server: `{ listen: "127.0.0.1:${port}" }` },
  });
  const disk = new HangingDisk(createFileSystem());
  const stop = new AbortController();
  const daemon = runHere(site.words(["run", "--log-level", "error"]), { fileSystem: disk, interrupted: stop.signal });
  try {
    const url = `http://127.0.0.1:${port}`;
    await until("the first mending", () => site.mutations().length === 1);
    await until("/readyz to answer 200", async () => (await fetch(`${url}/readyz`)).status === 200);
    disk.hang();
    await site.edit({ vmid: 100, set: { description: "edited while the disk hangs" } });
    await until("a sync that hangs", () => disk.hanging > 0);
    const { statuses, longestMs } = await probe(`${url}/livez`, HANG_MS);
    process.stdout.write(`a sync hung for ${HANG_MS} ms: ${statuses.length} probes, the longest took ${longestMs.toFixed(1)} ms (promised: ${ANSWER_MS_PROMISED})\n`);
    expect(disk.hanging).toBeGreaterThan(0);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(site.mutations()).toHaveLength(1);
    disk.recover();
    await until("the second mending", () => site.mutations().length === 2);
  } finally {
    disk.recover();
    stop.abort();
    expect((await daemon).code).toBe(0);
  }
  expect((await site.run(["journal", "verify"])).code).toBe(0);
}, TEST_TIMEOUT_MS + HANG_MS);
