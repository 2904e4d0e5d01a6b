import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AddressInfo, Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";

/**
 * A raw TLS server on loopback that a test scripts answer by answer. It parses no more HTTP than it takes to
 * find a request's end, keeps every byte it got, and can send anything: it is as unkind as the script says.
 */

export const FIXTURES = join(import.meta.dir, "..", "proxmox", "fixtures");

export function fixture(name: string): string {
  return readFileSync(join(FIXTURES, name), "utf8");
}

export interface FakeRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  readonly head: string;
  readonly body: string;
  /** Which connection it came on, from 0. */
  readonly connection: number;
}

/** "keep" leaves the connection open, "end" closes it in order, "reset" tears it down. */
export type FakeAnswer = { readonly bytes: string | Uint8Array; readonly ending?: "keep" | "end" | "reset" } | "silence";

export type FakeScript = (request: FakeRequest, index: number) => FakeAnswer | Promise<FakeAnswer>;

/** A JSON answer as pveproxy gives it: errors end the connection. */
export function json(status: number, body: unknown, options: { reason?: string; headers?: readonly string[] } = {}): FakeAnswer {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const connection = status >= 400 ? "Connection: close" : "Connection: Keep-Alive";
  const head = [
    `HTTP/1.1 ${status} ${options.reason ?? "OK"}`,
    ...(options.headers ?? [connection]),
    `Content-Length: ${Buffer.byteLength(text)}`,
    "Content-Type: application/json;charset=UTF-8",
  ];
  return { bytes: `${head.join("\r\n")}\r\n\r\n${text}`, ending: status >= 400 ? "end" : "keep" };
}

/** An error as pveproxy gives it: the text is the reason phrase and the body's message. */
export function refusal(status: number, text: string, errors?: Readonly<Record<string, string>>): FakeAnswer {
  return json(status, { data: null, message: `${text}\n`, ...(errors === undefined ? {} : { errors }) }, { reason: text });
}

/** An answer that is only a status line, as 401, 595 and 596 are. */
export function bare(status: number, reason: string): FakeAnswer {
  return { bytes: `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\n\r\n`, ending: "end" };
}

export class FakePveServer {
  readonly port: number;
  readonly requests: FakeRequest[] = [];
  /** Everything that came over TLS, a string a connection. */
  readonly received: string[] = [];
  /** TCP connections, those without a finished handshake included. */
  tcpConnections = 0;
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets: Set<Socket>;
  readonly #waiters: { count: number; resolve: () => void }[] = [];

  private constructor(server: ReturnType<typeof createServer>, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = (server.address() as AddressInfo).port;
  }

  /** Listens on 127.0.0.1 with the fixture's certificate ("node", "impostor", …). */
  static async start(script: FakeScript, certificate = "node"): Promise<FakePveServer> {
    const sockets = new Set<Socket>();
    const server = createServer({ key: fixture(`${certificate}.key`), cert: fixture(`${certificate}.pem`) });
    server.on("tlsClientError", () => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const fake = new FakePveServer(server, sockets);
    server.on("connection", (socket: Socket) => {
      fake.tcpConnections++;
      sockets.add(socket);
      socket.on("error", () => {});
    });
    server.on("secureConnection", (socket) => fake.#serve(socket, script));
    return fake;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** Connections on which the TLS handshake was finished. */
  get connections(): number {
    return this.received.length;
  }

  /** Resolves once this many requests have come in. */
  async waitForRequests(count: number): Promise<void> {
    if (this.requests.length >= count) return;
    await new Promise<void>((resolve) => this.#waiters.push({ count, resolve }));
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #serve(socket: TLSSocket, script: FakeScript): void {
    const connection = this.received.push("") - 1;
    let unread = "";
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      this.received[connection] += text;
      unread += text;
      for (let request = takeRequest(unread, connection); request !== undefined; request = takeRequest(unread, connection)) {
        unread = unread.slice(request.sizeBytes);
        void this.#answer(socket, request, script);
      }
    });
  }

  async #answer(socket: TLSSocket, request: FakeRequest, script: FakeScript): Promise<void> {
    const index = this.requests.push(request) - 1;
    const arrived = this.#waiters.filter(({ count }) => count <= this.requests.length);
    for (const { resolve } of arrived) resolve();
    const answer = await script(request, index);
    if (answer === "silence") return;
    if (answer.ending === "end") return void socket.end(answer.bytes);
    if (answer.ending !== "reset") return void socket.write(answer.bytes);
    if (answer.bytes.length === 0) socket.destroy();
    else socket.write(answer.bytes, () => socket.destroy());
  }
}

function takeRequest(unread: string, connection: number): (FakeRequest & { sizeBytes: number }) | undefined {
  const headEnd = unread.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = unread.slice(0, headEnd);
  const bodySize = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
  const sizeBytes = headEnd + 4 + bodySize;
  if (unread.length < sizeBytes) return undefined;
  const [method = "", target = ""] = head.split(" ", 2);
  return { method, target, head, body: unread.slice(headEnd + 4, sizeBytes), connection, sizeBytes };
}
