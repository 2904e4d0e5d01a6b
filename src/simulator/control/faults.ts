import * as v from "valibot";
import type { Random } from "../../ports/random.ts";
import type { HostFault } from "../api.ts";

/**
 * What can be made to go wrong, and for which requests. Faults on the wire are drawn once for each
 * request, in the order they were set: delays add up, the first other one that matches decides. Faults of
 * the host hold until they are removed.
 */

const match = v.optional(
  v.strictObject({
    method: v.optional(v.picklist(["GET", "POST", "PUT", "DELETE"])),
    /** Below /api2/json: a prefix if it starts with "/", else a regular expression. */
    path: v.optional(v.string()),
    vmid: v.optional(v.pipe(v.number(), v.integer())),
  }),
);
/** How many requests it hits before it is gone, and how likely a matching one is hit. */
const limits = {
  match,
  times: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  probability: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
};
const milliseconds = v.pipe(v.number(), v.minValue(0));
const taskFilter = { taskType: v.optional(v.string()), vmid: v.optional(v.pipe(v.number(), v.integer())) };

const wireFaults = [
  /** The request waits before anything happens. */
  v.strictObject({ kind: v.literal("latency"), ms: milliseconds, ...limits }),
  /** An answer without the act. `hasBody` false: as pveproxy itself answers (595, 596). */
  v.strictObject({
    kind: v.literal("error"),
    status: v.pipe(v.number(), v.integer(), v.minValue(400), v.maxValue(599)),
    reason: v.string(),
    errors: v.optional(v.record(v.string(), v.string())),
    hasBody: v.optional(v.boolean(), true),
    ...limits,
  }),
  /** The connection closes; the act is not done. */
  v.strictObject({ kind: v.literal("drop_before"), ...limits }),
  /** The act is done; the connection closes without an answer. */
  v.strictObject({ kind: v.literal("drop_after"), ...limits }),
  /** No answer ever comes; the act is done after `ms`, client or no client. */
  v.strictObject({ kind: v.literal("late"), ms: milliseconds, ...limits }),
  /** The connection closes without an answer at once; the act is done after `ms`. */
  v.strictObject({ kind: v.literal("drop_late"), ms: milliseconds, ...limits }),
  /** No answer ever comes; the act is not done. */
  v.strictObject({ kind: v.literal("hang"), ...limits }),
] as const;

const hostFaults = [
  v.strictObject({ kind: v.literal("task_hang"), ...taskFilter }),
  v.strictObject({ kind: v.literal("task_fail"), exit: v.string(), ...taskFilter }),
  v.strictObject({ kind: v.literal("read_only") }),
  /** pveproxy cannot reach pvedaemon: 595 on what it would proxy. */
  v.strictObject({ kind: v.literal("pvedaemon_down") }),
  /** /etc/pve is gone: nobody can be authenticated. */
  v.strictObject({ kind: v.literal("pmxcfs_down") }),
] as const;

const wireFaultSchema = v.variant("kind", wireFaults);
const faultSchema = v.variant("kind", [...wireFaults, ...hostFaults]);

type WireFault = v.InferOutput<typeof wireFaultSchema>;
/** A fault as POST /_sim/faults takes it. */
export type FaultRequest = v.InferInput<typeof faultSchema>;
type Fault = v.InferOutput<typeof faultSchema>;

interface ActiveFault {
  readonly id: number;
  readonly fault: Fault;
  /** Requests or refusals it hit so far. */
  readonly hits: number;
}

/** A request as far as faults look at it. */
export interface FaultTarget {
  readonly method: string;
  /** Below /api2/json. */
  readonly path: string;
  readonly vmid: number | undefined;
}

/** What one request suffers. */
interface DrawnFaults {
  readonly latencyMs: number;
  readonly decisive: Exclude<WireFault, { readonly kind: "latency" }> | undefined;
}

type Daemon = "pvedaemon" | "pmxcfs";

export interface FaultBoard {
  /** Sets a fault; throws a message for people where `request` is not one. */
  add(request: FaultRequest): number;
  /** As `add`, from outside: the message is the answer. */
  parse(input: unknown): { readonly ok: true; readonly id: number } | { readonly ok: false; readonly message: string };
  list(): readonly ActiveFault[];
  /** Removes one or, without an id, all; false where there is none. */
  remove(id?: number): boolean;
  draw(target: FaultTarget): DrawnFaults;
  isDown(daemon: Daemon): boolean;
}

export interface FaultBoardOptions {
  readonly random: Random;
  /** Hands a fault of the host on; what comes back ends it. */
  addHostFault(fault: HostFault): () => void;
  /** Called when pmxcfs goes or comes back. */
  onMountChange(isMounted: boolean): void;
}

interface Entry {
  readonly id: number;
  readonly fault: Fault;
  hits: number;
  readonly release: () => void;
}

export function createFaultBoard(options: FaultBoardOptions): FaultBoard {
  return new Board(options);
}

class Board implements FaultBoard {
  readonly #options: FaultBoardOptions;
  #entries: Entry[] = [];
  #nextId = 1;

  constructor(options: FaultBoardOptions) {
    this.#options = options;
  }

  add(request: FaultRequest): number {
    const result = this.parse(request);
    if (!result.ok) throw new Error(result.message);
    return result.id;
  }

  parse(input: unknown): { ok: true; id: number } | { ok: false; message: string } {
    const parsed = v.safeParse(faultSchema, input);
    if (!parsed.success) return { ok: false, message: describeIssues(parsed.issues) };
    const pattern = "match" in parsed.output ? parsed.output.match?.path : undefined;
    if (pattern !== undefined && !isPattern(pattern)) {
      return { ok: false, message: `match.path: expected a prefix starting with "/" or a regular expression, found "${pattern}"` };
    }
    const entry: Entry = { id: this.#nextId++, fault: parsed.output, hits: 0, release: this.#begin(parsed.output) };
    this.#entries.push(entry);
    return { ok: true, id: entry.id };
  }

  list(): readonly ActiveFault[] {
    return this.#entries.map(({ id, fault, hits }) => ({ id, fault, hits }));
  }

  remove(id?: number): boolean {
    const gone = this.#entries.filter((entry) => id === undefined || entry.id === id);
    this.#entries = this.#entries.filter((entry) => !gone.includes(entry));
    for (const entry of gone) entry.release();
    return gone.length > 0;
  }

  draw(target: FaultTarget): DrawnFaults {
    let latencyMs = 0;
    for (const entry of this.#entries) {
      const fault = entry.fault;
      if (!isWireFault(fault) || !this.#hits(fault, target)) continue;
      entry.hits++;
      if (fault.times !== undefined && entry.hits >= fault.times) this.remove(entry.id);
      if (fault.kind !== "latency") return { latencyMs, decisive: fault };
      latencyMs += fault.ms;
    }
    return { latencyMs, decisive: undefined };
  }

  isDown(daemon: Daemon): boolean {
    return this.#entries.some((entry) => entry.fault.kind === `${daemon}_down`);
  }

  #hits(fault: WireFault, target: FaultTarget): boolean {
    if (!matches(fault.match, target)) return false;
    return fault.probability === undefined || this.#options.random.fraction() < fault.probability;
  }

  #begin(fault: Fault): () => void {
    switch (fault.kind) {
      case "task_hang":
      case "task_fail":
        return this.#options.addHostFault(withoutUndefined(fault));
      case "read_only":
        return this.#options.addHostFault(fault);
      case "pmxcfs_down":
        this.#options.onMountChange(false);
        return () => this.#options.onMountChange(!this.isDown("pmxcfs"));
      default:
        return () => {};
    }
  }
}

function isWireFault(fault: Fault): fault is WireFault {
  return wireFaults.some((schema) => schema.entries.kind.literal === fault.kind);
}

function matches(wanted: WireFault["match"], target: FaultTarget): boolean {
  if (wanted === undefined) return true;
  if (wanted.method !== undefined && wanted.method !== target.method) return false;
  if (wanted.vmid !== undefined && wanted.vmid !== target.vmid) return false;
  if (wanted.path === undefined) return true;
  return wanted.path.startsWith("/") ? target.path.startsWith(wanted.path) : new RegExp(wanted.path).test(target.path);
}

function isPattern(text: string): boolean {
  if (text.startsWith("/")) return true;
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

type TaskFault = Extract<Fault, { readonly kind: "task_hang" | "task_fail" }>;

/** valibot's optional keys may be there as undefined; the host's type says absent. */
function withoutUndefined(fault: TaskFault): HostFault {
  const filter = {
    ...(fault.taskType === undefined ? {} : { taskType: fault.taskType }),
    ...(fault.vmid === undefined ? {} : { vmid: fault.vmid }),
  };
  return fault.kind === "task_fail" ? { kind: fault.kind, exit: fault.exit, ...filter } : { kind: fault.kind, ...filter };
}

function describeIssues(issues: readonly v.BaseIssue<unknown>[]): string {
  return issues.map((issue) => `${v.getDotPath(issue) ?? "fault"}: ${issue.message}`).join("; ");
}
