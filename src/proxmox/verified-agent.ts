import { Agent } from "node:https";
import type { Socket } from "node:net";
import type { ClientRequest } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "../ports/clock.ts";
import type { ProxmoxFault } from "../ports/proxmox-api.ts";
import { openVerified, type Endpoint } from "./connect.ts";
import type { TrustSource } from "./trust.ts";

/** pveproxy closes a connection that has been idle for 5 s; it is given up well before, so that it is not used while it dies. */
const IDLE_CONNECTION_MS = 3_000;
/** pveproxy ends a connection after 100 requests. */
export const REQUESTS_A_CONNECTION_MAX = 90;

/** Carries a fault of connecting through Node's callback: nothing of the request was written. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";
  readonly fault: ProxmoxFault;

  constructor(fault: ProxmoxFault) {
    super(fault.message);
    this.fault = fault;
  }
}

interface Use {
  requests: number;
  cancelIdleTimer: () => void;
}

/**
 * Connections to one Proxmox. A socket reaches Node's HTTP code only through `openVerified`. With `isPooled`
 * connections are kept for the next request, within the server's limits; without, each request gets its own.
 */
export class VerifiedAgent extends Agent {
  readonly #endpoint: Endpoint;
  readonly #trust: TrustSource;
  readonly #clock: Clock;
  readonly #uses = new WeakMap<Duplex, Use>();

  constructor(options: { endpoint: Endpoint; trust: TrustSource; clock: Clock; isPooled: boolean }) {
    super({ keepAlive: options.isPooled });
    this.#endpoint = options.endpoint;
    this.#trust = options.trust;
    this.#clock = options.clock;
  }

  override createConnection(_options: unknown, callback?: (error: Error | null, stream: Duplex) => void): undefined {
    if (callback === undefined) throw new Error("VerifiedAgent opens connections asynchronously only");
    void openVerified(this.#endpoint, this.#trust, this.#clock).then((opened) => {
      // Node's type wants a stream beside the error; its code reads only one of the two.
      if (!opened.ok) return (callback as (error: Error) => void)(new ConnectError(opened.error));
      const use: Use = { requests: 0, cancelIdleTimer: () => {} };
      this.#uses.set(opened.value, use);
      opened.value.once("close", () => use.cancelIdleTimer());
      return callback(null, opened.value);
    });
    return undefined;
  }

  /** Called by Node after an answer that allows reuse; false makes it close the connection. */
  override keepSocketAlive(socket: Duplex): boolean {
    const use = this.#uses.get(socket);
    if (use === undefined || ++use.requests >= REQUESTS_A_CONNECTION_MAX) return false;
    use.cancelIdleTimer = this.#clock.schedule(IDLE_CONNECTION_MS, () => socket.destroy());
    super.keepSocketAlive(socket);
    return true;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    this.#uses.get(socket)?.cancelIdleTimer();
    super.reuseSocket(socket, request);
  }

  /** Keeps a connection out of the pool, e.g. after an answer of 400 and above. */
  retire(socket: Socket): void {
    this.#uses.delete(socket);
  }
}
