import { describe, expect, test } from "bun:test";
import { SimulatedSite } from "../support/simulated-site.ts";

/** The simulated site itself: that it is a site at all, before anything is believed that was seen on it. */

const GUESTS = [
  { vmid: 101, kind: "qemu", config: { cores: "2", memory: "2048", name: "web", smbios1: "uuid=11111111-0000-4000-8000-000000000101", meta: "creation-qemu=10.0.13,ctime=1750000101", ostype: "l26" }, isRunning: true },
  { vmid: 201, kind: "lxc", config: { arch: "amd64", hostname: "db", memory: "512", ostype: "debian", rootfs: "local:201/vm-201-disk-0.raw,size=4G", unprivileged: "1" } },
] as const;

const DECLARED = [{ vmid: 101, config: { name: "web" } }, { vmid: 201, kind: "lxc", config: { memory: 1024 }, state: "running" }] as const;

describe.each(["on", "off"] as const)("a simulated site with the agent %s the host", (host) => {
  test("is brought to what is declared, through Proxmox's own tasks", async () => {
    const site = await new SimulatedSite({ host, guests: GUESTS, declared: DECLARED }).start();
    await site.advance(5_000);
    expect(site.node.configFile(201)).toContain("memory: 1024");
    expect(site.isGuestRunning(201)).toBe(true);
    expect(site.operations().map(({ action, state }) => `${action} ${state}`)).toEqual(["set_config succeeded", "start succeeded"]);
    expect(site.condition(201, "Synced")).toBe("True InSync");
  });

  test("mends what a person changed, after a crash as before", async () => {
    const site = await new SimulatedSite({ host, guests: GUESTS, declared: DECLARED }).start();
    await site.advance(5_000);
    site.crash();
    expect(site.hasProcess()).toBe(false);
    await site.start();
    await site.advance(5_000);
    const before = site.mutations.length;
    await site.edit({ vmid: 101, set: { name: "other" } });
    await site.advance(2_000);
    expect(site.mutations.slice(before).map(({ vmid, parameters }) => [vmid, parameters["name"]])).toEqual([[101, "web"]]);
  });

  test("keeps through a crash what was synced, and sends nothing twice for a lost answer", async () => {
    const site = new SimulatedSite({ host, guests: GUESTS, declared: DECLARED });
    site.network.fateOf = ({ method, path }) => (method === "POST" && path.endsWith("/start") ? { kind: "late", appliedMs: 20_000 } : { kind: "answered", requestMs: 1, answerMs: 1 });
    await site.start();
    await site.advance(1_000);
    site.crash();
    await site.start();
    await site.advance(90_000);
    expect(site.mutations.filter(({ path }) => path.endsWith("/start")).length).toBe(1);
    expect(site.isGuestRunning(201)).toBe(true);
  });
});
