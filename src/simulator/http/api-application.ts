import type { Clock } from "../../ports/clock.ts";
import type { AccessControl } from "../access/access.ts";
import type { ApiAnswer, ApiCall, ApiMethod, Caller, Parameters, SimulatedNode } from "../api.ts";
import type { FaultBoard } from "../control/faults.ts";
import { formatAnswer, isFormat, type Format } from "./answer-format.ts";
import type { Admitted, Application, Outcome } from "./connection.ts";
import { decodeForm, decodeJson, mergeParameters } from "./parameters.ts";
import type { RequestHead } from "./request-head.ts";
import type { OpenLogEntry, RequestLog } from "./request-log.ts";
import { bodyless, serverError, type HttpResponse } from "./response.ts";

/**
 * pveproxy: takes a request from its head to the call the host answers, refusing at the same points and
 * in the same order as the real one: method, transfer encoding, format, authentication, content, size,
 * type. Faults act once the caller is known, before the host sees the call.
 */

export interface ApiApplicationOptions {
  readonly node: SimulatedNode;
  readonly access: AccessControl;
  readonly faults: FaultBoard;
  readonly log: RequestLog;
  readonly clock: Clock;
  /** How long a refusal to authenticate waits: Proxmox's is 3 s. */
  readonly authDelayMs: number;
}

/** pve-http-server's limit for what is not an upload. */
const MAX_BODY_BYTES = 512 * 1024;
const METHODS: readonly ApiMethod[] = ["GET", "POST", "PUT", "DELETE"];
const BASE_PATH = "/api2";

export function createApiApplication(options: ApiApplicationOptions): Application {
  return { admit: (head) => admit(options, head) };
}

/** What is known once the head was accepted. */
interface Accepted {
  readonly head: RequestHead;
  readonly method: ApiMethod;
  readonly caller: Caller;
  readonly format: Format;
  /** Below /api2/FORMAT. */
  readonly path: string;
  readonly entry: OpenLogEntry;
}

async function admit(options: ApiApplicationOptions, head: RequestHead): Promise<Admitted | Outcome> {
  const path = decodePath(head.target);
  const entry = options.log.begin(head.method, path);
  const refuse = (response: HttpResponse): Outcome => respond(entry, response);
  const method = METHODS.find((known) => known === head.method);
  if (method === undefined) return refuse(bodyless(501, `method '${head.method}' not available`));
  const encoding = head.headers.get("transfer-encoding");
  if (encoding?.toLowerCase() === "chunked") return refuse(serverError(501, "chunked transfer encoding not supported"));
  if (encoding !== undefined) return refuse(serverError(501, `Unknown transfer encoding '${encoding}'`));
  if (!path.startsWith(BASE_PATH)) return refuse(serverError(501, `no such file '${path}'`));
  const [, format, relative = "/"] = /^\/api2\/+([a-z][a-z0-9]+)(\/.*)?$/s.exec(path) ?? [];
  if (format === undefined) return refuse(serverError(501, "no such uri"));
  const caller = await authenticate(options, head);
  if ("status" in caller) return refuse(caller);
  entry.update({ user: caller.tokenId === undefined ? caller.user : `${caller.user}!${caller.tokenId}` });
  const refusal = refuseContent(head, method);
  if (refusal !== undefined) return refuse(refusal);
  if (!isFormat(format)) return refuse(serverError(501, `no formatter for uri ${relative}, ${format}`));
  const accepted: Accepted = { head, method, caller, format, path: relative, entry };
  return { bodyBytes: contentLength(head), run: (body) => run(options, accepted, body) };
}

async function authenticate(options: ApiApplicationOptions, head: RequestHead): Promise<Caller | HttpResponse> {
  const refuse = async (response: HttpResponse): Promise<HttpResponse> => {
    if (options.authDelayMs > 0) await options.clock.sleep(options.authDelayMs);
    return response;
  };
  if (options.faults.isDown("pmxcfs")) {
    return refuse(bodyless(500, "RPCEnvironment init request failed: Unable to load access control list: Connection refused"));
  }
  const result = options.access.authenticate(head.headers.get("authorization"), options.clock.now());
  return result.ok ? result.caller : refuse(bodyless(401, result.reason));
}

function refuseContent(head: RequestHead, method: ApiMethod): HttpResponse | undefined {
  const length = contentLength(head);
  if (length === 0) return undefined;
  if (method === "GET" || method === "DELETE") return serverError(501, `Unexpected content for method '${method}'`);
  if (length > MAX_BODY_BYTES) return serverError(501, "for data too large");
  const type = head.headers.get("content-type");
  const bare = contentType(type);
  const isKnown = bare === undefined || bare === "application/x-www-form-urlencoded" || bare === "application/json";
  return isKnown ? undefined : serverError(506, `upload 'Content-Type '${type ?? ""}' not implemented`);
}

async function run(options: ApiApplicationOptions, accepted: Accepted, body: Buffer): Promise<Outcome> {
  const { method, caller, path, entry } = accepted;
  const parameters = readParameters(accepted, body);
  if ("status" in parameters) return respond(entry, parameters);
  entry.update({ parameters: parameters.values });
  const segments = path.split("/").filter((segment) => segment !== "");
  const call: ApiCall = { method, segments, path, parameters: parameters.values, caller };
  const answer = await suffer(options, call, () => carryOut(options, call));
  if ("type" in answer) return answer;
  return respond(entry, formatAnswer(answer, accepted.format));
}

/** The call under whatever faults it draws. */
async function suffer(
  options: ApiApplicationOptions,
  call: ApiCall,
  act: () => Promise<ApiAnswer>,
): Promise<ApiAnswer | Outcome> {
  const { latencyMs, decisive } = options.faults.draw({ method: call.method, path: call.path, vmid: vmidOf(call) });
  if (latencyMs > 0) await options.clock.sleep(latencyMs);
  switch (decisive?.kind) {
    case undefined:
      return act();
    case "error": {
      const { status, reason, errors, hasBody } = decisive;
      return { status, reason, hasBody, isProxied: false, ...(errors === undefined ? {} : { errors }) };
    }
    case "drop_before":
      return { type: "drop" };
    case "drop_after":
      await act();
      return { type: "drop" };
    case "late":
      options.clock.schedule(decisive.ms, () => void act());
      return { type: "silence" };
    case "drop_late":
      options.clock.schedule(decisive.ms, () => void act());
      return { type: "drop" };
    case "hang":
      return { type: "silence" };
  }
}

function carryOut(options: ApiApplicationOptions, call: ApiCall): Promise<ApiAnswer> {
  const isProxied = options.node.isProxied(call.method, call.segments);
  if (isProxied && options.faults.isDown("pvedaemon")) {
    return Promise.resolve({ status: 595, reason: "Connection refused", hasBody: false, isProxied: false });
  }
  const answer = options.access.handle(call);
  return answer === undefined ? options.node.handle(call) : Promise.resolve(answer);
}

function readParameters(accepted: Accepted, body: Buffer): { readonly values: Parameters } | HttpResponse {
  const { head, method } = accepted;
  const query = decodeForm(head.target.split("?").slice(1).join("?"));
  if (method === "GET" || method === "DELETE") return { values: mergeParameters({}, query) };
  const isJson = contentType(head.headers.get("content-type")) === "application/json";
  if (!isJson) return { values: mergeParameters(decodeForm(body.toString("latin1")), query) };
  const decoded = decodeJson(body.toString("utf8"));
  if (!decoded.ok) return { ...serverError(500, decoded.reason), body: `${decoded.reason}\n` };
  return { values: mergeParameters(decoded.parameters, query) };
}

function respond(entry: OpenLogEntry, response: HttpResponse): Outcome {
  entry.update({ status: response.status });
  return { type: "respond", response };
}

function contentLength(head: RequestHead): number {
  return Math.max(0, Number.parseInt(head.headers.get("content-length") ?? "0", 10) || 0);
}

function contentType(header: string | undefined): string | undefined {
  return header?.split(/\s*[;,]\s*/)[0];
}

/** The path part of a request target, unescaped as a whole: an escaped slash separates like any other. */
function decodePath(target: string): string {
  const [raw = ""] = target.replace(/^https?:\/\/[^/]*/, "").split("?");
  const bytes = raw.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}

function vmidOf(call: ApiCall): number | undefined {
  const [top, , kind, id] = call.segments;
  const fromPath = top === "nodes" && (kind === "qemu" || kind === "lxc") ? id : undefined;
  const vmid = Number(fromPath ?? call.parameters["vmid"]);
  return Number.isInteger(vmid) ? vmid : undefined;
}
