import type { ApiRequest } from "../../src/proxmox/exchange.ts";
import type { Caller } from "../../src/simulator/api.ts";
import type { EngineSettings } from "../../src/reconcile/types.ts";
import type { Fate } from "../support/simulated-network.ts";
import { SimulatedSite, type HostGuest } from "../support/simulated-site.ts";
import { configText } from "../support/simulated-text.ts";
import { Chronicle } from "./chronicle.ts";
import type { Action, HostFile, Moment, Round, Story } from "./format.ts";

/** Plays a story on a simulated site and gives its whole log. */
export async function play(story: Story): Promise<string> {
  const player = new Player(story);
  await player.run();
  return player.log();
}

const ROOT: Caller = { user: "root@pam", tokenId: undefined, isRootLogin: true, can: () => true };
const NODE = "pve1";
const KEY_LIFE_MS = 7 * 86_400_000;
const RESTART_WAIT_MS = 600_000;
/** After its boot the host starts its own guests, one after the other, for so long in all. */
const STARTALL_MS = 5_000;
/** Beyond the request timeout: an answer that was late by more would never be waited for. */
const REQUEST_TIMEOUT_MS = 30_000;
const FAILING: Fate = { kind: "error", requestMs: 1, status: 595, reason: "Connection refused" };

/** What becomes of some requests; gone when `left` is 0. */
interface Rule {
  readonly act: string;
  readonly vmid: number;
  readonly fate: Fate;
  left: number;
}

class Player {
  readonly #story: Story;
  readonly #site: SimulatedSite;
  readonly #chronicle: Chronicle;
  readonly #rules: Rule[] = [];
  /** What every request meets, while the API is away. */
  #outage: Fate | undefined;
  /** Rounds that wait for a moment. */
  readonly #armed: Round[] = [];
  /** Guests that went to another node. */
  readonly #gone = new Map<number, { readonly kind: "qemu" | "lxc"; readonly text: string }>();

  constructor(story: Story) {
    this.#story = story;
    this.#site = siteOf(story.host);
    this.#site.network.fateOf = (request) => this.#fateOf(request);
    this.#chronicle = new Chronicle(this.#site);
    this.#chronicle.onMoment = (moment, vmid) => this.#reached(moment, vmid);
  }

  async run(): Promise<void> {
    const { rounds } = this.#story;
    this.#offer("desired.yaml");
    this.#site.boot();
    const due = rounds.flatMap((round) => Array.from({ length: round.times }, (_, index) => ({ round, atMs: round.at + index * (round.every ?? 0) })));
    due.sort((left, right) => left.atMs - right.atMs);
    for (const { round, atMs } of due) {
      await this.#site.advance(atMs - this.#site.time.elapsedMs());
      if (round.on !== undefined) this.#armed.push(round);
      else for (const action of round.do) await this.#do(action);
    }
    this.#chronicle.conclude();
    for (const { on } of this.#armed) throw new Error(`${this.#story.directory}: the moment "${on?.moment}" of ${on?.vmid} never came`);
    for (const { act, vmid } of this.#rules) throw new Error(`${this.#story.directory}: no ${act} of ${vmid} was sent that could have been lost`);
  }

  log(): string {
    return `${this.#chronicle.lines.join("\n")}\n`;
  }

  #reached(moment: Moment, vmid: number): void {
    const index = this.#armed.findIndex(({ on }) => on?.moment === moment && on.vmid === vmid);
    if (index < 0) return;
    const [round] = this.#armed.splice(index, 1);
    for (const action of round?.do ?? []) void this.#do(action);
  }

  #fateOf({ method, path }: ApiRequest): Fate {
    const usual: Fate = { kind: "answered", requestMs: 1, answerMs: 1 };
    if (this.#outage !== undefined) return this.#outage;
    if (method === "GET") return usual;
    const [, vmid = "", what = ""] = /\/(\d+)\/(?:status\/)?(\w+)$/.exec(path) ?? [];
    const rule = this.#rules.find((candidate) => candidate.vmid === Number(vmid) && candidate.act === (what === "config" ? "set_config" : what));
    if (rule === undefined) return usual;
    if (--rule.left === 0) this.#rules.splice(this.#rules.indexOf(rule), 1);
    return rule.fate;
  }

  async #do(action: Action): Promise<void> {
    const site = this.#site;
    if ("declare" in action) return this.#offer(action.declare);
    if ("edit" in action) return site.edit({ vmid: action.edit, ...(action.set === undefined ? {} : { set: action.set }), ...(action.delete === undefined ? {} : { delete: action.delete }) });
    if ("gui" in action) return this.#inGui(action);
    if ("power" in action) return site.edit({ vmid: action.vmid, power: action.power });
    if ("lock" in action) return site.lock(action.lock, action.as);
    if ("backup" in action) return this.#backUp(action.backup, action.for);
    if ("destroy" in action) return site.edit({ vmid: action.destroy, destroy: true });
    if ("create" in action) return site.receive(action.create);
    if ("migrate" in action) return this.#migrate(action.migrate, action.to);
    if ("return" in action) return this.#return(action.return);
    if ("ha" in action) return this.#say(`HA resources ${JSON.stringify(action.ha)}`, () => site.node.putHaResources(haText(action.ha)));
    return this.#goWrong(action);
  }

  async #goWrong(action: Action): Promise<void> {
    const { node, disk } = this.#site;
    if ("lose" in action) {
      const fate: Fate = { kind: action.lose === "request" ? "drop_before" : "drop_after", requestMs: 1, answerMs: 1 };
      return this.#say(`the next ${action.lose === "request" ? "" : "answer to a "}${action.of} ${action.vmid} will be lost${action.times === 1 ? "" : ` ${action.times} times`}`, () => this.#rules.push({ act: action.of, vmid: action.vmid, fate, left: action.times }));
    }
    if ("delay" in action) return this.#say(`the next ${action.delay} ${action.vmid} will be carried out ${action.by / 1000} s late, unanswered`, () => this.#rules.push({ act: action.delay, vmid: action.vmid, fate: { kind: "late", appliedMs: action.by }, left: 1 }));
    if ("fail" in action) return this.#lasting(`${action.fail} of ${action.vmid} fails ("${action.exit}")`, action.for, () => node.addFault({ kind: "task_fail", taskType: action.fail, vmid: action.vmid, exit: action.exit }));
    if ("hang" in action) return this.#lasting(`${action.hang} of ${action.vmid} hangs`, action.for, () => node.addFault({ kind: "task_hang", taskType: action.hang, vmid: action.vmid }));
    if ("kill" in action) return this.#killTasks(action.vmid);
    if ("quorum" in action) return this.#lasting("no quorum", action.for, () => node.addFault({ kind: "read_only" }));
    if ("api" in action) return this.#lasting(`the API is ${action.api}`, action.for, () => this.#loseApi(action.api));
    if ("disk" in action) {
      return this.#lasting(`the disk is ${action.disk}`, action.for, () => {
        const { fileSystem } = disk;
        if (action.disk === "full") fileSystem.capacityBytes = 0;
        else fileSystem.failAt(1, { kind: "io", lasts: "for ever" });
        return () => {
          fileSystem.capacityBytes = Number.POSITIVE_INFINITY;
          fileSystem.heal();
        };
      });
    }
    return this.#operate(action);
  }

  async #operate(action: Action): Promise<void> {
    const site = this.#site;
    if ("clock" in action) return site.jumpClock(action.clock === "forward" ? action.by : -action.by);
    if ("agent" in action) {
      if (action.agent === "kill") return site.crash("process");
      if (action.agent === "start") return this.#say("the agent is started", () => site.boot());
      return this.#say("SIGTERM", () => void site.stop());
    }
    if ("reboot" in action) return this.#rebootHost(action.for);
    if ("pause" in action) return void site.pause(action.pause, action.for);
    if ("resume" in action) return void site.resume(action.resume);
    if ("accept" in action) return void site.accept(site.desired.revision);
    if ("resolve" in action) {
      const operation = site.journal.openOperations().find(({ state, guest }) => state === "unknown" && guest.vmid === action.resolve);
      if (operation === undefined) throw new Error(`${this.#story.directory}: there is no unknown act of ${action.resolve}`);
      return void site.resolve(operation.id, action.as);
    }
    if (!("restart" in action)) throw new Error(`nobody does ${JSON.stringify(action)}`);
    const asked = `agent restart ${action.restart} --key ${action.key}`;
    this.#chronicle.say("site", asked);
    void site.engine.restart({ vmid: action.restart, key: action.key, keyLifeMs: KEY_LIFE_MS, waitMs: RESTART_WAIT_MS }).then((result) => {
      this.#chronicle.say("site", `${asked}: ${result.ok ? `${result.value.state}${result.value.isRepeat ? " (asked before)" : ""}: ${result.value.message}; applied: ${result.value.applied.join(" ") || "nothing"}` : result.error.message}`);
    });
  }

  #offer(name: string): void {
    const report = this.#story.desired.get(name);
    if (report === undefined) throw new Error(`${this.#story.directory}/${name} does not exist`);
    this.#site.offer(report);
  }

  async #inGui(action: Extract<Action, { gui: unknown }>): Promise<void> {
    const { node } = this.#site;
    const { vmid } = action;
    const kind = node.vmlist().ids[String(vmid)]?.type ?? "qemu";
    const rest = action.gui === "set" ? ["config"] : action.gui === "snapshot" ? ["snapshot"] : ["status", action.gui];
    const parameters = action.gui === "set" ? action.set : action.gui === "snapshot" ? { snapname: action.name } : {};
    const segments = ["nodes", NODE, kind, String(vmid), ...rest];
    const answer = await node.handle({ method: action.gui === "set" ? "PUT" : "POST", segments, path: `/${segments.join("/")}`, parameters, caller: ROOT });
    const given = Object.entries(parameters).map(([key, value]) => ` ${key}=${value}`).join("");
    this.#chronicle.say("site", `root@pam: ${action.gui} ${vmid}${given}: ${answer.status}${"reason" in answer ? ` ${answer.reason}` : ""}`);
  }

  #backUp(vmid: number, forMs: number): void {
    this.#chronicle.say("site", `root@pam backs up ${vmid}`);
    this.#site.node.runTask("vzdump", String(vmid), forMs);
    void this.#site.lock(vmid, "backup");
    this.#site.time.schedule(forMs, () => void this.#site.lock(vmid, null));
  }

  async #migrate(vmid: number, to: string): Promise<void> {
    const kind = this.#site.node.vmlist().ids[String(vmid)]?.type ?? "qemu";
    this.#gone.set(vmid, { kind, text: await this.#site.migrateAway(vmid, to) });
  }

  #return(vmid: number): void {
    const gone = this.#gone.get(vmid);
    if (gone === undefined) throw new Error(`${this.#story.directory}: ${vmid} went nowhere`);
    this.#site.arrive({ kind: gone.kind, vmid }, gone.text);
  }

  #killTasks(vmid?: number): void {
    const { node } = this.#site;
    for (const line of node.activeTasks()) if (line.endsWith(" 0") && (vmid === undefined || line.includes(`:${vmid}:`))) node.killTask(line.slice(0, -2));
  }

  /** The agent dies with its host; what the disk had not synced is gone. */
  #rebootHost(forMs: number): void {
    const site = this.#site;
    this.#chronicle.say("site", "the host loses its power");
    if (site.hasProcess()) site.crash("power");
    this.#killTasks();
    for (const { vmid } of site.node.runningGuests()) void site.edit({ vmid, power: "stop" });
    const back = this.#loseApi("down");
    site.time.schedule(forMs, () => {
      back();
      this.#chronicle.say("site", "the host is up and starts its own guests; so does the agent");
      site.node.runTask("startall", "", STARTALL_MS);
      const own = Object.keys(site.node.vmlist().ids).map(Number).filter((vmid) => /^onboot: 1$/m.test(site.node.configFile(vmid) ?? ""));
      own.forEach((vmid, index) => site.time.schedule(1_000 + (index * STARTALL_MS) / (own.length + 1), () => void site.edit({ vmid, power: "start" })));
      site.boot();
    });
  }

  #loseApi(how: "down" | "silent" | "failing"): () => void {
    this.#outage = how === "failing" ? FAILING : how === "down" ? { kind: "refused", requestMs: 1 } : { kind: "hang" };
    return () => (this.#outage = undefined);
  }

  #lasting(what: string, forMs: number, begin: () => () => void): void {
    this.#chronicle.say("site", what);
    const end = begin();
    this.#site.time.schedule(forMs, () => {
      this.#chronicle.say("site", `over: ${what}`);
      end();
    });
  }

  #say(text: string, then: () => unknown): void {
    this.#chronicle.say("site", text);
    then();
  }
}

function siteOf(host: HostFile): SimulatedSite {
  const { settings } = host;
  const own = {
    resyncIntervalMs: settings.resyncInterval, requestTimeoutMs: settings.requestTimeout ?? REQUEST_TIMEOUT_MS, taskTimeoutMs: settings.taskTimeout, shutdownTimeoutMs: settings.shutdownTimeout,
    maxConcurrentActs: settings.maxConcurrentActs, maxConcurrentStarts: settings.maxConcurrentStarts, maxAffectedPercent: settings.maxAffectedPercent,
  };
  return new SimulatedSite({
    host: host.watch === "files" ? "on" : "off",
    guests: host.guests satisfies readonly HostGuest[],
    settings: Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)) as Partial<EngineSettings>,
    traits: {
      cluster: host.cluster, honoursShutdown: ({ vmid }) => !host.deaf.includes(vmid),
      ...(host.shutdownTakes === undefined ? {} : { shutdownDurationMs: host.shutdownTakes }),
    },
  });
}

/** ha/resources.cfg: requested states by guest, "vm:101": "started". */
function haText(states: Readonly<Record<string, string>>): string {
  return Object.entries(states).map(([sid, state]) => `${configText({ [sid.split(":")[0] ?? ""]: sid.split(":")[1] ?? "" })}\tstate ${state}\n`).join("\n");
}
