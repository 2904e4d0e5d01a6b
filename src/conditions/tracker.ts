import type { GuestKey } from "../guest/key.ts";
import {
  HOST_CONDITIONS,
  type Condition,
  type ConditionStatus,
  type GuestConditionType,
  type GuestReason,
  type HostConditionType,
  type HostReason,
  type TransitionEvent,
} from "./condition.ts";

/** Events kept for `agent status`; older ones are in the log. */
const EVENT_COUNT_MAX = 500;

/** Longest message kept on a condition, characters: Proxmox can answer with pages. */
const MESSAGE_LENGTH_MAX = 1_000;

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
  readonly #onTransition: (event: TransitionEvent) => void;

  constructor(nowMs: number, onTransition: (event: TransitionEvent) => void) {
    this.#onTransition = onTransition;
    for (const type of Object.keys(HOST_CONDITIONS)) {
      if (isHostConditionType(type)) this.#host.set(type, starting(type, nowMs));
    }
  }

  /** Sets a host condition; `generation` is the desired-state revision it was computed from. */
  setHost<T extends HostConditionType>(type: T, status: ConditionStatus, reason: HostReason<T>, message: string, at: { nowMs: number; generation: string }): void {
    const before = this.#host.get(type) ?? starting(type, at.nowMs);
    this.#host.set(type, this.#next(before, { status, reason, message }, at));
  }

  /** Sets a guest condition. */
  setGuest<T extends GuestConditionType>(
    guest: GuestKey,
    type: T,
    status: ConditionStatus,
    reason: GuestReason<T>,
    message: string,
    at: { nowMs: number; generation: string },
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

  #first(type: GuestConditionType, now: State, at: At, guest: GuestKey): Condition {
    const condition = build(type, now, at, formatTime(at.nowMs));
    // A guest that starts out fine is no news; one that does not is.
    if (!isQuietStart(type, now.status)) this.#emit({ type, from: "Unknown", to: now.status, reason: now.reason, message: condition.message, at: formatTime(at.nowMs), guest });
    return condition;
  }

  #next(before: Condition, now: State, at: At, guest?: GuestKey): Condition {
    const isStatusChange = before.status !== now.status;
    const condition = build(before.type, now, at, isStatusChange ? formatTime(at.nowMs) : before.lastTransitionTime);
    if (isStatusChange || before.reason !== now.reason) {
      this.#emit({
        at: formatTime(at.nowMs),
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
    if (this.#events.length > EVENT_COUNT_MAX) this.#events.shift();
    this.#onTransition(event);
  }
}

interface State {
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly message: string;
}

interface At {
  readonly nowMs: number;
  readonly generation: string;
}

/** The statuses that say "nothing to see here", per guest condition. */
function isQuietStart(type: GuestConditionType, status: ConditionStatus): boolean {
  return type === "Synced" ? status === "True" : status === "False";
}

function build(type: Condition["type"], now: State, at: At, lastTransitionTime: string): Condition {
  return {
    type,
    status: now.status,
    reason: now.reason,
    message: now.message.length > MESSAGE_LENGTH_MAX ? `${now.message.slice(0, MESSAGE_LENGTH_MAX)}…` : now.message,
    lastTransitionTime,
    observedGeneration: at.generation,
  };
}

function starting(type: HostConditionType, nowMs: number): Condition {
  return { type, status: "Unknown", reason: "Starting", message: "", lastTransitionTime: formatTime(nowMs), observedGeneration: "" };
}

function isHostConditionType(type: string): type is HostConditionType {
  return type in HOST_CONDITIONS;
}

let lastFormatted = { ms: Number.NaN, text: "" };

/** Thousands of conditions change in the same millisecond at the start: they share one text. */
function formatTime(nowMs: number): string {
  if (lastFormatted.ms !== nowMs) lastFormatted = { ms: nowMs, text: new Date(nowMs).toISOString() };
  return lastFormatted.text;
}
