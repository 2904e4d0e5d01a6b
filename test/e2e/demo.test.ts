import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { scratchDirectory } from "../support/temporary-directory.ts";
import { runAgent, startAgent } from "../support/agent-process.ts";
import { TEST_TIMEOUT_MS } from "./site.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

describe("agent demo", () => {
  test.concurrent("tells the whole story, exits 0 and leaves nothing behind", async () => {
    using temporary = scratchDirectory();
    const { code, stdout, stderr } = await runAgent(["demo"], { environment: { TMPDIR: temporary.path } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const line of [
      /^1\. A Proxmox host \(simulated\)/m, /qemu\/101 web +~ cores +2 → 4/, /qemu\/102 +start +succeeded/, /qemu\/101 RestartPending/,
      /Somebody edits/, /Mended after \d+\.\d s:/, /\/healthz → 200$/m, /\[\+\]JournalReady ok/, /What the journal says/, /qemu\/102 .*task +UPID:pve1:/, /head of the chain: [0-9a-f]{64}/,
    ]) expect(stdout).toMatch(line);
    expect(stdout).not.toContain("\u001b");
    expect(readdirSync(temporary.path)).toEqual([]);
  });

  test.concurrent("--keep leaves it running, with addresses that answer, until Ctrl-C", async () => {
    using temporary = scratchDirectory();
    await using demo = startAgent(["demo", "--keep"], { environment: { TMPDIR: temporary.path } });
    const [, page = ""] = await demo.wrote(/status page and probes +(\S+)/, 30_000);
    const [, socket = ""] = await demo.wrote(/--socket (\S+)/);
    const [, control = ""] = await demo.wrote(/(http:\/\/\S+)\/_sim\/edit/);
    expect((await fetch(`${page}healthz`)).status).toBe(200);
    expect((await fetch(page)).headers.get("content-type")).toStartWith("text/html");
    expect((await runAgent(["--socket", socket, "status"])).stdout).toContain("on pve1");
    const edited = await fetch(`${control}/_sim/edit`, { method: "POST", body: '{"vmid":100,"set":{"cores":"1"}}' });
    expect(edited.status).toBe(200);
    expect(demo.isRunning()).toBe(true);
    demo.signal("SIGINT");
    expect(await demo.end()).toBe(0);
    expect(readdirSync(temporary.path)).toEqual([]);
  });

  test.concurrent("ended in the middle of the story it cleans up too", async () => {
    using temporary = scratchDirectory();
    await using demo = startAgent(["demo"], { environment: { TMPDIR: temporary.path } });
    await demo.wrote(/^1\./m);
    demo.signal("SIGTERM");
    expect(await demo.end()).not.toBe(0);
    expect(readdirSync(temporary.path)).toEqual([]);
  });
});
