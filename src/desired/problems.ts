import type * as v from "valibot";
import { type DocumentProblem, type DocumentTree, formatPosition, PROBLEMS_MAX, offsetOf, printableText, shownKey } from "../document/document.ts";
import { suggestName } from "../document/nearest.ts";
import { adviceForName, type ConfigProblem } from "../parameters/check-config.ts";
import { unreachable } from "../ports/errors.ts";
import type { DesiredProblem } from "./model.ts";
import { RESERVED_GUEST_FIELDS, RESERVED_TOP_FIELDS } from "./schema.ts";

type Issue = v.BaseIssue<unknown>;
type Path = readonly (string | number)[];

const TOP_FIELDS = ["version", "guests"] as const;
const GUEST_FIELDS = ["vmid", "kind", "mode", "state", "config"] as const;

/** Fields whose values can be shown: none of them can hold a secret. */
const QUOTED_FIELDS = new Set(["version", "vmid", "kind", "mode", "state"]);

/** Steps to a config key: guests, its number, config, the key. */
const CONFIG_KEY_DEPTH = 4;

/** Found values are quoted up to here; longer ones are cut. */
const QUOTED_LENGTH_MAX = 40;

/** A schema's issues as problems with places, in the order of the file, at most PROBLEMS_MAX. */
export function problemsOfIssues(tree: DocumentTree, issues: readonly Issue[]): DesiredProblem[] {
  const placed = issues.flatMap((issue) => leafIssues(issue, [])).map(({ issue, path }) => {
    const isUnknown = issue.type === "never";
    const offset = offsetOf(tree.root, path, isUnknown || isKeyIssue(issue) ? "key" : "value");
    return { offset, issue, path };
  });
  placed.sort((left, right) => left.offset - right.offset);
  return placed.slice(0, PROBLEMS_MAX).map(({ offset, issue, path }) => {
    const where = formatPosition(tree.positionAt(offset));
    return issue.type === "never" ? unknownField(where, path) : wrongValue(where, path, issue);
  });
}

/** A config key or value that Proxmox would refuse, of guest number `index` of the file. */
export function problemOfConfig(tree: DocumentTree, index: number, { key, subKey, at, expected, found, advice }: ConfigProblem): DesiredProblem {
  // Only the map form has a place for the sub-key; in the text form the value is as near as it gets.
  const path = ["guests", index, "config", key, ...(subKey === undefined ? [] : [subKey])];
  const where = formatPosition(tree.positionAt(offsetOf(tree.root, path, at)));
  return { code: "desired.schema", message: `${where}: ${formatPath(path)}: expected ${expected}, found ${printableText(found)}${advice === "" ? "" : `; ${advice}`}` };
}

/** A document's own problem in this room's codes. */
export function problemOfDocument(problem: DocumentProblem): DesiredProblem {
  return { code: codeOf(problem.kind), message: problem.message };
}

function codeOf(kind: DocumentProblem["kind"]): DesiredProblem["code"] {
  switch (kind) {
    case "syntax":
      return "desired.syntax";
    case "empty":
      return "desired.empty";
    case "too_large":
      return "desired.too_large";
    default:
      return unreachable(kind);
  }
}

interface PlacedIssue {
  readonly issue: Issue;
  readonly path: Path;
}

/** A union fails with one issue per option; the ones that lead deeper belong to the option that was meant. */
function leafIssues(issue: Issue, base: Path): PlacedIssue[] {
  const path = [...base, ...pathOf(issue)];
  const deeper = issue.type === "union" ? (issue.issues ?? []).filter((sub) => pathOf(sub).length > 0) : [];
  return deeper.length > 0 ? deeper.flatMap((sub) => leafIssues(sub, path)) : [{ issue, path }];
}

function pathOf(issue: Issue): Path {
  return (issue.path ?? []).map((item) => item.key).filter((key) => typeof key === "string" || typeof key === "number");
}

function isKeyIssue(issue: Issue): boolean {
  return issue.path?.at(-1)?.origin === "key" && issue.input !== undefined;
}

function unknownField(where: string, path: Path): DesiredProblem {
  const field = String(path.at(-1));
  const isTop = path.length === 1;
  const reserved: readonly string[] = isTop ? RESERVED_TOP_FIELDS : RESERVED_GUEST_FIELDS;
  if (reserved.includes(field)) {
    return { code: "desired.reserved", message: `${where}: ${formatPath(path)}: not supported by this version; remove it` };
  }
  const suggestion = suggestName(field, isTop ? TOP_FIELDS : GUEST_FIELDS);
  const hint = isTop || suggestion.includes("did you mean") ? "" : "; Proxmox's own keys go under `config`";
  return { code: "desired.schema", message: `${where}: ${formatPath(path)}: expected a field of this format, found an unknown one${suggestion}${hint}` };
}

function wrongValue(where: string, path: Path, issue: Issue): DesiredProblem {
  const label = path.length === 0 ? "" : `${formatPath(path)}: `;
  const isMissing = issue.input === undefined;
  const [expected, advice] = splitAdvice(isMissing ? missingMessage(String(path.at(-1))) : issue.message);
  const mayQuote = isKeyIssue(issue) || QUOTED_FIELDS.has(String(path.at(-1)));
  return { code: "desired.schema", message: `${where}: ${label}${expected}, found ${describe(issue.input, mayQuote)}${advice}${hintForKey(path, issue)}` };
}

/** Of a name that cannot be a config key: what to write instead. Sub-keys have no hint. */
function hintForKey(path: Path, issue: Issue): string {
  const isConfigKey = isKeyIssue(issue) && path.length === CONFIG_KEY_DEPTH && path[2] === "config";
  const advice = isConfigKey ? adviceForName(String(path.at(-1))) : "";
  return advice === "" ? "" : `; ${advice}`;
}

function missingMessage(field: string): string {
  switch (field) {
    case "version":
      return "expected this field; write `version: 1`";
    case "guests":
      return "expected this field; write `guests: []` to declare none";
    default:
      return "expected this field; every guest needs `vmid` and `kind`";
  }
}

/** "expected X; do Y" → what goes before "found" and what after. */
function splitAdvice(message: string): [string, string] {
  const at = message.indexOf("; ");
  return at < 0 ? [message, ""] : [message.slice(0, at), message.slice(at)];
}

/** What was found. Values elsewhere than in QUOTED_FIELDS may be passwords and are never quoted. */
function describe(input: unknown, mayQuote: boolean): string {
  if (input === undefined) return "nothing";
  if (input === null) return "nothing (null)";
  if (Array.isArray(input)) return `a list of ${input.length}`;
  if (typeof input === "object") return "a map";
  if (!mayQuote) return typeof input === "string" ? "text" : `a ${typeof input}`;
  const text = JSON.stringify(input);
  return printableText(text.length > QUOTED_LENGTH_MAX ? `${text.slice(0, QUOTED_LENGTH_MAX)}…` : text);
}

/** ["guests", 3, "config", "net0"] → "guests[3].config.net0". */
function formatPath(path: Path): string {
  return path.map((step) => (typeof step === "number" ? `[${step}]` : `.${shownKey(step)}`)).join("").replace(/^\./, "");
}
