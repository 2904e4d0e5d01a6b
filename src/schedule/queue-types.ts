import type { HeapItem } from "./heap.ts";
import type { WorkResult, WorkResultKind } from "./work-result.ts";

/** Who asks for a key, first served first: a person, something that happened, the full resync. */
export const PRIORITIES = ["wish", "event", "resync"] as const;

export type Priority = (typeof PRIORITIES)[number];

/** A key that is being worked on. Until `finish` nobody else gets it. */
export interface Taken {
  readonly key: number;
  readonly priority: Priority;
  /** The work is over; a further call does nothing. */
  finish(result: WorkResult): void;
}

/** Told what a queue does. Must not throw. */
export interface QueueObserver {
  /** A key became ready. */
  added(): void;
  /** A key did not fit. */
  refused(): void;
  /** A key failed, or was not finished, and is tried again after its backoff. */
  retried(): void;
  /** How long a key was ready before it was taken. */
  waited(seconds: number): void;
  /** How the work on a key ended, and how long it took. */
  finished(result: WorkResultKind, seconds: number): void;
}

/** A queue as it is at one moment. */
export interface QueueState {
  /** Keys that are ready, by who asked. */
  readonly depth: Readonly<Record<Priority, number>>;
  /** Keys that wait for their time. */
  readonly delayed: number;
  readonly running: number;
  /** Seconds spent so far on the keys that are being worked on, together. */
  readonly unfinishedSeconds: number;
  readonly longestRunningSeconds: number;
}

/** One key in a queue: ready, waiting for its time, or being worked on (then it is in no heap). */
export interface Entry extends HeapItem {
  readonly key: number;
  /** Index into PRIORITIES. */
  rank: number;
  /** Rises with every move: first come, first served. */
  order: number;
  /** Monotonic: ready since, due at, or taken at. */
  atMs: number;
  isReady: boolean;
  /** Asked for once more while it is worked on. */
  again: { readonly atMs: number; readonly rank: number } | undefined;
  /** Forgotten while it is worked on: its result asks for nothing. */
  isForgotten: boolean;
}
