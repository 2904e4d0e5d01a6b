/**
 * One line of a segment, pure:
 *
 *     <check> <sequence> <batch> <link> <body>\n
 *
 * `check`: the first 16 hex digits of SHA-256(salt, space, all that follows the check). Keyed by the
 * segment's salt, so that a line of another file never passes. `sequence`: counts every frame of the
 * journal from 1. `batch`: the sequence number of the first frame of the batch this frame was written
 * in; batches are synced one after the other. `link`: the whole SHA-256 of the frame before (for
 * a segment's first frame: of its header). So one hash a frame serves both as check and as link.
 */
export interface Frame {
  readonly sequence: number;
  readonly batch: number;
  readonly link: string;
  readonly body: string;
  /** SHA-256 of this frame, hex: what the next one links to. */
  readonly hash: string;
}

const CHECK_CHARS = 16;
const HASH_CHARS = 64;
const SPACE = 0x20;
/** Fixed shape of all but the body: where a frame may begin inside damaged bytes. */
const PREFIX = /^([0-9a-f]{16}) ([1-9][0-9]{0,15}) ([1-9][0-9]{0,15}) ([0-9a-f]{64}) /;
const PREFIX_ANYWHERE = /[0-9a-f]{16} [1-9][0-9]{0,15} [1-9][0-9]{0,15} [0-9a-f]{64} /g;

/** The link of a journal's very first header: there is nothing before it. */
export const NO_LINK = "0".repeat(HASH_CHARS);

/** Hex SHA-256 over `salt`, a space and `text` (as UTF-8). */
export function hashText(salt: string, text: string): string {
  return Bun.SHA256.hash(`${salt} ${text}`, "hex");
}

/** The check part of a hash. */
export function checkOf(hash: string): string {
  return hash.slice(0, CHECK_CHARS);
}

/** A frame's line, LF included, and its hash. `body` must hold no LF (JSON never does). */
export function encodeFrame(salt: string, sequence: number, batch: number, link: string, body: string): { readonly line: string; readonly hash: string } {
  const rest = `${sequence} ${batch} ${link} ${body}`;
  const hash = hashText(salt, rest);
  return { line: `${checkOf(hash)} ${rest}\n`, hash };
}

/** The frame in `line` (without its LF), or undefined when it does not verify under `salt`. */
export function decodeFrame(salt: string, line: Uint8Array): Frame | undefined {
  if (line[CHECK_CHARS] !== SPACE) return undefined;
  const text = utf8(line);
  // Nothing but ASCII matches: its characters are bytes.
  const prefix = PREFIX.exec(text);
  if (prefix === null) return undefined;
  const [whole, check, sequence, batch, link] = prefix;
  const hash = hashLine(salt, line);
  if (checkOf(hash) !== check) return undefined;
  return { sequence: Number(sequence), batch: Number(batch), link: link ?? "", body: text.slice(whole.length), hash };
}

/** Salt, space and what follows the check in one buffer: one call instead of three, and it is what opening spends its time on. */
function hashLine(salt: string, line: Uint8Array): string {
  const text = Buffer.allocUnsafe(salt.length + line.length - CHECK_CHARS);
  text.write(salt, 0, "latin1");
  text[salt.length] = SPACE;
  text.set(line.subarray(CHECK_CHARS + 1), salt.length + 1);
  return Bun.SHA256.hash(text, "hex");
}

/** Frames that verify under `salt` anywhere in `bytes`, whatever surrounds them: a damaged LF must not hide the frame behind it. */
export function findFrames(salt: string, bytes: Uint8Array): { readonly frame: Frame; readonly offset: number }[] {
  const found: { frame: Frame; offset: number }[] = [];
  for (const match of latin1(bytes).matchAll(PREFIX_ANYWHERE)) {
    const lineEnd = bytes.indexOf(0x0a, match.index);
    const frame = decodeFrame(salt, bytes.subarray(match.index, lineEnd === -1 ? bytes.length : lineEnd));
    if (frame !== undefined) found.push({ frame, offset: match.index });
  }
  return found;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
