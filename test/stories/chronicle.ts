import type { Operation } from "../../src/journal/types.ts";
import type { SimulatedSite, SiteEvent } from "../support/simulated-site.ts";
import type { Moment } from "./format.ts";

/**
 * The log of a story: what is sent and answered, tasks, the journal's operations, transitions with
 * their messages, how each guest stands, and what people do. In the order in which it happened, with
 * the simulated time; nothing in it depends on the machine that it is written on.
 */

const UPID = /UPID:[^:\s]+:[0-9A-F]+:[0-9A-F]+:[0-9A-F]+:([^:]+):([^:]*):([^:]+):/g;
const COLUMN = 7;

export class Chronicle {
  readonly lines: string[] = [];
  /** Told of each moment that a round may wait for. */
  onMoment: (moment: Moment, vmid: number) => void = () => {};
  readonly #site: SimulatedSite;
  /** Short names of operations, in the order of their coming. */
  readonly #names = new Map<string, string>();
  readonly #states = new Map<string, string>();
  readonly #tasks = new Map<string, string>();
  readonly #results = new Map<number, string>();
  readonly #running = new Set<number>();

  constructor(site: SimulatedSite) {
    this.#site = site;
    for (const { vmid } of site.node.runningGuests()) this.#running.add(vmid);
    site.onEvent = (event) => this.#note(event);
    site.time.onEvent = () => this.#look();
    site.node.onChange(({ kind }) => {
      if (kind === "tasks") this.#noteTasks();
      if (kind === "run") this.#noteRunning();
    });
    site.network.observe({
      sent: ({ method, vmid }) => (method === "GET" || vmid === undefined ? undefined : this.onMoment("sent", vmid)),
      carriedOut: (sent, answer) => {
        const { method, vmid, path } = sent;
        if (vmid === undefined) return;
        if (method === "GET") return path.endsWith("/pending") ? this.onMoment("read", vmid) : undefined;
        if (sent.fate !== "answered") this.say("host", `carries it out: ${method} ${vmid} ${path.split("/").at(-1)}: ${answer.status}${"reason" in answer ? ` ${answer.reason}` : ""}`);
        this.onMoment("carried out", vmid);
      },
    });
  }

  say(what: string, text: string): void {
    this.lines.push(`${formatTime(this.#site.time.elapsedMs())} ${what.padEnd(COLUMN)} ${this.#shorten(text)}`.trimEnd());
  }

  /** How things stand in the end, and what is open. */
  conclude(): void {
    const site = this.#site;
    this.#look();
    if (!site.isUp()) return this.say("end", "no agent runs");
    for (const { guest, result, runState } of site.engine.guests()) this.say("end", `${guest.vmid} ${runState} ${result}`);
    for (const { id, state } of site.journal.openOperations()) this.say("end", `${this.#nameOf(id)} is still ${state}`);
    for (const { type, status, reason } of site.tracker.host()) {
      const isGood = type === "RevisionHeld" ? status === "False" : status === "True";
      if (!isGood) this.say("end", `host ${type} ${status} ${reason}`);
    }
  }

  #note({ kind, text, message }: SiteEvent): void {
    switch (kind) {
      case "send":
        this.#look();
        return this.say("send", text);
      case "answer":
        return this.say("answer", text);
      case "condition":
        return this.say("tell", message === undefined || message === "" ? text : `${text}: ${message}`);
      case "site":
        this.#look();
        return text === "resynced" ? undefined : this.say("site", text);
      case "log":
        return /^(?:warn|error) /.test(text) ? this.say("log", text) : undefined;
      case "journal":
        this.#look();
        return this.#noteJournal(text);
    }
  }

  #noteJournal(text: string): void {
    if (!text.endsWith(": durable")) return this.say("journal", text);
    const vmid = Number(/^begin \S+ (\d+):/.exec(text)?.[1]);
    if (vmid > 0) return this.onMoment("intent", vmid);
    if (text !== "apply task: durable") return;
    for (const { state, guest } of this.#site.journal.openOperations()) if (state === "task_running") this.onMoment("task", guest.vmid);
  }

  /** What changed without an event of its own. */
  #look(): void {
    if (!this.#site.isUp()) return;
    for (const operation of this.#site.operations()) this.#noteOperation(operation);
    for (const { guest, result, message, runState } of this.#site.engine.guests()) {
      const text = `${guest.vmid} ${runState} ${result}${message === "" ? "" : `: ${message}`}`;
      if (this.#results.get(guest.vmid) === text.replaceAll(/\d+ s\b/g, "… s")) continue;
      this.#results.set(guest.vmid, text.replaceAll(/\d+ s\b/g, "… s"));
      this.say("guest", text);
    }
  }

  #noteOperation(operation: Operation): void {
    const { id, action, guest, state, detail, outcomeBy } = operation;
    const before = this.#states.get(id);
    if (before === state) return;
    this.#states.set(id, state);
    const by = outcomeBy === undefined || outcomeBy === "answer" ? "" : ` by ${outcomeBy}`;
    this.say("journal", `${this.#nameOf(id)} ${action} ${guest.vmid} ${state}${by}${detail === undefined ? "" : `: ${detail}`}`);
  }

  #noteTasks(): void {
    const changed: string[] = [];
    for (const line of this.#site.node.activeTasks()) {
      const [upid = "", ended = "", , ...exit] = line.split(" ");
      const state = ended === "0" ? "runs" : exit.join(" ");
      if (this.#tasks.get(upid) === state) continue;
      this.#tasks.set(upid, state);
      this.say("task", `${upid} ${ended === "0" ? "begins" : `ends: ${state}`}`);
      if (ended !== "0") changed.push(upid);
    }
    for (const upid of changed) this.onMoment("task ended", Number(upid.split(":")[6]));
  }

  #noteRunning(): void {
    const now = new Set(this.#site.node.runningGuests().map(({ vmid }) => vmid));
    for (const vmid of now) if (!this.#running.has(vmid)) this.say("host", `${vmid} runs`);
    for (const vmid of this.#running) if (!now.has(vmid)) this.say("host", `${vmid} is off`);
    this.#running.clear();
    for (const vmid of now) this.#running.add(vmid);
  }

  #nameOf(id: string): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const name = `op${this.#names.size + 1}`;
    this.#names.set(id, name);
    return name;
  }

  /** Operations by their short names, tasks by what they do. */
  #shorten(text: string): string {
    const shortened = text.replaceAll(UPID, "[$1 $2 $3]");
    return [...this.#names].reduce((known, [id, name]) => known.replaceAll(id, name), shortened);
  }
}

function formatTime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const part = (value: number, width: number): string => String(value).padStart(width, "0");
  return `${Math.floor(seconds / 3600)}:${part(Math.floor(seconds / 60) % 60, 2)}:${part(seconds % 60, 2)}.${part(Math.floor(ms % 1000), 3)}`;
}
