import type { ObservedGuest } from "../guest/observed.ts";
import type { GuestSituation } from "./input.ts";
import type { Action, Hold } from "./types.ts";

/**
 * What stands between a planned act and its sending. A hold is reported only where it withholds
 * something: a guest in sync is not "held" because a backup has locked it.
 */
export function holdsFor(
  observed: ObservedGuest, situation: GuestSituation, actions: readonly Action[], isStuck: boolean,
): readonly Hold[] {
  const power = actions.find((action) => action.type !== "set_config");
  const holds: (Hold | undefined)[] = actions.length > 0 ? holdsOfEverything(observed, situation) : [];
  if (power !== undefined || isStuck) holds.push(...holdsOfPower(observed, situation));
  if (power?.type === "start") holds.push(waitingForOrder(situation));
  return holds.filter((hold) => hold !== undefined);
}

/** True when one of `holds` keeps `action` from being sent. */
export function isHeldBy(holds: readonly Hold[], action: Action): boolean {
  return holds.some((hold) => hold.scope === "all" || action.type !== "set_config");
}

function holdsOfEverything(observed: ObservedGuest, situation: GuestSituation): (Hold | undefined)[] {
  return [
    hold("Paused", "all", situation.pausedReason, (reason) => `${reason === "" ? "paused by an operator" : reason}; "agent resume" lets it go on`),
    hold("ActUnsettled", "all", situation.isActUnsettled, (act) => `an earlier act is not settled: ${act}`),
    hold("NoQuorum", "all", situation.hasNoQuorum === true ? "" : undefined, () => "the cluster has no quorum, so Proxmox takes no changes until it has"),
    hold("Locked", "all", observed.lock, (lock) =>
      `locked by Proxmox (${lock}${situation.foreignTask === undefined ? "" : `; running: ${situation.foreignTask}`}) until that is done; if nothing is running any more, "${commandOf(observed)} unlock ${observed.vmid}" removes a stale lock`),
  ];
}

function holdsOfPower(observed: ObservedGuest, situation: GuestSituation): (Hold | undefined)[] {
  return [
    hold("Template", "power", observed.isTemplate ? "" : undefined, () => "a template is never started; remove state from its declaration"),
    hold("HaManaged", "power", highAvailabilityState(observed), (state) =>
      `Proxmox's HA manager decides whether it runs (requested: ${state}); change the HA resource, or set it to ignored`),
    hold("GuestPaused", "power", unclearRunState(observed), (state) => `its run state is ${state}; resume or stop it in Proxmox`),
    hold("ForeignTask", "power", situation.foreignTask, (task) => `somebody else's task is running on it: ${task}`),
    hold("BulkTask", "power", situation.bulkTask, (task) => `a task over all guests is running on this node: ${task}`),
  ];
}

function waitingForOrder(situation: GuestSituation): Hold | undefined {
  return hold("WaitingForOrder", "power", situation.mustWaitForOrder, (reason) => `its turn in the start order has not come: ${reason}`);
}

function hold(
  reason: Hold["reason"], scope: Hold["scope"], cause: string | undefined, describe: (cause: string) => string,
): Hold | undefined {
  return cause === undefined ? undefined : { reason, scope, message: describe(cause) };
}

/** The requested HA state when HA really manages the guest; in state "ignored" it keeps its hands off. */
function highAvailabilityState(observed: ObservedGuest): string | undefined {
  const { ha } = observed;
  if (ha === undefined || !ha.isManaged || ha.state === "ignored") return undefined;
  return ha.state ?? "not told";
}

function unclearRunState(observed: ObservedGuest): string | undefined {
  if (observed.runState === "paused") return "paused";
  return observed.runState === "unknown" ? "unknown (neither running nor stopped)" : undefined;
}

function commandOf(observed: ObservedGuest): string {
  return observed.kind === "qemu" ? "qm" : "pct";
}
