import type { ObservedGuest, RawValue } from "../guest/observed.ts";
import { memoryOf } from "../normalize/fields/processor.ts";
import type { Deferred, FieldChange } from "./types.ts";

/**
 * Proxmox refuses a whole write in which a VM's balloon is larger than its memory. Each is held against the
 * other's new value, or the one that is there; a deletion in the same write does not count
 * (docs/proxmox.md row 57).
 */
export interface BalloonChanges {
  readonly deferred: readonly Deferred[];
  /** To be sent only after the other key has been deleted. */
  readonly late: readonly FieldChange[];
}

const NOTHING: BalloonChanges = { deferred: [], late: [] };

/** What of a guest's changes of memory and balloon has to wait, or cannot be. */
export function balloonChanges(observed: ObservedGuest, changes: readonly FieldChange[]): BalloonChanges {
  if (observed.kind !== "qemu") return NOTHING;
  const memory = changes.find(({ key }) => key === "memory");
  const balloon = changes.find(({ key }) => key === "balloon");
  if (memory?.change !== "set" && balloon?.change !== "set") return NOTHING;
  const { merged, running } = observed.config;
  // What waits to be deleted counts until it is gone.
  const balloonThere = merged["balloon"] ?? running["balloon"];
  const limitMib = memory === undefined ? Math.min(mibOf(merged["memory"]), mibOf(merged["memory"] ?? running["memory"])) : mibOf(memory.send);
  const balloonMib = Number((balloon === undefined ? balloonThere : balloon.send) ?? 0);
  if (balloonMib > limitMib) {
    // Without the balloon's change the memory's must still fit what is there.
    const tooLarge = changes.filter((change) => change.change === "set" && (change === balloon || (change === memory && Number(balloonThere ?? 0) > limitMib)));
    return { deferred: tooLarge.map((change) => deferChange(change, balloonMib, limitMib)), late: [] };
  }
  const isOneDeleted = memory?.change === "delete" || balloon?.change === "delete";
  return isOneDeleted ? { deferred: [], late: changes.filter((change) => change.change === "set" && (change === memory || change === balloon)) } : NOTHING;
}

/** A memory that cannot be read limits nothing: Proxmox will say so itself. */
function mibOf(memory: RawValue | undefined): number {
  return Number(memoryOf(memory) ?? Number.POSITIVE_INFINITY);
}

function deferChange({ key, declared, found }: FieldChange, balloonMib: number, limitMib: number): Deferred {
  const message = `${key}: expected a balloon of at most the memory (${limitMib} MiB), found ${balloonMib}, which Proxmox refuses; declare both so that they fit`;
  return { key, reason: "invalid_value", declared, found, message };
}
