import type { Operation } from "../journal/types.ts";
import type { Clock } from "../ports/clock.ts";
import { PROXMOX_LOCK_TIMEOUT_MS, SETTLE_MARGIN_MS } from "./settle.ts";

/**
 * How long an act without an answer may still happen: request timeout + Proxmox's lock timeout + margin
 * since it was started. Kept on the monotonic clock, because the wall clock may jump meanwhile.
 */
export class SettleWindows {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #deadlinesMs = new Map<string, number>();

  constructor(clock: Clock, requestTimeoutMs: number) {
    this.#clock = clock;
    this.#windowMs = requestTimeoutMs + PROXMOX_LOCK_TIMEOUT_MS + SETTLE_MARGIN_MS;
  }

  /** Milliseconds left; 0 when the window has passed. A start that lies in the future gets a whole window from now. */
  remainingMs(operation: Operation): number {
    const deadlineMs = this.#deadlinesMs.get(operation.id) ?? this.#first(operation);
    const remainingMs = Math.max(0, deadlineMs - this.#clock.monotonic());
    if (remainingMs === 0) this.#deadlinesMs.delete(operation.id);
    else this.#deadlinesMs.set(operation.id, deadlineMs);
    return remainingMs;
  }

  #first(operation: Operation): number {
    const ageMs = this.#clock.now() - Date.parse(operation.startedAt ?? operation.plannedAt);
    const remainingMs = ageMs >= 0 ? Math.max(0, this.#windowMs - ageMs) : this.#windowMs;
    return this.#clock.monotonic() + remainingMs;
  }
}
