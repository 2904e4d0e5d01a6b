import type { ClientRequest, IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { fail, ok } from "../ports/errors.ts";
import type { ProxmoxFault, ProxmoxResult } from "../ports/proxmox-api.ts";
import type { ApiAnswer } from "./classify.ts";
import { encodeParameters, type Parameters } from "./encode.ts";
import { cleanText, noAnswerFault, unexpectedAnswerFault, unreachableFault } from "./faults.ts";
import { ConnectError, type VerifiedAgent } from "./verified-agent.ts";

/** A list of 10,000 guests is 2–3 MB, their tasks and logs less; beyond this it is not an answer, it is an attack or a fault. */
export const ANSWER_SIZE_MAX_BYTES = 32 * 1024 * 1024;

/** Everything of Proxmox's API is below this. */
const API_ROOT = "/api2/json";

/** A request for the API. `path` is below /api2/json and already encoded; `parameters` are not. */
export interface ApiRequest {
  readonly method: "GET" | "PUT" | "POST";
  readonly path: string;
  readonly parameters?: Parameters;
}

export interface ExchangeOptions {
  readonly agent: VerifiedAgent;
  readonly host: string;
  readonly port: number;
  readonly token: string;
  readonly userAgent: string;
  readonly signal: AbortSignal;
}

/** One HTTP exchange. `isStale`: a pooled connection died under the request before any byte of an answer. */
export type Exchanged = ProxmoxResult<ApiAnswer> & { readonly isStale?: boolean };

/** How one request gets to Proxmox and its answer back; `exchange`, or what a simulation puts in its place. */
export type Exchange = (request: ApiRequest, options: ExchangeOptions) => Promise<Exchanged>;

/** "PUT /nodes/pve1/qemu/101/config", for messages. */
export function describeRequest({ method, path }: ApiRequest): string {
  return `${method} ${path}`;
}

/** The form body; undefined for GET, whose parameters go in the query: Proxmox answers 501 to a GET with a body. */
export function formBody({ method, parameters }: ApiRequest): string | undefined {
  return method === "GET" ? undefined : encodeParameters(parameters ?? {});
}

/**
 * Sends one request and reads its whole answer, whatever its status. Never throws; `signal` ends it at any
 * moment. The fault's delivery says whether the request may have arrived.
 */
export function exchange(apiRequest: ApiRequest, options: ExchangeOptions): Promise<Exchanged> {
  return new Promise((resolve) => {
    const request = open(apiRequest, options);
    const exchanged = new Progress(describeRequest(apiRequest), request);
    const onAbort = (): void => {
      request.destroy(new Error("timed out"));
      finish(fail(exchanged.interrupted()));
    };
    const finish = (result: Exchanged): void => {
      options.signal.removeEventListener("abort", onAbort);
      resolve(result);
    };
    options.signal.addEventListener("abort", onAbort, { once: true });
    request.once("socket", () => (exchanged.isConnected = true));
    request.on("error", (error) => finish(exchanged.failed(error)));
    request.once("response", (response) => readAnswer(response, options.agent, exchanged, finish));
    if (options.signal.aborted) onAbort();
    else request.end(formBody(apiRequest));
  });
}

function open(apiRequest: ApiRequest, { agent, host, port, token, userAgent }: ExchangeOptions): ClientRequest {
  const query = apiRequest.method === "GET" ? encodeParameters(apiRequest.parameters ?? {}) : "";
  const body = formBody(apiRequest);
  return httpsRequest({
    agent,
    host,
    port,
    method: apiRequest.method,
    path: `${API_ROOT}${apiRequest.path}${query === "" ? "" : `?${query}`}`,
    // The agent connects by itself; said here too, so that nothing below falls back to the environment's say.
    rejectUnauthorized: true,
    headers: {
      Authorization: `PVEAPIToken=${token}`,
      Accept: "application/json",
      "User-Agent": userAgent,
      ...(body === undefined
        ? {}
        : { "Content-Type": "application/x-www-form-urlencoded", "Content-Length": String(Buffer.byteLength(body)) }),
    },
  });
}

/** How far a request has come, and what an end at this point means. */
class Progress {
  isConnected = false;
  readonly #where: string;
  readonly #request: ClientRequest;

  constructor(where: string, request: ClientRequest) {
    this.#where = where;
    this.#request = request;
  }

  /** The deadline passed or the client was closed. */
  interrupted(): ProxmoxFault {
    return this.isConnected
      ? noAnswerFault(`${this.#where}: sent, no complete answer in time; its outcome is unknown`)
      : unreachableFault(`${this.#where}: no connection in time; nothing was sent`);
  }

  failed(error: Error & { code?: unknown }): Exchanged {
    if (error instanceof ConnectError) {
      return fail({ ...error.fault, message: `${this.#where}: ${error.fault.message}` });
    }
    const detail = cleanText(error.message);
    if (!this.isConnected) return fail(unreachableFault(`${this.#where}: ${detail}; nothing was sent`));
    if (String(error.code).startsWith("HPE_")) return fail(this.unexpected(`not an HTTP answer (${detail})`));
    const fault = noAnswerFault(`${this.#where}: sent, and the connection ended without an answer (${detail})`);
    return { ...fail(fault), isStale: this.#request.reusedSocket };
  }

  unexpected(found: string, status?: number): ProxmoxFault {
    return unexpectedAnswerFault(`${this.#where}: expected an answer of Proxmox's API, found ${found}`, "unknown", status);
  }

  cutShort(status: number): ProxmoxFault {
    return { ...noAnswerFault(`${this.#where}: the connection ended in the middle of the answer (${status})`), status };
  }
}

function readAnswer(response: IncomingMessage, agent: VerifiedAgent, exchanged: Progress, finish: (result: Exchanged) => void): void {
  const status = response.statusCode ?? 0;
  // pveproxy ends the connection after every error, whatever its headers say.
  if (status >= 400) agent.retire(response.socket);
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  response.on("data", (chunk: Buffer) => {
    sizeBytes += chunk.length;
    if (sizeBytes <= ANSWER_SIZE_MAX_BYTES) return void chunks.push(chunk);
    finish(fail(exchanged.unexpected(`more than ${ANSWER_SIZE_MAX_BYTES / 1024 / 1024} MiB`, status)));
    response.destroy();
  });
  // An answer cut short ends with "error" and "close", a whole one with "end".
  response.on("error", () => finish(fail(exchanged.cutShort(status))));
  response.once("close", () => finish(fail(exchanged.cutShort(status))));
  response.once("end", () => {
    if (!response.complete) return finish(fail(exchanged.cutShort(status)));
    return finish(ok({ status, reason: response.statusMessage ?? "", body: Buffer.concat(chunks).toString("utf8"), date: response.headers.date }));
  });
}
