import type { DesiredGuest } from "../desired/model.ts";
import { actionDigest } from "../gate/action-digest.ts";
import type { ApprovedAction } from "../gate/types.ts";
import { formatGuestKey, type GuestKey } from "../guest/key.ts";
import type { ObservedGuest, RunState } from "../guest/observed.ts";
import type { Operation } from "../journal/types.ts";
import type { Release } from "../lanes/limiter.ts";
import type { GuestSituation } from "../plan/input.ts";
import type { PlanCache } from "../plan/plan-cache.ts";
import type { GuestPlan } from "../plan/types.ts";
import { unreachable } from "../ports/errors.ts";
import type { Log } from "../ports/log.ts";
import type { ProxmoxApi, ProxmoxFault } from "../ports/proxmox-api.ts";
import { act, journalGuest, type ActDeps, type ActResult } from "./act.ts";
import { FieldTrial } from "./field-trial.ts";
import type { GuestOutcome, ReconcileResult } from "./guest-conditions.ts";
import type { HostFacts, HostSnapshot } from "./host-snapshot.ts";
import { isPowerAct, lookAtGuest, type Look } from "./look.ts";
import type { RefusedField, Refusals } from "./refusals.ts";
import { settleOperation, type SettleDeps } from "./settle.ts";

/** Reads and acts in one reconcile, at most: a guest that needs more is finished by the next pass. */
export const ROUNDS_MAX = 24;

/** Digest conflicts in one reconcile before the guest waits: somebody else is writing all the time. */
export const CONFLICTS_MAX = 5;

/**
 * Before the third try of a write whose digest was outdated; doubles each time. The second comes at once: one
 * edit by somebody else is the usual case. Somebody who keeps writing needs to be let through.
 */
const CONFLICT_DELAY_MS = 100;

/** Everything one guest's job needs from the engine; the engine owns what outlives a job. */
export interface GuestJobContext extends ActDeps {
  readonly api: ProxmoxApi;
  readonly log: Log;
  readonly cache: PlanCache;
  /** Keys that Proxmox refused; outlives a job. */
  readonly refusals: Refusals;
  readonly settle: SettleDeps;
  snapshot(): HostSnapshot;
  facts(): HostFacts;
  /** The host as it is right now, for a power act. */
  freshSnapshot(): Promise<HostSnapshot | ProxmoxFault>;
  situationOf(desired: DesiredGuest, snapshot: HostSnapshot): GuestSituation;
  openOperationsOf(vmid: number): readonly Operation[];
  /** What an act without a record still keeps the guest waiting for; undefined: nothing. */
  unrecordedWait(vmid: number): Promise<string | undefined>;
  /** The declaration as it is now: it may have changed while the job waited for its turn. */
  declaredNow(guest: GuestKey): DesiredGuest;
  /** Why nothing may be sent for this guest although acts are approved; undefined when it may. */
  actBarrier(desired: DesiredGuest, action: ApprovedAction): ActBarrier | undefined;
  /** A place among the running acts (and starts); undefined when the agent is stopping. */
  acquireSlot(action: ApprovedAction): Promise<Release | undefined>;
  /** Was something of this guest deferred when it was reconciled last? */
  hadDeferred(vmid: number): boolean;
  /** Must status/current say whether a guest that the list calls running really runs? */
  wantsStatus(vmid: number): boolean;
  /** Told what status/current said. */
  onStatus(vmid: number, runState: RunState): void;
  isStopping(): boolean;
  /** Told right before something is sent: what differs. */
  onDrift(plan: GuestPlan): void;
  onActed(action: ApprovedAction, result: ActResult): void;
}

/** What stands in the way of every act of a guest. */
export interface ActBarrier {
  readonly result: ReconcileResult;
  readonly message: string;
  readonly retry: GuestJobOutcome["retry"];
}

/**
 * What a job found and did. `retry`: "backoff" after failures, "soon" when only time is missing,
 * "later" when the guest waits out an earlier failure, "refused" when only keys that Proxmox refused
 * are left (Refusals says when they are tried again).
 */
export interface GuestJobOutcome extends GuestOutcome {
  readonly retry: "none" | "soon" | "backoff" | "later" | "refused";
  readonly fault: ProxmoxFault | undefined;
  /** Keys that Proxmox refused and that are set aside. */
  readonly refused: readonly RefusedField[];
  /** The guest as it was read last; undefined when it was not. */
  readonly observed: ObservedGuest | undefined;
}

/**
 * Brings one guest to its declaration, in its lane: settle what is open, then read → plan → gate →
 * intent → act → outcome → read again, until nothing is left that may be done now. Whatever woke it,
 * it is the same function; nothing that Proxmox or the disk do makes it throw.
 */
export async function reconcileGuest(context: GuestJobContext, desired: DesiredGuest): Promise<GuestJobOutcome> {
  const open = await settleOpen(context, desired);
  if (open !== undefined) return open;
  const run = new GuestRun(context, desired);
  try {
    return await run.converge();
  } finally {
    run.releaseSlot();
  }
}

async function settleOpen(context: GuestJobContext, desired: DesiredGuest): Promise<GuestJobOutcome | undefined> {
  for (const operation of context.openOperationsOf(desired.vmid)) {
    const settlement = await settleOperation(context.settle, operation);
    switch (settlement.kind) {
      case "settled":
        context.log.info("settled an act of earlier", {
          guest: formatGuestKey(desired), operation: settlement.operation.id, action: settlement.operation.action,
          state: settlement.operation.state, detail: settlement.operation.detail,
        });
        break;
      case "waiting":
        return unsettled(context, desired, "settling", settlement.message);
      case "unknown":
        return unsettled(context, desired, "unknown", settlement.message);
      default:
        return unreachable(settlement);
    }
  }
  const wait = await context.unrecordedWait(desired.vmid);
  return wait === undefined ? undefined : unsettled(context, desired, "settling", wait);
}

/** One convergence of one guest: holds the slot and what was already tried. */
class GuestRun {
  readonly #context: GuestJobContext;
  #desired: DesiredGuest;
  /** Digests of power acts that were taken; and of config writes, until they are seen to hold. */
  readonly #done = new Set<string>();
  readonly #writesDone = new Set<string>();
  readonly #trial: FieldTrial;
  #slot: { readonly isStart: boolean; readonly release: Release } | undefined;
  #conflicts = 0;
  /** A start that failed may have started the guest all the same: it is read again before that is said. */
  #failedStart: { readonly message: string; readonly fault: ProxmoxFault | undefined } | undefined;
  #acted = false;
  /** A power act was sent: run states of before it are worthless. */
  #isSnapshotStale = false;

  constructor(context: GuestJobContext, desired: DesiredGuest) {
    this.#context = context;
    this.#desired = desired;
    this.#trial = new FieldTrial(context.refusals, versionText(context));
  }

  releaseSlot(): void {
    this.#slot?.release();
    this.#slot = undefined;
  }

  async converge(): Promise<GuestJobOutcome> {
    const outcome = await this.#rounds();
    this.#recordHeld(outcome);
    return outcome;
  }

  /** The gate's no, in the journal: one record when it changes, none a pass. */
  #recordHeld({ observed, plan }: GuestJobOutcome): void {
    if (observed === undefined || plan === undefined || plan.standing === "unreadable") return;
    const kept = plan.deferred.map(({ key, reason }) => `${key}: ${reason}`).join("; ");
    if (kept === "" && !this.#context.hadDeferred(observed.vmid)) return;
    void this.#context.journal.recordVerdict(journalGuest(observed), "deferred", kept === "" ? "allowed" : "held", kept === "" ? "nothing is deferred any more" : kept);
  }

  async #rounds(): Promise<GuestJobOutcome> {
    for (let round = 0; round < ROUNDS_MAX + this.#trial.suspectCount; round++) {
      this.#desired = this.#context.declaredNow(this.#desired);
      const look = await this.#look();
      // A write that was seen to hold and is wanted again was undone by somebody, not taken and ignored.
      if (look.observed !== undefined && look.approved.every((action) => action.type !== "set_config")) this.#writesDone.clear();
      const outcome = await this.#step(look);
      if (outcome !== undefined) return outcome;
    }
    return this.#outcome(undefined, "failed", `not done after ${ROUNDS_MAX} rounds; goes on later`, "backoff");
  }

  /** One read, and at most one act. Undefined: look again. */
  async #step(look: Look): Promise<GuestJobOutcome | undefined> {
    const action = look.approved[0];
    const isWrite = action?.type === "set_config";
    const trouble = isWrite ? undefined : this.#trial.verdict(this.#desired.vmid);
    if (trouble !== undefined) return this.#outcome(look, "failed", `every key was refused, each sent alone: ${trouble.message}`, "backoff", trouble);
    if (action === undefined || look.observed === undefined) return this.#conclude(look);
    if (action.type === "start" && this.#failedStart !== undefined) return this.#outcome(look, "failed", this.#failedStart.message, "backoff", this.#failedStart.fault);
    // A person paused it while it was being read: planned again, which says so.
    if (this.#context.situationOf(this.#desired, this.#context.snapshot()).pausedReason !== undefined) return undefined;
    // A journal that came back meanwhile may know of an act that was not known when this job began.
    if (this.#context.openOperationsOf(this.#desired.vmid).length > 0) return this.#outcome(look, "settling", "the journal knows of an earlier act that is not settled; that comes first", "soon");
    const barrier = this.#context.actBarrier(this.#desired, action);
    if (barrier !== undefined) return this.#outcome(look, barrier.result, barrier.message, barrier.retry);
    if (this.#done.has(actionDigest(action)) || this.#writesDone.has(actionDigest(action))) {
      const message = `Proxmox took ${describe(action)} and still reads back differently; not sent again for now`;
      return this.#outcome(look, "failed", message, "backoff");
    }
    if (!(await this.#haveSlotFor(action))) {
      return this.#context.isStopping() ? this.#outcome(look, "stopping", "", "none") : undefined;
    }
    this.#context.onDrift(look.plan);
    const result = await act(this.#context, action, look.observed);
    this.#context.onActed(action, result);
    this.#isSnapshotStale ||= isPowerAct(action);
    if (result.kind === "conflict") return this.#afterConflict(look);
    return this.#afterAct(look, action, result);
  }

  /** Read and planned again: at once the first time, then a little later each time. */
  async #afterConflict(look: Look): Promise<GuestJobOutcome | undefined> {
    this.#conflicts += 1;
    if (this.#conflicts >= CONFLICTS_MAX) return this.#outcome(look, "failed", "the config keeps changing while it is being written", "backoff");
    if (this.#conflicts > 1) await this.#context.clock.sleep(CONFLICT_DELAY_MS * 2 ** (this.#conflicts - 2), this.#context.stop);
    return undefined;
  }

  #afterAct(look: Look, action: ApprovedAction, result: Exclude<ActResult, { readonly kind: "conflict" }>): GuestJobOutcome | undefined {
    switch (result.kind) {
      case "succeeded":
        this.#acted = true;
        (isPowerAct(action) ? this.#done : this.#writesDone).add(actionDigest(action));
        this.#trial.taken(action);
        return undefined;
      case "failed":
        // A refused write may have been carried out in part: whatever it was about, the guest is read again.
        if (look.observed !== undefined && this.#trial.refused(action, result.fault, look.observed)) return undefined;
        if (action.type === "start") {
          this.#failedStart = { message: `start failed: ${result.message}`, fault: result.fault };
          return undefined;
        }
        return this.#outcome(look, "failed", `${describe(action)} failed: ${result.message}`, "backoff", result.fault);
      case "unsettled":
        return this.#outcome(look, "settling", `${describe(action)}: ${result.message}`, "soon");
      case "not_journaled":
        return this.#outcome(look, "journal_unavailable", `${describe(action)} was not sent: ${result.message}`, "soon");
      default:
        return unreachable(result);
    }
  }

  /** Nothing (more) to do now: says how the guest stands. */
  #conclude(look: Look): GuestJobOutcome {
    const { plan } = look;
    switch (plan.standing) {
      case "unreadable":
        return this.#outcome(look, "unreadable", plan.message, "backoff", look.fault);
      case "conflict":
        return this.#outcome(look, "conflict", plan.message, "none");
      case "missing":
      case "on_other_node":
        return this.#outcome(look, look.plan.deferred.length === 0 && plan.standing === "missing" ? "in_sync" : "missing", plan.message, "none");
      case "ignored":
        return this.#outcome(look, "ignored", "", "none");
      case "observed":
        return this.#outcome(look, "observing", "", "none");
      case "managed":
        return this.#concludeManaged(look);
      default:
        return unreachable(plan.standing);
    }
  }

  #concludeManaged(look: Look): GuestJobOutcome {
    // A hold is there only where something is not as declared, be it a run state that no act can reach.
    const hold = look.plan.holds[0];
    if (hold !== undefined) return this.#outcome(look, "held", hold.message, "soon");
    const refused = this.#context.refusals.of(this.#desired.vmid);
    if (refused.length > 0) return this.#outcome(look, "failed", describeRefused(refused), "refused");
    if (look.plan.deferred.length > 0) return this.#outcome(look, "deferred", "", "none");
    return this.#outcome(look, this.#acted ? "acted" : "in_sync", "", "none");
  }

  /**
   * True when the slot the action needs is already held. Getting one may have taken minutes, so the
   * guest is then read again before anything is sent.
   */
  async #haveSlotFor(action: ApprovedAction): Promise<boolean> {
    const isStart = action.type === "start";
    if (this.#slot !== undefined && this.#slot.isStart === isStart) return true;
    this.releaseSlot();
    const release = await this.#context.acquireSlot(action);
    if (release !== undefined) this.#slot = { isStart, release };
    return false;
  }

  async #look(): Promise<Look> {
    const context = this.#context;
    if (!this.#isSnapshotStale) {
      const look = await this.#lookWith(context.snapshot());
      const next = look.approved[0];
      // A power act is decided on the state of this moment, not of the last poll.
      if (next === undefined || !isPowerAct(next) || this.#slot === undefined) return look;
    }
    const fresh = await context.freshSnapshot();
    return this.#lookWith("code" in fresh ? context.snapshot() : fresh, "code" in fresh ? fresh : undefined);
  }

  /** `fault`: the host could not be looked at; what was read of the guest is shown, and nothing is sent. */
  async #lookWith(snapshot: HostSnapshot, fault?: ProxmoxFault): Promise<Look> {
    const { api, cache } = this.#context;
    const look = await lookAtGuest({
      api, cache, desired: this.#desired, snapshot, facts: this.#context.facts(), situation: this.#context.situationOf(this.#desired, snapshot),
      wantsStatus: this.#context.wantsStatus(this.#desired.vmid),
    });
    if (look.observed !== undefined && look.isStatusRead) this.#context.onStatus(look.observed.vmid, look.observed.runState);
    if (fault === undefined) return { ...look, approved: this.#trial.admissible(look) };
    return { ...look, approved: [], plan: { ...look.plan, standing: "unreadable", message: fault.message }, fault };
  }

  #outcome(look: Look | undefined, result: ReconcileResult, message: string, retry: GuestJobOutcome["retry"], fault?: ProxmoxFault): GuestJobOutcome {
    return {
      result, message, retry, fault,
      desired: this.#desired,
      plan: look?.plan,
      observed: look?.observed,
      refused: this.#context.refusals.of(this.#desired.vmid),
      pausedReason: this.#context.situationOf(this.#desired, this.#context.snapshot()).pausedReason,
    };
  }
}

/** Read and planned all the same, so that a person sees what waits; nothing is sent. */
async function unsettled(context: GuestJobContext, desired: DesiredGuest, result: "settling" | "unknown", message: string): Promise<GuestJobOutcome> {
  const snapshot = context.snapshot();
  const situation = { ...context.situationOf(desired, snapshot), isActUnsettled: message };
  const { plan, observed } = await lookAtGuest({ api: context.api, cache: context.cache, desired, snapshot, facts: context.facts(), situation });
  return { result, message, plan, observed, desired, refused: context.refusals.of(desired.vmid), retry: result === "settling" ? "soon" : "none", fault: undefined, pausedReason: situation.pausedReason };
}

function versionText(context: GuestJobContext): string {
  const { major, minor, patch } = context.facts().pveVersion;
  return `${major}.${minor}.${patch}`;
}

/** "Proxmox refuses memory: …": its own words, and what a person can do. */
function describeRefused(refused: readonly RefusedField[]): string {
  const each = refused.map(({ key, message }) => `${key}: ${message}`).join("; ");
  return `Proxmox refuses ${each}. Set aside, the rest is as declared; correct what is declared, or what Proxmox names. Tried again when the guest's config or Proxmox changes, and from time to time`;
}

function describe(action: ApprovedAction): string {
  return action.type === "set_config" ? `set_config (${action.changes.map((change) => change.key).join(", ")})` : action.type;
}
