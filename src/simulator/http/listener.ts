import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import type { Clock } from "../../ports/clock.ts";
import type { Certificate } from "../tls/certificates.ts";
import { serveConnection, type Application, type Admitted, type Outcome } from "./connection.ts";
import type { RequestHead } from "./request-head.ts";

/**
 * The port. pveproxy answers TLS and plain HTTP on one port (the latter with a redirect), so the first
 * byte decides. Counts what arrived, so that a test can prove that a client which did not like the
 * certificate never sent a request. HTTP/1.1 is written here because a server library would neither
 * keep two Connection headers nor let a request be refused before its body.
 */

export interface ListenerOptions {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  readonly leaf: Certificate;
  readonly application: Application;
  readonly clock: Clock;
}

export interface ConnectionCounts {
  readonly tcpConnections: number;
  /** TLS handshakes that both sides completed. */
  readonly tlsHandshakes: number;
}

export interface Listener {
  readonly port: number;
  counts(): ConnectionCounts;
  /** Closes the port and every connection. */
  close(): Promise<void>;
}

/** The first byte of a TLS record that starts a handshake (RFC 8446 §5.1). */
const TLS_HANDSHAKE_BYTE = 0x16;
/** A peer that says nothing at all is closed after this; pveproxy's timeout. */
const FIRST_BYTE_TIMEOUT_MS = 5_000;

/** Opens the port; rejects when it is taken. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const secureContext = createSecureContext({ cert: options.leaf.certificatePem, key: options.leaf.privateKeyPem });
  const open = new Set<Socket>();
  let tcpConnections = 0;
  let tlsHandshakes = 0;
  const server = createServer((socket) => {
    tcpConnections++;
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setNoDelay(true);
    onFirstByte(socket, options.clock, (isTls) => {
      if (!isTls) return serveConnection(socket, redirect(options.hostname), options.clock);
      const secure = new TLSSocket(socket, { isServer: true, secureContext });
      secure.on("secure", () => tlsHandshakes++);
      serveConnection(secure, options.application, options.clock);
    });
  });
  const port = await bind(server, options.hostname, options.port);
  return {
    port,
    counts: () => ({ tcpConnections, tlsHandshakes }),
    close: () => closeAll(server, open),
  };
}

function bind(server: Server, hostname: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(new Error(`port ${port} on ${hostname} cannot be listened on: ${error.message}`, { cause: error }));
    });
    server.listen(port, hostname, () => resolve(portOf(server.address())));
  });
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("a TCP server has an address with a port");
  return address.port;
}

function closeAll(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of open) socket.destroy();
  });
}

function onFirstByte(socket: Socket, clock: Clock, callback: (isTls: boolean) => void): void {
  const cancel = clock.schedule(FIRST_BYTE_TIMEOUT_MS, () => socket.destroy());
  socket.once("close", cancel);
  socket.once("readable", () => {
    cancel();
    const bytes: unknown = socket.read();
    if (!Buffer.isBuffer(bytes)) return socket.destroy();
    socket.unshift(bytes);
    callback(bytes[0] === TLS_HANDSHAKE_BYTE);
  });
}

/** Plain HTTP: everything is somewhere else. */
function redirect(hostname: string): Application {
  return {
    admit: (head: RequestHead): Promise<Admitted | Outcome> => {
      const location = `https://${head.headers.get("host") ?? hostname}${head.target}`;
      const response = { status: 301, reason: "Moved Permanently", location, body: "Moved Permanently", isProxied: false };
      return Promise.resolve({ type: "respond", response });
    },
  };
}
