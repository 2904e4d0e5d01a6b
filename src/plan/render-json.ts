import { formatGuestKey } from "../guest/key.ts";
import { escapeJson } from "./escape.ts";
import { isSecretKey } from "./keys.ts";
import { type HostPlan, isInSync } from "./plan-host.ts";
import type { Action, Deferred, DrivePendingField, FieldChange, GuestPlan, PendingField } from "./types.ts";

/** Raised when a field is renamed, removed or changes its meaning; added fields do not raise it. */
const JSON_FORMAT_VERSION = 1;

const MASK = "******";

/** A plan for machines: one JSON document, stable in shape and order, secrets masked, safe to print on a terminal. */
export function renderPlanJson(plan: HostPlan): string {
  const document = { version: JSON_FORMAT_VERSION, guests: plan.guests.map(guestJson), summary: plan.summary };
  // Line by line: the breaks between JSON's parts stay, those inside of texts are escaped already.
  return `${JSON.stringify(document, null, 2).split("\n").map(escapeJson).join("\n")}\n`;
}

function guestJson(plan: GuestPlan): object {
  return {
    guest: formatGuestKey(plan.guest),
    kind: plan.guest.kind,
    vmid: plan.guest.vmid,
    name: plan.name ?? null,
    standing: plan.standing,
    inSync: isInSync(plan),
    message: plan.message,
    actions: plan.actions.map(actionJson),
    withheld: plan.withheld.map(actionJson),
    deferred: plan.deferred.map(deferredJson),
    holds: plan.holds.map(({ reason, scope, message }) => ({ reason, scope, message })),
    restartPending: plan.restartPending.map(pendingJson),
    drivePending: plan.drivePending.map(drivePendingJson),
    driveUnknown: plan.driveUnknown,
  };
}

function actionJson(action: Action): object {
  if (action.type !== "set_config") return { type: action.type, reason: action.reason };
  return { type: action.type, digest: action.digest, changes: action.changes.map(changeJson) };
}

function changeJson(change: FieldChange): object {
  const { key, applies } = change;
  const shown = masking(key);
  return {
    key,
    change: change.change,
    found: shown(change.foundRaw),
    send: shown(change.send),
    foundNormal: shown(change.found),
    declaredNormal: shown(change.declared),
    applies,
  };
}

function deferredJson({ key, reason, declared, found, message }: Deferred): object {
  const shown = masking(key);
  return { key, reason, declared: shown(declared), found: shown(found), message };
}

function pendingJson({ key, running, pending }: PendingField): object {
  const shown = masking(key);
  return { key, running: shown(running), pending: shown(pending) };
}

function drivePendingJson({ key, onDrive, isTold, configured }: DrivePendingField): object {
  const shown = masking(key);
  return { key, onDrive: shown(onDrive), isOnDriveTold: isTold, configured: shown(configured) };
}

/** null stays null, so that a reader still sees whether there is a value. */
function masking(key: string): (value: string | null | undefined) => string | null {
  return (value) => (value === null || value === undefined ? null : isSecretKey(key) ? MASK : value);
}
