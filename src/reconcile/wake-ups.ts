import type { DesiredGuest, DesiredState } from "../desired/model.ts";
import type { Upid } from "../ports/proxmox-api.ts";
import type { GuestRunner } from "./guest-runner.ts";
import { findBulkTask, type HostSnapshot } from "./host-snapshot.ts";
import { ReadCycle } from "./read-cycle.ts";
import { isDeclaredAlike } from "./revision.ts";
import type { EngineDeps } from "./types.ts";

/** What a pass found. */
export interface PassNews {
  readonly state: DesiredState | undefined;
  readonly snapshot: HostSnapshot;
  readonly isResync: boolean;
  /** Guests whose config or run state may differ from the last poll. */
  readonly changed: ReadonlySet<number>;
  /** Guests whose declaration is in force since this pass. */
  readonly released: readonly DesiredGuest[];
}

/**
 * Turns what a pass found into keys in the queue. A pass without news asks for nobody: what guests wait
 * for by themselves (a failure's backoff, a delay) is in the queue already, with its time.
 */
export class WakeUps {
  readonly #deps: Pick<EngineDeps, "journal" | "source">;
  readonly #runner: GuestRunner;
  readonly #cycle: ReadCycle;
  #state: DesiredState | undefined;
  #vmids: readonly number[] = [];
  #snapshot: HostSnapshot | undefined;
  /** What this pass asks for, once a guest: the first worker may take a key the moment it is added. */
  readonly #asked: Readonly<Record<"event" | "resync", Set<number>>> = { event: new Set(), resync: new Set() };

  constructor(deps: Pick<EngineDeps, "journal" | "source" | "clock" | "observer">, runner: GuestRunner) {
    this.#deps = deps;
    this.#runner = runner;
    this.#cycle = new ReadCycle(deps.clock, (seconds) => deps.observer.cycled(seconds));
  }

  /** Events first, so that they overtake the resync that comes with them. */
  pass(news: PassNews): void {
    const { event, resync } = this.#asked;
    this.#wakeRedeclared(news.state);
    for (const { vmid } of news.released) event.add(vmid);
    for (const vmid of news.changed) if (news.state?.guests.has(vmid) === true) event.add(vmid);
    this.#wakeAfterTasks(news);
    this.#wakeOpenOperations(news);
    this.#wakeForOrder(news.changed);
    if (news.isResync) this.#resync();
    else if (!this.#deps.source.announcesConfigChanges) this.#reread();
    this.#snapshot = news.snapshot;
    for (const vmid of event) this.#runner.wake(vmid, "event");
    for (const vmid of resync) if (!event.has(vmid)) this.#runner.wake(vmid, "resync");
    event.clear();
    resync.clear();
  }

  /** The journal can be written again, or cannot: those that waited for it see. */
  journalChanged(): void {
    for (const vmid of this.#runner.memory.records.withResult("journal_unavailable")) this.#runner.wake(vmid, "event");
  }

  #wakeRedeclared(state: DesiredState | undefined): void {
    if (state === this.#state) return;
    const before = this.#state;
    this.#state = state;
    this.#vmids = [...(state?.guests.keys() ?? [])];
    for (const guest of state?.guests.values() ?? []) {
      const was = before?.guests.get(guest.vmid);
      // At the first sight of all of them nothing is news: the full pass asks for them.
      if (before !== undefined && (was === undefined || !isDeclaredAlike(was, guest))) this.#asked.event.add(guest.vmid);
    }
  }

  /** A task that ended may be what a guest was waiting for: somebody else's, or this agent's own of before. */
  #wakeAfterTasks({ state, snapshot }: PassNews): void {
    const before = this.#snapshot;
    if (before === undefined) return;
    const { memory } = this.#runner;
    if (findBulkTask(before) !== undefined && findBulkTask(snapshot) === undefined) {
      for (const vmid of memory.records.heldBy("BulkTask")) this.#asked.event.add(vmid);
    }
    const running = runningTasks(snapshot);
    for (const [upid, id] of runningTasks(before)) {
      const vmid = Number(id);
      if (running.has(upid) || state?.guests.has(vmid) !== true) continue;
      // Whoever sent it is awaiting it.
      if (memory.situations.isOwnTask(upid) && this.#runner.isWorkedOn(vmid)) continue;
      this.#asked.event.add(vmid);
    }
  }

  /** Acts whose outcome is open, also of guests that are not declared. What waits for a person waits for news. */
  #wakeOpenOperations({ isResync, changed }: PassNews): void {
    for (const { state, guest } of this.#deps.journal.openOperations()) {
      const isDue = state === "unknown" ? isResync || changed.has(guest.vmid) : !this.#runner.isAwaited(guest.vmid);
      if (isDue) this.#asked.event.add(guest.vmid);
    }
  }

  #wakeForOrder(changed: ReadonlySet<number>): void {
    const { records } = this.#runner.memory;
    if (changed.size > 0) records.noteOrderNews();
    for (const vmid of records.takeOrderNews()) this.#asked.event.add(vmid);
  }

  #resync(): void {
    for (const vmid of this.#vmids) this.#asked.resync.add(vmid);
    this.#cycle.begin();
  }

  #reread(): void {
    const { backoff } = this.#runner.memory;
    for (const vmid of this.#cycle.next(this.#vmids)) if (backoff.isReady(vmid)) this.#asked.resync.add(vmid);
  }
}

/** vmid, as Proxmox writes it, by task. */
function runningTasks({ tasks }: HostSnapshot): ReadonlyMap<Upid, string> {
  return new Map(tasks.filter((task) => task.isRunning).map((task) => [task.upid, task.id]));
}
