import * as v from "valibot";
import { admit, gatePlan } from "../../src/gate/admit.ts";
import type { ObservedGuest } from "../../src/guest/observed.ts";
import type { GuestPlanInput } from "../../src/plan/input.ts";
import { planGuest } from "../../src/plan/plan-guest.ts";
import type { FieldChange, GuestPlan } from "../../src/plan/types.ts";
import { encodeParameters } from "../../src/proxmox/encode.ts";
import { buildGuestConfig } from "../../src/proxmox/guest-config.ts";
import { mutation } from "../../src/proxmox/mutation.ts";
import { assembleGuest } from "../../src/proxmox/reader.ts";
import { pendingSchema } from "../../src/proxmox/schemas.ts";
import { prepareRequest } from "../../src/reconcile/execute.ts";
import type { ApprovedAction } from "../../src/gate/types.ts";
import type { ApiAnswer, Caller } from "../../src/simulator/api.ts";
import { createNode, type Node } from "../../src/simulator/host/node.ts";
import { decodeForm } from "../../src/simulator/http/parameters.ts";
import { FakeClock } from "./fake-clock.ts";
import { configTextOf, desiredOf, type GeneratedGuest } from "./generated-guest.ts";

/** A row of `/pending`. */
export interface Row {
  readonly key: string;
  readonly value?: string | number;
  readonly pending?: string | number;
  readonly delete?: number;
}

/** A plan, and what of it may be sent. */
interface Judged {
  readonly plan: GuestPlan;
  readonly approved: readonly ApprovedAction[];
}

const NODE = "pve1";
/** One guest of each kind, running and stopped; each gets the files of thousands of generated ones. */
const VMIDS = { qemu: { stopped: 101, running: 102 }, lxc: { stopped: 201, running: 202 } } as const;
/** All that a token can have. */
const TOKEN: Caller = { user: "root@pam", tokenId: "agent", isRootLogin: false, can: () => true };
const STORAGES = "dir: local\n\tpath /var/lib/vz\n\tcontent images,iso,vztmpl,backup,rootdir,snippets,import\n\nlvmthin: local-lvm\n\tvgname pve\n\tcontent images,rootdir\n\n";
/** Guests after which a host is made anew: tasks are listed for long. */
const GUESTS_PER_HOST = 200;
const SHUTDOWN_TIMEOUT_MS = 60_000;
/** Longer than a stop, its cleanup and the wait for a lock take. */
const STOP_PATIENCE_MS = 20_000;

function vmidOf({ kind, isRunning }: GeneratedGuest): number {
  return VMIDS[kind][isRunning ? "running" : "stopped"];
}

function tagStyleText({ isOrdered, isCaseSensitive }: GeneratedGuest["tagStyle"]): string {
  return `tag-style: ordering=${isOrdered ? "config" : "alphabetical"},case-sensitive=${isCaseSensitive ? 1 : 0}\n`;
}

interface ClockedNode {
  readonly node: Node;
  readonly clock: FakeClock;
}

function makeNode(tagStyle: GeneratedGuest["tagStyle"]): ClockedNode {
  const clock = new FakeClock();
  let state = 1;
  const draw = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  const random = { fraction: draw, bytes: (size: number) => Uint8Array.from({ length: size }, () => Math.floor(draw() * 256)) };
  const place = (folder: string, vmid: number): [string, string] => [`/etc/pve/nodes/${NODE}/${folder}/${vmid}.conf`, "memory: 512\n"];
  const guests = [...Object.values(VMIDS.qemu).map((vmid) => place("qemu-server", vmid)), ...Object.values(VMIDS.lxc).map((vmid) => place("lxc", vmid))];
  const files = { "/etc/pve/storage.cfg": STORAGES, "/etc/pve/datacenter.cfg": tagStyleText(tagStyle), ...Object.fromEntries(guests) };
  const node = createNode({ name: NODE, clock, random, startState: { files }, fingerprint: "AA:BB", traits: { bridges: ["vmbr0", "vmbr1"] } });
  return { node, clock };
}

/** A simulated host without its wire: what a generated guest is read from and written to. */
export class LawHost {
  readonly #nodes = new Map<string, ClockedNode>();
  #guests = 0;

  /** Puts the guest on a host of its tag style, running or stopped as it is. */
  async place(guest: GeneratedGuest): Promise<PlacedGuest> {
    if (++this.#guests % GUESTS_PER_HOST === 0) this.#nodes.clear();
    const style = JSON.stringify(guest.tagStyle);
    const made = this.#nodes.get(style) ?? makeNode(guest.tagStyle);
    this.#nodes.set(style, made);
    const { node } = made;
    const vmid = vmidOf(guest);
    node.putConfigFile(vmid, configTextOf(guest));
    if (guest.isRunning && !node.runningGuests().some((running) => running.vmid === vmid)) await node.edit({ vmid, power: "start" });
    return new PlacedGuest(made, guest, vmid);
  }
}

/** One generated guest on its host. */
export class PlacedGuest {
  readonly #node: Node;
  readonly #clock: FakeClock;
  readonly #guest: GeneratedGuest;
  readonly #vmid: number;
  #isRunning: boolean;
  /** Requests that were sent. */
  writes = 0;

  constructor({ node, clock }: ClockedNode, guest: GeneratedGuest, vmid: number) {
    this.#node = node;
    this.#clock = clock;
    this.#guest = guest;
    this.#vmid = vmid;
    this.#isRunning = guest.isRunning;
  }

  /** What `/pending` says, the keys of a later release among it. */
  async rows(): Promise<readonly Row[]> {
    const answer = await this.#ask("GET", "pending", "");
    if (!("data" in answer)) throw new Error(`GET pending: ${answer.status} ${answer.reason}`);
    const unknown = Object.entries(this.#guest.unknown).map(([key, value]) => ({ key, value }));
    return [...(JSON.parse(JSON.stringify(answer.data)) as Row[]), ...unknown];
  }

  /** The guest as the agent's reader puts it together. */
  async read(): Promise<ObservedGuest> {
    return this.observe(await this.rows());
  }

  observe(rows: readonly Row[]): ObservedGuest {
    const config = buildGuestConfig(v.parse(pendingSchema, rows));
    if (config === undefined) throw new Error("expected a digest among the rows");
    const entry = { kind: this.#guest.kind, vmid: this.#vmid, name: undefined, runState: this.#isRunning ? "running" : "stopped", isTemplate: false, lock: undefined } as const;
    return assembleGuest(entry, config, NODE);
  }

  /** What is planned for it, as the gate lets it stand, and the actions that may be sent. */
  judge(observed: ObservedGuest): Judged {
    const plan = planGuest(this.input(observed));
    return { plan: gatePlan(plan, observed), approved: admit(plan.actions, observed).approved };
  }

  input(observed: ObservedGuest): GuestPlanInput {
    const { tagStyle, pveVersion } = this.#guest;
    return { desired: desiredOf(this.#guest, this.#vmid), observed, situation: {}, facts: { node: NODE, tagStyle, pveVersion } };
  }

  /** Sends an action as the agent does: the request checked, as a form, with its digest. */
  async send(action: ApprovedAction, observed: ObservedGuest): Promise<ApiAnswer> {
    const { method, path, parameters = {} } = this.requestOf(action, observed);
    this.writes++;
    if (method !== "PUT") throw new Error(`expected a config write, found ${method} ${path}`);
    return this.#ask(method, "config", encodeParameters(parameters));
  }

  requestOf(action: ApprovedAction, observed: ObservedGuest): ReturnType<typeof mutation> {
    return mutation(NODE, prepareRequest(action, observed, SHUTDOWN_TIMEOUT_MS));
  }

  /** Stops it as an operator does, which puts in force what was pending. False: it did not run, or its lock is in the way. */
  async stop(): Promise<boolean> {
    if (!this.#isRunning) return false;
    await this.#ask("POST", "status/stop", "");
    await this.#clock.advance(STOP_PATIENCE_MS);
    const hasStopped = !this.#node.runningGuests().some(({ vmid }) => vmid === this.#vmid);
    if (hasStopped) this.#isRunning = false;
    return hasStopped;
  }

  #ask(method: "GET" | "PUT" | "POST", what: string, form: string): Promise<ApiAnswer> {
    const segments = ["nodes", NODE, this.#guest.kind, String(this.#vmid), ...what.split("/")];
    return this.#node.handle({ method, segments, path: `/${segments.join("/")}`, parameters: decodeForm(form), caller: TOKEN });
  }
}

/** Every change that a plan would send. */
export function changesOf(plan: GuestPlan): readonly FieldChange[] {
  return plan.actions.flatMap((action) => (action.type === "set_config" ? action.changes : []));
}
