import type { DesiredGuest } from "../desired/model.ts";
import { admit } from "../gate/admit.ts";
import { isOtherIdentity } from "../guest/identity.ts";
import { formatGuestKey, type GuestKey } from "../guest/key.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import type { Operation } from "../journal/types.ts";
import { holdsFor } from "../plan/holds.ts";
import type { Action } from "../plan/types.ts";
import { fail, fault, ok, unreachable, type Fault, type Result } from "../ports/errors.ts";
import { act, type ActResult } from "./act.ts";
import type { GuestJobContext } from "./guest-job.ts";
import type { HostSnapshot } from "./host-snapshot.ts";
import { observeGuest, refine } from "./observe.ts";
import { finishRestart, type FinishedRestart } from "./restart-finish.ts";
import { forgetRestartMark, putRestartMark, restartMarkOf, type RestartMark } from "./restart-mark.ts";
import { complaintAboutDeclaration, complaintAboutJournal, isRestartOf, keyConflict, type RestartReport, type RestartRequest } from "./restart-request.ts";
import { bareDeclaration, settleOperation } from "./settle.ts";

/**
 * A restart that a person asked for, as a job in its guest's lane: the one-shot way to apply what is
 * pending. It promises that a key starts at most one, and that a guest which was shut down for it is
 * started again whatever happens in between. A VM is rebooted by Proxmox, in one task; a container is
 * shut down and started, because Proxmox's reboot kills one that does not shut down in time.
 * Nothing is ever killed here.
 */

/** What a restart needs besides what every job does. */
export interface RestartContext extends GuestJobContext {
  /** As the newest desired state declares it; undefined: it does not, or more than once. */
  declared(vmid: number): DesiredGuest | undefined;
}

/** Runs it, or answers with what became of the one that used the key. Faults: refused, and nothing was sent. */
export async function runRestart(context: RestartContext, request: RestartRequest): Promise<Result<RestartReport>> {
  const holder = context.journal.keyHolder(request.key);
  return holder === undefined ? begin(context, request) : repeat(context, request, holder);
}

async function begin(context: RestartContext, request: RestartRequest): Promise<Result<RestartReport>> {
  const { vmid } = request;
  const declared = context.declared(vmid);
  const refused = complaintAboutDeclaration(vmid, declared) ?? complaintAboutJournal(context.journal, request, context.clock.now());
  if (refused !== undefined) return fail(refused);
  const open = await settleOpen(context, vmid);
  if (open !== undefined) return fault("reconcile.held", `${open}; nothing was sent`);
  const seen = await seeGuest(context, declared ?? bareDeclaration({ kind: "qemu", vmid }));
  if (!seen.ok) return seen;
  const { observed, snapshot } = seen.value;
  const about = aboutOf(request, observed);
  if (observed.isTemplate) return fault("control.refused", `${formatGuestKey(observed)} is a template, which never runs; nothing was sent`);
  if (observed.runState === "stopped") {
    return ok({ ...about, state: "not_running", message: "it is stopped, and Proxmox applies changes to a stopped guest at once: nothing waits for a restart, nothing was sent, and the key is not used up" });
  }
  const action = restartAction(observed, request.key);
  const held = heldBy(context, observed, snapshot, action);
  return held === undefined ? send(context, request, observed, action) : fail(held);
}

/** The holds that every power act knows, and a person's pause before them all. */
function heldBy(context: RestartContext, observed: ObservedGuest, snapshot: HostSnapshot, action: Action): Fault | undefined {
  if (context.isStopping()) return { code: "reconcile.held", message: "the agent is stopping; nothing was sent" };
  const [hold] = holdsFor(observed, context.situationOf(bareDeclaration(observed), snapshot), [action], false);
  return hold === undefined ? undefined : { code: "reconcile.held", message: `${formatGuestKey(observed)} is held (${hold.reason}): ${hold.message}; nothing was sent` };
}

function restartAction({ kind, vmid }: GuestKey, key: string): Action {
  const reason = `agent restart, key ${key}`;
  return kind === "qemu" ? { type: "reboot", guest: { kind, vmid }, reason } : { type: "shutdown", guest: { kind, vmid }, reason };
}

async function send(context: RestartContext, request: RestartRequest, observed: ObservedGuest, action: Action): Promise<Result<RestartReport>> {
  const { journal, clock } = context;
  const { kind, vmid, identity } = observed;
  const approved = admit([action], observed, "operation").approved[0];
  if (approved === undefined) return fault("control.refused", `the gate does not let a ${action.type} of ${formatGuestKey(observed)} through; nothing was sent`);
  const keyExpiresAt = new Date(clock.now() + request.keyLifeMs).toISOString();
  const mark: RestartMark = { kind, vmid, identity, key: request.key, keyExpiresAt };
  const marked = await putRestartMark(journal, mark);
  if (!marked.ok) return fault("reconcile.held", `${marked.error.message}; nothing was sent`, marked.error);
  // A person may have paused it, or the agent begun to stop, while the mark was on its way to the disk.
  const held = heldBy(context, observed, context.snapshot(), action);
  if (held !== undefined) {
    await forgetRestartMark(journal, vmid);
    return fail(held);
  }
  const result = await act(context, approved, observed, "operation", { key: request.key, keyExpiresAt });
  context.onActed(approved, result);
  return conclude(context, request, observed, mark, result);
}

async function conclude(context: RestartContext, request: RestartRequest, observed: ObservedGuest, mark: RestartMark, result: ActResult): Promise<Result<RestartReport>> {
  const about = aboutOf(request, observed, operationOf(context, request));
  const pending = pendingKeys(observed);
  switch (result.kind) {
    case "succeeded":
      return ok(await finished(context, { ...about, applied: pending }, mark));
    case "failed":
      await forgetRestartMark(context.journal, mark.vmid);
      return ok({ ...about, state: "failed", keyExpiresAt: "", stillPending: pending, message: `not restarted: ${result.message}. It was not killed; the key is free again` });
    case "unsettled":
      return ok({ ...about, state: "running", stillPending: pending, message: `${result.message}. Ask again with the same key` });
    case "conflict":
    case "not_journaled": {
      await forgetRestartMark(context.journal, mark.vmid);
      const holder = context.journal.keyHolder(request.key);
      if (holder !== undefined) return fail(keyConflict(request.key, holder));
      return fault("reconcile.held", `${result.kind === "conflict" ? "Proxmox refused it" : result.message}; nothing was sent`);
    }
    default:
      return unreachable(result);
  }
}

/** After the act that shut it down has succeeded: waits until it is up again, and starts it where the host does not. */
async function finished(context: RestartContext, about: RestartReport, mark: RestartMark): Promise<RestartReport> {
  const end = await finishRestart(context, mark);
  const seen = await seeGuest(context, bareDeclaration(mark));
  const stillPending = seen.ok ? pendingKeys(seen.value.observed) : [];
  return { ...about, state: stateOf(end), message: end.message, stillPending, applied: about.applied.filter((key) => !stillPending.includes(key)) };
}

function stateOf({ kind }: FinishedRestart): RestartReport["state"] {
  switch (kind) {
    case "up":
    case "left":
      return "succeeded";
    case "waiting":
      return "running";
    case "failed":
      return "failed";
    default:
      return unreachable(kind);
  }
}

/** The key was used: what became of it, settled as far as can be known now. */
async function repeat(context: RestartContext, request: RestartRequest, holder: Operation): Promise<Result<RestartReport>> {
  if (!isRestartOf(holder, request.vmid)) return fail(keyConflict(request.key, holder));
  const listed = context.snapshot().guests.get(request.vmid);
  const seen = listed === undefined ? undefined : await seeGuest(context, bareDeclaration(listed));
  if (seen?.ok === true && isOtherIdentity(holder.guest.identity, seen.value.observed.identity)) return fail(keyConflict(request.key, holder));
  const settlement = await settleOperation(context.settle, holder);
  const about: RestartReport = { ...aboutOf(request, seen?.ok === true ? seen.value.observed : undefined, holder), isRepeat: true };
  const operation = settlement.kind === "settled" ? settlement.operation : holder;
  const mark = restartMarkOf(context.journal, request.vmid);
  if (settlement.kind === "waiting") return ok({ ...about, state: "running", message: settlement.message });
  if (settlement.kind === "unknown") return ok({ ...about, state: "unknown", message: settlement.message });
  const isFinished = mark?.key !== request.key;
  if (operation.state !== "succeeded") {
    if (!isFinished) await forgetRestartMark(context.journal, request.vmid);
    return ok({ ...about, state: "failed", keyExpiresAt: "", message: `not restarted: ${operation.detail ?? operation.state}. The key is free again` });
  }
  if (!isFinished) return ok(await finished(context, about, mark));
  return ok({ ...about, state: "succeeded", message: `restarted already, at ${operation.changedAt}; nothing was sent` });
}

/** What is still open of earlier acts on this guest, or undefined. */
async function settleOpen(context: RestartContext, vmid: number): Promise<string | undefined> {
  for (const operation of context.openOperationsOf(vmid)) {
    const settlement = await settleOperation(context.settle, operation);
    if (settlement.kind !== "settled") return settlement.message;
  }
  return context.unrecordedWait(vmid);
}

interface Seen {
  readonly observed: ObservedGuest;
  readonly snapshot: HostSnapshot;
}

/** The guest and the host as they are now, run state, lock and HA from status/current. */
async function seeGuest(context: RestartContext, desired: DesiredGuest): Promise<Result<Seen>> {
  const snapshot = await context.freshSnapshot();
  if ("code" in snapshot) return fail({ ...snapshot, message: `${snapshot.message}; nothing was sent` });
  const observation = await observeGuest(context.api, desired, snapshot, context.facts());
  if (observation.kind !== "observed") return fault("control.refused", `${formatGuestKey(desired)} cannot be read: ${observation.message}; nothing was sent`);
  const status = await context.api.readStatus(desired);
  if (!status.ok) return fail({ ...status.error, message: `${status.error.message}; nothing was sent` });
  return ok({ observed: refine(observation.guest, status.value), snapshot });
}

function pendingKeys({ config }: ObservedGuest): readonly string[] {
  return config.pending.map(({ key }) => key).sort();
}

/** The operation this request's key stands for, wherever it is by now; one that failed has given the key back. */
function operationOf({ journal }: RestartContext, { key }: RestartRequest): Operation | undefined {
  return journal.keyHolder(key) ?? journal.recentOperations().findLast((operation) => operation.key === key);
}

/** The report's fixed part. */
function aboutOf({ vmid, key }: RestartRequest, observed: ObservedGuest | undefined, operation?: Operation): RestartReport {
  return {
    version: 1, kind: observed?.kind ?? operation?.guest.kind ?? "", vmid, name: observed?.name ?? "", key, state: "running", isRepeat: false,
    operation: operation?.id ?? "", keyExpiresAt: operation?.keyExpiresAt ?? "", message: "", applied: [], stillPending: [],
  };
}
