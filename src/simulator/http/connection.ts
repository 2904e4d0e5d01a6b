import type { Duplex } from "node:stream";
import type { Clock } from "../../ports/clock.ts";
import { readHead, type RequestHead } from "./request-head.ts";
import { closesConnection, serializeResponse, serverError, type HttpResponse } from "./response.ts";

/**
 * One connection, from its first byte to its last: requests one after the other, at most 100, with
 * pveproxy's idle timeout between them. What a request means is the `Application`'s business.
 */

/** Seconds of silence after which pveproxy closes a connection, and requests it serves on one. */
const IDLE_TIMEOUT_MS = 5_000;
const MAX_REQUESTS_PER_CONNECTION = 100;
/** What a client may send ahead while a request is worked on: one more of the largest; more ends the connection. */
const MAX_AHEAD_BYTES = 640 * 1024;

/** What to do about a request. */
export type Outcome =
  | { readonly type: "respond"; readonly response: HttpResponse }
  /** Close the connection without an answer. */
  | { readonly type: "drop" }
  /** Keep the connection open and say nothing, for as long as the client stays. */
  | { readonly type: "silence" };

/** A request whose head was accepted; `run` is called once its body is here. */
export interface Admitted {
  readonly bodyBytes: number;
  run(body: Buffer): Promise<Outcome>;
}

export interface Application {
  /** Called once per request, when its head is complete. */
  admit(head: RequestHead): Promise<Admitted | Outcome>;
}

/** Serves `stream` until either side closes it. */
export function serveConnection(stream: Duplex, application: Application, clock: Clock): void {
  new Connection(stream, application, clock).start();
}

class Connection {
  readonly #stream: Duplex;
  readonly #application: Application;
  readonly #clock: Clock;
  #buffer: Buffer = Buffer.alloc(0);
  #remainingRequests = MAX_REQUESTS_PER_CONNECTION;
  #isBusy = false;
  #isDeaf = false;
  #cancelTimeout: () => void = () => {};
  #waitingForBody: { readonly admitted: Admitted; readonly head: RequestHead } | undefined;

  constructor(stream: Duplex, application: Application, clock: Clock) {
    this.#stream = stream;
    this.#application = application;
    this.#clock = clock;
  }

  start(): void {
    this.#armTimeout();
    this.#stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#stream.on("end", () => this.#stream.end());
    this.#stream.on("close", () => this.#cancelTimeout());
    this.#stream.on("error", () => this.#stream.destroy());
  }

  #receive(chunk: Buffer): void {
    if (this.#isDeaf) return;
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    if (this.#isBusy) return this.#buffer.length > MAX_AHEAD_BYTES ? this.#drop() : undefined;
    this.#armTimeout();
    this.#advance();
  }

  /** Takes the next step that the bytes at hand allow. */
  #advance(): void {
    if (this.#waitingForBody !== undefined) return this.#readBody();
    const result = readHead(this.#buffer);
    switch (result.type) {
      case "incomplete":
        return;
      case "closed":
        return this.#drop();
      case "stuck":
        this.#isDeaf = true;
        return;
      case "refused":
        return this.#send(serverError(result.status, result.reason), undefined);
      case "head":
        this.#buffer = result.rest;
        this.#remainingRequests--;
        return this.#admit(result.head);
    }
  }

  #admit(head: RequestHead): void {
    this.#work(async () => {
      const admitted = await this.#application.admit(head);
      if ("type" in admitted) return this.#finish(admitted, head);
      this.#waitingForBody = { admitted, head };
      this.#isBusy = false;
      this.#armTimeout();
      this.#readBody();
    });
  }

  #readBody(): void {
    if (this.#waitingForBody === undefined) return;
    const { admitted, head } = this.#waitingForBody;
    if (this.#buffer.length < admitted.bodyBytes) return;
    this.#waitingForBody = undefined;
    const body = this.#buffer.subarray(0, admitted.bodyBytes);
    this.#buffer = this.#buffer.subarray(admitted.bodyBytes);
    this.#work(async () => this.#finish(await admitted.run(body), head));
  }

  /** While a request is worked on there is no timeout and no further request is read. */
  #work(job: () => Promise<void>): void {
    this.#isBusy = true;
    this.#cancelTimeout();
    job().catch((error: unknown) => {
      this.#drop();
      throw error;
    });
  }

  #finish(outcome: Outcome, head: RequestHead): void {
    switch (outcome.type) {
      case "respond":
        return this.#send(outcome.response, head);
      case "drop":
        return this.#drop();
      case "silence":
        this.#isDeaf = true;
        return;
    }
  }

  #send(response: HttpResponse, head: RequestHead | undefined): void {
    if (this.#stream.destroyed) return;
    const isKeptAlive = head !== undefined && this.#remainingRequests > 0 && wantsKeepAlive(head);
    const bytes = serializeResponse(response, {
      minorVersion: head?.minorVersion ?? 0,
      isKeptAlive,
      acceptsGzip: head?.headers.get("accept-encoding")?.includes("gzip") ?? false,
      nowMs: this.#clock.now(),
    });
    if (closesConnection(response, isKeptAlive)) return this.#sendLast(bytes);
    this.#stream.write(bytes);
    this.#isBusy = false;
    this.#armTimeout();
    if (this.#buffer.length > 0) this.#advance();
  }

  #sendLast(bytes: Buffer): void {
    this.#isDeaf = true;
    this.#armTimeout();
    this.#stream.end(bytes);
  }

  #drop(): void {
    this.#cancelTimeout();
    this.#stream.destroy();
  }

  #armTimeout(): void {
    this.#cancelTimeout();
    this.#cancelTimeout = this.#clock.schedule(IDLE_TIMEOUT_MS, () => this.#stream.destroy());
  }
}

/** HTTP/1.1 stays open unless told otherwise, HTTP/1.0 only if it says something else than close. */
function wantsKeepAlive(head: RequestHead): boolean {
  const connection = head.headers.get("connection");
  if (connection !== undefined) return !/close/i.test(connection);
  return head.minorVersion >= 1;
}
