import { expect, setDefaultTimeout, test } from "bun:test";
import type { StatusReport } from "../../src/control/report.ts";
import { until } from "../support/agent-process.ts";
import { guests, machine, Site, TEST_TIMEOUT_MS } from "./site.ts";

/** A value that Proxmox refuses keeps nothing else of its guest waiting, and is shown with Proxmox's own words. */

setDefaultTimeout(TEST_TIMEOUT_MS);

const FILES = { "qemu-server/100": machine({ name: "web", cores: 1, memory: 512 }) };

const CASES = [
  ["a 400 that names its key", "cpu", "bogus", /Built-in cputype 'bogus' is not defined/],
  ["a 500 that names none: each key is sent alone", "sshkeys", "ssh-rsa AAAA x", /SSH public key validation error/],
] as const;

test.concurrent.each(CASES)("%s: the other fields are applied within seconds, the condition names the key", async (_name, key, value, words) => {
  await using site = await Site.open({ files: FILES, desired: { "guests.yaml": guests({ vmid: 100, kind: "qemu", config: { [key]: value, cores: 2, onboot: 1 } }) } });
  const daemon = await site.daemon();
  await daemon.ready();
  const guest = async () => {
    const { stdout } = await site.run(["status", "-o", "json"]);
    const report: StatusReport = JSON.parse(stdout);
    return report.guests[0];
  };
  await until("the refused key is shown", async () => (await guest())?.refused.length === 1);
  const shown = await guest();
  expect(shown?.refused).toEqual([{ key, message: expect.stringMatching(words) }]);
  expect(shown?.conditions.find(({ type }) => type === "Synced")).toMatchObject({ status: "False", reason: "ActFailed", message: expect.stringContaining(`Proxmox refuses ${key}: `) });
  const sent = site.sentParameters().map((parameters) => Object.keys(parameters).filter((name) => name !== "digest").toSorted());
  const all = [key, "cores", "onboot"].toSorted();
  expect(sent).toEqual([all, ...(key === "cpu" ? [["cores", "onboot"]] : all.map((name) => [name]))]);
  expect((await daemon.get("/metrics")).body).toMatch(/^steward_refused_keys 1$/m);
  expect(await daemon.process.stop()).toBe(0);
  // The plan of another process still shows it, and only it.
  const { code, stdout } = await site.run(["plan"]);
  expect(code).toBe(2);
  expect(stdout).toContain(key);
  expect(stdout).not.toContain("onboot");
});
