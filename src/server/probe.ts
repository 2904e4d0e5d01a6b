import type { Check } from "./checks.ts";
import { preferredType } from "./negotiate.ts";

const PLAIN = "text/plain";
const JSON_TYPES = ["application/json", "application/health+json"] as const;

/** What a probe was asked, apart from the path. */
export interface ProbeRequest {
  /** "livez", "readyz" or "healthz", for the texts. */
  readonly endpoint: string;
  readonly checks: readonly Check[];
  readonly url: URL;
  readonly accept: string | undefined;
  /** Whether messages may be shown, not only reasons. */
  readonly isLocal: boolean;
  readonly version: string;
}

/**
 * Answers a probe. The status code is the answer (200 or 503); the body explains it. The shape follows
 * Kubernetes' probes: a failing answer always lists every check, a passing one with `?verbose`;
 * `?exclude=` (repeatable) takes a check out of the judgement. A name that does not exist is a 400,
 * because a typing error there would otherwise hide a failure or invent one.
 */
export function answerProbe(request: ProbeRequest): Response {
  const excluded = new Set(request.url.searchParams.getAll("exclude"));
  const unknown = [...excluded].filter((name) => !request.checks.some((check) => check.name === name));
  if (unknown.length > 0) return unknownCheck(400, request, unknown);
  return render(request, request.checks, excluded);
}

/** Answers `/readyz/<check>`: that check alone; 404 when there is none of that name. */
export function answerSingleCheck(request: ProbeRequest, name: string): Response {
  const check = request.checks.find((candidate) => candidate.name === name);
  if (check === undefined) return unknownCheck(404, request, [name]);
  return render(request, [check], new Set());
}

function render(request: ProbeRequest, checks: readonly Check[], excluded: ReadonlySet<string>): Response {
  const isPassing = checks.every((check) => check.isPassing || excluded.has(check.name));
  const status = isPassing ? 200 : 503;
  const type = preferredType(request.accept, [PLAIN, ...JSON_TYPES]);
  if (type !== PLAIN) return new Response(jsonBody(request, checks, excluded, isPassing), { status, headers: { "content-type": type } });
  const isListed = !isPassing || request.url.searchParams.has("verbose");
  return text(status, isListed ? listing(request, checks, excluded, isPassing) : "ok\n");
}

function listing(request: ProbeRequest, checks: readonly Check[], excluded: ReadonlySet<string>, isPassing: boolean): string {
  const lines = checks.map((check) => {
    if (excluded.has(check.name)) return `[+]${check.name} excluded: ok`;
    if (check.isPassing) return `[+]${check.name} ok`;
    return `[-]${check.name} failed: ${explanation(check, request.isLocal)}`;
  });
  return [...lines, `${request.endpoint} check ${isPassing ? "passed" : "failed"}`, ""].join("\n");
}

function explanation(check: Check, isLocal: boolean): string {
  return isLocal && check.message !== "" ? `${check.reason}: ${oneLine(check.message)}` : check.reason;
}

/** The fields of draft-inadarei-api-health-check; the same body under both JSON types. */
function jsonBody(request: ProbeRequest, checks: readonly Check[], excluded: ReadonlySet<string>, isPassing: boolean): string {
  const entries = checks.map((check): [string, readonly object[]] => {
    const isExcluded = excluded.has(check.name);
    const output = request.isLocal && !check.isPassing && check.message !== "" ? { output: check.message } : {};
    const time = check.since === undefined ? {} : { time: check.since };
    return [check.name, [{ status: check.isPassing ? "pass" : "fail", observedValue: check.reason, ...(isExcluded ? { isExcluded } : {}), ...time, ...output }]];
  });
  const body = { status: isPassing ? "pass" : "fail", version: request.version, description: request.endpoint, checks: Object.fromEntries(entries) };
  return `${JSON.stringify(body, null, 2)}\n`;
}

function unknownCheck(status: 400 | 404, request: ProbeRequest, names: readonly string[]): Response {
  const known = request.checks.map((check) => check.name).join(", ");
  return text(status, `expected a check of ${request.endpoint}, one of ${known}; found ${names.map((name) => JSON.stringify(name)).join(", ")}\n`);
}

/** A plain-text answer. */
export function text(status: number, body: string): Response {
  return new Response(body, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}

function oneLine(message: string): string {
  return message.replace(/\s*[\r\n]+\s*/g, " ");
}
