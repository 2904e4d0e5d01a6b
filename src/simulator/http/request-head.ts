/**
 * Reads the head of an HTTP/1.x request as strictly, and as loosely, as pveproxy does: lines end in LF
 * with an optional CR, empty lines before a request are skipped, and a head over its limits is not
 * refused but never answered: the connection stands until its idle timeout.
 */

/** pveproxy's limits; the empty line that ends the head counts as a line. */
const MAX_HEADER_LINES = 64;
const MAX_HEADER_BYTES = 8 * 1024;
/** A request line longer than pveproxy's read buffer ends the connection. */
const MAX_REQUEST_LINE_BYTES = 64 * 1024;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export interface RequestHead {
  readonly method: string;
  /** As sent: path and query. */
  readonly target: string;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  readonly minorVersion: number;
  /** By lower-case name; values of a repeated header joined with ", ". */
  readonly headers: ReadonlyMap<string, string>;
}

export type HeadResult =
  | { readonly type: "incomplete" }
  | { readonly type: "head"; readonly head: RequestHead; readonly rest: Buffer }
  | { readonly type: "refused"; readonly status: number; readonly reason: string }
  /** Over a limit: nothing more is read and nothing is answered. */
  | { readonly type: "stuck" }
  | { readonly type: "closed" };

/** Takes a head off the front of `buffer`, if a whole one is there. */
export function readHead(buffer: Buffer): HeadResult {
  const lines = new LineReader(buffer);
  const requestLine = lines.nextNonEmpty();
  if (requestLine === undefined) return buffer.length > MAX_REQUEST_LINE_BYTES ? { type: "closed" } : { type: "incomplete" };
  const parts = /(\S+) (\S+) HTTP\/(\d+)\.(\d+)/.exec(requestLine);
  if (parts === null) return { type: "refused", status: 400, reason: "bad request" };
  const [, method = "", target = "", major = "", minor = ""] = parts;
  if (major !== "1") return { type: "refused", status: 506, reason: `http protocol version ${major}.${minor} not supported` };
  const headers = readHeaders(lines);
  if (!(headers instanceof Map)) return headers;
  return { type: "head", head: { method, target, minorVersion: Number(minor), headers }, rest: lines.rest() };
}

function readHeaders(lines: LineReader): Map<string, string> | HeadResult {
  const headers = new Map<string, string>();
  let last: string | undefined;
  let sizeBytes = 0;
  for (let count = 1; ; count++) {
    const line = lines.next();
    sizeBytes += line?.length ?? lines.rest().length;
    if (count >= MAX_HEADER_LINES || sizeBytes >= MAX_HEADER_BYTES) return { type: "stuck" };
    if (line === undefined) return { type: "incomplete" };
    if (line === "") return headers;
    const [, name, value] = /^([^:\s]+)\s*:\s*(.*)/.exec(line) ?? [];
    if (name !== undefined) {
      last = name.toLowerCase();
      const before = headers.get(last);
      headers.set(last, before === undefined ? (value ?? "") : `${before}, ${value ?? ""}`);
    } else if (/^\s/.test(line) && last !== undefined) {
      headers.set(last, `${headers.get(last) ?? ""} ${line.trimStart()}`);
    } else return { type: "refused", status: 506, reason: "unable to parse request header" };
  }
}

class LineReader {
  #offset = 0;
  readonly #buffer: Buffer;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  /** The next line without its end, undefined when no whole one is left. */
  next(): string | undefined {
    const end = this.#buffer.indexOf(LINE_FEED, this.#offset);
    if (end === -1) return undefined;
    const hasReturn = end > this.#offset && this.#buffer[end - 1] === CARRIAGE_RETURN;
    const line = this.#buffer.toString("latin1", this.#offset, hasReturn ? end - 1 : end);
    this.#offset = end + 1;
    return line;
  }

  nextNonEmpty(): string | undefined {
    for (;;) {
      const line = this.next();
      if (line !== "") return line;
    }
  }

  rest(): Buffer {
    return this.#buffer.subarray(this.#offset);
  }
}
