import { gzipSync } from "node:zlib";

/**
 * Writes a response the way pve-http-server does: its headers in its order, the reason phrase as the
 * error text, both `Connection: close` and `Connection: Keep-Alive` on what pvedaemon answered, and
 * `Connection: close` alone on everything from 400 up.
 */

export interface HttpResponse {
  readonly status: number;
  /** Only its first line goes on the wire. */
  readonly reason: string;
  readonly contentType?: string;
  readonly location?: string;
  /** Left out or empty: no Content-Length either. */
  readonly body?: string;
  /** pvedaemon made it and pveproxy passed it on. */
  readonly isProxied: boolean;
}

export interface ResponseContext {
  readonly minorVersion: number;
  /** Whether the connection stays open; a status from 400 up closes it all the same. */
  readonly isKeptAlive: boolean;
  readonly acceptsGzip: boolean;
  readonly nowMs: number;
}

/** Bodies up to this size are sent as they are (pve-http-server compresses what is longer). */
const GZIP_ABOVE_BYTES = 1024;

/** Whether the connection is closed after `response`. */
export function closesConnection(response: HttpResponse, isKeptAlive: boolean): boolean {
  return !isKeptAlive || response.status >= 400;
}

/** The bytes of `response`. */
export function serializeResponse(response: HttpResponse, context: ResponseContext): Buffer {
  const plain = Buffer.from(response.body ?? "", "utf8");
  const isCompressed = context.acceptsGzip && plain.length > GZIP_ABOVE_BYTES;
  const body = isCompressed ? Buffer.from(gzipSync(plain)) : plain;
  const date = new Date(context.nowMs).toUTCString();
  const lines = [
    `HTTP/1.${context.minorVersion} ${response.status} ${response.reason.split("\n")[0] ?? ""}`,
    "Cache-Control: max-age=0",
    ...connectionHeaders(response, context.isKeptAlive),
    `Date: ${date}`,
    "Pragma: no-cache",
    ...(response.location === undefined ? [] : [`Location: ${response.location}`]),
    "Server: pve-api-daemon/3.0",
    ...(isCompressed ? ["Content-Encoding: gzip"] : []),
    ...(body.length === 0 ? [] : [`Content-Length: ${body.length}`]),
    ...(response.contentType === undefined ? [] : [`Content-Type: ${response.contentType}`]),
    `Expires: ${date}`,
  ];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "utf8"), body]);
}

function connectionHeaders(response: HttpResponse, isKeptAlive: boolean): string[] {
  if (closesConnection(response, isKeptAlive)) return ["Connection: close"];
  return response.isProxied ? ["Connection: close", "Connection: Keep-Alive"] : ["Connection: Keep-Alive"];
}

/** A bare error of the server itself: the reason is the whole body. */
export function serverError(status: number, reason: string): HttpResponse {
  return { status, reason, body: reason, isProxied: false };
}

/** Status line and headers only. */
export function bodyless(status: number, reason: string): HttpResponse {
  return { status, reason, isProxied: false };
}
