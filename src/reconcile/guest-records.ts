import type { DesiredGuest } from "../desired/model.ts";
import type { HoldReason } from "../plan/types.ts";
import type { ReconcileResult } from "./guest-conditions.ts";
import type { GuestView } from "./types.ts";

/** Results of a guest's own trouble, with which it is not going to be started now: nobody waits for it. */
const NOT_STARTING: ReadonlySet<ReconcileResult> = new Set(["settling", "unknown", "unreadable", "failed", "missing", "conflict"]);

/** Holds that end for all guests at once: their order counts when that moment comes. */
const SHARED_HOLDS: ReadonlySet<HoldReason> = new Set(["WaitingForOrder", "BulkTask", "NoQuorum"]);

/** How one guest stood after its last reconcile. */
export interface GuestRecord {
  readonly view: GuestView;
  /** The declaration it was reconciled with. */
  readonly desired: DesiredGuest;
  /** It failed for a reason that is not the guest's. */
  readonly isHostTrouble: boolean;
}

/** How every declared guest stood after its last reconcile, and what follows from it for the others. */
export class GuestRecords {
  readonly #records = new Map<number, GuestRecord>();
  readonly #waitingForOrder = new Set<number>();
  #hasOrderNews = false;

  get(vmid: number): GuestRecord | undefined {
    return this.#records.get(vmid);
  }

  set(vmid: number, record: GuestRecord): void {
    // Whoever waits for it in the start order may not have to any more.
    if (this.#records.get(vmid)?.view.result !== record.view.result) this.#hasOrderNews = true;
    this.#records.set(vmid, record);
    if (isHeldBy(record, "WaitingForOrder")) this.#waitingForOrder.add(vmid);
    else this.#waitingForOrder.delete(vmid);
  }

  forget(vmid: number): void {
    this.#records.delete(vmid);
    this.#waitingForOrder.delete(vmid);
    this.#hasOrderNews = true;
  }

  /** Guests whose turn to start may have come, since somebody else's result changed after this was asked last. */
  takeOrderNews(): readonly number[] {
    if (!this.#hasOrderNews) return [];
    this.#hasOrderNews = false;
    return [...this.#waitingForOrder];
  }

  /** Something that the start order depends on changed on the host. */
  noteOrderNews(): void {
    this.#hasOrderNews = true;
  }

  /** Guests that were held for this reason when they were looked at last. */
  heldBy(reason: HoldReason): readonly number[] {
    return [...this.#records].flatMap(([vmid, record]) => (isHeldBy(record, reason) ? [vmid] : []));
  }

  /** Guests whose last reconcile ended so. */
  withResult(result: ReconcileResult): readonly number[] {
    return [...this.#records].flatMap(([vmid, { view }]) => (view.result === result ? [vmid] : []));
  }

  vmids(): readonly number[] {
    return [...this.#records.keys()];
  }

  /** Every guest that was reconciled, by vmid. */
  views(): readonly GuestView[] {
    return [...this.#records.values()].map((record) => record.view).sort((a, b) => a.guest.vmid - b.guest.vmid);
  }

  /** Is there a guest for which only time is missing? */
  hasUnfinished(): boolean {
    return [...this.#records.values()].some(
      ({ view }) => view.result === "settling" || view.plan?.holds.some((hold) => hold.reason === "WaitingForOrder") === true,
    );
  }

  /** Is nothing of the guest's own known to be in the way of its start? */
  isStartable(vmid: number): boolean {
    const record = this.#records.get(vmid);
    if (record === undefined || record.isHostTrouble) return true;
    if (NOT_STARTING.has(record.view.result)) return false;
    return (record.view.plan?.holds ?? []).every((hold) => SHARED_HOLDS.has(hold.reason));
  }
}

function isHeldBy({ view }: GuestRecord, reason: HoldReason): boolean {
  return view.plan?.holds.some((hold) => hold.reason === reason) === true;
}
