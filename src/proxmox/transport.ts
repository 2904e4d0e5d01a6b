import type { Clock } from "../ports/clock.ts";
import { fail, ok, type Result } from "../ports/errors.ts";
import type { Log } from "../ports/log.ts";
import type { ProxmoxFault, ProxmoxResult } from "../ports/proxmox-api.ts";
import type { Random } from "../ports/random.ts";
import type { ApiAnswer } from "./classify.ts";
import type { Endpoint } from "./connect.ts";
import { describeRequest, exchange as exchangeOverHttps, formBody, type ApiRequest, type Exchange, type Exchanged } from "./exchange.ts";
import { busyFault, cleanText, tokenFault, unreachableFault } from "./faults.ts";
import { Slots } from "./slots.ts";
import type { TrustSource } from "./trust.ts";
import { VerifiedAgent } from "./verified-agent.ts";

/** First try included. A restart of pveproxy takes about a second; longer outages are the caller's backoff's business. */
export const READ_ATTEMPTS_MAX = 3;
const READ_RETRY_DELAY_MS = 150;
/** The proxy's own failures and "busy": asking again may reach another worker. */
const RETRIED_STATUSES = new Set([503, 595, 596, 599]);
/**
 * Part of a request's time that must be left when its turn comes: sent with less, it would most likely be given up
 * while Proxmox works on it, and a mutation's outcome would be unknown for nothing.
 */
const TIME_LEFT_MIN_FRACTION = 0.25;
/** Proxmox refuses larger ones with a 501 that does not say why. */
export const BODY_SIZE_MAX_BYTES = 512 * 1024;
/** What a token looks like; also keeps anything out of the header that could end it. */
const TOKEN = /^[^\s!=]+@[^\s!=]+![^\s!=]+=[\x21-\x7e]+$/;

/** A Proxmox secret is a UUID; shorter words would be taken out of messages that have nothing to do with them. */
const SECRET_LENGTH_MIN = 8;
/** What stands where the secret was. */
const REDACTED = "******";

/** One HTTP request, for metrics. `code` is the status, or the last word of the fault's code. */
export interface RequestMeasure {
  readonly method: string;
  readonly code: string;
  readonly seconds: number;
}

export interface TransportOptions {
  readonly endpoint: Endpoint;
  readonly trust: TrustSource;
  /** The API token as `user@realm!name=uuid`. Called before the first request and after a 401. */
  readonly readToken: () => Result<string> | Promise<Result<string>>;
  readonly requestTimeoutMs: number;
  readonly maxConcurrentRequests: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly userAgent: string;
  readonly onRequest?: ((measure: RequestMeasure) => void) | undefined;
  /** Over HTTPS when left out. */
  readonly exchange?: Exchange | undefined;
}

/**
 * Requests to one Proxmox, with everything between a request and its answer: trust before the token, bounded
 * concurrency, one deadline for waiting, connecting and answering, retries of GETs, a token that was replaced.
 *
 * GETs use pooled connections and are retried on fresh ones. A mutation is never retried and always gets a
 * connection of its own: on a pooled one that the server is just closing, nobody could tell whether it arrived.
 * That costs a handshake (3–4 ms) and loses nothing, since Proxmox closes after proxied answers anyway.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #slots: Slots;
  readonly #pooled: VerifiedAgent;
  readonly #single: VerifiedAgent;
  readonly #closing = new AbortController();
  #token: string | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#slots = new Slots(options.maxConcurrentRequests);
    this.#pooled = new VerifiedAgent({ ...options, isPooled: true });
    this.#single = new VerifiedAgent({ ...options, isPooled: false });
  }

  /** The answer, whatever its status, or a fault of getting it. */
  async send(request: ApiRequest): Promise<ProxmoxResult<ApiAnswer>> {
    const where = describeRequest(request);
    const tooLarge = oversize(request, where);
    if (tooLarge !== undefined) return fail(tooLarge);
    if (this.#closing.signal.aborted) return fail(unreachableFault(`${where}: the client is closed; nothing was sent`));
    const deadline = this.#startDeadline();
    const slot = await this.#slots.acquire(deadline.signal);
    try {
      if (slot === "acquired" && deadline.hasTimeToStart()) return await this.#sendInSlot(request, deadline.signal);
      const why = slot === "full" ? "too many requests are waiting" : "no slot became free in time";
      return fail(busyFault(`${where}: ${why} (maxConcurrentRequests ${this.#options.maxConcurrentRequests}); nothing was sent`));
    } finally {
      if (slot === "acquired") this.#slots.release();
      deadline.cancel();
    }
  }

  /** A fault without this token's secret, should a server (or a proxy before it) have echoed it. */
  redacted(fault: ProxmoxFault): ProxmoxFault {
    const secret = this.#token?.slice(this.#token.indexOf("=") + 1) ?? "";
    return secret.length < SECRET_LENGTH_MIN || !JSON.stringify(fault).includes(secret) ? fault : withoutSecret(fault, secret);
  }

  /** Ends every request, waiting or running, and closes the connections. */
  close(): void {
    this.#closing.abort();
    this.#pooled.destroy();
    this.#single.destroy();
  }

  #startDeadline(): { signal: AbortSignal; hasTimeToStart: () => boolean; cancel: () => void } {
    const { clock, requestTimeoutMs } = this.#options;
    const startLatestMs = clock.monotonic() + requestTimeoutMs * (1 - TIME_LEFT_MIN_FRACTION);
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    const cancelTimer = clock.schedule(requestTimeoutMs, abort);
    this.#closing.signal.addEventListener("abort", abort, { once: true });
    const cancel = (): void => {
      cancelTimer();
      this.#closing.signal.removeEventListener("abort", abort);
    };
    return { signal: controller.signal, hasTimeToStart: () => clock.monotonic() <= startLatestMs, cancel };
  }

  /** With the token that is known; after a 401 with the one that is in the file now, if that is another. */
  async #sendInSlot(request: ApiRequest, signal: AbortSignal): Promise<ProxmoxResult<ApiAnswer>> {
    const token = this.#token === undefined ? await this.#readToken(request) : ok(this.#token);
    if (!token.ok) return token;
    const first = await this.#sendWithRetries(request, token.value, signal);
    if (!first.ok || first.value.status !== 401) return first;
    const renewed = await this.#readToken(request);
    if (!renewed.ok || renewed.value === token.value || request.method !== "GET" || signal.aborted) return first;
    this.#options.log.info("the Proxmox API token was replaced; asking again with the new one");
    return this.#sendWithRetries(request, renewed.value, signal);
  }

  async #readToken(request: ApiRequest): Promise<ProxmoxResult<string>> {
    const read = await this.#options.readToken();
    if (!read.ok) return fail(tokenFault(`${describeRequest(request)}: no API token: ${read.error.message}; nothing was sent`));
    const token = read.value.trim();
    if (!TOKEN.test(token)) {
      return fail(tokenFault(`${describeRequest(request)}: expected an API token like user@realm!name=uuid, found something else; nothing was sent`));
    }
    this.#token = token;
    return ok(token);
  }

  async #sendWithRetries(request: ApiRequest, token: string, signal: AbortSignal): Promise<ProxmoxResult<ApiAnswer>> {
    for (let attempt = 1; ; attempt++) {
      const isPooled = request.method === "GET" && attempt === 1;
      const result = await this.#sendOnce(request, token, signal, isPooled ? this.#pooled : this.#single);
      if (request.method !== "GET" || attempt >= READ_ATTEMPTS_MAX || !isWorthRetrying(result) || signal.aborted) return result;
      // A connection that the server had closed says nothing about the server: ask again at once.
      if (result.isStale !== true) await this.#options.clock.sleep(this.#retryDelayMs(attempt), signal);
      // The time was up meanwhile: what went wrong says more than "no connection in time" would.
      if (signal.aborted) return result;
    }
  }

  async #sendOnce(request: ApiRequest, token: string, signal: AbortSignal, agent: VerifiedAgent): Promise<Exchanged> {
    const { clock, endpoint, userAgent, onRequest, exchange = exchangeOverHttps } = this.#options;
    const startedMs = clock.monotonic();
    const result = await exchange(request, { agent, ...endpoint, token, userAgent, signal });
    const code = result.ok ? String(result.value.status) : result.error.code.replace("proxmox.", "");
    onRequest?.({ method: request.method, code, seconds: (clock.monotonic() - startedMs) / 1000 });
    return result;
  }

  /** 150, 300 ms, each between half and all of it, so that many readers do not come back together. */
  #retryDelayMs(attempt: number): number {
    return READ_RETRY_DELAY_MS * 2 ** (attempt - 1) * (0.5 + this.#options.random.fraction() / 2);
  }
}

function isWorthRetrying(result: Exchanged): boolean {
  if (result.ok) return RETRIED_STATUSES.has(result.value.status);
  return result.error.code === "proxmox.unreachable" || result.error.code === "proxmox.no_answer";
}

function withoutSecret(fault: ProxmoxFault, secret: string): ProxmoxFault {
  const clean = (text: string): string => text.replaceAll(secret, REDACTED);
  // What caused it may say it again.
  const shown = { ...fault, cause: undefined };
  const message = clean(fault.message);
  switch (shown.code) {
    case "proxmox.bad_parameter":
      return { ...shown, message, parameters: Object.fromEntries(Object.entries(shown.parameters).map(([name, problem]) => [clean(name), clean(problem)])) };
    case "proxmox.forbidden":
      return { ...shown, message, missing: clean(shown.missing) };
    case "proxmox.locked":
      return { ...shown, message, lock: clean(shown.lock) };
    default:
      return { ...shown, message };
  }
}

function oversize(request: ApiRequest, where: string): ProxmoxFault | undefined {
  const sizeBytes = Buffer.byteLength(formBody(request) ?? "");
  if (sizeBytes <= BODY_SIZE_MAX_BYTES) return undefined;
  const message = `${where}: the request has ${sizeBytes} bytes, Proxmox takes at most ${BODY_SIZE_MAX_BYTES}; nothing was sent`;
  return { code: "proxmox.bad_parameter", message: cleanText(message), delivery: "none", parameters: {} };
}
