import { formatGuestKey } from "../guest/key.ts";
import { unreachable } from "../ports/errors.ts";
import { escapeText } from "./escape.ts";
import { isSecretKey } from "./keys.ts";
import { type HostPlan, isInSync } from "./plan-host.ts";
import type { PlanStyle } from "./render-style.ts";
import { formatSummary } from "./render-summary.ts";
import type { Action, Deferred, DrivePendingField, FieldChange, GuestPlan, PendingField } from "./types.ts";

/** Longest value shown, in characters: a usual NIC or disk is whole. `-o json` has all of them whole. */
const VALUE_LENGTH_MAX = 80;
/** Longest guest name shown, in characters: one long name would indent every line of every other guest. */
const NAME_LENGTH_MAX = 32;
/** How much of what two long values have in common is shown before the place where they part. */
const COMMON_LENGTH_SHOWN = 12;
const ABSENT = "(absent)";
const MASK = "******";
/** A value of which Proxmox only says that it is there. */
const NOT_TOLD = "(another value)";

/** One line under a guest: a mark, what it is about, and the rest. */
interface Line {
  readonly mark: string;
  readonly subject: string;
  readonly text: string;
  readonly note: string;
  readonly paint: (text: string) => string;
}

/**
 * A plan for a person: aligned, one line a difference, guests in sync left out, a summary at the end.
 * Every line is escaped; secrets are masked.
 */
export function renderPlan(plan: HostPlan, style: PlanStyle): string {
  const blocks = plan.guests
    .map((guest) => ({ guest, lines: linesOf(guest, style) }))
    .filter(({ lines }) => lines.length > 0);
  const labelWidth = Math.max(0, ...blocks.map(({ guest }) => labelOf(guest).length));
  const subjectWidth = Math.max(0, ...blocks.flatMap(({ lines }) => lines.map((line) => line.subject.length)));
  const rendered = blocks.flatMap(({ guest, lines }) => lines.map((line, index) => {
    const label = (index === 0 ? labelOf(guest) : "").padEnd(labelWidth);
    const body = line.paint(`${line.mark} ${line.subject.padEnd(subjectWidth)}  ${line.text}`.trimEnd());
    return `${style.guest(label)}  ${body}${line.note === "" ? "" : `  ${style.faint(line.note)}`}`;
  }));
  return [...rendered, ...(rendered.length > 0 ? [""] : []), formatSummary(plan.summary), ""].join("\n");
}

function labelOf(plan: GuestPlan): string {
  const key = formatGuestKey(plan.guest);
  return plan.name === undefined || plan.name === "" ? key : `${key} ${clipName(escapeText(plan.name))}`;
}

/** The label is in front of every line of its guest, and as wide for all guests. */
function clipName(name: string): string {
  const characters = Array.from(name);
  return characters.length <= NAME_LENGTH_MAX ? name : `${characters.slice(0, NAME_LENGTH_MAX - 1).join("")}…`;
}

function linesOf(plan: GuestPlan, style: PlanStyle): readonly Line[] {
  return [
    ...standingLines(plan, style),
    ...plan.actions.flatMap((action) => actionLines(action, style, "")),
    ...plan.withheld.flatMap((action) => actionLines(action, style, plan.standing === "observed" ? "only observed" : "withheld")),
    ...plan.holds.map((hold) => lineOf("=", `held ${hold.reason}`, escapeText(hold.message), "", style.warning)),
    ...plan.deferred.map((deferred) => lineOf("!", deferred.key, deferredText(deferred), noteOf(`deferred: ${deferred.reason}`), style.warning)),
    ...plan.restartPending.map((field) => lineOf(".", field.key, pendingText(field), noteOf("waits for a restart"), style.faint)),
    ...plan.drivePending.map((field) => lineOf(".", field.key, driveText(field), noteOf(waitsForDrive(plan)), style.faint)),
    ...(plan.driveUnknown === "" ? [] : [lineOf("?", "cloud-init", escapeText(`what the drive holds is not known: ${plan.driveUnknown}`), "", style.faint)]),
  ];
}

/** A standing is worth a line when it says why nothing else can be said. */
function standingLines(plan: GuestPlan, style: PlanStyle): readonly Line[] {
  switch (plan.standing) {
    case "managed":
    case "observed":
    case "ignored":
      return [];
    case "missing":
      // Missing and declared absent is what was asked for; otherwise its deferred creation says it.
      return isInSync(plan) || plan.message === "" ? [] : [lineOf("?", "missing", escapeText(plan.message), "", style.warning)];
    case "on_other_node":
      return [lineOf("?", "elsewhere", escapeText(plan.message), "", style.faint)];
    case "conflict":
    case "unreadable":
      return [lineOf("?", plan.standing, escapeText(plan.message), "", style.warning)];
    default:
      return unreachable(plan.standing);
  }
}

function actionLines(action: Action, style: PlanStyle, note: string): readonly Line[] {
  switch (action.type) {
    case "set_config":
      return action.changes.map((change) => changeLine(change, style, note));
    case "start":
    case "shutdown":
    case "reboot":
      return [lineOf(">", action.type, escapeText(action.reason), noteOf(note), style.power)];
    default:
      return unreachable(action);
  }
}

function changeLine(change: FieldChange, style: PlanStyle, note: string): Line {
  const notes = noteOf(APPLIES_NOTE[change.applies], note);
  if (isSecretKey(change.key)) return lineOf("~", change.key, `${MASK} → ${change.send === undefined ? ABSENT : MASK}`, notes, style.changed);
  const [found, wanted] = excerpts(valueText(change.foundRaw), valueText(change.send));
  if (change.change === "delete") return lineOf("-", change.key, `${found} → ${ABSENT}`, notes, style.removed);
  if (change.foundRaw === undefined) return lineOf("+", change.key, wanted, notes, style.added);
  return lineOf("~", change.key, `${found} → ${wanted}`, notes, style.changed);
}

const APPLIES_NOTE: Readonly<Record<FieldChange["applies"], string>> = {
  now: "",
  "next restart": "applies at next restart",
  "next cloud-init drive": "waits for a regenerated cloud-init drive",
};

function waitsForDrive({ guest }: GuestPlan): string {
  return `waits for a regenerated cloud-init drive: the next start, or qm cloudinit update ${guest.vmid}`;
}

function driveText(field: DrivePendingField): string {
  if (isSecretKey(field.key)) return `${MASK} → ${MASK}`;
  const [onDrive, wanted] = excerpts(field.isTold ? valueText(field.onDrive) : NOT_TOLD, valueText(field.configured));
  return `${onDrive} → ${wanted}`;
}

function pendingText(field: PendingField): string {
  if (isSecretKey(field.key)) return `${MASK} → ${MASK}`;
  const [running, pending] = excerpts(valueText(field.running), valueText(field.pending));
  return `${running} → ${pending}`;
}

/** Messages stand alone in the journal and start with their key; here it is in front already. */
function deferredText({ key, message }: Deferred): string {
  return escapeText(message.startsWith(`${key}: `) ? message.slice(key.length + 2) : message);
}

function lineOf(mark: string, subject: string, text: string, note: string, paint: Line["paint"]): Line {
  return { mark, subject: escapeText(subject), text, note, paint };
}

function noteOf(...notes: readonly string[]): string {
  const said = notes.filter((note) => note !== "");
  return said.length === 0 ? "" : `(${said.join(", ")})`;
}

function valueText(value: string | undefined): string {
  if (value === undefined) return ABSENT;
  return value.trim() === "" ? JSON.stringify(value) : escapeText(value.trimEnd());
}

/** Both values short enough to show; of long ones, the part around the place where they begin to differ. */
function excerpts(found: string, wanted: string): readonly [string, string] {
  if (found.length <= VALUE_LENGTH_MAX && wanted.length <= VALUE_LENGTH_MAX) return [found, wanted];
  let common = 0;
  while (common < found.length && common < wanted.length && found[common] === wanted[common]) common += 1;
  const from = common <= COMMON_LENGTH_SHOWN * 2 ? 0 : common - COMMON_LENGTH_SHOWN;
  return [shorten(found, from), shorten(wanted, from)];
}

function shorten(text: string, from = 0): string {
  const head = from === 0 || from >= text.length ? "" : "…";
  const rest = head === "" ? text : text.slice(from);
  return rest.length <= VALUE_LENGTH_MAX ? `${head}${rest}` : `${head}${rest.slice(0, VALUE_LENGTH_MAX)}… (${text.length} characters)`;
}
