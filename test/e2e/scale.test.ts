import { expect, setDefaultTimeout, test } from "bun:test";
import { generateHost } from "../../src/simulator/start-state.ts";
import { until } from "../support/agent-process.ts";
import { Site, TEST_TIMEOUT_MS } from "./site.ts";

/** A thousand guests on "the host": while nothing happens nothing is asked, and a guest that was changed or declared anew costs that guest. */

setDefaultTimeout(TEST_TIMEOUT_MS);

const GUESTS = 1_000;
const FIRST_VMID = 100;
const EDITS = 10;

/** Many polls (every 100 ms here), and a thousand requests for each that would read all guests. */
const QUIET_MS = 3_000;

/** Far less than the resync interval, far more than a poll on the busiest machine: only an event mends within it. */
const MENDED_MS = 20_000;

/** The guest's config before and after, the write itself, and what a config write asks besides. */
const REQUESTS_PER_EDIT_MAX = 8;

/** Every guest by the name that it has. */
const DECLARED = JSON.stringify({
  version: 1,
  guests: Object.entries(generateHost("pve1", GUESTS, 1).startState.files).flatMap(([path, text]) => {
    const [, folder, vmid] = /\/(qemu-server|lxc)\/(\d+)\.conf$/.exec(path) ?? [];
    const [, key = "", name] = /^(name|hostname): (.*)$/m.exec(text) ?? [];
    return folder === undefined ? [] : [{ vmid: Number(vmid), kind: folder === "lxc" ? "lxc" : "qemu", config: { [key]: name } }];
  }),
});

test("1,000 guests: no request between resyncs, and an edit costs the requests of one guest", async () => {
  await using site = await Site.open({ guests: GUESTS, isOnHost: true, desired: { "guests.json": DECLARED }, settings: { resyncInterval: "1h", maxAffectedPercent: "100" } });
  const { requestLog } = site.simulator;
  const daemon = await site.daemon();
  await daemon.ready();
  await until("every guest to be read", async () => (await inSync(daemon)) >= GUESTS, MENDED_MS);
  await quiet(requestLog);

  const settled = requestLog.count();
  await Bun.sleep(QUIET_MS);
  expect(requestLog.count()).toBe(settled);
  expect(daemon.process.isRunning()).toBe(true);

  const edited = Array.from({ length: EDITS }, (_, edit) => FIRST_VMID + edit * 96);
  const changes = site.mutations().length;
  for (const vmid of edited) await site.edit({ vmid, set: { name: `renamed-${vmid}` } });
  await until("every edit to be mended", () => site.mutations().length >= changes + EDITS, MENDED_MS);
  const mended = site.mutations().slice(changes).map((act) => Number(/\/(\d+)\/config$/.exec(act)?.[1]));
  expect(mended.toSorted((left, right) => left - right)).toEqual(edited);
  await quiet(requestLog);
  expect(requestLog.count() - settled).toBeLessThanOrEqual(EDITS * REQUESTS_PER_EDIT_MAX);

  const redeclared = requestLog.count();
  site.declare("guests.json", DECLARED.replace(/"(name|hostname)":"[^"]*"/, '"$1":"declared-anew"'));
  await until("the guest that is declared anew to be renamed", () => site.mutations().length > changes + EDITS, MENDED_MS);
  await quiet(requestLog);
  expect(requestLog.count() - redeclared).toBeLessThanOrEqual(REQUESTS_PER_EDIT_MAX);
  expect(await daemon.process.stop()).toBe(0);
});

/** Waits until no request has come for some polls: an act is observed once more after its task. */
async function quiet(log: { count(): number }): Promise<void> {
  await until("the host to be quiet", async () => {
    const before = log.count();
    await Bun.sleep(500);
    return log.count() === before;
  }, MENDED_MS);
}

/** Guests whose reconcile ended in sync, since the start. */
async function inSync(daemon: { get(path: string): Promise<{ readonly body: string }> }): Promise<number> {
  const { body } = await daemon.get("/metrics");
  return Number(/^steward_reconcile_total\{result="in_sync"\} (\d+)$/m.exec(body)?.[1] ?? 0);
}
