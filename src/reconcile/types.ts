import type { ConditionMoment } from "../conditions/condition.ts";
import type { ConditionTracker } from "../conditions/tracker.ts";
import type { DesiredSource } from "../desired/model.ts";
import type { ApprovedAction } from "../gate/types.ts";
import type { GuestKey } from "../guest/key.ts";
import type { Journal } from "../journal/types.ts";
import type { Lanes } from "../lanes/lanes.ts";
import type { GuestPlan } from "../plan/types.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { ProxmoxApi } from "../ports/proxmox-api.ts";
import type { Random } from "../ports/random.ts";
import type { QueueObserver } from "../schedule/queue-types.ts";

export type { QueueObserver, QueueState } from "../schedule/queue-types.ts";
import type { ActResult } from "./act.ts";
import type { ReconcileResult } from "./guest-conditions.ts";
import type { HostConditions } from "./host-conditions.ts";
import type { HostFacts, HostSnapshot } from "./host-snapshot.ts";
import type { HostSource } from "./host-source.ts";
import type { RefusedField } from "./refusals.ts";
import type { RevisionGate } from "./revision.ts";

/** The settings the engine works by; a subset of the agent's config. Times are milliseconds. */
export interface EngineSettings {
  readonly pollIntervalMs: number;
  readonly resyncIntervalMs: number;
  readonly requestTimeoutMs: number;
  readonly taskTimeoutMs: number;
  /** How long a guest without a `startup` down= time is given to shut down. */
  readonly shutdownTimeoutMs: number;
  readonly maxConcurrentActs: number;
  readonly maxConcurrentStarts: number;
  readonly maxAffectedPercent: number;
  readonly isDryRun: boolean;
}

/** What the engine tells to whoever counts. */
export interface EngineObserver {
  reconciled(result: ReconcileResult, seconds: number): void;
  acted(action: ApprovedAction, outcome: ActResult): void;
  resynced(atMs: number): void;
  /** Seconds one round over all declared guests took, off the host. */
  cycled(seconds: number): void;
  /** What the queue of guests does; nobody counts it when left out. */
  readonly queue?: QueueObserver;
}

export interface EngineDeps {
  readonly api: ProxmoxApi;
  readonly source: HostSource;
  readonly desired: DesiredSource;
  readonly journal: Journal;
  readonly lanes: Lanes;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly tracker: ConditionTracker;
  /** Outlives an engine when the config changes; one of its own when left out. */
  readonly revision?: RevisionGate;
  readonly observer: EngineObserver;
  /** user@realm!token of this agent, as UPIDs name it; undefined while the token cannot be read. */
  readonly tokenUser: () => string | undefined;
}

/** What those who run guests need of the engine's loop. */
export interface RunnerWorld {
  readonly revision: RevisionGate;
  readonly conditions: HostConditions;
  /** Aborted when no new act may start. */
  readonly stopActing: AbortSignal;
  /** Aborted when running acts are no longer waited for. */
  readonly stopWaiting: AbortSignal;
  snapshot(): HostSnapshot | undefined;
  facts(): HostFacts | undefined;
  /** Has every declared guest been looked at once? Nothing is done to any before. */
  isFirstReadDone(): boolean;
  /** Did the last pass not reach Proxmox? One guest's fault alone does not say so. */
  isHostAway(): boolean;
  progressed(): void;
  /** A guest could not be reached for a reason that is not the guest's. */
  hostFailed(): void;
  /** Now, for a condition. */
  moment(): ConditionMoment;
}

/** One declared guest as `status` and the metrics see it. */
export interface GuestView {
  readonly guest: GuestKey;
  readonly name: string | undefined;
  readonly runState: string;
  readonly result: ReconcileResult;
  /** After the gate's judgement; the last known one while the guest cannot be read. */
  readonly plan: GuestPlan | undefined;
  readonly message: string;
  /** Config keys that Proxmox refused: set aside, the others go on. */
  readonly refused: readonly RefusedField[];
}
