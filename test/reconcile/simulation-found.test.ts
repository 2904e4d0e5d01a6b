import { describe, expect, test } from "bun:test";
import { SimulatedSite } from "../support/simulated-site.ts";

/** What the simulation (docs/simulation.md) found in this room, each as a small story of its own. */

const MACHINE = { cores: "2", memory: "1024", name: "web", smbios1: "uuid=11111111-0000-4000-8000-000000000101", meta: "creation-qemu=10.0.13,ctime=1750000101", ostype: "l26" };

describe("found by the simulation", () => {
  test("a guest that is paused while it is being read is not acted upon (seed 1044)", async () => {
    const site = new SimulatedSite({ guests: [{ vmid: 101, kind: "qemu", config: MACHINE }], declared: [{ vmid: 101, config: { cores: 4 } }] });
    let reads = 0;
    // The first read is the survey's, the second finds that a place among the acts is needed, the third is acted on.
    site.network.fateOf = ({ path }) => ({ kind: "answered", requestMs: path.endsWith("/pending") && ++reads > 2 ? 500 : 1, answerMs: 1 });
    await site.start();
    await site.advance(200);
    expect(reads).toBe(3);
    const paused = site.pause(101);
    await site.advance(0);
    expect(await paused).toBe(true);
    await site.advance(30_000);
    expect(site.mutations).toEqual([]);
    expect(site.condition(101, "Held")).toBe("True Paused");
  });

  test("a guest that is paused while its restart is being marked is not restarted (seed 60319)", async () => {
    const site = new SimulatedSite({ guests: [{ vmid: 101, kind: "qemu", config: MACHINE, isRunning: true }], declared: [{ vmid: 101, config: { cores: 2 } }], syncMs: () => 50 });
    await site.start();
    await site.advance(2_000);
    const asked: string[] = [];
    site.onJournal = (call, [namespace]) => {
      if (call === "putFact" && namespace === "restart" && asked.push("mark") === 1) void site.pause(101);
    };
    const restarted = site.restart({ vmid: 101, key: "k1", keyLifeMs: 86_400_000, waitMs: 60_000 });
    await site.advance(30_000);
    expect(await restarted).toContain("is held (Paused)");
    expect(site.mutations).toEqual([]);
    expect(site.journal.facts("restart").size).toBe(0);
  });

  test("an act that a journal remembers again while the guest is being read comes before a new one (seed 70165)", async () => {
    const site = new SimulatedSite({ guests: [{ vmid: 101, kind: "qemu", config: MACHINE }], declared: [{ vmid: 101, config: { cores: 4 } }] });
    let reads = 0;
    site.network.fateOf = ({ method, path }) => {
      if (method === "PUT") return { kind: "late", appliedMs: 20_000 };
      return { kind: "answered", requestMs: path.endsWith("/pending") && ++reads === 5 ? 8_000 : 1, answerMs: 1 };
    };
    await site.start();
    await site.advance(100);
    expect(site.mutations.length).toBe(1);
    site.crash("process");
    site.disk.fileSystem.failAt(1, { kind: "io", lasts: "for ever" });
    await site.start();
    await site.advance(100);
    expect([site.journal.health().state, reads]).toEqual(["poisoned", 5]);
    site.disk.fileSystem.heal();
    await site.advance(15_000);
    expect(site.journal.health().state).toBe("healthy");
    expect(site.mutations.length).toBe(1);
    await site.advance(60_000);
    expect(site.operations().map(({ action, state }) => `${action} ${state}`)).toEqual(["set_config succeeded"]);
  });

  test("a restart's start that no journal could record is not sent again while it may still happen (seed 70232)", async () => {
    const container = { arch: "amd64", hostname: "db", memory: "512", ostype: "debian", rootfs: "local:201/vm-201-disk-0.raw,size=4G", unprivileged: "1" };
    const site = new SimulatedSite({ guests: [{ vmid: 201, kind: "lxc", config: container, isRunning: true }], declared: [{ vmid: 201, kind: "lxc", config: {} }] });
    site.network.fateOf = ({ path }) => (path.endsWith("/start") ? { kind: "drop_before", requestMs: 1, answerMs: 1 } : { kind: "answered", requestMs: 1, answerMs: 1 });
    await site.start();
    await site.advance(2_000);
    site.onJournal = (call, [operation]) => {
      if (call === "begin" && (operation as { readonly action: string }).action === "start") site.disk.fileSystem.failAt(1, { kind: "read_only", lasts: "for ever" });
    };
    void site.restart({ vmid: 201, key: "k1", keyLifeMs: 86_400_000, waitMs: 1_000 });
    await site.advance(40_000);
    expect(site.journal.health().state).toBe("unwritable");
    expect(site.mutations.map(({ path }) => path.split("/").at(-1))).toEqual(["shutdown", "start"]);
    await site.advance(60_000);
    expect(site.mutations.length).toBeGreaterThan(2);
  });

  test("a pause holds, too, where the journal that has it cannot be read at the start (seed 91188)", async () => {
    const site = new SimulatedSite({ guests: [{ vmid: 101, kind: "qemu", config: MACHINE }], declared: [{ vmid: 101, config: { cores: 2 } }] });
    await site.start();
    await site.advance(1_000);
    void site.pause(101);
    await site.advance(1_000);
    await site.edit({ vmid: 101, set: { cores: "1" } });
    site.crash("process");
    site.disk.fileSystem.failAt(1, { kind: "io", lasts: "for ever" });
    await site.start();
    await site.advance(90_000);
    expect(site.journal.health().state).toBe("poisoned");
    expect(site.mutations).toEqual([]);
    site.disk.fileSystem.heal();
    await site.advance(90_000);
    expect(site.journal.health().state).toBe("healthy");
    expect([site.mutations.length, site.condition(101, "Held")]).toEqual([0, "True Paused"]);
    void site.resume(101);
    await site.advance(60_000);
    expect(site.mutations.length).toBe(1);
  });
});
