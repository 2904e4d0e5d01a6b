import type { Operation } from "../journal/types.ts";
import type { Clock } from "../ports/clock.ts";
import { PROXMOX_LOCK_TIMEOUT_MS, SETTLE_MARGIN_MS } from "./settle.ts";

/** Windows kept beyond their end before they are swept: nearly all acts are settled long before. */
const SWEEP_COUNT_MIN = 256;

/**
 * How long an act without an answer may still happen: request timeout + Proxmox's lock timeout + margin
 * since it was started. Kept on the monotonic clock, because the wall clock may jump meanwhile; only for
 * an act of an earlier process does its journaled time have to do, as the wall clock stood when this one
 * began: a jump since then (NTP, soon after a boot) changes nothing.
 */
export class SettleWindows {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #deadlinesMs = new Map<string, number>();
  readonly #begunNowMs: number;
  readonly #begunMs: number;

  constructor(clock: Clock, requestTimeoutMs: number) {
    this.#clock = clock;
    this.#windowMs = requestTimeoutMs + PROXMOX_LOCK_TIMEOUT_MS + SETTLE_MARGIN_MS;
    this.#begunNowMs = clock.now();
    this.#begunMs = clock.monotonic();
  }

  /** Length of a whole window, milliseconds. */
  get windowMs(): number {
    return this.#windowMs;
  }

  /** An operation is about to be sent by this process. */
  begun(operation: Operation): void {
    this.#sweep();
    this.#deadlinesMs.set(operation.id, this.#clock.monotonic() + this.#windowMs);
  }

  /** Milliseconds left; 0 when the window has passed. A start that lies in the future gets a whole window from when this process began. */
  remainingMs(operation: Operation): number {
    const deadlineMs = this.#deadlinesMs.get(operation.id) ?? this.#first(operation);
    this.#deadlinesMs.set(operation.id, deadlineMs);
    return Math.max(0, deadlineMs - this.#clock.monotonic());
  }

  #first(operation: Operation): number {
    const ageMs = this.#begunNowMs - Date.parse(operation.startedAt ?? operation.plannedAt);
    return this.#begunMs + (ageMs >= 0 ? Math.max(0, this.#windowMs - ageMs) : this.#windowMs);
  }

  #sweep(): void {
    if (this.#deadlinesMs.size < SWEEP_COUNT_MIN) return;
    const nowMs = this.#clock.monotonic();
    for (const [id, deadlineMs] of this.#deadlinesMs) if (deadlineMs <= nowMs) this.#deadlinesMs.delete(id);
  }
}
