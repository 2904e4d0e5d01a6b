import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateHost } from "../src/simulator/start-state.ts";

/** A simulated host and an agent on it, each the compiled program in a process of its own, and what can be seen of them from outside. */

const ROOT = join(import.meta.dir, "..");
const NODE = "pve1";
const SEED = 1;
/** A start with 10,000 guests takes a second or two, the first full read of them half a minute. */
const START_PATIENCE_MS = 300_000;
const LOOK_INTERVAL_MS = 100;
/** A file of the desired state may have 1 MiB. */
const GUESTS_PER_FILE = 2_000;
/** /proc/PID/stat counts in these (USER_HZ is 100 on every Linux). */
const TICK_MS = 10;
/** The agent's own resync would be found in the figures; nothing needs one while they are taken. */
const RESYNC_INTERVAL = "24h";

export interface LoggedRequest {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly method: string;
  readonly path: string;
}

export interface EventSiteOptions {
  readonly guests: number;
  /** false: the agent sees nothing but the API, and polls. */
  readonly isOnHost: boolean;
}

export class EventSite implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "steward-events-"));
  readonly #options: EventSiteOptions;
  readonly #children: Bun.Subprocess[] = [];
  #agent: Bun.Subprocess | undefined;
  #controlUrl = "";
  #healthUrl = "";

  private constructor(options: EventSiteOptions) {
    this.#options = options;
  }

  /** Both run, every guest was read once, and the host's state is what is declared. */
  static async open(options: EventSiteOptions): Promise<EventSite> {
    const site = new EventSite(options);
    try {
      await site.#start();
    } catch (error) {
      await site[Symbol.asyncDispose]();
      throw error;
    }
    return site;
  }

  /** Requests that the host ever got. */
  async requests(): Promise<number> {
    const { requests }: { requests: number } = await this.#control("GET", "/_sim/connections");
    return requests;
  }

  /** Requests that asked for a change, oldest first. */
  changes(): Promise<readonly LoggedRequest[]> {
    return this.#control("GET", "/_sim/log/changes");
  }

  /** As a person would in the GUI or with an editor. */
  async edit(vmid: number, set: Readonly<Record<string, string>>): Promise<void> {
    await this.#control("POST", "/_sim/edit", { vmid, set });
  }

  /** Processor time of the agent so far. */
  cpuMs(): number {
    const fields = readFileSync(`/proc/${this.#agentPid()}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  }

  residentMib(): number {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#agentPid()}/status`, "utf8"))?.[1];
    return Number(kib) / 1024;
  }

  /** The sum over all labels of a metric; undefined while it has no value. */
  async metric(name: string): Promise<number | undefined> {
    const text = await (await fetch(`${this.#healthUrl}/metrics`)).text();
    const values = [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))].map(([, value]) => Number(value));
    return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill("SIGTERM");
    await Promise.all(this.#children.map((child) => child.exited));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const { guests, isOnHost } = this.#options;
    const printed = join(this.#directory, "simulator.out");
    const files = ["--token-file", this.#path("token"), "--tls-dir", this.#path("tls"), "--host-dir", this.#path("host")];
    this.#run(["simulate", "--listen", "127.0.0.1:0", "--guests", String(guests), "--seed", String(SEED), "--node", NODE, ...files], printed);
    const introduction = await this.#appears(printed, /url +(\S+)[^]*control +(http:\/\/[^/]+)[^]*Ctrl-C/);
    const [, apiUrl = "", controlUrl = ""] = introduction;
    this.#controlUrl = controlUrl;
    mkdirSync(this.#path("desired"));
    declarations(guests).forEach((text, index) => writeFileSync(this.#path(`desired/guests-${index}.json`), text));
    writeFileSync(this.#path("agent.yaml"), settings(apiUrl, isOnHost));
    const log = join(this.#directory, "agent.out");
    this.#agent = this.#run(["--config", this.#path("agent.yaml"), "run", "--log-format", "json"], log);
    this.#healthUrl = (await this.#appears(log, /"message":"started".*?"health":"([^"]+)"/))[1] ?? "";
    await this.#until("the first full read of every guest", async () => ((await this.metric("steward_reconcile_total")) ?? 0) >= guests);
    await this.#until("/readyz", async () => (await fetch(`${this.#healthUrl}/readyz`)).status === 200);
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  #agentPid(): number {
    if (this.#agent === undefined || this.#agent.exitCode !== null) throw new Error("the agent does not run");
    return this.#agent.pid;
  }

  #run(words: readonly string[], output: string): Bun.Subprocess {
    const child = Bun.spawn([program(), ...words], { cwd: "/", env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent" }, stdin: "ignore", stdout: Bun.file(output), stderr: Bun.file(output) });
    this.#children.push(child);
    return child;
  }

  async #appears(path: string, pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(`${pattern} in what it prints`, () => (existsSync(path) ? (pattern.exec(readFileSync(path, "utf8")) ?? undefined) : undefined));
  }

  async #until<T>(what: string, look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
    const deadlineMs = performance.now() + START_PATIENCE_MS;
    for (;;) {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      const dead = this.#children.find((child) => child.exitCode !== null);
      if (dead !== undefined || performance.now() > deadlineMs) throw new Error(`${dead === undefined ? "waited in vain" : "a process ended"} while waiting for ${what}`);
      await Bun.sleep(LOOK_INTERVAL_MS);
    }
  }

  async #control<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await fetch(`${this.#controlUrl}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json() as Promise<T>;
  }
}

/** The binary that is measured: STEWARD_BENCH_AGENT, or dist/agent. */
function program(): string {
  const path = process.env["STEWARD_BENCH_AGENT"] ?? join(ROOT, "dist/agent");
  if (!existsSync(path)) throw new Error(`${path} is not there: run \`bun run build\` first`);
  return path;
}

function settings(apiUrl: string, isOnHost: boolean): string {
  const host = isOnHost ? "{ enabled: true, pveDir: host, runDir: host/run, taskDir: host/tasks, cgroupDir: host/cgroup }" : "{ enabled: false }";
  return [
    `node: ${NODE}`, "stateDir: state", "socket: agent.sock",
    `proxmox: { url: "${apiUrl}", tokenFile: token, tls: { caFile: tls/pve-root-ca.pem } }`,
    `host: ${host}`, "desired: { source: directory, path: desired }",
    `resyncInterval: ${RESYNC_INTERVAL}`, "maxAffectedPercent: 100", 'server: { listen: "127.0.0.1:0" }', "",
  ].join("\n");
}

/** Every guest of the generated host, declared as it is: name, processors, tags, whether it runs. */
function declarations(count: number): readonly string[] {
  const { startState, running } = generateHost(NODE, count, SEED);
  const runs = new Set(running);
  const guests = Object.entries(startState.files).flatMap(([path, text]) => {
    const [, folder, id] = /\/(qemu-server|lxc)\/(\d+)\.conf$/.exec(path) ?? [];
    if (folder === undefined) return [];
    const config = Object.fromEntries([...text.matchAll(/^(name|hostname|cores|tags|onboot|startup): (.*)$/gm)].map(([, key, value]) => [key, value]));
    return [{ vmid: Number(id), kind: folder === "lxc" ? "lxc" : "qemu", state: runs.has(Number(id)) ? "running" : "stopped", config }];
  });
  return Array.from({ length: Math.ceil(count / GUESTS_PER_FILE) }, (_, file) => JSON.stringify({ version: 1, guests: guests.slice(file * GUESTS_PER_FILE, (file + 1) * GUESTS_PER_FILE) }));
}

/** The key that names a guest: VMs have `name`, containers `hostname`. Every fourth generated guest is a container. */
export function nameKeyOf(index: number): string {
  return index % 4 === 3 ? "hostname" : "name";
}
