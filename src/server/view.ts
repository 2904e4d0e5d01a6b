import type { Condition, TransitionEvent } from "../conditions/condition.ts";
import type { GuestKey } from "../guest/key.ts";
import type { Metrics } from "./metrics.ts";

/** What the server may know of the running agent: read-only, asked anew for every answer, never slow. */
export interface ServerView {
  /** Whether the process makes progress; the message says since when it does not. */
  liveness(): { readonly isAlive: boolean; readonly message: string };
  hostConditions(): readonly Condition[];
  guestConditions(): Iterable<GuestConditions>;
  /** The newest transitions, oldest first, bounded. */
  events(): readonly TransitionEvent[];
  readonly metrics: Metrics;
  readonly version: string;
  readonly commit: string;
  /** Name of the Proxmox node. */
  readonly node: string;
  /** The end of the journal's chain; undefined while no journal is open. */
  journalHead(): JournalHeadView | undefined;
}

export interface GuestConditions {
  readonly guest: GuestKey;
  readonly name?: string | undefined;
  readonly conditions: readonly Condition[];
}

export interface JournalHeadView {
  readonly segment: string;
  readonly sequence: number;
  /** SHA-256 of the last frame, hex. */
  readonly hash: string;
}
