import type { DesiredGuest } from "../desired/model.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import type { Journal } from "../journal/types.ts";
import type { GuestSituation } from "../plan/input.ts";
import { mayStart, startupOf, type RecentStart, type StartCandidate } from "../plan/start-order.ts";
import type { Clock } from "../ports/clock.ts";
import type { Upid } from "../ports/proxmox-api.ts";
import { findBulkTask, findForeignTask, type HostSnapshot } from "./host-snapshot.ts";
import { pausedReason, pausesInForce, stillInForce, type Pause } from "./pauses.ts";

/** A shutdown that timed out is tried again after this long; until then it is shown as deferred. */
export const SHUTDOWN_RETRY_MS = 15 * 60_000;

/** UPIDs of this agent's own tasks remembered, so that they are not taken for somebody else's. */
export const OWN_UPID_COUNT_MAX = 2_000;

const UNDISTURBED: GuestSituation = { shutdownFailed: false };

/** What the engine knows of the declared guests, as far as the start order needs it. */
export interface DeclaredGuests {
  declared(): ReadonlyMap<number, DesiredGuest>;
  /** False while a guest is in backoff or held by something else than the order: nobody waits for it. */
  isReadyToStart(vmid: number): boolean;
  /** False while it is known that the cluster has no quorum. */
  mayHaveQuorum(): boolean;
}

/**
 * What stands around a guest at the moment of planning: pauses, other people's tasks, its place in the
 * start order, a shutdown it did not follow. Remembers only what a read cannot tell.
 */
export class Situations {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #guests: DeclaredGuests;
  readonly #maxConcurrentStarts: number;
  readonly #ownUpids = new Set<Upid>();
  readonly #startups = new Map<number, { readonly order: number | undefined; readonly upSeconds: number }>();
  readonly #shutdownFailedAtMs = new Map<number, number>();
  #recentStarts: RecentStart[] = [];
  #candidates: { readonly snapshot: HostSnapshot; readonly list: readonly StartCandidate[] } | undefined;
  #pauses: readonly Pause[] = [];

  constructor(options: { journal: Journal; clock: Clock; guests: DeclaredGuests; maxConcurrentStarts: number }) {
    this.#journal = options.journal;
    this.#clock = options.clock;
    this.#guests = options.guests;
    this.#maxConcurrentStarts = options.maxConcurrentStarts;
  }

  /** Once a pass, and after a person said something. */
  refresh(): void {
    this.#pauses = pausesInForce(this.#journal.facts("pause"), this.#clock.now());
    this.#candidates = undefined;
    const nowMs = this.#clock.monotonic();
    this.#recentStarts = this.#recentStarts.filter((start) => start.startedAtMs + start.upSeconds * 1000 > nowMs);
  }

  pauses(): readonly Pause[] {
    return pausesInForce(this.#journal.facts("pause"), this.#clock.now());
  }

  /** By the clock of this moment: whoever waits for a pause's end asks before the next pass. */
  pausedReason(vmid: number): string | undefined {
    return pausedReason(this.#pauses, vmid, this.#clock.now());
  }

  /** Milliseconds until a pause that covers this guest ends by itself; undefined: none does. */
  pauseEndsInMs(vmid: number): number | undefined {
    const nowMs = this.#clock.now();
    const ends = stillInForce(this.#pauses, nowMs).flatMap(({ target, until }) => (until !== undefined && (target === vmid || target === "all") ? [Date.parse(until)] : []));
    return ends.length === 0 ? undefined : Math.max(0, Math.min(...ends) - nowMs);
  }

  /** Milliseconds until the first delay ends that a guest which was started lately asks for; undefined: none does. */
  startDelayMs(): number | undefined {
    const nowMs = this.#clock.monotonic();
    const left = this.#recentStarts.map((start) => start.startedAtMs + start.upSeconds * 1000 - nowMs).filter((leftMs) => leftMs > 0);
    return left.length === 0 ? undefined : Math.min(...left);
  }

  of(desired: DesiredGuest, snapshot: HostSnapshot): GuestSituation {
    const bulk = findBulkTask(snapshot);
    const foreign = findForeignTask(snapshot, desired.vmid, this.#ownUpids);
    const failedAtMs = this.#shutdownFailedAtMs.get(desired.vmid);
    const pausedReason = this.pausedReason(desired.vmid);
    const mustWaitForOrder = this.#orderWait(desired, snapshot);
    const hasNoQuorum = !this.#guests.mayHaveQuorum();
    const shutdownFailed = failedAtMs !== undefined && this.#clock.monotonic() - failedAtMs < SHUTDOWN_RETRY_MS;
    // Plans keep their situation: the usual one is one and the same object for all guests.
    if (!shutdownFailed && !hasNoQuorum && (pausedReason ?? foreign ?? bulk ?? mustWaitForOrder) === undefined) return UNDISTURBED;
    return {
      pausedReason,
      foreignTask: foreign === undefined ? undefined : `${foreign.type} by ${foreign.user} (${foreign.upid})`,
      bulkTask: bulk === undefined ? undefined : `${bulk.type} by ${bulk.user}`,
      mustWaitForOrder,
      shutdownFailed,
      hasNoQuorum,
    };
  }

  /** Every read tells the guest's own startup line, and whether it followed a shutdown. */
  noteObserved(observed: ObservedGuest): void {
    this.#startups.set(observed.vmid, startupOf(observed.config.merged));
    if (observed.runState === "stopped") this.#shutdownFailedAtMs.delete(observed.vmid);
  }

  noteStarted(vmid: number): void {
    const startup = this.#startups.get(vmid);
    if (startup !== undefined && startup.upSeconds > 0) this.#recentStarts.push({ vmid, ...startup, startedAtMs: this.#clock.monotonic() });
    this.#candidates = undefined;
  }

  noteShutdownFailed(vmid: number): void {
    this.#shutdownFailedAtMs.set(vmid, this.#clock.monotonic());
  }

  /** Only of this process: a guest with an act of an earlier one is not planned for before that is settled. */
  noteOwnTask(upid: Upid): void {
    this.#ownUpids.add(upid);
    if (this.#ownUpids.size <= OWN_UPID_COUNT_MAX) return;
    const [oldest] = this.#ownUpids;
    if (oldest !== undefined) this.#ownUpids.delete(oldest);
  }

  isOwnTask(upid: Upid): boolean {
    return this.#ownUpids.has(upid);
  }

  forget(vmid: number): void {
    this.#startups.delete(vmid);
    this.#shutdownFailedAtMs.delete(vmid);
  }

  #orderWait(desired: DesiredGuest, snapshot: HostSnapshot): string | undefined {
    if (desired.state !== "running" || snapshot.guests.get(desired.vmid)?.runState !== "stopped") return undefined;
    const turn = mayStart(desired.vmid, this.#startCandidates(snapshot), this.#recentStarts, this.#clock.monotonic(), this.#maxConcurrentStarts);
    return turn.mayStart ? undefined : turn.reason;
  }

  /** Computed once a snapshot: with a thousand guests to start, once a guest would be a million steps. */
  #startCandidates(snapshot: HostSnapshot): readonly StartCandidate[] {
    if (this.#candidates?.snapshot === snapshot) return this.#candidates.list;
    const list: StartCandidate[] = [];
    // Its process is there before its start has ended, and only from that end on its delay is counted.
    const starting = new Set(this.#journal.openOperations().flatMap(({ action, guest }) => (action === "start" ? [guest.vmid] : [])));
    for (const guest of this.#guests.declared().values()) {
      if (guest.state !== "running" || guest.mode !== "enforce") continue;
      if (snapshot.guests.get(guest.vmid)?.runState !== "stopped" && !starting.has(guest.vmid)) continue;
      const startup = this.#startups.get(guest.vmid) ?? { order: undefined, upSeconds: 0 };
      list.push({ vmid: guest.vmid, ...startup, isReady: this.#guests.isReadyToStart(guest.vmid) });
    }
    this.#candidates = { snapshot, list };
    return list;
  }
}
