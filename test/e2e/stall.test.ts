import { expect, setDefaultTimeout, test } from "bun:test";
import { linkSync, renameSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { until } from "../support/agent-process.ts";
import { guests, machine, Site, TEST_TIMEOUT_MS, type Daemon } from "./site.ts";

/** A cluster file system that hangs: whoever reads from it waits for ever, and the agent must not. */

setDefaultTimeout(TEST_TIMEOUT_MS);

async function hostFilesAre(daemon: Daemon, used: 0 | 1): Promise<void> {
  await until(`steward_host_files_used ${used}`, async () => (await daemon.get("/metrics")).body.includes(`\nsteward_host_files_used ${used}\n`));
}

test.concurrent("is noticed, shown, and stops nothing: the API is asked, an edit is mended, and the files are used again when they answer", async () => {
  await using site = await Site.open({ files: { "qemu-server/100": machine({ name: "web" }) }, isOnHost: true, settings: { resyncInterval: "1h" }, desired: { "guests.yaml": guests({ vmid: 100, kind: "qemu", config: { name: "web" } }) } });
  const daemon = await site.daemon();
  await daemon.ready();
  await hostFilesAre(daemon, 1);
  // Opening a pipe that nobody writes to hangs as reading from a hung FUSE mount does.
  const pipe = site.path("pipe");
  expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
  linkSync(pipe, site.path("hung"));
  renameSync(site.path("hung"), site.path("host", ".version"));
  await hostFilesAre(daemon, 0);
  expect((await daemon.get("/livez")).status).toBe(200);
  const before = site.mutations().length;
  await site.edit({ vmid: 100, set: { name: "edited" } });
  await until("the edit to be mended", () => site.mutations().length > before);
  await writeFile(pipe, "it goes on\n");
  await hostFilesAre(daemon, 1);
  expect(await daemon.process.stop()).toBe(0);
});
