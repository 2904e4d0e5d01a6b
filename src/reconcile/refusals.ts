import type { FieldChange } from "../plan/types.ts";
import type { Clock } from "../ports/clock.ts";

/**
 * Config keys that Proxmox refused, each set aside so that the guest's other keys go on. A key is tried
 * again when its change is another one (declaration, or what is there), when the host's version changed,
 * soon after anything else in the guest's config changed, and at the latest when its wait is over.
 * Forgotten with the process: a new one tries everything once.
 */

/** First wait of a value that Proxmox refuses: it will refuse it again until something changes. */
const VALUE_WAIT_MS = 300_000;

/** Longest wait of any refused key: what changed outside of the guest (a storage, a script) is found within an hour. */
export const REFUSED_WAIT_MAX_MS = 3_600_000;

/** First wait where a privilege is missing or Proxmox gives no reason of the value: somebody may be at it. */
const SURROUNDINGS_WAIT_MS = 10_000;

/** Longest wait of those: as for guests that fail. */
export const SURROUNDINGS_WAIT_MAX_MS = 300_000;

/** After another key of the guest changed: another `net0` may be what a refused `boot` needs. Doubles with each refusal. */
const CHANGED_WAIT_MS = 10_000;

/** A key that Proxmox refused, for a person. */
export interface RefusedField {
  readonly key: string;
  /** Proxmox's own words. */
  readonly message: string;
}

/** What a refusal was seen with. */
export interface RefusalBasis {
  readonly digest: string;
  /** The host's version, as text. */
  readonly version: string;
}

interface Refusal extends RefusedField, RefusalBasis {
  readonly change: string;
  readonly refusedAtMs: number;
  readonly failureCount: number;
  readonly isValue: boolean;
}

interface GuestRefusals {
  readonly byKey: Map<string, Refusal>;
  /** Digest of the config as it was read last. */
  digest: string;
}

export class Refusals {
  readonly #clock: Clock;
  readonly #guests = new Map<number, GuestRefusals>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Proxmox refused this change of a key. */
  refused(vmid: number, change: FieldChange, message: string, isValue: boolean, basis: RefusalBasis): void {
    const guest = this.#guests.get(vmid) ?? { byKey: new Map<string, Refusal>(), digest: basis.digest };
    const before = guest.byKey.get(change.key);
    const failureCount = before !== undefined && isSame(before, change, basis) ? before.failureCount + 1 : 1;
    guest.byKey.set(change.key, { key: change.key, message, ...basis, change: formOf(change), refusedAtMs: this.#clock.monotonic(), failureCount, isValue });
    this.#guests.set(vmid, guest);
  }

  /** How this change stands: never refused, set aside, or refused earlier and to be tried again, alone. */
  standing(vmid: number, change: FieldChange, basis: RefusalBasis): "fresh" | "waiting" | "due" {
    const refusal = this.#guests.get(vmid)?.byKey.get(change.key);
    if (refusal === undefined || !isSame(refusal, change, basis)) return "fresh";
    return this.#remainingMs(refusal, basis.digest) === 0 ? "due" : "waiting";
  }

  /** Keeps only the keys that still differ, and remembers the config they were seen with. */
  noteRead(vmid: number, differing: readonly FieldChange[], digest: string): void {
    const guest = this.#guests.get(vmid);
    if (guest === undefined) return;
    const keys = new Set(differing.map((change) => change.key));
    for (const key of guest.byKey.keys()) if (!keys.has(key)) guest.byKey.delete(key);
    guest.digest = digest;
    if (guest.byKey.size === 0) this.#guests.delete(vmid);
  }

  /** The keys set aside, by name. */
  of(vmid: number): readonly RefusedField[] {
    const refusals = [...(this.#guests.get(vmid)?.byKey.values() ?? [])];
    return refusals.map(({ key, message }) => ({ key, message })).toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Milliseconds until a key of this guest is tried again, although nothing announces a change; 0: now. Infinite without any. */
  remainingMs(vmid: number): number {
    const guest = this.#guests.get(vmid);
    return Math.min(...[...(guest?.byKey.values() ?? [])].map((refusal) => this.#remainingMs(refusal, guest?.digest)));
  }

  forget(vmid: number): void {
    this.#guests.delete(vmid);
  }

  /** Guests with a key that is set aside. */
  vmids(): readonly number[] {
    return [...this.#guests.keys()];
  }

  /** Keys set aside, over all guests. */
  keyCount(): number {
    return [...this.#guests.values()].reduce((sum, { byKey }) => sum + byKey.size, 0);
  }

  #remainingMs(refusal: Refusal, digest: string | undefined): number {
    const longestMs = refusal.isValue
      ? doubled(VALUE_WAIT_MS, refusal.failureCount, REFUSED_WAIT_MAX_MS)
      : doubled(SURROUNDINGS_WAIT_MS, refusal.failureCount, SURROUNDINGS_WAIT_MAX_MS);
    const waitMs = digest === refusal.digest ? longestMs : doubled(CHANGED_WAIT_MS, refusal.failureCount, longestMs);
    return Math.max(0, refusal.refusedAtMs + waitMs - this.#clock.monotonic());
  }
}

/** The n-th wait in a row; the exponent is bounded before the power. */
function doubled(baseMs: number, count: number, maxMs: number): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(count - 1, 20));
}

/** The same change on the same version of Proxmox: it would be refused again. The digest is looked at apart. */
function isSame(refusal: Refusal, change: FieldChange, { version }: RefusalBasis): boolean {
  return refusal.change === formOf(change) && refusal.version === version;
}

function formOf({ change, send, foundRaw }: FieldChange): string {
  return JSON.stringify([change, send ?? null, foundRaw ?? null]);
}
