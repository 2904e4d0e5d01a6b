import type { DesiredConflict } from "../desired/model.ts";
import { formatGuestKey, type GuestKey } from "../guest/key.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import { unreachable } from "../ports/errors.ts";
import { drivePendingOf } from "./drive-pending.ts";
import { type ConfigDiff, diffConfig } from "./field-diff.ts";
import { holdsFor, isHeldBy } from "./holds.ts";
import type { GuestPlanInput } from "./input.ts";
import { configRequests } from "./requests.ts";
import { planRunState, wouldCreate } from "./run-state.ts";
import type { Action, GuestPlan, GuestStanding } from "./types.ts";

/**
 * This room says what would be done and why; it does nothing. Pure: the same declaration, observation,
 * situation and facts give the same plan, whatever the order of keys. Promises: only differing keys,
 * config before run state, never a write to a guest that was not read, nothing declared is dropped
 * silently (it is sent, withheld, deferred or pending). Whether an act is harmless is gate/'s question.
 */

const NO_DIFF: ConfigDiff = { changes: [], deferred: [], restartPending: [] };

/** Plans one declared guest. Total: what cannot be planned has a standing and a message that says why. */
export function planGuest(input: GuestPlanInput): GuestPlan {
  const { desired, observed, facts } = input;
  if (desired.mode === "ignore") return standingOnly(desired, observed?.name, "ignored", "");
  if (observed === undefined) return planUnobserved(input);
  if (observed.vmid !== desired.vmid || observed.kind !== desired.kind) {
    return standingOnly(desired, observed.name, "conflict", `declared as ${formatGuestKey(desired)}, found ${formatGuestKey(observed)}; correct kind in the desired state`);
  }
  if (observed.node !== facts.node) {
    return standingOnly(desired, observed.name, "on_other_node", `it is on node ${observed.node}; the agent there keeps it`);
  }
  return planObserved(input, observed);
}

const NOTHING: readonly never[] = [];

/** The plan of a vmid that is declared more than once: nothing, until a person has settled it. */
export function planConflict(guest: GuestKey, name: string | undefined, conflict: DesiredConflict): GuestPlan {
  const places = conflict.positions.map((position) => `${position.file}:${position.line}:${position.column}`).join(", ");
  return standingOnly(guest, name, "conflict", `vmid ${conflict.vmid} is declared more than once (${places}); keep one of them`);
}

function planObserved(input: GuestPlanInput, observed: ObservedGuest): GuestPlan {
  const { desired, situation, facts } = input;
  // Declared absent: how it should be configured no longer matters.
  const diff = desired.state === "absent" ? NO_DIFF : diffConfig(desired, observed, facts);
  const config = configRequests(observed, diff.changes);
  const runState = planRunState(desired, observed, situation);
  const wanted: readonly Action[] = runState.action === undefined ? config.actions : [...config.actions, runState.action];
  const isEnforced = desired.mode === "enforce";
  // Merely observed: nothing would be sent, so only a run state that no act could reach is worth a word.
  const holds = isEnforced ? holdsFor(observed, situation, wanted, runState.isStuck) : holdsFor(observed, {}, [], runState.isStuck);
  const isWithheld = (action: Action): boolean => !isEnforced || isHeldBy(holds, action);
  return {
    guest: { kind: observed.kind, vmid: observed.vmid },
    name: observed.name,
    standing: isEnforced ? "managed" : "observed",
    actions: kept(wanted.filter((action) => !isWithheld(action))),
    withheld: kept(wanted.filter(isWithheld)),
    deferred: kept([...diff.deferred, ...config.deferred, ...(runState.deferred === undefined ? [] : [runState.deferred])]),
    holds: kept(holds),
    restartPending: kept(diff.restartPending),
    drivePending: desired.state === "absent" ? NOTHING : kept(drivePendingOf(desired, observed, facts)),
    driveUnknown: observed.drive?.isKnown === false ? observed.drive.message : "",
    message: "",
  };
}

/** Plans are kept for as long as their guests: the many empty lists in them are one and the same. */
function kept<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? NOTHING : list;
}

function planUnobserved(input: GuestPlanInput): GuestPlan {
  const { desired, absenceMessage: message = "" } = input;
  // Not read, and nobody says that it is gone: nothing may be concluded from that.
  const absence = input.absence ?? "unreadable";
  switch (absence) {
    case "missing": {
      const plan = standingOnly(desired, undefined, "missing", message);
      return desired.state === "absent" ? plan : { ...plan, deferred: [wouldCreate(desired)] };
    }
    case "on_other_node":
      return standingOnly(desired, undefined, "on_other_node", message);
    case "unreadable":
      return standingOnly(desired, undefined, "unreadable", message === "" ? "it could not be read, so nothing is planned" : message);
    default:
      return unreachable(absence);
  }
}

function standingOnly(guest: GuestKey, name: string | undefined, standing: GuestStanding, message: string): GuestPlan {
  return {
    guest: { kind: guest.kind, vmid: guest.vmid },
    name,
    standing,
    actions: NOTHING,
    withheld: NOTHING,
    deferred: NOTHING,
    holds: NOTHING,
    restartPending: NOTHING,
    drivePending: NOTHING,
    driveUnknown: "",
    message,
  };
}
