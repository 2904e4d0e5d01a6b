import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createControlApp } from "../../src/control/app.ts";
import { listenOnSocket } from "../../src/control/socket.ts";
import { FakeAgent } from "../control/control-target.ts";
import { commandHost } from "../support/command-host.ts";
import { runHere } from "./command-line.ts";

/** `run --once` while it takes its time: a line on a terminal, and not a word where it is quick or nobody watches. */

const WEB = "cores: 2\nmemory: 512\nname: web\nostype: l26\n";
const CLEARED = /\r\u001b\[K$/;

test("by itself: on a terminal one line on standard error that is drawn over, and gone at the end", async () => {
  const host = await commandHost({ files: { "nodes/pve1/qemu-server/100.conf": WEB } });
  writeFileSync(join(host.desired, "web.yaml"), JSON.stringify({ version: 1, guests: [{ vmid: 100, kind: "qemu", config: { cores: 2 } }] }));
  host.simulator.faults.add({ kind: "latency", ms: 120, match: { method: "GET" } });
  const words = ["--config", join(host.directory, "agent.yaml"), "run", "--once"];
  const seen = await runHere(words, { isTerminal: true, workingDirectory: host.directory });
  const piped = await runHere(words, { workingDirectory: host.directory });
  await host.stop();
  expect([seen.code, seen.stdout]).toEqual([0, "Nothing was sent.\n"]);
  expect(seen.stderr).toMatch(/\r\u001b\[K(?:looking at the host|1 guest at work), \d s …/);
  expect(seen.stderr).toMatch(CLEARED);
  expect([piped.code, piped.stderr]).toEqual([0, ""]);
});

test("by the running agent: it says how many guests are at work", async () => {
  const host = await commandHost({ files: {} });
  const agent = new FakeAgent();
  const status = agent.status.bind(agent);
  agent.status = () => ({ ...status(), agent: { ...status().agent, proxmoxUrl: host.simulator.url, desired: `directory ${host.desired}` } });
  const drawn = Promise.withResolvers<void>();
  let asked = 0;
  agent.change = () => {
    asked += 1;
    // Asked again: what was answered before is drawn.
    if (asked === 2) drawn.resolve();
    return { version: 1, change: "1", activeGuests: 42 };
  };
  agent.onRunOnce = () => drawn.promise;
  const socket = await listenOnSocket(join(host.directory, "agent.sock"), createControlApp(agent));
  const seen = await runHere(["--config", join(host.directory, "agent.yaml"), "run", "--once"], { isTerminal: true, workingDirectory: host.directory });
  if (socket.ok) await socket.value.close();
  await host.stop();
  expect([seen.code, seen.stdout]).toEqual([0, "Nothing was sent.\n"]);
  expect(seen.stderr).toMatch(/\r\u001b\[K42 guests at work, \d s …/);
  expect(seen.stderr).toMatch(CLEARED);
});

test("interrupted while an act of its own is under way: it does not say that nothing was sent", async () => {
  const host = await commandHost({ files: { "nodes/pve1/qemu-server/100.conf": WEB }, settings: { shutdownTimeout: "1s" } });
  writeFileSync(join(host.desired, "web.yaml"), JSON.stringify({ version: 1, guests: [{ vmid: 100, kind: "qemu", state: "running" }] }));
  host.simulator.faults.add({ kind: "task_hang", taskType: "qmstart" });
  const interrupted = new AbortController();
  const running = runHere(["--config", join(host.directory, "agent.yaml"), "run", "--once"], { workingDirectory: host.directory, interrupted: interrupted.signal });
  const isSent = (): boolean => host.simulator.requestLog.mutations().some(({ path }) => path.endsWith("/status/start"));
  for (let tries = 0; tries < 200 && !isSent(); tries++) await Bun.sleep(20);
  interrupted.abort();
  const seen = await running;
  host.simulator.faults.remove();
  await host.stop();
  expect([isSent(), seen.code, seen.stdout]).toEqual([true, 1, ""]);
  expect(seen.stderr).toContain("agent: interrupted; what was sent is in the journal");
});

test("interrupted while the running agent works: the command ends, the agent goes on", async () => {
  const host = await commandHost({ files: {} });
  const agent = new FakeAgent();
  const status = agent.status.bind(agent);
  agent.status = () => ({ ...status(), agent: { ...status().agent, proxmoxUrl: host.simulator.url, desired: `directory ${host.desired}` } });
  const interrupted = new AbortController();
  const forever = Promise.withResolvers<void>();
  agent.onRunOnce = () => {
    interrupted.abort();
    return forever.promise;
  };
  const socket = await listenOnSocket(join(host.directory, "agent.sock"), createControlApp(agent));
  const seen = await runHere(["--config", join(host.directory, "agent.yaml"), "run", "--once"], { workingDirectory: host.directory, interrupted: interrupted.signal });
  forever.resolve();
  if (socket.ok) await socket.value.close();
  await host.stop();
  expect(seen).toEqual({ code: 1, stdout: "", stderr: "agent: interrupted; the running agent goes on with what it does\n" });
});
