import { formatTransition, type Condition, type TransitionEvent } from "../conditions/condition.ts";
import { formatGuestKey } from "../guest/key.ts";
import type { GuestConditions, ServerView } from "./view.ts";

/** Guests shown; the page is for a glance, `agent status` lists all. */
const MAX_GUEST_ROWS = 1_000;

/** Newest events shown; the log has them all. */
const MAX_EVENT_ROWS = 50;

const STYLE =
  "body{font:14px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem}table{border-collapse:collapse;margin:1rem 0}" +
  "th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #ddd;vertical-align:top}" +
  ".True{color:#0a7d28}.False{color:#b3261e}.Unknown{color:#8a6d00}";

/**
 * A page for a person with a browser: no scripts, nothing fetched, everything escaped, and no
 * text in it can hide or reorder what stands beside it. Guests and messages only for `isLocal` peers.
 */
export function statusPage(view: ServerView, isLocal: boolean): string {
  const title = isLocal ? `steward on ${view.node}` : "steward";
  const body = [
    `<h1>${escapeHtml(title)}</h1>`,
    `<p>version ${escapeHtml(view.version)} (${escapeHtml(view.commit)}) · <a href="/readyz?verbose">readyz</a> · <a href="/livez?verbose">livez</a> · <a href="/metrics">metrics</a></p>`,
    conditionTable(view.hostConditions(), isLocal),
    ...(isLocal ? [guestTable(view), eventTable(view.events()), journalLine(view)] : []),
  ];
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head>\n<body>\n${body.join("\n")}\n</body></html>\n`;
}

function conditionTable(conditions: readonly Condition[], isLocal: boolean): string {
  const rows = conditions.map((condition) => {
    const cells = [escapeHtml(condition.type), status(condition), escapeHtml(condition.reason), escapeHtml(condition.lastTransitionTime)];
    return row(isLocal ? [...cells, escapeHtml(condition.message)] : cells);
  });
  const heads = ["condition", "status", "reason", "since", ...(isLocal ? ["message"] : [])];
  return table(heads, rows);
}

function guestTable(view: ServerView): string {
  const rows: string[] = [];
  let count = 0;
  for (const guest of view.guestConditions()) if (count++ < MAX_GUEST_ROWS) rows.push(guestRow(guest));
  const more = count > MAX_GUEST_ROWS ? `<p>and ${count - MAX_GUEST_ROWS} more: see <code>agent status</code></p>` : "";
  return `<h2>${count} guests</h2>\n${table(["guest", "name", "synced", "reason", "message", "also"], rows)}${more}`;
}

function guestRow({ guest, name, conditions }: GuestConditions): string {
  const synced = conditions.find((condition) => condition.type === "Synced");
  const others = conditions.filter((condition) => condition !== synced && condition.status !== "False").map((condition) => `${condition.type} (${condition.reason})`);
  const cells = [escapeHtml(formatGuestKey(guest)), escapeHtml(name ?? "")];
  const stand = synced === undefined ? ["", "", ""] : [status(synced), escapeHtml(synced.reason), escapeHtml(synced.message)];
  return row([...cells, ...stand, escapeHtml(others.join(", "))]);
}

/** Newest first: one row a transition. */
function eventTable(events: readonly TransitionEvent[]): string {
  const rows = events.slice(-MAX_EVENT_ROWS).toReversed().map((event) => row([escapeHtml(event.at), escapeHtml(formatTransition(event))]));
  return rows.length === 0 ? "" : `<h2>Newest events</h2>\n${table(["at", "what"], rows)}`;
}

function journalLine(view: ServerView): string {
  const head = view.journalHead();
  if (head === undefined) return "<p>journal: not open</p>";
  return `<p>journal: segment ${escapeHtml(head.segment)}, record ${head.sequence}, <code>${escapeHtml(head.hash)}</code></p>`;
}

function status(condition: Condition): string {
  return `<span class="${condition.status}">${condition.status}</span>`;
}

function table(heads: readonly string[], rows: readonly string[]): string {
  const head = heads.map((text) => `<th>${text}</th>`).join("");
  return `<table><thead><tr>${head}</tr></thead><tbody>\n${rows.join("\n")}\n</tbody></table>`;
}

function row(cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

const HTML_ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

// Controls but tab and line feed, invisible and direction-changing characters, separators, lone surrogates: what
// src/plan/escape.ts keeps from terminals. Said again here, for the server may not import the planner.
// eslint-disable-next-line no-control-regex, no-misleading-character-class
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|\p{Surrogate}/gu;

/** Text for a page; what cannot be shown becomes `\u{1b}`, as in the terminal's output. */
function escapeHtml(text: string): string {
  const printable = text.replace(UNPRINTABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
  return printable.replace(/[&<>"']/g, (character) => HTML_ESCAPES[character] ?? "");
}
