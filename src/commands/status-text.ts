import { formatTransition, type Condition } from "../conditions/condition.ts";
import type { GuestReport, StatusReport } from "../control/report.ts";
import { escapeText } from "../plan/escape.ts";
import type { PlanStyle } from "../plan/render-style.ts";
import { describePause } from "../reconcile/pauses.ts";
import { REVISION_SHOWN } from "../reconcile/revision.ts";
import { alignColumns } from "./table.ts";

/** The status of the running agent as text: whole for `agent status`, and what fits on a screen for `-w`. */

/** Newest events shown. */
const EVENTS_SHOWN = 8;

/** With more guests than this only those are listed of which there is something to say. */
const GUESTS_LISTED_MAX = 100;

/** Longest guest name shown, characters: one long name would push every row's message off the screen. */
const NAME_LENGTH_MAX = 32;

/** Lines that a screen gives to sections other than the guests, at most. */
const SECTION_ROWS_MAX = 5;

/** Room for guests on a small screen, however much else there is. */
const GUEST_ROWS_MIN = 3;

/** Results by how much they need a person, the worst first. What is not named comes after these, and in sync last. */
const URGENCY: readonly string[] = ["unknown", "failed", "unreadable", "conflict", "journal_unavailable", "missing", "settling", "revision_held", "held", "deferred", "dry_run"];

/** The whole status for a person. */
export function renderStatus(report: StatusReport, style: PlanStyle, isAll: boolean): string {
  return [
    ...headLines(report, style),
    "",
    ...conditionLines(report.conditions, style),
    ...guestSection(report, style, isAll),
    ...section("Paused", pauseRows(report), style),
    ...section("Acts without an outcome", operationRows(report), style),
    ...section("Newest events", eventRows(report, EVENTS_SHOWN), style),
    "",
  ].join("\n");
}

/** What fits on a screen: problems first, what is well only counted. Lines without ends, none longer than the screen is wide. */
export function renderScreen(report: StatusReport, style: PlanStyle, { columns, rows }: { readonly columns: number; readonly rows: number }): readonly string[] {
  const plain = (lines: readonly string[]): readonly string[] => lines.map((line) => clip(line, columns));
  const bad = report.conditions.filter((condition) => !isFine(condition));
  const top = [
    style.guest(clip(headText(report), columns)),
    ...plain([revisionText(report)]),
    ...warnings(report).map((line) => style.warning(clip(line, columns))),
    "",
    ...(bad.length === 0 ? plain([`Host: all ${report.conditions.length} conditions are as they should be`]) : conditionRowsOf(bad, columns, style)),
    "",
    style.guest(clip(countText(report.guests), columns)),
  ];
  const bottom = [
    ...screenSection("Paused", pauseRows(report), columns, style),
    ...screenSection("Acts without an outcome", operationRows(report), columns, style),
    ...screenSection("Newest events", eventRows(report, SECTION_ROWS_MAX), columns, style),
    "",
    style.faint(clip(`${report.now}  Ctrl-C ends`, columns)),
  ];
  const room = Math.max(GUEST_ROWS_MIN, rows - top.length - bottom.length - 1);
  return [...top, ...plain(guestLines(report.guests, room)), ...bottom];
}

function guestLines(guests: readonly GuestReport[], room: number): readonly string[] {
  const worth = guests.filter((guest) => !isQuiet(guest)).toSorted((a, b) => urgencyOf(a) - urgencyOf(b) || a.vmid - b.vmid);
  if (worth.length <= room) return alignColumns(worth.map(guestRow), "  ");
  const shown = worth.slice(0, room - 1);
  return [...alignColumns(shown.map(guestRow), "  "), `  … and ${worth.length - shown.length} more: "agent status" lists them`];
}

function urgencyOf({ result }: GuestReport): number {
  const place = URGENCY.indexOf(result);
  return place === -1 ? URGENCY.length : place;
}

/** Nothing to say of it that a person would miss. */
function isQuiet(guest: GuestReport): boolean {
  return noteworthy(guest.conditions) === "" || guest.result === "ignored";
}

/** "Guests: 990 in_sync, 6 held, 4 failed", the most first. */
function countText(guests: readonly GuestReport[]): string {
  const counts = new Map<string, number>();
  for (const { result } of guests) counts.set(result, (counts.get(result) ?? 0) + 1);
  const parts = [...counts].sort(([a, left], [b, right]) => right - left || (a < b ? -1 : 1)).map(([result, count]) => `${count} ${escapeText(result)}`);
  return `Guests: ${parts.length === 0 ? "none" : parts.join(", ")}`;
}

function screenSection(title: string, rows: readonly (readonly string[])[], columns: number, style: PlanStyle): readonly string[] {
  if (rows.length === 0) return [];
  const more = rows.length - SECTION_ROWS_MAX;
  const lines = alignColumns(rows.slice(0, SECTION_ROWS_MAX), "  ").map((line) => clip(line, columns));
  return ["", style.guest(clip(more > 0 ? `${title} (and ${more} more)` : title, columns)), ...lines];
}

function headLines(report: StatusReport, style: PlanStyle): readonly string[] {
  const { agent, revision } = report;
  const dry = agent.isDryRun ? style.warning(DRY_RUN) : "";
  const rest = ` on ${escapeText(agent.node)}, pid ${agent.pid}, since ${escapeText(agent.startedAt)}`;
  const text = revisionText(report);
  return [
    `${style.guest(`steward ${escapeText(agent.version)}`)}${rest}${dry}`,
    revision.isHeld ? text.replace(" HELD", style.warning(" HELD")) : text,
    ...warnings(report).map((line) => style.warning(line)),
  ];
}

const DRY_RUN = "  DRY RUN: nothing is sent";

function headText({ agent }: StatusReport): string {
  return `steward ${escapeText(agent.version)} on ${escapeText(agent.node)}, pid ${agent.pid}, since ${escapeText(agent.startedAt)}${agent.isDryRun ? DRY_RUN : ""}`;
}

function revisionText({ revision, journal }: StatusReport): string {
  const id = revision.id === "" ? "no revision yet" : `revision ${escapeText(revision.id.slice(0, REVISION_SHOWN))}${revision.isHeld ? " HELD" : ""}`;
  return `${id}, ${revision.declaredGuests} guest${revision.declaredGuests === 1 ? "" : "s"} declared; journal ${escapeText(journal.state)}, record ${journal.head.sequence}, head ${escapeText(journal.head.hash.slice(0, 16))}`;
}

function warnings({ agent, revision }: StatusReport): readonly string[] {
  return [
    ...(revision.isHeld ? [escapeText(revision.message)] : []),
    ...(agent.configProblem === "" ? [] : [`the newest config is not in force: ${escapeText(agent.configProblem)}`]),
  ];
}

function conditionLines(conditions: readonly Condition[], style: PlanStyle): readonly string[] {
  return [style.guest("Host"), ...conditionRowsOf(conditions, Number.POSITIVE_INFINITY, style)];
}

function conditionRowsOf(conditions: readonly Condition[], columns: number, style: PlanStyle): readonly string[] {
  const lines = alignColumns(conditions.map((condition) => [condition.type, condition.status, condition.reason, condition.message]), "  ");
  return lines.map((line, index) => paint(clip(line, columns), conditions[index], style));
}

function paint(line: string, condition: Condition | undefined, style: PlanStyle): string {
  if (condition === undefined || condition.status === "Unknown") return style.faint(line);
  return isFine(condition) ? line : style.removed(line);
}

function isFine({ type, status }: Condition): boolean {
  return type === "RevisionHeld" ? status === "False" : status === "True";
}

function guestSection({ guests }: StatusReport, style: PlanStyle, isAll: boolean): readonly string[] {
  const listed = isAll || guests.length <= GUESTS_LISTED_MAX ? guests : guests.filter((guest) => !isQuiet(guest));
  const left = guests.length - listed.length;
  return [
    ...section("Guests", listed.map(guestRow), style),
    ...(left === 0 ? [] : [...(listed.length === 0 ? ["", style.guest("Guests")] : []), `  ${listed.length === 0 ? "" : "and "}${left} of which there is nothing to say (${countText(guests)}); --all lists them`]),
  ];
}

function guestRow(guest: GuestReport): readonly string[] {
  return [`${guest.kind}/${guest.vmid}`, clip(guest.name, NAME_LENGTH_MAX), guest.runState, guest.result, noteworthy(guest.conditions)];
}

/** What is worth a person's eye: conditions that are not the quiet state. */
function noteworthy(conditions: readonly Condition[]): string {
  const told = new Set<string>();
  return conditions
    .filter((condition) => (condition.type === "Synced" ? condition.status !== "True" : condition.status !== "False"))
    .map((condition) => {
      // An act without an outcome is told by three conditions with one message.
      const isTold = condition.message !== "" && told.has(condition.message);
      told.add(condition.message);
      return isTold ? condition.type : describeCondition(condition);
    })
    .join(" | ");
}

/** "Drifted: cores 2 → 4"; a reason that its message begins with is not said twice. */
function describeCondition({ type, reason, message }: Condition): string {
  const name = type === "Synced" ? reason : type;
  if (message === "") return name;
  return message.toLowerCase().startsWith(name.toLowerCase()) ? message : `${name}: ${message}`;
}

function pauseRows({ pauses }: StatusReport): readonly (readonly string[])[] {
  return pauses.map((pause) => [pause.target === "all" ? "all guests" : String(pause.target), describePause(pause)]);
}

function operationRows({ openOperations }: StatusReport): readonly (readonly string[])[] {
  return openOperations.map((op) => [op.id, `${op.guest.kind}/${op.guest.vmid}`, op.action, op.state, op.changedAt]);
}

function eventRows({ events }: StatusReport, count: number): readonly (readonly string[])[] {
  return events.slice(-count).map((event) => [event.at, formatTransition(event)]);
}

function section(title: string, rows: readonly (readonly string[])[], style: PlanStyle): readonly string[] {
  return rows.length === 0 ? [] : ["", style.guest(title), ...alignColumns(rows, "  ")];
}

/** At most `length` characters; a cut is shown. By code points, so that none is cut in two. */
export function clip(text: string, length: number): string {
  if (text.length <= length) return text;
  const characters = Array.from(text);
  return characters.length <= length ? text : `${characters.slice(0, Math.max(0, length - 1)).join("")}…`;
}
