import { EXPIRY_MARGIN_MS, type JournalLimits } from "./limits.ts";
import { applyEvent, holdsKey, keyExpiryMs, plannedOperation } from "./operation.ts";
import type { EpochReason, EpochRecord, JournalRecord, VerdictRecord } from "./record.ts";
import { unreachable } from "../ports/errors.ts";
import { isSettled, type FactValue, type JournalGuest, type Operation } from "./types.ts";

/**
 * What is live: the fold of all records so far. Bounded by what is live, not by history: settled
 * operations are kept up to a number, keys and nonces until they expire, facts until forgotten.
 * `snapshot` gives the records from which `apply` builds the same table again.
 */
export class LiveTable {
  readonly #limits: JournalLimits;
  readonly #open = new Map<string, Operation>();
  readonly #recent = new Map<string, Operation>();
  readonly #keyHolders = new Map<string, Operation>();
  readonly #facts = new Map<string, Map<string, FactValue>>();
  readonly #verdicts = new Map<string, VerdictRecord>();
  readonly #nonces = new Map<string, Extract<JournalRecord, { kind: "nonce_spent" }>>();
  readonly #epochs = new Map<EpochReason, EpochRecord>();
  #lastAt: string | undefined;

  constructor(limits: JournalLimits) {
    this.#limits = limits;
  }

  /** When the newest record was made, RFC 3339 UTC. */
  get lastAt(): string | undefined {
    return this.#lastAt;
  }

  /** False when the record contradicts the table (an event of an operation it does not know, or an illegal one). */
  apply(record: JournalRecord): boolean {
    this.#lastAt = record.at;
    switch (record.kind) {
      case "planned":
        this.#put(plannedOperation(record.op, record.at, record.operation));
        return true;
      case "event":
        return this.#applyEvent(record);
      case "operation":
        this.#put(record.operation);
        return true;
      case "fact":
        this.#putFact(record.namespace, record.key, record.value);
        return true;
      case "verdict":
        this.#putVerdict(record);
        return true;
      case "nonce_spent":
        this.#nonces.set(record.nonce, record);
        return true;
      case "epoch":
        this.#epochs.set(record.reason, record);
        return true;
      case "checkpoint":
        return true;
      default:
        return unreachable(record);
    }
  }

  operation(id: string): Operation | undefined {
    return this.#open.get(id) ?? this.#recent.get(id);
  }

  openOperations(): readonly Operation[] {
    return [...this.#open.values()];
  }

  get openCount(): number {
    return this.#open.size;
  }

  recentOperations(): readonly Operation[] {
    return [...this.#recent.values()];
  }

  /** The operation that holds this key longest, of those that have neither failed nor been abandoned. */
  keyHolder(key: string): Operation | undefined {
    return this.#keyHolders.get(key);
  }

  /** Operations that are kept for their key, those that have expired but were not forgotten yet included. */
  get keyCount(): number {
    return this.#keyHolders.size;
  }

  facts(namespace: string): ReadonlyMap<string, FactValue> {
    return this.#facts.get(namespace) ?? new Map<string, FactValue>();
  }

  verdict(slot: string): VerdictRecord | undefined {
    return this.#verdicts.get(slot);
  }

  /** The newest "repaired" epoch names the newest torn file that was accounted for. */
  epoch(reason: EpochReason): EpochRecord | undefined {
    return this.#epochs.get(reason);
  }

  /** The newest of each reason. */
  epochs(): readonly EpochRecord[] {
    return [...this.#epochs.values()];
  }

  /** The live state as records, without what expired before `nowMs`. */
  snapshot(at: string, nowMs: number): JournalRecord[] {
    const keyed = [...this.#keyHolders.values()].filter((operation) => holdsKey(operation, nowMs - EXPIRY_MARGIN_MS));
    const operations = new Map([...keyed.filter((operation) => isSettled(operation.state)), ...this.#recent.values(), ...this.#open.values()].map((operation) => [operation.id, operation]));
    return [
      ...this.#epochs.values(),
      ...[...this.#facts].flatMap(([namespace, values]) =>
        [...values].map(([key, value]): JournalRecord => ({ kind: "fact", at, namespace, key, value }))),
      ...[...this.#nonces.values()].filter((record) => !hasExpired(record.until, nowMs)),
      ...this.#verdicts.values(),
      ...[...operations.values()].map((operation): JournalRecord => ({ kind: "operation", at, operation })),
    ];
  }

  /** Forgets keys and nonces that expired long enough ago. */
  forgetExpired(nowMs: number): void {
    for (const [key, operation] of this.#keyHolders) {
      if (isSettled(operation.state) && !holdsKey(operation, nowMs - EXPIRY_MARGIN_MS)) this.#keyHolders.delete(key);
    }
    for (const [nonce, record] of this.#nonces) if (hasExpired(record.until, nowMs)) this.#nonces.delete(nonce);
  }

  #applyEvent(record: Extract<JournalRecord, { kind: "event" }>): boolean {
    const operation = this.#open.get(record.op);
    if (operation === undefined) return false;
    const changed = applyEvent(operation, record.event, record.at);
    if (changed.ok) this.#put(changed.value);
    return changed.ok;
  }

  #put(operation: Operation): void {
    this.#holdKey(operation);
    if (!isSettled(operation.state)) {
      this.#recent.delete(operation.id);
      this.#open.set(operation.id, operation);
      return;
    }
    this.#open.delete(operation.id);
    this.#recent.delete(operation.id);
    this.#recent.set(operation.id, operation);
    dropOldest(this.#recent, this.#limits.recentOperations);
  }

  /** Of two operations with one key the one that holds it longer counts, in whatever order they are read. */
  #holdKey(operation: Operation): void {
    if (operation.key === undefined) return;
    const holder = this.#keyHolders.get(operation.key);
    const isSame = holder?.id === operation.id;
    if (operation.state === "failed" || operation.state === "abandoned") {
      if (isSame) this.#keyHolders.delete(operation.key);
    } else if (holder === undefined || isSame || keyExpiryMs(operation) >= keyExpiryMs(holder)) {
      this.#keyHolders.set(operation.key, operation);
    }
  }

  #putFact(namespace: string, key: string, value: FactValue | null): void {
    const values = this.#facts.get(namespace) ?? new Map<string, FactValue>();
    if (value === null) values.delete(key);
    else values.set(key, value);
    if (values.size === 0) this.#facts.delete(namespace);
    else this.#facts.set(namespace, values);
  }

  #putVerdict(record: VerdictRecord): void {
    const slot = verdictSlot(record.guest, record.digest);
    this.#verdicts.delete(slot);
    this.#verdicts.set(slot, record);
    dropOldest(this.#verdicts, this.#limits.verdicts);
  }
}

/** Where the verdict on one action of one guest is remembered. */
export function verdictSlot(guest: JournalGuest, digest: string): string {
  return `${guest.kind}/${guest.vmid} ${digest}`;
}

function hasExpired(until: string, nowMs: number): boolean {
  // An unreadable date compares false: what cannot be judged is kept.
  return Date.parse(until) + EXPIRY_MARGIN_MS < nowMs;
}

function dropOldest(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}
