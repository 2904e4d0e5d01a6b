import type { ApiAnswer } from "../../../src/simulator/api.ts";
import { Comparison } from "./compare.ts";
import { DIRECTIONS } from "./directions.ts";
import { readRecording, type RecordedKeys, type RecordedRequest, type Step } from "./recording.ts";
import { Stage } from "./stage.ts";

/** Replays a recording against a simulated host and tells where the two differ. */

export interface Difference {
  readonly line: number;
  readonly what: string;
  readonly details: readonly string[];
}

export interface Report {
  readonly matched: number;
  readonly total: number;
  readonly differences: readonly Difference[];
}

/** HTTP's own matters, which the host never sees. */
const HTTP_STATUSES = new Set([401, 506, 595, 596]);

export async function replay(name: string, stage = new Stage()): Promise<Report> {
  const comparison = new Comparison();
  const steps = inActualOrder(name, readRecording(name).filter((step) => !isOfHttp(step)));
  const directions = [...(DIRECTIONS[name] ?? [])].sort((left, right) => left.line - right.line);
  const differences: Difference[] = [];
  let total = 0;
  for (const step of steps) {
    for (let next = directions[0]; next !== undefined && next.line <= step.line; next = directions[0]) {
      directions.shift();
      await next.act(stage, comparison);
    }
    if (step.kind === "section") continue;
    total++;
    const details = await perform(stage, comparison, step, steps);
    if (details.length > 0) differences.push({ line: step.line, what: describe(step), details });
    await stage.wait(stage.gapMs);
  }
  return { matched: total - differences.length, total, differences };
}

/** Requests that were sent at the same time, where the one printed later came first. */
const CAME_FIRST: Readonly<Record<string, readonly (readonly [number, number])[]>> = { "06-locks-concurrency": [[663, 654]] };

function inActualOrder(name: string, steps: Step[]): Step[] {
  for (const [first, second] of CAME_FIRST[name] ?? []) {
    const from = steps.findIndex((step) => step.line === first);
    const to = steps.findIndex((step) => step.line === second);
    steps.splice(to, 0, ...steps.splice(from, 1));
  }
  return steps;
}

function isOfHttp(step: Step): boolean {
  return step.kind === "request" && (HTTP_STATUSES.has(step.answer.status) || /RPCEnvironment|Unexpected content|Not a HASH|'null' expected/.test(step.answer.reason) || step.path.startsWith("/access"));
}

function describe(step: Step): string {
  if (step.kind === "request") return `${step.method} ${step.path} ${JSON.stringify(step.parameters).slice(0, 120)}`;
  return step.kind === "keys" ? `read back ${step.guest} ${step.key}` : step.kind;
}

function perform(stage: Stage, comparison: Comparison, step: Step, steps: readonly Step[]): Promise<string[]> | string[] {
  if (step.kind === "request") return request(stage, comparison, step, steps);
  if (step.kind === "keys") return keys(stage, comparison, step);
  if (step.kind === "file") return fileDifferences(step.text, stage.node.configFile(step.vmid));
  if (step.kind === "config") return config(stage, comparison, step.body);
  return [];
}

async function request(stage: Stage, comparison: Comparison, step: RecordedRequest, steps: readonly Step[]): Promise<string[]> {
  const recordedUpid = decodeURIComponent(/\/tasks\/([^/]+)/.exec(step.path)?.[1] ?? "");
  const upid = comparison.upids.get(recordedUpid);
  const path = upid === undefined ? step.path.replace(/^\/nodes\/pve1\/nodes/, "/nodes") : step.path.replace(/\/tasks\/[^/]+/, `/tasks/${upid}`);
  const isStopped = (step.answer.body as { data?: { status?: string } } | undefined)?.data?.status === "stopped";
  if (upid !== undefined && isStopped && path.endsWith("/status")) await stage.ended(upid);
  stage.addresses.splice(0, Number.POSITIVE_INFINITY, ...addressesMade(step, steps));
  const answer = await stage.send(step.method, path, step.parameters, step.isByTicket ? stage.rootLogin : stage.caller);
  return answerDifferences(comparison, step, answer);
}

const OF_START_STATE = /^BC:24:11:00:0[12]:0/;

/** The hardware addresses that this request made, as the steps after it show them. */
function addressesMade(step: RecordedRequest, steps: readonly Step[]): string[] {
  if (!needsAddress(step)) return [];
  const at = steps.indexOf(step);
  const next = steps.findIndex((other, index) => index > at && needsAddress(other));
  const pattern = /BC:24:11(?::[0-9A-F]{2}){3}/g;
  const before = new Set(JSON.stringify(steps.slice(0, at + 1)).match(pattern) ?? []);
  const after = JSON.stringify(steps.slice(at + 1, next < 0 ? undefined : next)).match(pattern) ?? [];
  return [...new Set(after)].filter((address) => !before.has(address) && !OF_START_STATE.test(address));
}

function needsAddress(step: Step): boolean {
  if (step.kind !== "request") return false;
  return Object.entries(step.parameters).some(([key, value]) => /^net\d+$/.test(key) && !/[0-9a-f]{2}(?::[0-9a-f]{2}){5}/i.test(JSON.stringify(value)));
}

function answerDifferences(comparison: Comparison, step: RecordedRequest, answer: ApiAnswer): string[] {
  const { answer: recorded } = step;
  const reason = "reason" in answer ? answer.reason : "OK";
  const result: string[] = [];
  if (recorded.status !== answer.status) result.push(`status: recorded ${recorded.status} ${recorded.reason}, simulated ${answer.status} ${reason}`);
  else if (recorded.reason !== "" && recorded.reason !== reason) result.push(`reason: recorded "${recorded.reason}", simulated "${reason}"`);
  if (recorded.isProxied !== undefined && recorded.status === 200 && recorded.isProxied !== answer.isProxied) result.push(`recorded as ${recorded.isProxied ? "" : "not "}proxied`);
  if (recorded.body !== undefined && recorded.status === answer.status) result.push(...comparison.differences(recorded.body, bodyOf(answer)));
  return result;
}

/** The JSON body that the HTTP side makes of an answer. */
function bodyOf(answer: ApiAnswer): unknown {
  if ("data" in answer) return answer.total === undefined ? { data: answer.data } : { data: answer.data, total: answer.total };
  const message = answer.hasBareMessage === true ? answer.reason : `${answer.reason}\n`;
  return { data: null, message, ...(answer.errors === undefined ? {} : { errors: answer.errors }) };
}

async function keys(stage: Stage, comparison: Comparison, step: RecordedKeys): Promise<string[]> {
  const read = async (what: string): Promise<unknown> => {
    const answer = await stage.send("GET", `/nodes/pve1/${step.guest}/${what.split("?")[0]}`, what.includes("?") ? { current: "1" } : {}, stage.rootLogin);
    return "data" in answer ? answer.data : undefined;
  };
  const result: string[] = [];
  const pick = (row: unknown): unknown => (row as Record<string, unknown>)[step.key] ?? null;
  if (step.merged !== undefined) result.push(...comparison.differences(step.merged, pick(await read("config")), "merged"));
  if (step.current !== undefined) result.push(...comparison.differences(step.current, pick(await read("config?current=1")), "current"));
  if (step.pending !== undefined) {
    const rows = (await read("pending")) as readonly { readonly key: string }[];
    result.push(...comparison.differences(step.pending, rows.find((row) => row.key === step.key) ?? null, "pending"));
  }
  return result;
}

async function config(stage: Stage, comparison: Comparison, body: unknown): Promise<string[]> {
  const isPending = Array.isArray((body as { data: unknown }).data);
  const answer = await stage.send("GET", `/nodes/pve1/qemu/101/${isPending ? "pending" : "config"}`, {}, stage.rootLogin);
  return comparison.differences(body, bodyOf(answer));
}

function fileDifferences(recorded: string, simulated: string | undefined): string[] {
  const random = /(?:uuid=|vmgenid: )(?!aaaaaaaa|bbbbbbbb|AAAAAAAA)[0-9a-f-]{36}|ctime=\d+|snaptime: \d+|cipassword: .*/g;
  const [left, right] = [recorded.replace(random, "…"), (simulated ?? "").replace(random, "…")];
  if (left === right) return [];
  const [there, here] = [left.split("\n"), right.split("\n")];
  return [...there.filter((line) => !here.includes(line)).map((line) => `- ${line}`), ...here.filter((line) => !there.includes(line)).map((line) => `+ ${line}`), ...(there.length === here.length ? [] : ["line count"])];
}
