import { verdictSlot } from "./live-table.ts";
import type { JournalRecord, VerdictRecord } from "./record.ts";
import type { Operation } from "./types.ts";

/** What one submission will change once it is durable. */
export interface Change {
  readonly records: readonly JournalRecord[];
  readonly operation?: Operation;
  /** The outcome of something that has started; may be written when the disk is full. */
  readonly isOutcome: boolean;
}

/**
 * What has been submitted and is not durable yet. The table shows only what is durable; what may
 * be submitted next is judged by what will be. A change that is settled, either way, leaves nothing here.
 */
export class Ahead {
  readonly #operations = new Map<string, Change>();
  readonly #keys = new Map<string, Change>();
  readonly #verdicts = new Map<string, { readonly record: VerdictRecord; readonly change: Change }>();

  add(change: Change): void {
    const { operation } = change;
    if (operation !== undefined) this.#operations.set(operation.id, change);
    if (operation?.key !== undefined) this.#keys.set(operation.key, change);
    for (const record of change.records) {
      if (record.kind === "verdict") this.#verdicts.set(verdictSlot(record.guest, record.digest), { record, change });
    }
  }

  /** Forgets `change`, unless a later one has taken its place. */
  remove(change: Change): void {
    const { operation } = change;
    if (operation !== undefined && this.#operations.get(operation.id) === change) this.#operations.delete(operation.id);
    if (operation?.key !== undefined && this.#keys.get(operation.key) === change) this.#keys.delete(operation.key);
    for (const record of change.records) {
      const slot = record.kind === "verdict" ? verdictSlot(record.guest, record.digest) : undefined;
      if (slot !== undefined && this.#verdicts.get(slot)?.change === change) this.#verdicts.delete(slot);
    }
  }

  operation(id: string): Change | undefined {
    return this.#operations.get(id);
  }

  keyHolder(key: string): Operation | undefined {
    return this.#keys.get(key)?.operation;
  }

  verdict(slot: string): VerdictRecord | undefined {
    return this.#verdicts.get(slot)?.record;
  }
}
