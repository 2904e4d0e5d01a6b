import type { DesiredGuest } from "../desired/model.ts";
import { formatGuestKey } from "../guest/key.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import { unreachable } from "../ports/errors.ts";
import type { GuestSituation } from "./input.ts";
import type { Action, Deferred } from "./types.ts";

/** What is to be done about a guest's run state or existence. */
export interface RunStatePlan {
  readonly action: Action | undefined;
  readonly deferred: Deferred | undefined;
  /** The declared run state cannot be reached from a guest that is neither running nor stopped. */
  readonly isStuck: boolean;
}

const SETTLED: RunStatePlan = { action: undefined, deferred: undefined, isStuck: false };

/** The table of declared and found run state. */
export function planRunState(desired: DesiredGuest, observed: ObservedGuest, situation: GuestSituation): RunStatePlan {
  switch (desired.state) {
    case undefined:
      return SETTLED;
    case "absent":
      return { ...SETTLED, deferred: needsSignature(observed) };
    case "running":
      return towardsRunning(observed);
    case "stopped":
      return towardsStopped(observed, situation);
    default:
      return unreachable(desired.state);
  }
}

function towardsRunning(observed: ObservedGuest): RunStatePlan {
  switch (observed.runState) {
    case "running":
      return SETTLED;
    case "stopped":
      return { ...SETTLED, action: { type: "start", guest: keyOf(observed), reason: "declared running, found stopped" } };
    case "paused":
    case "unknown":
      return { ...SETTLED, isStuck: true };
    default:
      return unreachable(observed.runState);
  }
}

function towardsStopped(observed: ObservedGuest, situation: GuestSituation): RunStatePlan {
  switch (observed.runState) {
    case "stopped":
      return SETTLED;
    case "running":
      if (situation.shutdownFailed === true) return { ...SETTLED, deferred: wouldHardStop(observed) };
      return { ...SETTLED, action: { type: "shutdown", guest: keyOf(observed), reason: "declared stopped, found running" } };
    case "paused":
    case "unknown":
      return { ...SETTLED, isStuck: true };
    default:
      return unreachable(observed.runState);
  }
}

function keyOf(observed: ObservedGuest): { readonly kind: ObservedGuest["kind"]; readonly vmid: number } {
  return { kind: observed.kind, vmid: observed.vmid };
}

function needsSignature(observed: ObservedGuest): Deferred {
  return {
    key: "state",
    reason: "needs_signature",
    declared: "absent",
    found: observed.runState,
    message: `${formatGuestKey(observed)} is declared absent but exists; destroying a guest loses its data and is never done unsigned. Destroy it in Proxmox, or declare another state`,
  };
}

function wouldHardStop(observed: ObservedGuest): Deferred {
  const command = observed.kind === "qemu" ? "qm" : "pct";
  return {
    key: "state",
    reason: "would_hard_stop",
    declared: "stopped",
    found: "running",
    message: `${formatGuestKey(observed)} did not shut down in time and is not cut off by itself; look into the guest, or stop it hard with "${command} stop ${observed.vmid}"`,
  };
}

/** For a declared guest that is not there. */
export function wouldCreate(desired: DesiredGuest): Deferred {
  return {
    key: "state",
    reason: "would_create",
    declared: desired.state ?? "present",
    found: null,
    message: `${formatGuestKey(desired)} is declared but does not exist; guests are not created by this version. Create it in Proxmox, or remove it from the desired state`,
  };
}
