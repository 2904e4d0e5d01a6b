import type { Provenance } from "../journal/types.ts";
import { formatGuestKey, type GuestKey } from "../guest/key.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import { shownForm } from "../plan/keys.ts";
import type { Action, Deferred, DeferredReason, FieldChange } from "../plan/types.ts";
import { unreachable } from "../ports/errors.ts";
import { allowedKey, type SetRule } from "./allow-list.ts";
import { keepsHardwareAddress } from "./hardware-address.ts";
import { refusalOf } from "./refusal.ts";
import type { Classification } from "./types.ts";

/**
 * The gate: between what was planned and what is sent. It asks one thing, "could this lose data, or
 * take away what cannot be given back?", and everything it does not know for harmless is destructive.
 * Pure. Promises: an act passes only by a row of allow-list.ts, and only against a guest that was read.
 * Docs: docs/security.md. It leaves to plan/ what should be done, to reconcile/ the doing.
 */

const BENIGN: Classification = { class: "benign" };

/**
 * Who may ask at all. In this form nobody's word widens what is allowed: signatures do not exist yet,
 * and nothing is created that could be undone as compensation. A word that is none of these is nobody's.
 */
const KNOWN_PROVENANCES: ReadonlySet<string> = new Set<Provenance>(["desired", "operation", "compensation"]);

/** Judges one change of a guest's config against the guest as it was read. */
export function classifyChange(change: FieldChange, observed: ObservedGuest | undefined, provenance: Provenance): Classification {
  if (!KNOWN_PROVENANCES.has(provenance)) return refuse(change, "not_on_allow_list", `${change.key}: nobody with a say asks for this`);
  if (observed === undefined) return refuse(change, "not_on_allow_list", `${change.key}: the guest was not read, and what cannot be read is not written`);
  const allowed = allowedKey(observed.kind, change.key);
  if (allowed !== undefined && isAllowed(change, allowed.set, allowed.delete, observed)) {
    return isOneLine(change) ? BENIGN : refuse(change, "invalid_value", `${change.key}: the value holds control characters, which could write other keys; correct it in the desired state`);
  }
  const { reason, message } = refusalOf(observed.kind, change.key, allowed !== undefined);
  return refuse(change, reason, message);
}

/** Judges a start, a shutdown or a reboot. Acts on config are judged change by change. */
export function classifyPowerAct(
  action: Exclude<Action, { type: "set_config" }>, observed: ObservedGuest | undefined, provenance: Provenance,
): Classification {
  switch (action.type) {
    case "start":
    case "shutdown":
      if (KNOWN_PROVENANCES.has(provenance) && isSameGuest(action.guest, observed)) return BENIGN;
      return refuse(
        { key: "state", declared: action.type, found: observed?.runState ?? null }, "not_on_allow_list",
        `${action.type} of ${formatGuestKey(action.guest)}: the guest was not read, so nothing is done to it`,
      );
    case "reboot":
      if (provenance === "operation" && isSameGuest(action.guest, observed) && observed.kind === "qemu") return BENIGN;
      return refuse(
        { key: "state", declared: action.type, found: observed?.runState ?? null }, "not_on_allow_list",
        `reboot of ${formatGuestKey(action.guest)}: only a person may ask for it, and only of a VM that was read`,
      );
    default:
      return unreachable(action);
  }
}

/** Whether what was read is the guest that is meant, by kind and vmid; one that was not read is not. */
export function isSameGuest(guest: GuestKey, observed: ObservedGuest | undefined): observed is ObservedGuest {
  return observed !== undefined && observed.kind === guest.kind && observed.vmid === guest.vmid;
}

function isAllowed(change: FieldChange, set: SetRule, mayDelete: boolean, observed: ObservedGuest): boolean {
  if (change.change === "delete") return mayDelete && change.send === undefined;
  if (change.change !== "set" || change.send === undefined) return false;
  if (typeof set === "object") return !change.send.includes(set.without);
  switch (set) {
    case "any":
      return true;
    case "turn_on":
      return change.send === "1";
    case "same_hardware_address":
      return keepsHardwareAddress(change.key, change.send, observed.config.running, observed.config.merged);
    default:
      return unreachable(set);
  }
}

// A config file has one key a line: a line break in a value that Proxmox stores raw would be a new key.
// eslint-disable-next-line no-control-regex
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/;
// Descriptions are stored encoded and may have lines.
// eslint-disable-next-line no-control-regex
const CONTROL_CHARACTER_IN_TEXT = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

function isOneLine(change: FieldChange): boolean {
  return !(change.key === "description" ? CONTROL_CHARACTER_IN_TEXT : CONTROL_CHARACTER).test(change.send ?? "");
}

function refuse(change: Pick<Deferred, "key" | "declared" | "found">, reason: DeferredReason, message: string): Classification {
  const { key, declared, found } = change;
  return { class: "destructive", deferred: { key, reason, declared: shownForm(key, declared), found: shownForm(key, found), message } };
}
