import { admit } from "../gate/admit.ts";
import { isOtherIdentity } from "../guest/identity.ts";
import { formatGuestKey } from "../guest/key.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import { holdsFor } from "../plan/holds.ts";
import type { Action } from "../plan/types.ts";
import { unreachable } from "../ports/errors.ts";
import { act } from "./act.ts";
import { observeForSettling } from "./settle-observation.ts";
import { forgetRestartMark, restartMarkOf, type RestartMark } from "./restart-mark.ts";
import type { RestartContext } from "./restart.ts";
import { settleOperation } from "./settle.ts";

/**
 * The second half of a restart: the guest was asked to shut down, and has to be up again. One function,
 * whether the first half was a moment ago or in a process that has died since.
 */

/** How long the host is given to start a VM that it reboots: what cleans up after a VM may hold its lock for half a minute. */
const HOST_START_MS = 45_000;

/** How long a guest's own restart is attended to before the lane is given back; what is left is tried again later. */
const ATTENDED_MS = 120_000;

/** How long after the end of its shutdown a container may still be listed as running. */
const SHUTDOWN_SEEN_MS = 5_000;

/** Between two looks. */
const LOOK_INTERVAL_MS = 500;

/** Starts that Proxmox refuses before the restart counts as failed for now; a lock of the cleanup is gone by then. */
export const START_TRIES_MAX = 3;
const START_RETRY_MS = 10_000;

/** "left": somebody else has decided otherwise since. "waiting": tried again later, and so is "failed". */
export interface FinishedRestart {
  readonly kind: "up" | "left" | "waiting" | "failed";
  readonly message: string;
}

/** One look's result; `isOver`: looking again now changes nothing. */
interface Step extends FinishedRestart {
  readonly isOver: boolean;
}

/** Attends to a restart that has been begun until the guest is up again, or for two minutes. */
export async function finishRestart(context: RestartContext, mark: RestartMark): Promise<FinishedRestart> {
  const { clock } = context;
  const sinceMs = clock.monotonic();
  let failures = 0;
  for (;;) {
    const isHostsTurn = mark.kind === "qemu" && clock.monotonic() - sinceMs < HOST_START_MS;
    const step = await finishStep(context, mark, isHostsTurn);
    if (step.kind === "failed") failures += 1;
    const isEnough = step.isOver || failures >= START_TRIES_MAX || clock.monotonic() - sinceMs >= ATTENDED_MS || context.stop.aborted;
    if (isEnough) return conclude(context, mark, step);
    await clock.sleep(step.kind === "failed" ? START_RETRY_MS : LOOK_INTERVAL_MS, context.stop);
  }
}

/**
 * One look, and a start where one is due, for a restart that an earlier process (or an earlier try) left.
 * Undefined: there is none, or what it waits for is not known yet.
 */
export async function finishLeftover(context: RestartContext, vmid: number): Promise<FinishedRestart | undefined> {
  const mark = restartMarkOf(context.journal, vmid);
  if (mark === undefined) return undefined;
  const holder = context.journal.keyHolder(mark.key);
  // It never began, has failed, or lies so far back that nobody remembers: then nobody waits for the guest either.
  if (holder === undefined || holder.guest.vmid !== vmid) return conclude(context, mark, { kind: "left", message: "it had not been shut down" });
  if (holder.state !== "succeeded") {
    const settlement = await settleOperation(context.settle, holder);
    return settlement.kind === "settled" ? finishLeftover(context, vmid) : { kind: "waiting", message: settlement.message };
  }
  return conclude(context, mark, await finishStep(context, mark, false));
}

async function conclude({ journal }: RestartContext, mark: RestartMark, { kind, message }: FinishedRestart): Promise<FinishedRestart> {
  if (kind === "up" || kind === "left") await forgetRestartMark(journal, mark.vmid);
  return { kind, message };
}

async function finishStep(context: RestartContext, mark: RestartMark, isHostsTurn: boolean): Promise<Step> {
  for (const operation of context.openOperationsOf(mark.vmid)) {
    const settlement = await settleOperation(context.settle, operation);
    if (settlement.kind !== "settled") return waiting(settlement.message, settlement.kind === "unknown");
  }
  const unrecorded = await context.unrecordedWait(mark.vmid);
  if (unrecorded !== undefined) return waiting(unrecorded);
  const fresh = await context.freshSnapshot();
  if ("code" in fresh) return waiting(fresh.message);
  const observed = await observeForSettling(context.api, context.facts(), fresh, mark);
  if (observed === "missing") return left("it no longer exists");
  if ("elsewhere" in observed) return left(`it is on node ${observed.elsewhere} now`);
  if ("unreadable" in observed) return waiting(observed.unreadable);
  if (isOtherIdentity(mark.identity, observed.identity)) return left("another guest has this number now");
  if (mark.kind === "lxc" && observed.runState === "running" && isJustShutDown(context, mark)) return waiting("its shutdown has just ended, and it still reads as running");
  if (observed.runState !== "stopped") return { kind: "up", message: observed.runState === "running" ? "it was restarted and runs" : `it was restarted and is ${observed.runState}`, isOver: true };
  const declared = context.declared(mark.vmid);
  if (declared?.state === "stopped" || declared?.state === "absent") return left("it is declared stopped by now, and stays off");
  const action: Action = { type: "start", guest: { kind: mark.kind, vmid: mark.vmid }, reason: `agent restart, key ${mark.key}` };
  const situation = context.situationOf({ ...(declared ?? context.declaredNow(mark)), state: undefined }, fresh);
  const hold = holdsFor(observed, situation, [action], false)[0];
  if (hold !== undefined) return waiting(`it is off, and held (${hold.reason}): ${hold.message}`, hold.reason === "Paused");
  if (isHostsTurn) return waiting("it is off, and Proxmox is about to start it");
  return start(context, action, observed);
}

/** Shut down a moment ago, and not started by us since: what reads as running may be its end. A VM's process is gone when its task ends. */
function isJustShutDown({ journal, clock }: RestartContext, { key, vmid }: RestartMark): boolean {
  const shutdown = journal.keyHolder(key);
  if (shutdown === undefined || Math.abs(clock.now() - Date.parse(shutdown.changedAt)) >= SHUTDOWN_SEEN_MS) return false;
  return !journal.recentOperations().some(({ guest, action, plannedAt }) => guest.vmid === vmid && action === "start" && plannedAt >= shutdown.changedAt);
}

async function start(context: RestartContext, action: Action, observed: ObservedGuest): Promise<Step> {
  // A stop waits for this: it is the second half of an act, not a new one.
  if (context.stop.aborted) return waiting("it is off, and the agent has stopped; it is started when the agent runs again", true);
  const approved = admit([action], observed, "operation").approved[0];
  if (approved === undefined) return waiting(`the gate does not let a start of ${formatGuestKey(observed)} through`, true);
  const result = await act(context, approved, observed, "operation");
  context.onActed(approved, result);
  switch (result.kind) {
    case "succeeded":
      return waiting("it was started");
    case "failed":
      return { kind: "failed", message: `it was shut down and does not start again: ${result.message}. Tried again from time to time until it runs`, isOver: false };
    case "conflict":
    case "unsettled":
      return waiting("it was started, and how that ended is not known yet");
    case "not_journaled":
      return waiting(`it is off, and its start cannot be journaled: ${result.message}`);
    default:
      return unreachable(result);
  }
}

function waiting(message: string, isOver = false): Step {
  return { kind: "waiting", message, isOver };
}

function left(message: string): Step {
  return { kind: "left", message, isOver: true };
}
