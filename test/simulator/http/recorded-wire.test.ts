import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { StartState } from "../../../src/simulator/api.ts";
import { startSimulator, type RunningSimulator } from "../../../src/simulator/main.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { headerValues, rawRequest, type RawRequest, type RawResponse } from "../../support/raw-https.ts";
import { readRecording, recordingPath, type RecordedExchange } from "../../support/recordings.ts";
import { RECORDED_TOKENS, systemRandom, TOKEN_CONFIG } from "../../support/served-node.ts";

/**
 * Sends every recorded request over real TLS and compares the answer with the recorded one: status line,
 * Connection headers, content type, and the body where what it says does not depend on the machine.
 */

const STARTED_AT_MS = Date.UTC(2026, 10, 21, 0, 41);

/** Values that belong to the recorded machine, by key. */
const MACHINE_KEYS = new Set(["ssl_fingerprint", "used", "avail", "used_fraction", "total"]);
/** What a node says about itself in one object: compared by its keys alone. */
const MACHINE_TYPES = new Set(["node", "storage"]);

function recordedState(): StartState {
  const { files, vmlist } = JSON.parse(readFileSync(recordingPath("start-state.json"), "utf8")) as StartState;
  return { files: { ...files, "/etc/pve/priv/token.cfg": TOKEN_CONFIG }, ...(vmlist === undefined ? {} : { vmlist }) };
}

function start(): Promise<RunningSimulator> {
  return startSimulator({
    listen: { hostname: "127.0.0.1", port: 0 },
    guests: 0,
    seed: 1,
    clock: new FakeClock(STARTED_AT_MS),
    random: systemRandom,
    authDelayMs: 0,
    startState: recordedState(),
  });
}

/** The request a recorded curl line sent. */
function toRequest(exchange: RecordedExchange): RawRequest {
  const pieces: string[] = [];
  const headers: Record<string, string> = {};
  const words = exchange.arguments;
  for (let index = 0; index < words.length; index += 2) {
    const value = words[index + 1] ?? "";
    if (words[index] === "-d") pieces.push(value);
    else if (words[index] === "--data-urlencode") pieces.push(value.replace(/=(.*)$/s, (_, text: string) => `=${encodeURIComponent(text)}`));
    else if (words[index] === "-H") headers[value.split(": ")[0] ?? ""] = value.split(": ")[1] ?? "";
    else throw new Error(`curl argument not understood: ${words[index]}`);
  }
  return { token: tokenOf(exchange.section), headers, ...(pieces.length === 0 ? {} : { body: pieces.join("&") }) };
}

function tokenOf(section: string): string {
  if (section.startsWith("token garbage")) return "garbage";
  if (section.startsWith("agent: ")) return RECORDED_TOKENS.agent;
  return /^token (\S+)/.exec(section)?.[1] ?? RECORDED_TOKENS.root;
}

/** The parts of an answer that two hosts in the same state agree on. */
function comparable(statusLine: string, headers: RawResponse["headers"], body: string): unknown {
  const response = { statusLine, status: 0, reason: "", headers, body };
  return {
    statusLine,
    connection: headerValues(response, "Connection"),
    contentType: headerValues(response, "Content-Type"),
    body: body.startsWith("{") ? normalize(JSON.parse(body)) : body.trim(),
  };
}

function normalize(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normalize).sort((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
  if (typeof value === "string") return value.replace(/^UPID:pve1:[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:/, "UPID:pve1:…:").replace(/[a-z,]+,[a-z,]+/, (list) => list.split(",").sort().join(","));
  if (typeof value !== "object" || value === null) return value;
  const isMachine = "type" in value && MACHINE_TYPES.has(String(value.type));
  /** Without `cores` a container sees all the machine's. */
  const hasAllCores = "vmid" in value && value.vmid === 201;
  const isMasked = (key: string): boolean => isMachine || MACHINE_KEYS.has(key) || (hasAllCores && /^(max)?cpus?$/.test(key));
  const rows = Object.entries(value).map(([key, item]): [string, unknown] => [key, isMasked(key) ? "…" : normalize(item)]);
  return Object.fromEntries(rows.sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** Not simulated: said here so that nobody believes it is compared. */
const NOT_COMPARED: readonly RegExp[] = [
  /\/nodes\/pve1\/status$/, // the machine's own CPU, memory and kernel
  /\/storage\/local\/content$/,
];

const files = ["01-basic.txt", "02-auth.txt", "12-http.txt"] as const;

type Row = readonly [name: string, exchange: RecordedExchange];

function rows(exchanges: readonly RecordedExchange[]): Row[] {
  return exchanges.map((exchange, index) => [`${index} ${exchange.method} ${exchange.path} ${exchange.arguments.join(" ")}`, exchange]);
}

async function compare(simulator: RunningSimulator, exchange: RecordedExchange): Promise<void> {
  const target = { port: Number(new URL(simulator.url).port), caPem: simulator.caPem };
  const response = await rawRequest(target, exchange.method, exchange.path, toRequest(exchange));
  if (NOT_COMPARED.some((pattern) => pattern.test(exchange.path))) return expect(response.statusLine).toBe(exchange.statusLine);
  expect(comparable(response.statusLine, response.headers, response.body)).toEqual(
    comparable(exchange.statusLine, exchange.headers, exchange.body),
  );
}

describe.each(files)("%s", (file) => {
  let simulator: RunningSimulator;
  beforeAll(async () => {
    simulator = await start();
  });
  afterAll(() => simulator.stop());

  test.each(rows(readRecording(file)))("%s", (_, exchange) => compare(simulator, exchange));
});

describe.each([
  ["pvedaemon stopped", "pvedaemon_down"],
  ["pmxcfs (pve-cluster) stopped", "pmxcfs_down"],
] as const)("13-failures.txt, %s", (section, kind) => {
  let simulator: RunningSimulator;
  beforeAll(async () => {
    simulator = await start();
    simulator.faults.add({ kind });
  });
  afterAll(() => simulator.stop());

  const exchanges = readRecording("13-failures.txt").filter((exchange) => exchange.section.startsWith(section));
  test("is recorded", () => expect(exchanges.length).toBeGreaterThan(4));
  test.each(rows(exchanges))("%s", (_, exchange) => compare(simulator, exchange));
});
