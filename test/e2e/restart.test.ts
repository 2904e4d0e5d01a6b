import { expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/agent-process.ts";
import { guests, machine, Site, TEST_TIMEOUT_MS } from "./site.ts";

/** `agent restart` by the real program, killed in the middle of it: one shutdown for one key, and the guest runs in the end. */

setDefaultTimeout(TEST_TIMEOUT_MS);

/** Killed between the request and its answer, the act is settled 16 s after it was sent. */
const LOST_ANSWER_PATIENCE_MS = 40_000;

const FILES = {
  "qemu-server/100": machine({ name: "web" }),
  "lxc/103": "arch: amd64\nhostname: files\nmemory: 512\nostype: debian\ntty: 2\nrootfs: local:103/vm-103-disk-0.raw,size=4G\n",
};
const DECLARED = guests({ vmid: 100, kind: "qemu", config: { sockets: 2 } }, { vmid: 103, kind: "lxc", config: { tty: 4 } });

for (const [vmid, acts] of [[100, ["POST /qemu/100/status/reboot"]], [103, ["POST /lxc/103/status/shutdown", "POST /lxc/103/status/start"]]] as const) {
  test.concurrent(`SIGKILL while ${vmid} is being restarted, a compaction, and the same key again: ${acts.length} request${acts.length === 1 ? "" : "s"} in all`, async () => {
    await using site = await Site.open({ files: FILES, running: [100, 103], requestTimeout: "1s", desired: { "guests.yaml": DECLARED }, settings: { maxAffectedPercent: "100" } });
    const daemon = await site.daemon();
    await site.shows(["status"], new RegExp(`agent restart ${vmid} --key NAME`));
    const restart = ["restart", String(vmid), "--key", "deploy-7", "-o", "json"];
    const power = (): readonly string[] => site.mutations().filter((act) => act.startsWith("POST"));
    const asked = site.start(restart);
    await until("the request", () => power().length > 0);
    await daemon.process.kill();
    expect(await asked.end()).toBeGreaterThan(0);
    await site.daemon();
    expect((await site.run(["journal", "compact"])).code).toBe(0);
    const report = await until("the end of it", async () => {
      const { code, stdout } = await site.run(restart);
      return code === 0 ? (JSON.parse(stdout) as { state: string; isRepeat: boolean }) : undefined;
    }, LOST_ANSWER_PATIENCE_MS);
    expect(report).toMatchObject({ state: "succeeded", isRepeat: true });
    await site.shows(["status", "-o", "json"], /"reason": "NothingPending"/);
    expect(power()).toEqual([...acts]);
    expect((await site.run(["plan"])).code).toBe(0);
  });
}
