import { describe, expect, test } from "bun:test";
import { pause, resolveOperation, resume } from "../../src/control/operator.ts";
import type { RunState } from "../../src/guest/observed.ts";
import type { ProxmoxFault, Upid } from "../../src/ports/proxmox-api.ts";
import { SeededRandom } from "../journal/journal-fixture.ts";
import { faults } from "../support/proxmox-faults.ts";
import { TestAgent, type Declared } from "./agent-fixture.ts";

/**
 * A host where everything goes wrong in random order, then is left in peace. Whatever the order: acts
 * of a guest never overlap, none is sent that the journal does not know, none to a guest that could not
 * be read, none that is not harmless; and in the end everything is as declared. The seed is the test's name.
 */
const VMIDS = [101, 102, 103, 104, 200, 201] as const;
const STEPS = 60;

/** Which disasters a run may meet: a disk that loses records and a crash together excuse an act that nobody remembers. */
type Mode = "crashes" | "disk";

class Chaos {
  readonly agent: TestAgent;
  readonly random: SeededRandom;
  readonly mode: Mode;
  readonly problems: string[] = [];
  declared: Declared[];
  #hung: Upid[] = [];
  #foreign: Upid[] = [];

  constructor(seed: number, mode: Mode) {
    this.random = new SeededRandom(seed);
    this.mode = mode;
    this.declared = VMIDS.map((vmid) => this.#declaration(vmid));
    this.agent = new TestAgent({ guests: this.declared, settings: { taskTimeoutMs: 20_000, resyncIntervalMs: 30_000 } });
    for (const vmid of VMIDS) this.agent.proxmox.add(vmid, { kind: vmid < 200 ? "qemu" : "lxc", runState: this.#one(["running", "stopped"] as const), config: { startup: `order=${this.random.below(3)}` } });
    this.agent.proxmox.onMutate = (request) => this.#checkIntent(request.type, request.guest.vmid);
    this.agent.proxmox.taskMs = () => this.random.below(4_000);
  }

  async step(): Promise<void> {
    await this.#disaster();
    await this.agent.run(this.#one([0, 1, 5, 50, 900, 1_000, 7_000, 20_000]));
  }

  /** Everything that stands in the way ends. */
  async calm(): Promise<void> {
    const { proxmox, disk } = this.agent;
    proxmox.heal();
    proxmox.readMs = 0;
    disk.heal();
    for (const guest of proxmox.guests()) {
      proxmox.lock(guest.vmid, undefined);
      guest.ignoresShutdown = false;
      guest.startError = undefined;
    }
    for (const upid of [...this.#hung, ...this.#foreign]) if (proxmox.tasks().some((task) => task.upid === upid && task.isRunning)) proxmox.endTask(upid);
    proxmox.taskMs = () => 300;
    // The journal heals within seconds; a word said before would not be kept.
    await this.agent.run(10_000);
    for (const target of ["all", ...VMIDS] as const) await resume(this.agent, target);
    this.agent.engine.refresh();
  }

  async resolveUnknown(): Promise<void> {
    for (const operation of this.agent.journal.openOperations()) {
      if (operation.state === "unknown") await resolveOperation(this.agent, operation.id, "failed", "a person looked");
    }
    this.agent.engine.refresh();
  }

  /** What is not as declared, judged by this test's own eyes. */
  differences(): readonly string[] {
    return this.declared.flatMap(({ vmid, config = {}, state }) => {
      const found = this.agent.proxmox.config(vmid);
      const wrong = Object.entries(config).filter(([key, wanted]) => plain(key, found[key]) !== plain(key, wanted as string | number));
      const { runState } = this.agent.proxmox.guest(vmid);
      return [...wrong.map(([key]) => `${vmid} ${key}: ${String(found[key])}`), ...(state !== undefined && state !== runState ? [`${vmid} is ${runState}`] : [])];
    });
  }

  #checkIntent(action: string, vmid: number): void {
    const { journal } = this.agent;
    const { state } = journal.health();
    const isRecorded = journal.openOperations().some((operation) => operation.guest.vmid === vmid && operation.action === action && operation.state === "started");
    const isExcused = state === "missing" || state === "unwritable" || state === "insecure";
    if (!isRecorded && !isExcused) this.problems.push(`${action} ${vmid} without a durable intent (journal ${state})`);
  }

  #declaration(vmid: number): Declared {
    const config = { cores: 1 + this.random.below(4), tags: this.#one(["a", "b;a", "c"]), onboot: this.random.below(2), description: this.#one(["one", "two"]) };
    return { vmid, kind: vmid < 200 ? "qemu" : "lxc", config, state: this.#one(["running", "stopped", undefined] as const) };
  }

  #one<T>(choices: readonly T[]): T {
    const choice = choices[this.random.below(choices.length)];
    if (choice === undefined && !choices.includes(undefined as T)) throw new Error("no choice");
    return choice as T;
  }

  async #disaster(): Promise<void> {
    const { agent, random } = this;
    const { proxmox } = agent;
    const vmid = this.#one(VMIDS);
    const common: readonly (() => unknown)[] = [
      () => proxmox.edit(vmid, { cores: 1 + random.below(4), tags: this.#one(["x", "a", "b"]) }),
      () => proxmox.edit(vmid, { description: this.#one(["one", "three"]), onboot: random.below(2) }),
      () => proxmox.power(vmid, this.#one(["running", "stopped"] satisfies RunState[])),
      () => proxmox.loseAnswer(vmid, { happens: this.#one(["never", "before", "late"] as const), lateMs: random.below(39_000) }),
      () => proxmox.loseAnswer(vmid, { happens: "late", lateMs: 30_000 + random.below(9_000) }),
      () => proxmox.failNext(this.#one(["readStatus", "taskState", "listTasks", "listGuests", "version", "locateGuests"] as const), this.#fault()),
      () => proxmox.failNext("mutate", this.#fault(), vmid),
      () => (proxmox.isDown = this.#one([faults.unreachable(), faults.unauthenticated(), undefined, undefined])),
      () => proxmox.lock(vmid, this.#one(["backup", undefined])),
      () => (proxmox.guest(vmid).ignoresShutdown = random.below(2) === 0),
      () => (proxmox.guest(vmid).startError = this.#one(["bridge 'x' does not exist", undefined])),
      () => this.#hang(),
      () => this.#foreign.push(proxmox.runTask({ type: this.#one(["vzdump", "stopall", "qmsnapshot"]), vmid })),
      () => this.#foreign.splice(0).forEach((upid) => proxmox.endTask(upid)),
      () => (proxmox.beforeMutate = random.below(3) === 0 ? ({ guest }) => proxmox.edit(guest.vmid, { tags: `t${random.below(9)}` }) : () => {}),
      () => this.#redeclare(vmid),
      () => pause(agent, { target: vmid, reason: "", ...(random.below(2) === 0 ? {} : { forMs: 5_000 }) }).then(() => agent.engine.refresh()),
      () => resume(agent, vmid).then(() => agent.engine.refresh()),
      () => agent.clock.jumpWallClock(-random.below(100_000)),
      () => agent.engine.requestResync(),
      () => (proxmox.readMs = this.#one([0, 0, 3, 40])),
    ];
    const crash = async (): Promise<void> => void (await agent.restart({ downMs: random.below(20_000) }));
    const disk = (): void => agent.disk.failAt(1 + random.below(6), { kind: this.#one(["io", "no_space", "short_write"] as const), lasts: this.#one(["once", "for ever"] as const) });
    const own = this.mode === "crashes" ? [crash, crash] : [disk, () => agent.disk.heal()];
    await this.#one([...common, ...own])();
  }

  #fault(): ProxmoxFault {
    return this.#one([faults.unreachable(), faults.transient(), faults.forbidden(), faults.other("no"), faults.readOnly(), faults.lockTimeout({ kind: "qemu", vmid: 101 })]);
  }

  /** The next tasks hang; earlier ones end. */
  #hang(): void {
    const { proxmox } = this.agent;
    const running = proxmox.mutations.filter(({ upid, endedAtMs }) => upid !== undefined && endedAtMs === undefined).map(({ upid }) => upid ?? "");
    for (const upid of running) proxmox.endTask(upid, this.#one(["OK", "start failed", "unexpected status", "received interrupt"]));
    const isHanging = this.random.below(2) === 0;
    proxmox.taskMs = () => (isHanging && this.random.below(2) === 0 ? Number.POSITIVE_INFINITY : this.random.below(4_000));
  }

  #redeclare(vmid: number): void {
    this.declared = this.declared.map((guest) => (guest.vmid === vmid ? this.#declaration(vmid) : guest));
    this.agent.desired.declare(this.declared);
  }

  /** Tasks that would otherwise run for ever end. */
  endHung(): void {
    const { proxmox } = this.agent;
    for (const { upid, endedAtMs } of proxmox.mutations) {
      if (upid !== undefined && endedAtMs === undefined && proxmox.tasks().some((task) => task.upid === upid && task.isRunning)) proxmox.endTask(upid, "received interrupt");
    }
  }
}

function plain(key: string, value: string | number | undefined): string {
  if (key === "tags") return String(value ?? "").split(";").sort().join(";");
  if (key === "description") return String(value ?? "").trim();
  return String(value ?? (key === "cores" ? 1 : 0));
}

const MINUTE_MS = 60_000;

describe.each(["crashes", "disk"] as const)("after every disorder with %s", (mode) => {
  const seeds = Array.from({ length: 12 }, (_, index) => index + (mode === "disk" ? 100 : 1));
  test.each(seeds)("seed %p: no promise is broken, and in the end all is as declared", async (seed) => {
    const chaos = new Chaos(seed, mode);
    const { agent } = chaos;
    await agent.start();
    for (let step = 0; step < STEPS; step++) await chaos.step();
    agent.proxmox.beforeMutate = () => {};
    await chaos.calm();
    chaos.endHung();
    await agent.run(2 * MINUTE_MS);
    chaos.endHung();
    await chaos.resolveUnknown();
    await agent.run(25 * MINUTE_MS);
    await chaos.resolveUnknown();
    await agent.run(5 * MINUTE_MS);
    expect([agent.proxmox.violations, chaos.problems]).toEqual([[], []]);
    expect(chaos.differences()).toEqual([]);
    expect(agent.log.lines.filter(({ message }) => message.includes("unexpectedly"))).toEqual([]);
    expect(agent.operations().filter((operation) => /started|running|unknown|planned/.test(operation))).toEqual([]);
    expect(VMIDS.map((vmid) => agent.condition(vmid, "Synced"))).toEqual(VMIDS.map(() => "True InSync"));
    const before = agent.acts().length;
    await agent.run(5 * MINUTE_MS);
    expect(agent.acts()).toHaveLength(before);
    expect(before).toBeGreaterThan(5);
  });
});
