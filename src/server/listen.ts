import type { Clock } from "../ports/clock.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import type { Log } from "../ports/log.ts";
import type { ServerApp } from "./app.ts";

/** A connection that says nothing is closed after this long; probes and scrapers open new ones. */
const IDLE_TIMEOUT_SECONDS = 30;

/** No route takes a body; what little a client sends along is read and forgotten. */
export const HEALTH_BODY_BYTES_MAX = 4_096;

/** One socket for IPv4 and IPv6, and what is left where the kernel has no IPv6. */
const ALL_ADDRESSES = "::";
const ALL_IPV4_ADDRESSES = "0.0.0.0";

export interface ServerOptions {
  readonly app: ServerApp;
  /** An address or host name; "" listens on every address, IPv4 and IPv6. */
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly log: Log;
  readonly clock: Clock;
}

export interface RunningServer {
  readonly port: number;
  /** Base address, e.g. "http://127.0.0.1:9100", without a slash at the end. */
  readonly url: string;
  /** Answers what is being asked, for at most `timeoutMs`, then cuts what is left. */
  stop(timeoutMs: number): Promise<void>;
}

type BunServer = ReturnType<typeof Bun.serve>;

/** Starts to listen. Faults: `server.port_taken`, and `server.cannot_listen` for every other refusal. */
export function startServer(options: ServerOptions): Result<RunningServer> {
  const isEverywhere = options.hostname === "";
  const first = listen(options, isEverywhere ? ALL_ADDRESSES : options.hostname);
  if (first.ok) return ok(running(first.server, options.clock));
  if (isEverywhere && errorCode(first.error) !== "EADDRINUSE") {
    const second = listen(options, ALL_IPV4_ADDRESSES);
    if (second.ok) return ok(running(second.server, options.clock));
  }
  return refusal(options, first.error);
}

type Listening = { readonly ok: true; readonly server: BunServer } | { readonly ok: false; readonly error: unknown };

function listen(options: ServerOptions, hostname: string): Listening {
  try {
    const server = Bun.serve({
      hostname,
      port: options.port,
      // With `development: false` alone, Bun shares the port with whoever else listens on it and nobody hears of it.
      reusePort: false,
      development: false,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      maxRequestBodySize: HEALTH_BODY_BYTES_MAX,
      fetch: (request, self) => options.app.fetch(request, { peerAddress: self.requestIP(request)?.address }),
      error: (error) => {
        options.log.error("the health server could not answer", { error });
        return new Response("internal error: see the agent's log\n", { status: 500 });
      },
    });
    return { ok: true, server };
  } catch (error) {
    return { ok: false, error };
  }
}

function refusal({ hostname, port }: ServerOptions, error: unknown): Result<RunningServer> {
  const where = `${hostname === "" ? "every address" : hostname} port ${port}`;
  if (errorCode(error) === "EADDRINUSE") {
    return fault(
      "server.port_taken",
      `expected to listen on ${where} for health and metrics, found port ${port} taken by another program` +
        " (node_exporter uses 9100 too, and so does a second agent):" +
        ` stop that program, or set server.listen to another port, e.g. ":${port === 9101 ? 9102 : 9101}"; "ss -ltnp 'sport = :${port}'" names who has it`,
      error,
    );
  }
  const detail = error instanceof Error ? error.message : String(error);
  return fault("server.cannot_listen", `expected to listen on ${where} for health and metrics, the system refused (${detail}): set server.listen to an address of this host and a port this user may use`, error);
}

function running(server: BunServer, clock: Clock): RunningServer {
  const isEverywhere = server.hostname === ALL_ADDRESSES || server.hostname === ALL_IPV4_ADDRESSES;
  const host = isEverywhere ? "127.0.0.1" : (server.hostname ?? "127.0.0.1");
  return {
    port: server.port ?? 0,
    url: `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`,
    stop: (timeoutMs) => stopWithin(server, clock, timeoutMs),
  };
}

/** A half-sent request would hold a graceful stop up until its connection times out: hence the deadline. */
async function stopWithin(server: BunServer, clock: Clock, timeoutMs: number): Promise<void> {
  const deadline = new AbortController();
  await Promise.race([server.stop(false), clock.sleep(timeoutMs, deadline.signal)]);
  deadline.abort();
  await server.stop(true);
}

function errorCode(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}
