import { formatGuestKey } from "../guest/key.ts";
import { escapeText } from "../plan/escape.ts";
import type { ImportedGuest } from "./import-guest.ts";
import { isValueShown, LEFT_OUT_HEADINGS, LEFT_OUT_REASONS, type LeftOutKey, type LeftOutReason } from "./left-out.ts";
import { entryLines, flowText } from "./yaml-text.ts";

/** Longest comment line, in characters; what is longer is cut, for it is only there to be read. */
const COMMENT_LENGTH_MAX = 200;

/** Longest name taken into a file's name, in characters. */
const FILE_NAME_LENGTH_MAX = 64;

/** One desired-state file that declares these guests. Not for an empty list: it would say "none". */
export function renderGuests(guests: readonly ImportedGuest[], node: string): string {
  const opening = comment(`As found on node ${node} by "agent import". What is not written here is not managed.`);
  return [opening, "version: 1", "guests:", ...guests.flatMap(guestLines), ""].join("\n");
}

/** "101-web.yaml"; what a file's name should not hold becomes a hyphen. */
export function fileNameOf({ guest, name }: ImportedGuest): string {
  const clean = (name ?? "").replace(/[^A-Za-z0-9.]+/g, "-").replace(/^[-.]+|[-.]+$/g, "").slice(0, FILE_NAME_LENGTH_MAX);
  return clean === "" ? `${guest.vmid}.yaml` : `${guest.vmid}-${clean}.yaml`;
}

function guestLines(imported: ImportedGuest): readonly string[] {
  const { guest, name, mode, state, config, leftOut, notes } = imported;
  const fields = [
    ...(mode === "observe" ? ["mode: observe"] : []),
    ...(state === undefined ? [] : [`state: ${state}`]),
  ];
  const entries = Object.entries(config).flatMap(([key, value]) => entryLines(key, value));
  return [
    `  ${comment(`${formatGuestKey(guest)}${name === undefined ? "" : ` ${name}`}`)}`,
    ...notes.map((note) => `  ${comment(note)}`),
    `  - vmid: ${guest.vmid}`,
    `    kind: ${guest.kind}`,
    ...fields.map((line) => `    ${line}`),
    ...(entries.length === 0 ? [] : ["    config:"]),
    ...entries.map((line) => (line === "" ? "" : `      ${line}`)),
    ...LEFT_OUT_REASONS.flatMap((reason) => leftOutLines(reason, leftOut.filter((left) => left.reason === reason))).map((line) => `      ${comment(line)}`),
  ];
}

function leftOutLines(reason: LeftOutReason, keys: readonly LeftOutKey[]): readonly string[] {
  if (keys.length === 0) return [];
  const heading = LEFT_OUT_HEADINGS[reason];
  if (!isValueShown(reason)) return [`${heading}: ${keys.map(({ key }) => key).join(", ")}`];
  return [`${heading}:`, ...keys.map(({ key, found }) => `  ${key}: ${flowText(found)}`)];
}

function comment(text: string): string {
  const line = escapeText(text);
  return `# ${line.length > COMMENT_LENGTH_MAX ? `${line.slice(0, COMMENT_LENGTH_MAX)}…` : line}`;
}
