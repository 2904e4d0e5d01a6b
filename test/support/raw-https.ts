import { connect, type TLSSocket } from "node:tls";
import { gunzipSync } from "node:zlib";

/** A response as it was on the wire: nothing merged, renamed or normalised by an HTTP library. */
export interface RawResponse {
  /** "HTTP/1.1 200 OK" */
  readonly statusLine: string;
  readonly status: number;
  readonly reason: string;
  /** In order, names as sent. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export interface RawTarget {
  readonly port: number;
  readonly caPem: string;
}

export interface RawRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Value after `PVEAPIToken=`. */
  readonly token?: string;
}

/** Values of every header with this name. */
export function headerValues(response: RawResponse, name: string): string[] {
  return response.headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}

/** One request on a connection of its own. */
export async function rawRequest(target: RawTarget, method: string, path: string, request: RawRequest = {}): Promise<RawResponse> {
  const connection = await RawConnection.open(target);
  try {
    return await connection.request(method, path, request);
  } finally {
    connection.close();
  }
}

/** A TLS connection that sends what it is told and gives back what came. */
export class RawConnection {
  readonly #socket: TLSSocket;
  #buffer: Buffer = Buffer.alloc(0);
  #isClosed = false;
  #wake: () => void = () => {};

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    const wake = (): void => this.#wake();
    socket.on("data", (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      wake();
    });
    socket.on("error", wake);
    socket.on("close", () => {
      this.#isClosed = true;
      wake();
    });
    socket.on("end", () => {
      this.#isClosed = true;
      wake();
    });
  }

  static open(target: RawTarget): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port: target.port, ca: target.caPem, servername: "localhost" });
      socket.once("error", reject);
      socket.once("secureConnect", () => resolve(new RawConnection(socket)));
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  request(method: string, path: string, { headers = {}, body, token }: RawRequest = {}): Promise<RawResponse> {
    const all = {
      Host: "localhost",
      ...(token === undefined ? {} : { Authorization: `PVEAPIToken=${token}` }),
      ...(body === undefined ? {} : { "Content-Length": String(Buffer.byteLength(body)) }),
      ...headers,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    this.send(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body ?? ""}`);
    return this.response();
  }

  /** The next response; rejects when the connection closes without one. */
  async response(): Promise<RawResponse> {
    for (;;) {
      const parsed = this.#take();
      if (parsed !== undefined) return parsed;
      if (this.#isClosed) throw new Error("connection closed without an answer");
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Resolves when the other side has closed. */
  async closed(): Promise<void> {
    while (!this.#isClosed) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(): RawResponse | undefined {
    const end = this.#buffer.indexOf("\r\n\r\n");
    if (end === -1) return undefined;
    const [statusLine = "", ...lines] = this.#buffer.toString("utf8", 0, end).split("\r\n");
    const headers = lines.map((line): [string, string] => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]);
    const find = (name: string): string | undefined => headers.find(([key]) => key === name)?.[1];
    const length = Number(find("Content-Length") ?? 0);
    if (this.#buffer.length < end + 4 + length) return undefined;
    const bytes = this.#buffer.subarray(end + 4, end + 4 + length);
    this.#buffer = this.#buffer.subarray(end + 4 + length);
    const body = find("Content-Encoding") === "gzip" ? gunzipSync(bytes).toString("utf8") : bytes.toString("utf8");
    const [, status = "", reason = ""] = /^HTTP\/1\.\d (\d+) (.*)$/.exec(statusLine) ?? [];
    return { statusLine, status: Number(status), reason, headers, body };
  }
}
