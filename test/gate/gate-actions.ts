import type { GuestKey } from "../../src/guest/key.ts";
import type { Action, FieldChange } from "../../src/plan/types.ts";

/** A change to `send`, or a deletion when there is nothing to send. */
export function change(key: string, send?: string, found?: string): FieldChange {
  return {
    key,
    change: send === undefined ? "delete" : "set",
    declared: send ?? null,
    found: found ?? null,
    foundRaw: found,
    send,
    applies: "now",
  };
}

export function setConfig(changes: readonly FieldChange[], guest: GuestKey = { kind: "qemu", vmid: 101 }, digest = "d0"): Action {
  return { type: "set_config", guest: { kind: guest.kind, vmid: guest.vmid }, digest, changes };
}
