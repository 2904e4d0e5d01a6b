import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock } from "../../src/runtime/clock.ts";
import { SystemRandom } from "../../src/runtime/random.ts";
import { startSimulator, type RunningSimulator } from "../../src/simulator/main.ts";
import { completeStartState } from "../../src/simulator/start-state.ts";
import { PATIENCE_MS, runAgent, startAgent, until, type AgentProcess, type Finished } from "../support/agent-process.ts";

/** The node's name, and the secret of its API token: what must never be seen anywhere else. */
const NODE = "pve1";
export const SECRET = "5ec12e75-0000-4000-8000-0f7e57c0ffee";
const TOKEN = `root@pam!agent=${SECRET}`;

/** Sites open at the same time, however many tests run concurrently: they spend their time waiting, but each takes some processor. */
const SITES_MAX = 5;

/** For `setDefaultTimeout`: waiting for a place included. What a test waits for has shorter deadlines of its own. */
export const TEST_TIMEOUT_MS = 90_000;

let placesLeft = SITES_MAX;
const waiting: (() => void)[] = [];

async function takePlace(): Promise<void> {
  if (placesLeft > 0) placesLeft -= 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
}

function givePlaceBack(): void {
  const next = waiting.shift();
  if (next === undefined) placesLeft += 1;
  else next();
}

/** Between two runs of a command that is waited on: a process each. */
const COMMAND_INTERVAL_MS = 150;

/** Linux gives port 0 a port from here on (net.ipv4.ip_local_port_range). */
const EPHEMERAL_PORTS_BEGIN = 32_768;

/** Proxmox waits 3 s before it refuses a token; nothing here is about that. */
const AUTH_DELAY_MS = 20;

export interface SiteOptions {
  /** Config files below the node's directory: "qemu-server/100" → text. Without them `guests` are made up. */
  readonly files?: Readonly<Record<string, string>>;
  readonly running?: readonly number[];
  readonly guests?: number;
  /** Desired state: file name → text. */
  readonly desired?: Readonly<Record<string, string>>;
  /** 3 s unless given: long enough for a busy machine. An act without an answer is settled 15 s later. */
  readonly requestTimeout?: string;
  /** Replaces settings: top-level key → YAML value; null leaves the key out. */
  readonly settings?: Readonly<Record<string, string | null>>;
  /** The host keeps its files in host/, and the agent reads them, as on a real one. */
  readonly isOnHost?: boolean;
  /** false: nothing answers yet (`site.powerOn()`). Needed for `powerOff`, too, since the port must not be lost. */
  readonly isOn?: boolean;
}

/** A Proxmox host (simulated, in this process), a config and a desired state for it, and the agents started on it. */
export class Site implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "steward-e2e-"));
  readonly #options: SiteOptions;
  readonly #started: AgentProcess[] = [];
  #settings: Readonly<Record<string, string | null>> = {};
  #simulator: RunningSimulator | undefined;
  #port = 0;

  private constructor(options: SiteOptions) {
    this.#options = options;
    // While it is off nobody holds its port: one that no other site is given meanwhile.
    if (options.isOn === false) this.#port = EPHEMERAL_PORTS_BEGIN - 1 - Math.floor(Math.random() * 10_000);
  }

  static async open(options: SiteOptions = {}): Promise<Site> {
    await takePlace();
    const site = new Site(options);
    mkdirSync(join(site.directory, "desired"));
    // Even a host that is off has an address.
    await site.powerOn();
    for (const [name, text] of Object.entries(options.desired ?? {})) site.declare(name, text);
    site.configure(options.settings ?? {});
    if (options.isOn === false) await site.powerOff();
    return site;
  }

  get simulator(): RunningSimulator {
    if (this.#simulator === undefined) throw new Error("the simulated host is off");
    return this.#simulator;
  }

  /** Starts the host, as it was at first, at the address it had. */
  async powerOn(): Promise<void> {
    const random = new SystemRandom();
    const { files, running = [], guests = 0 } = this.#options;
    const guestFiles = Object.entries(files ?? {}).map(([path, text]): [string, string] => [`/etc/pve/nodes/${NODE}/${path}.conf`, text]);
    const token = { "/etc/pve/priv/token.cfg": `root@pam!agent ${SECRET}\n` };
    this.#simulator = await startSimulator({
      listen: { hostname: "127.0.0.1", port: this.#port }, guests, seed: 1, nodeName: NODE, clock: new SystemClock(), random,
      authDelayMs: AUTH_DELAY_MS, tlsDir: join(this.directory, "tls"), tokenFile: join(this.directory, "token"),
      ...(this.#options.isOnHost === true ? { hostDir: this.path("host") } : {}),
      ...(files === undefined ? {} : { startState: completeStartState({ files: { ...Object.fromEntries(guestFiles), ...token } }, random) }),
    });
    this.#port = Number(new URL(this.#simulator.url).port);
    for (const vmid of running) await this.edit({ vmid, power: "start" });
  }

  async powerOff(): Promise<void> {
    if (this.#options.isOn !== false) throw new Error("only a site that was opened with isOn: false can be switched off");
    const { simulator } = this;
    this.#simulator = undefined;
    await simulator.stop();
  }

  /** Something happens at the host. */
  async edit(edit: Parameters<RunningSimulator["node"]["edit"]>[0]): Promise<void> {
    const done = await this.simulator.node.edit(edit);
    if (!done.ok) throw new Error(done.message);
  }

  path(...names: readonly string[]): string {
    return join(this.directory, ...names);
  }

  /** Writes a file of the desired state as careful people do: whole, then renamed. */
  declare(name: string, text: string): void {
    this.#replace(this.path("desired", name), text);
  }

  undeclare(name: string): void {
    rmSync(this.path("desired", name));
  }

  /** Writes agent.yaml. */
  configure(settings: Readonly<Record<string, string | null>>): void {
    this.#settings = { ...this.#settings, ...settings };
    const all: Readonly<Record<string, string | null>> = {
      node: NODE, stateDir: "state", socket: "agent.sock",
      proxmox: this.proxmox(`{ caFile: tls/pve-root-ca.pem }`),
      host: this.#options.isOnHost === true ? "{ enabled: true, pveDir: host, runDir: host/run, taskDir: host/tasks, cgroupDir: host/cgroup }" : "{ enabled: false }",
      desired: "{ source: directory, path: desired }",
      pollInterval: "100ms", resyncInterval: "1s", taskTimeout: "20s", shutdownTimeout: "5s",
      server: '{ listen: "127.0.0.1:0" }',
      ...this.#settings,
    };
    const lines = Object.entries(all).filter(([, value]) => value !== null).map(([key, value]) => `${key}: ${value}\n`);
    this.#replace(this.path("agent.yaml"), lines.join(""));
  }

  /** The `proxmox` setting with another `tls` or token file. */
  proxmox(tls: string, tokenFile = "token"): string {
    return `{ url: "https://127.0.0.1:${this.#port}", tokenFile: ${tokenFile}, tls: ${tls}, requestTimeout: ${this.#options.requestTimeout ?? "3s"} }`;
  }

  /** Writes the token file as its owner would. */
  writeToken(text: string = TOKEN, mode = 0o600): void {
    const path = this.path("token");
    rmSync(path, { force: true });
    writeFileSync(path, `${text}\n`, { mode });
  }

  /** Runs a command with this site's config, to its end. */
  run(words: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Finished> {
    return runAgent(this.words(words), { environment });
  }

  /** Runs a command again and again until what it prints matches. */
  shows(words: readonly string[], pattern: RegExp): Promise<RegExpMatchArray> {
    let last = "";
    return until(`${words.join(" ")} to show ${pattern}`, async () => {
      const { stdout, stderr } = await this.run(words);
      last = `${stdout}${stderr}`;
      return stdout.match(pattern) ?? undefined;
    }, PATIENCE_MS, COMMAND_INTERVAL_MS).catch((error: unknown) => {
      throw new Error(`${String(error)}; it last showed:\n${last}`);
    });
  }

  /** Waits until `agent plan` finds nothing to do. */
  async inSync(patienceMs: number = PATIENCE_MS): Promise<void> {
    let last: Finished | undefined;
    await until("an empty plan", async () => {
      last = await this.run(["plan"]);
      return last.code === 0;
    }, patienceMs, COMMAND_INTERVAL_MS).catch((error: unknown) => {
      throw new Error(`${String(error)}; the last one was:\n${last?.stdout}${last?.stderr}`);
    });
  }

  words(words: readonly string[]): readonly string[] {
    return ["--config", this.path("agent.yaml"), ...words];
  }

  /** Starts a command with this site's config; it ends with the site at the latest. */
  start(words: readonly string[], environment: Readonly<Record<string, string>> = {}): AgentProcess {
    const started = startAgent(this.words(words), { environment });
    this.#started.push(started);
    return started;
  }

  /** Starts the daemon; resolves when it listens. */
  async daemon(words: readonly string[] = [], environment: Readonly<Record<string, string>> = {}): Promise<Daemon> {
    const started = this.start(["run", "--log-format", "json", ...words], environment);
    const [, url = ""] = await started.wrote(/"message":"started".*?"health":"([^"]+)"/);
    return new Daemon(started, url);
  }

  /** Requests that ask the host for a change, since it was switched on. */
  mutations(): readonly string[] {
    return this.simulator.requestLog.mutations().map(({ method, path }) => `${method} ${path.replace(`/api2/json/nodes/${NODE}`, "")}`);
  }

  /** The parameters of every change that was asked for. */
  sentParameters(): readonly Readonly<Record<string, unknown>>[] {
    return this.simulator.requestLog.mutations().map(({ parameters }) => parameters);
  }

  /** Ends every process that was started here. */
  async end(): Promise<void> {
    await Promise.all(this.#started.splice(0).map((started) => started[Symbol.asyncDispose]()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.end();
      await this.#simulator?.stop();
    } finally {
      rmSync(this.directory, { recursive: true, force: true });
      givePlaceBack();
    }
  }

  #replace(path: string, text: string): void {
    writeFileSync(`${path}.new~`, text, { mode: 0o600 });
    renameSync(`${path}.new~`, path);
  }
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A running `agent run`. */
export class Daemon {
  readonly process: AgentProcess;
  /** "http://127.0.0.1:PORT". */
  readonly url: string;

  constructor(running: AgentProcess, url: string) {
    this.process = running;
    this.url = url;
  }

  async get(path: string): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`);
    return { status: response.status, body: await response.text() };
  }

  async ready(patienceMs: number = PATIENCE_MS): Promise<void> {
    let last: Answer | undefined;
    await until("/readyz to answer 200", async () => {
      last = await this.get("/readyz");
      return last.status === 200;
    }, patienceMs).catch((error: unknown) => {
      throw new Error(`${String(error)}; its last answer was:\n${last?.body}`);
    });
  }

  /** Waits until /readyz fails with this line, and gives the whole line. */
  async failing(condition: string, reason: string): Promise<string> {
    let last: Answer | undefined;
    return until(`${condition} ${reason}`, async () => {
      last = await this.get("/readyz");
      return last.status === 503 ? new RegExp(`^\\[-\\]${condition} failed: ${reason}\\b.*$`, "m").exec(last.body)?.[0] : undefined;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; its last answer was:\n${last?.body}`);
    });
  }
}

/** A VM's config file with these keys. */
export function machine(keys: Readonly<Record<string, string | number>>, uuid = "11111111-2222-4333-8444-555555555555"): string {
  const all: Readonly<Record<string, string | number>> = { boot: "order=net0", memory: 512, meta: "creation-qemu=10.0.13,ctime=1760000000", ostype: "l26", smbios1: `uuid=${uuid}`, ...keys };
  return `${Object.entries(all).map(([key, value]) => `${key}: ${value}`).sort().join("\n")}\n`;
}

/** A desired-state file with these guests, in JSON, which is YAML too. */
export function guests(...list: readonly object[]): string {
  return JSON.stringify({ version: 1, guests: list });
}
