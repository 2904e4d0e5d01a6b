import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import dataYaml from "../../examples/homelab/data.yaml" with { type: "text" };
import labYaml from "../../examples/homelab/lab.yaml" with { type: "text" };
import webYaml from "../../examples/homelab/web.yaml" with { type: "text" };
import type { AgentConfig } from "../config/types.ts";
import { serveAgent, type Started } from "../serve.ts";
import { startSimulator, type RunningSimulator } from "../simulator/main.ts";
import { EXIT, styleFor, untilAborted, type CommandContext, type ExitCode } from "./context.ts";
import { DEMO_NODE, DEMO_RUNNING, demoStartState } from "./demo-host.ts";
import { tellStory } from "./demo-story.ts";
import { printPlan } from "./plan.ts";

/** Runs the demo; an exit code of 0 says that every chapter went as it should. */
export async function runDemo(context: CommandContext, command: Command, isKept: boolean): Promise<ExitCode> {
  const directory = mkdtempSync(join(tmpdir(), "steward-demo-"));
  const stop = new AbortController();
  context.interrupted.addEventListener("abort", () => stop.abort(), { once: true });
  let simulator: RunningSimulator | undefined;
  let daemon: Promise<ExitCode> | undefined;
  try {
    simulator = await startHost(context, directory);
    const config = writeFiles(directory, simulator);
    context.print(`${styleFor(context, command).guest("1. A Proxmox host (simulated) with 24 guests. Six are declared in examples/homelab. This is what differs (agent plan):")}\n\n`);
    await printPlan(context, command, config);
    const started = await startAgent(context, config, stop.signal, (running) => {
      daemon = running;
    });
    if (started === undefined) return EXIT.error;
    const code = await tellStory({ context, command, config, simulator, style: styleFor(context, command), ...started });
    if (isKept && code === EXIT.done) await keepRunning(context, config, simulator, started, stop.signal);
    return code;
  } finally {
    stop.abort();
    await daemon;
    await simulator?.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function startHost(context: CommandContext, directory: string): Promise<RunningSimulator> {
  const { clock, random } = context.world;
  const simulator = await startSimulator({
    listen: { hostname: "127.0.0.1", port: 0 }, guests: 0, seed: 0, clock, random, nodeName: DEMO_NODE,
    startState: demoStartState(random), tokenFile: join(directory, "token"), tlsDir: join(directory, "tls"),
  });
  for (const vmid of DEMO_RUNNING) await simulator.node.edit({ vmid, power: "start" });
  return simulator;
}

function writeFiles(directory: string, simulator: RunningSimulator): AgentConfig {
  const desired = join(directory, "desired");
  mkdirSync(desired);
  for (const [name, text] of [["data.yaml", dataYaml], ["lab.yaml", labYaml], ["web.yaml", webYaml]] as const) writeFileSync(join(desired, name), String(text));
  return {
    node: DEMO_NODE,
    stateDir: join(directory, "state"),
    proxmox: {
      url: simulator.url, tokenFile: join(directory, "token"), tls: { caFile: join(directory, "tls", "pve-root-ca.pem") },
      requestTimeoutMs: 30_000, maxConcurrentRequests: 3,
    },
    host: { enabled: false, pveDir: "/etc/pve", runDir: "/run", taskDir: "/var/log/pve/tasks", cgroupDir: "/sys/fs/cgroup" },
    desired: { source: "directory", path: desired },
    pollIntervalMs: 500, resyncIntervalMs: 60_000,
    maxConcurrentActs: 4, maxConcurrentStarts: 2, maxAffectedPercent: 20,
    taskTimeoutMs: 60_000, shutdownTimeoutMs: 10_000, dryRun: false,
    server: { hostname: "127.0.0.1", port: 0 },
    socket: join(directory, "agent.sock"),
    log: { level: "error", format: "text" },
  };
}

/** Starts the daemon in this process; undefined when it ended before it had started. */
async function startAgent(context: CommandContext, config: AgentConfig, stop: AbortSignal, hold: (daemon: Promise<ExitCode>) => void): Promise<Started | undefined> {
  const loaded = { config, origins: new Map(), file: undefined, fingerprint: "" };
  return new Promise((resolve) => {
    const daemon = serveAgent({ ...context, interrupted: stop, onHangup: () => {} }, loaded, () => ({ ok: true, value: loaded }), resolve);
    hold(daemon);
    void daemon.then(() => resolve(undefined));
  });
}

async function keepRunning(context: CommandContext, config: AgentConfig, simulator: RunningSimulator, started: Started, stop: AbortSignal): Promise<void> {
  const lines = [
    "",
    "Still running (Ctrl-C ends it):",
    `  status page and probes  ${started.healthUrl}/`,
    `  desired state           ${config.desired.source === "directory" ? config.desired.path : ""}`,
    `  status                  agent --socket ${config.socket} status`,
    `  Proxmox API             ${simulator.url}`,
    `  break things            curl -d '{"vmid":100,"set":{"cores":"1"}}' ${simulator.controlUrl}/_sim/edit`,
    "",
  ];
  context.print(lines.join("\n"));
  await untilAborted(stop);
}
