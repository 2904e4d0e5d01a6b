import type { Journal } from "../../src/journal/types.ts";
import type { SimulatedSite } from "../support/simulated-site.ts";
import { requestText } from "../support/simulated-text.ts";
import type { Sent } from "../support/simulated-network.ts";

/**
 * What must hold at every moment, checked by one who sees everything: the wire, the host's tasks, what
 * of the disk is synced. Each check says what it found in words; the simulation stops at the first.
 */

/** What may be sent at all, in full. */
const ALLOWED: readonly { readonly method: Sent["method"]; readonly path: RegExp; readonly parameters: ReadonlySet<string> | undefined }[] = [
  { method: "PUT", path: /^\/nodes\/pve1\/(?:qemu|lxc)\/\d+\/config$/, parameters: undefined },
  { method: "POST", path: /^\/nodes\/pve1\/(?:qemu|lxc)\/\d+\/status\/start$/, parameters: new Set() },
  { method: "POST", path: /^\/nodes\/pve1\/(?:qemu|lxc)\/\d+\/status\/shutdown$/, parameters: new Set(["timeout"]) },
  { method: "POST", path: /^\/nodes\/pve1\/qemu\/\d+\/status\/reboot$/, parameters: new Set(["timeout"]) },
];

/** How long after a declaration went an act on it may still be on its way: longer than a lane's job waits for its turn. */
const DECLARED_LAG_MS = 120_000;

/** States in which benign acts go on without a record (docs/journal.md, "Without a healthy journal"). */
const UNRECORDED = new Set(["missing", "unwritable", "insecure"]);

/** Bounds of what the agent keeps, for a host of a handful of guests. */
const BOUNDS = { guests: 5, lanesPerGuest: 6, events: 500, recentOperations: 64, timers: 120, diskBytes: 400_000 } as const;

export class Watch {
  readonly violations: string[] = [];
  /** Requests that changed something and were checked. */
  acts = 0;
  readonly #site: SimulatedSite;
  /** Mutations that the node has not dealt with and still may. */
  readonly #travelling = new Set<Sent>();
  /** Sent while the journal could not record them: nobody remembers them after a crash. */
  readonly #unrecorded = new Set<Sent>();
  readonly #byUpid = new Map<string, Sent>();
  readonly #operationsSent = new Set<string>();
  /** Of each one-shot key the operation that was sent last. */
  readonly #keysSent = new Map<string, string>();
  /** Operations that ended without having done anything, as far as anybody can tell. */
  readonly #failed = new Set<string>();
  readonly #readAt = new Map<string, number>();
  readonly #actedAt = new Map<string, number>();
  readonly #declaredAt = new Map<string, number>();
  readonly #pausedAt = new Map<number | "all", number>();
  readonly #begunAt = new Map<number, number>();
  #moment = 0;
  /** When the wall clock jumped. */
  readonly #jumpsMs: number[] = [];

  constructor(site: SimulatedSite) {
    this.#site = site;
    site.network.observe({
      sent: (sent) => (sent.method === "GET" ? undefined : this.#checkSent(sent)),
      heard: (sent, status) => this.#noteHeard(sent, status),
      carriedOut: (sent, answer) => {
        this.#travelling.delete(sent);
        if ("data" in answer && typeof answer.data === "string" && sent.method !== "GET") this.#byUpid.set(answer.data, sent);
      },
    });
    site.onJournal = (call, parameters) => {
      if (call === "begin") this.#begunAt.set((parameters[0] as Parameters<Journal["begin"]>[0]).guest.vmid, ++this.#moment);
      if (call !== "apply") return;
      const [id, { type }] = parameters as Parameters<Journal["apply"]>;
      if (type === "fail" || type === "abandon") this.#failed.add(id);
    };
    this.noteDeclared();
  }

  /** The desired state is another one. */
  noteDeclared(): void {
    const nowMs = this.#site.time.elapsedMs();
    for (const guest of this.#site.desired.guests.values()) {
      for (const key of guest.mode === "enforce" ? ["", ...Object.keys(guest.config)] : []) this.#declaredAt.set(`${guest.vmid} ${key}`, nowMs);
    }
  }

  noteJump(): void {
    this.#jumpsMs.push(this.#site.time.elapsedMs());
  }

  /** A pause was acknowledged, or a resume asked for. */
  notePaused(target: number | "all", isPaused: boolean): void {
    if (isPaused) this.#pausedAt.set(target, ++this.#moment);
    else this.#pausedAt.delete(target);
  }

  /** Whether an operator keeps the agent off this guest. */
  isPaused(vmid: number): boolean {
    return this.#pausedAt.has(vmid) || this.#pausedAt.has("all");
  }

  /** Looks at what the agent keeps. */
  checkBounds(): void {
    const site = this.#site;
    if (!site.isUp()) return;
    const declared = site.desired.guests.size;
    const open = site.journal.openOperations().map(({ guest }) => guest.vmid);
    this.#expect(new Set(open).size === open.length, `two open operations of one guest: ${open.join(" ")}`);
    this.#expect(site.engine.guests().length <= BOUNDS.guests, `${site.engine.guests().length} guest records for ${declared} declared`);
    this.#expect(site.lanes.depth() <= BOUNDS.lanesPerGuest * (declared + 6), `${site.lanes.depth()} jobs in the lanes`);
    this.#expect(site.tracker.events().length <= BOUNDS.events, `${site.tracker.events().length} events are kept`);
    this.#expect(site.journal.recentOperations().length <= BOUNDS.recentOperations, `${site.journal.recentOperations().length} settled operations are kept`);
    this.#expect(site.clock.pendingTimers() <= BOUNDS.timers, `${site.clock.pendingTimers()} timers wait`);
  }

  /** What the journal takes on the disk. */
  checkDisk(): void {
    const sizeBytes = [...this.#site.disk.fileSystem.snapshot()].reduce((sum, [, bytes]) => sum + bytes.length, 0);
    this.#expect(sizeBytes <= BOUNDS.diskBytes, `the journal takes ${sizeBytes} bytes`);
  }

  expect(holds: boolean, violation: string): void {
    this.#expect(holds, violation);
  }

  #expect(holds: boolean, violation: string): void {
    if (!holds) this.violations.push(`at ${Math.round(this.#site.time.elapsedMs())} ms: ${violation}`);
  }

  #checkSent(sent: Sent): void {
    const { vmid = 0 } = sent;
    const site = this.#site;
    const text = requestText(sent);
    this.acts++;
    const { state } = site.journal.health();
    if (UNRECORDED.has(state)) this.#unrecorded.add(sent);
    this.#checkAllowed(sent, text);
    this.#checkAlone(sent, vmid, text);
    if (!UNRECORDED.has(state)) this.#checkIntent(vmid, text, state);
    const key = `${sent.life} ${vmid}`;
    this.#expect((this.#readAt.get(key) ?? -1) > (this.#actedAt.get(key) ?? -1), `${text}: not read since the last act, or never`);
    this.#actedAt.set(key, ++this.#moment);
    const pausedAt = Math.min(this.#pausedAt.get(vmid) ?? Number.POSITIVE_INFINITY, this.#pausedAt.get("all") ?? Number.POSITIVE_INFINITY);
    // An act whose intent was on its way to the disk when the pause was is older than the pause.
    this.#expect(pausedAt > (this.#begunAt.get(vmid) ?? Number.POSITIVE_INFINITY) || pausedAt === Number.POSITIVE_INFINITY, `${text}: the guest is paused (journal ${state})`);
    if (sent.fate !== "hang") this.#travelling.add(sent);
  }

  #checkAllowed(sent: Sent, text: string): void {
    const { method, path, parameters, vmid } = sent;
    const allowed = ALLOWED.find((entry) => entry.method === method && entry.path.test(path));
    const names = Object.keys(parameters);
    const given = allowed?.parameters;
    this.#expect(allowed !== undefined && (given === undefined || names.every((name) => given.has(name))), `${text}: not on the list of what may be sent`);
    this.#expect(method !== "PUT" || (parameters["digest"] ?? "") !== "", `${text}: without a digest`);
    const keys = method === "PUT" ? [...names.filter((name) => name !== "digest" && name !== "delete"), ...(parameters["delete"]?.split(",") ?? [])] : [""];
    // The second half of a restart that a person asked for comes whatever is declared by then.
    if (this.#isAskedFor(vmid ?? 0)) return;
    for (const key of keys) this.#expect(this.#wasDeclared(`${vmid} ${key}`), `${text}: ${key === "" ? "the guest" : key} is not declared`);
  }

  #isAskedFor(vmid: number): boolean {
    return this.#site.journal.openOperations().some(({ guest, provenance }) => guest.vmid === vmid && provenance === "operation");
  }

  #wasDeclared(key: string): boolean {
    const site = this.#site;
    const [vmid, name = ""] = key.split(" ");
    const guest = site.desired.guests.get(Number(vmid));
    const isNow = guest?.mode === "enforce" && (name === "" || Object.hasOwn(guest.config, name));
    return isNow || site.time.elapsedMs() - (this.#declaredAt.get(key) ?? Number.NEGATIVE_INFINITY) <= DECLARED_LAG_MS;
  }

  /** No other act of this guest is on its way or at work, on the wire or on the host. */
  #checkAlone(sent: Sent, vmid: number, text: string): void {
    for (const other of this.#travelling) {
      // What never arrives was answered or given up.
      if (other.state !== "travelling") this.#travelling.delete(other);
      else if (other.vmid === vmid && !this.#isForgotten(other, sent)) this.#expect(false, `${text}: ${requestText(other)} of ${Math.round(other.atMs)} ms is still on its way`);
    }
    for (const line of this.#site.node.activeTasks()) {
      if (!line.endsWith(" 0") || !line.includes(`:${vmid}:root@pam!agent:`)) continue;
      const other = this.#byUpid.get(line.slice(0, -2));
      if (other === undefined || !this.#isForgotten(other, sent)) this.#expect(false, `${text}: ${line.slice(0, -2)} is at work`);
    }
  }

  /** Nobody can know of an act that no journal took after a crash, nor how old it is when the wall clock jumped before the next process was up. */
  #isForgotten(other: Sent, sent: Sent): boolean {
    if (other.life === sent.life) return false;
    const { upAtMs } = this.#site;
    return this.#unrecorded.has(other) || this.#jumpsMs.some((atMs) => other.atMs <= atMs && atMs <= upAtMs);
  }

  /** The operation's start is on the disk for good, and it is sent for the first time. */
  #checkIntent(vmid: number, text: string, state: string): void {
    const operation = this.#site.journal.openOperations().find((open) => open.guest.vmid === vmid && open.state === "started");
    if (operation === undefined) return this.#expect(false, `${text}: without an operation that has started (journal ${state})`);
    this.#expect(!this.#operationsSent.has(operation.id), `${text}: operation ${operation.id} is sent a second time`);
    this.#operationsSent.add(operation.id);
    if (operation.key !== undefined) this.#checkKey(operation.key, operation.id, text);
    const isDurable = [...this.#site.disk.durableFiles().values()].some((bytes) => holdsStart(Buffer.from(bytes).toString("latin1"), operation.id));
    this.#expect(isDurable, `${text}: the start of operation ${operation.id} is not on the disk`);
  }

  /** A key is used again only when what it was used for is on record as failed or never sent. */
  #checkKey(key: string, id: string, text: string): void {
    const before = this.#keysSent.get(key);
    this.#expect(before === undefined || this.#failed.has(before), `${text}: the one-shot key ${key} is used a second time`);
    this.#keysSent.set(key, id);
  }

  #noteHeard(sent: Sent, status: number): void {
    if (sent.method === "GET" && sent.vmid !== undefined && sent.path.endsWith("/pending") && status === 200) this.#readAt.set(`${sent.life} ${sent.vmid}`, ++this.#moment);
  }
}

/** An event of its own, or the operation as a checkpoint has it. */
function holdsStart(text: string, id: string): boolean {
  for (let at = text.indexOf(id); at !== -1; at = text.indexOf(id, at + 1)) {
    const end = text.indexOf("\n", at);
    const rest = text.slice(at, end === -1 ? undefined : end);
    if (rest.includes('"type":"start"') || rest.includes('"state":"started"')) return true;
  }
  return false;
}
