import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FaultRequest } from "../../src/simulator/control/faults.ts";
import { runAgent, startAgent, until, type AgentProcess, type Finished } from "../support/agent-process.ts";
import { auditCampaign, type Audit, type SeenRequest } from "./kill-audit.ts";

/**
 * SIGKILL of the real program at random moments, under load: a simulated host in a process of its own
 * that loses answers and applies writes late, a person who edits configs, switches guests off and asks
 * for restarts, and an agent that is killed again and again. In the end nothing is broken any more: it
 * must converge or name what it cannot know, and the host's log and the journal must agree (kill-audit.ts).
 */

const NODE = "pve1";
const FIRST_VMID = 100;
const GUEST_COUNT = 12;
/** VMs that a person restarts by key: nobody else switches them. */
const RESTARTED = [101, 105] as const;
const KEYS_PER_GUEST = 4;

/** From the spawn to the kill: some die before they have read the journal, some in the middle of many acts. */
const LIFE_MS = { min: 60, max: 600 } as const;
const PERSON_INTERVAL_MS = 60;
/** requestTimeout 1 s, Proxmox's lock timeout 10 s, a margin of 5 s; and time to converge on a busy machine. */
const SETTLED_MS = 90_000;
/** An act whose outcome is open is settled by a life of 16 s at least; without one all guests would soon be waiting for that. */
const REST_EVERY = 20;
/** A journal is verified after every so many kills. */
const VERIFY_EVERY = 5;

/** What happens to requests that ask for a change. Later than the agent waits for an answer: 1 s. */
const FAULTS: readonly FaultRequest[] = [
  { kind: "latency", ms: 20 },
  { kind: "drop_before", probability: 0.08 },
  { kind: "drop_after", probability: 0.15 },
  { kind: "late", ms: 300, probability: 0.08 },
  { kind: "late", ms: 2_500, probability: 0.05 },
  { kind: "drop_late", ms: 1_500, probability: 0.08 },
];

export interface CampaignOptions {
  readonly kills: number;
  /** The same moments and edits for the same seed; what the processes make of them is up to the machine. */
  readonly seed: number;
  readonly say?: (line: string) => void;
}

export interface CampaignReport extends Audit {
  readonly kills: number;
  readonly seed: number;
  /** Acts that nobody could know the outcome of; each was named with the way to clear it. */
  readonly unknown: readonly string[];
}

/** Rejects with the seed and what was wrong. */
export async function runKillCampaign(options: CampaignOptions): Promise<CampaignReport> {
  await using campaign = new Campaign(options);
  try {
    return await campaign.run();
  } catch (error) {
    throw new Error(`kill campaign, STEWARD_TEST_SEED=${options.seed} with ${options.kills} kills: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, { cause: error });
  }
}

class Campaign implements AsyncDisposable {
  readonly #options: CampaignOptions;
  readonly #directory = mkdtempSync(join(tmpdir(), "steward-kills-"));
  readonly #fraction: () => number;
  readonly #started: AgentProcess[] = [];
  readonly #restarts: { readonly key: string; readonly asked: AgentProcess }[] = [];
  readonly #told: string[] = [];
  #controlUrl = "";
  #daemon: AgentProcess | undefined;
  #isPersonAtWork = false;

  constructor(options: CampaignOptions) {
    this.#options = options;
    this.#fraction = seeded(options.seed);
  }

  async run(): Promise<CampaignReport> {
    const { kills, seed, say = () => {} } = this.#options;
    await this.#powerOn();
    await this.#breakHost();
    this.#isPersonAtWork = true;
    const person = this.#person();
    for (let kill = 1; kill <= kills; kill++) {
      await this.#liveAndDie();
      if (kill % VERIFY_EVERY === 0) await this.#verify([0, 3]);
      if (kill % REST_EVERY !== 0 || kill === kills) continue;
      say(`${kill} of ${kills} kills`);
      await this.#rest();
    }
    this.#isPersonAtWork = false;
    await person;
    await this.#control("DELETE", "/_sim/faults");
    say("all kills done; nothing is broken any more");
    const unknown = await this.#converge();
    const audit = await this.#audit();
    return { kills, seed, unknown, ...audit };
  }

  async #powerOn(): Promise<void> {
    const files = ["--token-file", this.#path("token"), "--tls-dir", this.#path("tls"), "--host-dir", this.#path("host")];
    const simulator = this.#start(["simulate", "--listen", "127.0.0.1:0", "--guests", String(GUEST_COUNT), "--seed", String(this.#options.seed), "--node", NODE, ...files]);
    const [, apiUrl = "", controlUrl = ""] = await simulator.wrote(/url +(\S+)[^]*control +(http:\/\/[^/]+)[^]*Ctrl-C/);
    this.#controlUrl = controlUrl;
    mkdirSync(this.#path("desired"));
    writeFileSync(this.#path("desired/guests.json"), DECLARED);
    writeFileSync(this.#path("agent.yaml"), settings(apiUrl));
    // Made-up guests may ask for half a minute between two starts.
    for (let index = 0; index < GUEST_COUNT; index++) await this.#edit({ vmid: FIRST_VMID + index, delete: ["startup"] });
    for (const vmid of RESTARTED) await this.#edit({ vmid, power: "start" });
  }

  async #breakHost(): Promise<void> {
    for (const method of ["PUT", "POST"] as const) for (const fault of FAULTS) await this.#control("POST", "/_sim/faults", { ...fault, match: { method } });
  }

  /** One life that is long enough to settle what the short ones left: then it dies, too, and all begins anew. */
  async #rest(): Promise<void> {
    await this.#control("DELETE", "/_sim/faults");
    const daemon = this.#start(["--config", this.#path("agent.yaml"), "run", "--log-format", "json"]);
    // With a person at work something is always open; what was open at first must not be for ever.
    const left = new Set(openOf(await this.#agent(["op", "ls", "-o", "json"])).map(({ id }) => id));
    await until("what earlier lives left open to be settled", async () => openOf(await this.#agent(["op", "ls", "-o", "json"])).every(({ id }) => !left.has(id)), SETTLED_MS, 250);
    await daemon.kill();
    this.#told.push(daemon.stderr());
    await this.#breakHost();
  }

  async #liveAndDie(): Promise<void> {
    const daemon = this.#start(["--config", this.#path("agent.yaml"), "run", "--log-format", "json"]);
    this.#daemon = daemon;
    // This is the moment that is random; nothing is waited for by it.
    await Bun.sleep(LIFE_MS.min + this.#fraction() * (LIFE_MS.max - LIFE_MS.min));
    if (!daemon.isRunning()) throw new Error(`the agent ended by itself: ${daemon.stderr()}`);
    this.#daemon = undefined;
    await daemon.kill();
    // One that finds no daemon takes the journal itself, and acts: it dies the same way.
    await Promise.all(this.#restarts.filter(({ asked }) => asked.isRunning()).map(({ asked }) => asked.kill()));
    this.#told.push(daemon.stderr());
  }

  /** Until told to stop: edits, switches off, and asks for restarts. */
  async #person(): Promise<void> {
    while (this.#isPersonAtWork) {
      const vmid = FIRST_VMID + Math.floor(this.#fraction() * GUEST_COUNT);
      const isRestarted = RESTARTED.some((restarted) => restarted === vmid);
      const what = this.#fraction();
      if (isRestarted && what < 0.5) this.#askForRestart(vmid);
      else if (isRestarted) await this.#edit({ vmid, set: { sockets: "1" } });
      else if (what < 0.6) await this.#edit({ vmid, set: { description: `edited ${what}` } });
      else await this.#edit({ vmid, power: "stop" });
      await Bun.sleep(this.#fraction() * 2 * PERSON_INTERVAL_MS);
    }
  }

  #askForRestart(vmid: number): void {
    const key = `${vmid}-${Math.floor(this.#fraction() * KEYS_PER_GUEST)}`;
    if (this.#daemon?.stderr().includes('"message":"started"') !== true || this.#restarts.some(({ asked }) => asked.isRunning())) return;
    this.#restarts.push({ key, asked: this.#start(this.#restartWords(key, "1s")) });
  }

  #restartWords(key: string, timeout: string): readonly string[] {
    return ["--config", this.#path("agent.yaml"), "restart", key.slice(0, key.indexOf("-")), "--key", key, "--timeout", timeout, "-o", "json"];
  }

  /** Every key that was ever used, once more: what happened is told again, and does not happen again. */
  async #askAgain(): Promise<void> {
    const keys = [...new Set(this.#restarts.map((restart) => restart.key))];
    const askFor = async (vmid: number): Promise<void> => {
      for (const key of keys.filter((used) => used.startsWith(`${vmid}-`))) {
        const asked = this.#start(this.#restartWords(key, "30s"));
        await asked.end(SETTLED_MS);
        this.#options.say?.(`key ${key}: ${/"state": *"\w+"/.exec(asked.stdout())?.[0] ?? asked.stderr().trim()}`);
        this.#restarts.push({ key, asked });
      }
    };
    await Promise.all(RESTARTED.map(askFor));
  }

  /** Nothing is broken any more: every guest as declared, and every act with an outcome or named. */
  async #converge(): Promise<readonly string[]> {
    const daemon = this.#start(["--config", this.#path("agent.yaml"), "run", "--log-format", "json"]);
    let last = "";
    const outcome = async (): Promise<readonly string[] | undefined> => {
      const [plan, open] = [await this.#agent(["plan"]), await this.#agent(["op", "ls", "-o", "json"])];
      const operations = openOf(open);
      last = `plan: ${plan.code} ${plan.stdout}${plan.stderr}\nop ls: ${open.stdout}${open.stderr}`;
      if (plan.code === 0 && operations.length === 0) return [];
      return operations.length > 0 && operations.every(({ state }) => state === "unknown") ? operations.map(({ id }) => id) : undefined;
    };
    const unknown = await until("the plan to be empty, or what is open to be named", outcome, SETTLED_MS, 250).catch((error: unknown) => {
      throw new Error(`${String(error)}; in the end:\n${last}\n${daemon.stderr()}`);
    });
    for (const id of unknown) await this.#resolve(id);
    if (unknown.length > 0) await until("the plan to be empty once what was unknown is resolved", async () => (await outcome())?.length === 0, SETTLED_MS, 250);
    this.#options.say?.("converged; every key is used again");
    await this.#askAgain();
    await until("the plan to be empty after that", async () => (await outcome())?.length === 0, SETTLED_MS, 250);
    if ((await daemon.stop()) !== 0) throw new Error(`expected it to stop in order: ${daemon.stderr()}`);
    this.#told.push(daemon.stderr());
    return unknown;
  }

  /** What cannot be known is on its guest, with the words that clear it. */
  async #resolve(id: string): Promise<void> {
    const { stdout } = await this.#agent(["status", "-o", "json"]);
    if (!new RegExp(`OutcomeUnknown[^]*agent op resolve ${id}`).test(stdout)) throw new Error(`expected OutcomeUnknown with "agent op resolve ${id}" in the status, found ${stdout}`);
    const resolved = await this.#agent(["op", "resolve", id, "--failed", "--reason", "the campaign looked at the host"]);
    if (resolved.code !== 0) throw new Error(`op resolve ${id}: ${resolved.stderr}`);
  }

  async #audit(): Promise<Audit> {
    await this.#verify([0]);
    const exported = await this.#agent(["journal", "export"]);
    const requests: readonly SeenRequest[] = await this.#control("GET", "/_sim/log/changes");
    const answered = this.#restarts.flatMap(({ key, asked }) => (/"state": *"succeeded"/.test(asked.stdout()) ? [key] : []));
    return auditCampaign({ journal: exported.stdout, requests, told: this.#told.join("\n"), restarted: answered });
  }

  async #verify(codes: readonly number[]): Promise<void> {
    const verified = await this.#agent(["journal", "verify"]);
    if (!codes.includes(verified.code)) throw new Error(`journal verify: ${verified.code} ${verified.stdout}${verified.stderr}`);
  }

  #agent(words: readonly string[]): Promise<Finished> {
    return runAgent(["--config", this.#path("agent.yaml"), ...words]);
  }

  #start(words: readonly string[]): AgentProcess {
    const started = startAgent(words);
    this.#started.push(started);
    return started;
  }

  /** What cannot be done just now (a guest that is off cannot be stopped) is as good. */
  async #edit(edit: object): Promise<void> {
    await fetch(`${this.#controlUrl}/_sim/edit`, { method: "POST", body: JSON.stringify(edit) });
  }

  async #control<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await fetch(`${this.#controlUrl}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json() as Promise<T>;
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isPersonAtWork = false;
    await Promise.all(this.#started.map((started) => started[Symbol.asyncDispose]()));
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Every guest with a description, every other one switched on; the restarted ones with one more socket, which waits for a restart. */
const DECLARED = JSON.stringify({
  version: 1,
  guests: Array.from({ length: GUEST_COUNT }, (_, index) => {
    const vmid = FIRST_VMID + index;
    const kind = index % 4 === 3 ? "lxc" : "qemu";
    if (RESTARTED.some((restarted) => restarted === vmid)) return { vmid, kind, config: { sockets: 2 } };
    return { vmid, kind, ...(index % 2 === 0 || kind === "lxc" ? { state: "running" } : {}), config: { description: `declared ${vmid}` } };
  }),
});

function settings(apiUrl: string): string {
  return [
    `node: ${NODE}`, "stateDir: state", "socket: agent.sock",
    `proxmox: { url: "${apiUrl}", tokenFile: token, tls: { caFile: tls/pve-root-ca.pem }, requestTimeout: 1s }`,
    "host: { enabled: true, pveDir: host, runDir: host/run, taskDir: host/tasks, cgroupDir: host/cgroup }",
    "desired: { source: directory, path: desired }", "resyncInterval: 1s", "maxAffectedPercent: 100", "maxConcurrentStarts: 8", "maxConcurrentActs: 8", "taskTimeout: 30s", "shutdownTimeout: 5s",
    'server: { listen: "127.0.0.1:0" }', "",
  ].join("\n");
}

function openOf({ stdout }: Finished): readonly { readonly id: string; readonly state: string }[] {
  const parsed: unknown = JSON.parse(stdout === "" ? "{}" : stdout);
  const list = Array.isArray(parsed) ? parsed : (parsed as { operations?: readonly unknown[] }).operations;
  if (!Array.isArray(list)) throw new Error(`expected operations from op ls, found ${stdout}`);
  return list as { id: string; state: string }[];
}

/** mulberry32. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
