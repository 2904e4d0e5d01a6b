import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommandLine } from "../../src/commands/cli.ts";
import type { CommandContext } from "../../src/commands/context.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { SystemRandom } from "../../src/runtime/random.ts";
import { startSimulator, type RunningSimulator } from "../../src/simulator/main.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** A simulated host over HTTPS, the settings of an agent for it, and the agent's command line. */
export interface CommandHost {
  readonly directory: string;
  readonly desired: string;
  readonly simulator: RunningSimulator;
  /** What a person says when a command asks; undefined: there is nobody. */
  answer: boolean | undefined;
  /** Runs one command line in this process. */
  run(...words: readonly string[]): Promise<Ran>;
  /** Starts one in a process of its own, which may be killed. */
  spawn(...words: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe">;
  stop(): Promise<void>;
}

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly complaints: string;
}

export interface CommandHostOptions {
  /** Files below /etc/pve, by path: "nodes/pve1/qemu-server/100.conf". */
  readonly files: Readonly<Record<string, string>>;
  /** More settings, over those that every test needs. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Guests that run from the start. */
  readonly running?: readonly number[];
  /** An empty one of the caller's, for tests that run concurrently; one that goes after the test unless given. */
  readonly directory?: string;
}

const ROOT = join(import.meta.dir, "../..");
const STORAGE = "dir: local\n\tpath /var/lib/vz\n\tcontent images,iso,vztmpl,backup,rootdir,snippets,import\n\n";
const USERS = "user:root@pam:1:0:::root@localhost::::\ntoken:root@pam!agent:0:0::\n";

export async function commandHost({ files, settings = {}, running = [], directory = temporaryDirectory() }: CommandHostOptions): Promise<CommandHost> {
  const desired = join(directory, "desired");
  mkdirSync(desired);
  const defaults = { "datacenter.cfg": "keyboard: en-us\n", "storage.cfg": STORAGE, "user.cfg": USERS };
  const startState = { files: Object.fromEntries(Object.entries({ ...defaults, ...files }).map(([path, text]) => [`/etc/pve/${path}`, text])) };
  const simulator = await startSimulator({
    listen: { hostname: "127.0.0.1", port: 0 }, guests: 0, seed: 1, clock: new SystemClock(), random: new SystemRandom(), startState,
    tokenFile: join(directory, "token"), tlsDir: join(directory, "tls"), authDelayMs: 0,
  });
  for (const vmid of running) {
    const started = await simulator.node.edit({ vmid, power: "start" });
    if (!started.ok) throw new Error(`guest ${vmid} does not start: ${started.message}`);
  }
  const config = join(directory, "agent.yaml");
  writeFileSync(config, JSON.stringify({
    node: "pve1", stateDir: "state", socket: "agent.sock", host: { enabled: false }, desired: { source: "directory", path: "desired" }, maxAffectedPercent: 100,
    server: { listen: "127.0.0.1:0" }, ...settings,
    proxmox: { url: simulator.url, tokenFile: "token", tls: { caFile: "tls/pve-root-ca.pem" }, ...(settings["proxmox"] as object | undefined) },
  }));
  const host: CommandHost = {
    directory, desired, simulator,
    answer: undefined,
    run: (...words) => runHere(host, ["--config", config, ...words]),
    spawn: (...words) => Bun.spawn([process.execPath, "src/main.ts", "--config", config, ...words], { cwd: ROOT, stdin: "ignore", stdout: "pipe", stderr: "pipe" }),
    stop: () => simulator.stop(),
  };
  return host;
}

async function runHere(host: CommandHost, words: readonly string[]): Promise<Ran> {
  const printed: string[] = [];
  const complained: string[] = [];
  const quiet = (): void => {};
  const context: CommandContext = {
    world: { clock: new SystemClock(), random: new SystemRandom(), log: { debug: quiet, info: quiet, warn: quiet, error: quiet }, fileSystem: createFileSystem(), userId: process.getuid?.() ?? 0 },
    environment: {}, hostname: "pve1", workingDirectory: host.directory, processId: process.pid, isTerminal: false,
    print: (text) => void printed.push(text),
    complain: (text) => void complained.push(text),
    confirm: () => Promise.resolve(host.answer),
    interrupted: new AbortController().signal,
    onHangup: quiet,
  };
  const code = await runCommandLine(words, context);
  return { code, out: printed.join(""), complaints: complained.join("") };
}
