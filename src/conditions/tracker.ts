import type { GuestKey } from "../guest/key.ts";
import {
  HOST_CONDITIONS,
  type Condition,
  type ConditionMoment,
  type ConditionStatus,
  type GuestConditionType,
  type GuestReason,
  type HostConditionType,
  type HostReason,
  type TransitionEvent,
} from "./condition.ts";

/** Events kept for `agent status`; older ones are in the log. */
export const EVENT_COUNT_MAX = 500;

/** Longest message kept on a condition, characters: Proxmox can answer with pages. */
export const MESSAGE_LENGTH_MAX = 1_000;

interface GuestConditions {
  readonly guest: GuestKey;
  readonly byType: Map<GuestConditionType, Condition>;
}

/**
 * Holds every condition as it stands and says once when one changes. Pure bookkeeping: the time comes
 * with each call, events go to the listener.
 */
export class ConditionTracker {
  readonly #host = new Map<HostConditionType, Condition>();
  readonly #guests = new Map<number, GuestConditions>();
  readonly #events: TransitionEvent[] = [];
  #eventCount = 0;
  readonly #onTransition: (event: TransitionEvent) => void;
  #formatted = { ms: Number.NaN, text: "" };

  constructor(nowMs: number, onTransition: (event: TransitionEvent) => void) {
    this.#onTransition = onTransition;
    for (const type of Object.keys(HOST_CONDITIONS)) {
      if (isHostConditionType(type)) this.#host.set(type, starting(type, this.#formatTime(nowMs)));
    }
  }

  /** Sets a host condition. */
  setHost<T extends HostConditionType>(type: T, status: ConditionStatus, reason: HostReason<T>, message: string, at: ConditionMoment): void {
    const before = this.#host.get(type) ?? starting(type, this.#formatTime(at.nowMs));
    this.#host.set(type, this.#next(before, { status, reason, message }, at));
  }

  /** Sets a guest condition. */
  setGuest<T extends GuestConditionType>(
    guest: GuestKey,
    type: T,
    status: ConditionStatus,
    reason: GuestReason<T>,
    message: string,
    at: ConditionMoment,
  ): void {
    let entry = this.#guests.get(guest.vmid);
    if (entry === undefined || entry.guest.kind !== guest.kind) {
      entry = { guest: { kind: guest.kind, vmid: guest.vmid }, byType: new Map() };
      this.#guests.set(guest.vmid, entry);
    }
    const before = entry.byType.get(type);
    if (before === undefined) {
      entry.byType.set(type, this.#first(type, { status, reason, message }, at, entry.guest));
      return;
    }
    entry.byType.set(type, this.#next(before, { status, reason, message }, at, entry.guest));
  }

  /** Forgets a guest that is no longer declared. */
  forgetGuest(vmid: number): void {
    this.#guests.delete(vmid);
  }

  host(): readonly Condition[] {
    return [...this.#host.values()];
  }

  hostCondition(type: HostConditionType): Condition | undefined {
    return this.#host.get(type);
  }

  guest(vmid: number): readonly Condition[] {
    return [...(this.#guests.get(vmid)?.byType.values() ?? [])];
  }

  guestCondition(vmid: number, type: GuestConditionType): Condition | undefined {
    return this.#guests.get(vmid)?.byType.get(type);
  }

  /** Every guest that has conditions, by vmid. */
  guests(): readonly { readonly guest: GuestKey; readonly conditions: readonly Condition[] }[] {
    return [...this.#guests.values()]
      .sort((a, b) => a.guest.vmid - b.guest.vmid)
      .map((entry) => ({ guest: entry.guest, conditions: [...entry.byType.values()] }));
  }

  /** The newest transitions, oldest first, bounded. */
  events(): readonly TransitionEvent[] {
    return this.#events;
  }

  /** Transitions since the start, those that `events` has dropped included. */
  eventCount(): number {
    return this.#eventCount;
  }

  #first(type: GuestConditionType, now: State, at: ConditionMoment, guest: GuestKey): Condition {
    const time = this.#formatTime(at.nowMs);
    const condition = build(type, now, at.generation, time);
    // A guest that starts out fine is no news; one that does not is.
    if (!isQuietStart(type, now.status)) this.#emit({ type, from: "Unknown", to: now.status, reason: now.reason, message: condition.message, at: time, guest });
    return condition;
  }

  #next(before: Condition, now: State, at: ConditionMoment, guest?: GuestKey): Condition {
    const isStatusChange = before.status !== now.status;
    const time = this.#formatTime(at.nowMs);
    const condition = build(before.type, now, at.generation, isStatusChange ? time : before.lastTransitionTime);
    if (isStatusChange || before.reason !== now.reason) {
      this.#emit({
        at: time,
        ...(guest === undefined ? {} : { guest }),
        type: before.type,
        from: before.status,
        to: now.status,
        reason: now.reason,
        message: condition.message,
      });
    }
    return condition;
  }

  #emit(event: TransitionEvent): void {
    this.#events.push(event);
    this.#eventCount += 1;
    if (this.#events.length > EVENT_COUNT_MAX) this.#events.shift();
    this.#onTransition(event);
  }

  /** RFC 3339. Thousands of conditions change in the same millisecond at the start: they share one text. */
  #formatTime(nowMs: number): string {
    if (this.#formatted.ms !== nowMs) this.#formatted = { ms: nowMs, text: new Date(nowMs).toISOString() };
    return this.#formatted.text;
  }
}

interface State {
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly message: string;
}

/** The statuses that say "nothing to see here", per guest condition. */
function isQuietStart(type: GuestConditionType, status: ConditionStatus): boolean {
  return type === "Synced" ? status === "True" : status === "False";
}

function build(type: Condition["type"], now: State, generation: string, lastTransitionTime: string): Condition {
  return {
    type,
    status: now.status,
    reason: now.reason,
    message: now.message.length > MESSAGE_LENGTH_MAX ? `${now.message.slice(0, MESSAGE_LENGTH_MAX)}…` : now.message,
    lastTransitionTime,
    observedGeneration: generation,
  };
}

function starting(type: HostConditionType, time: string): Condition {
  return { type, status: "Unknown", reason: "Starting", message: "", lastTransitionTime: time, observedGeneration: "" };
}

function isHostConditionType(type: string): type is HostConditionType {
  return type in HOST_CONDITIONS;
}
