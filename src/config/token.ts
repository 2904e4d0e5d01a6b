import { fault, ok, type Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";

/** Bits that let a group or everybody read or write. */
const OTHERS_READ_OR_WRITE = 0o066;

const ROOT_UID = 0;

/** A token has about eighty characters; what is larger is another file, and is not read. */
export const TOKEN_FILE_BYTES_MAX = 4096;

/** `user@realm!name=uuid`, as pveum prints it. Neither part can hold what would end an HTTP header. */
const TOKEN_FORM = /^([^\s:/!=@]+(?:@[^\s:/!=@]+)*@[A-Za-z][A-Za-z0-9._-]+![A-Za-z][A-Za-z0-9._-]+)=([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$/;

const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** A Proxmox API token. Printing, inspecting or serializing it shows who it is, never the secret. */
export class ApiToken {
  /** `user@realm!name`: no secret. */
  readonly id: string;
  readonly #secret: string;

  constructor(id: string, secret: string) {
    this.id = id;
    this.#secret = secret;
  }

  /** `user@realm!name=uuid`, for the Authorization header and nothing else. */
  reveal(): string {
    return `${this.id}=${this.#secret}`;
  }

  toString(): string {
    return `${this.id}=(hidden)`;
  }

  toJSON(): string {
    return this.toString();
  }

  [INSPECT](): string {
    return this.toString();
  }
}

/** What reading a token needs. `status` follows symlinks, as reading does. */
export interface TokenReader {
  readonly files: Pick<FileSystem, "status" | "readFile">;
  /** The agent's own user id. */
  readonly userId: number;
}

/**
 * The API token in a file. `config.insecure`: others than its owner can read or write the file, or it
 * belongs to neither the agent's user nor root. `config.unreadable`, `config.schema`: as they say. No
 * message holds any part of the file's content.
 */
export function readToken(path: string, reader: TokenReader): Result<ApiToken> {
  const status = reader.files.status(path);
  if (!status.ok) return unreadable(path, status.error.message, status.error);
  const { isFile, mode, ownerUid, sizeBytes } = status.value;
  if (!isFile) return unreadable(path, "it is not a file");
  if ((mode & OTHERS_READ_OR_WRITE) !== 0) {
    return fault("config.insecure", `${path}: expected a token file only its owner can read and write, found mode 0${(mode & 0o777).toString(8)}; run chmod 600 on it, and replace the token if others may have read it`);
  }
  // Root may look on behalf of the agent's own user, whose file it is: nobody else can read or write it.
  const isTrustedOwner = ownerUid === reader.userId || ownerUid === ROOT_UID || reader.userId === ROOT_UID;
  if (!isTrustedOwner) {
    return fault("config.insecure", `${path}: expected a token file of the agent's user (uid ${reader.userId}) or root, found one of uid ${ownerUid}; run chown on it`);
  }
  if (sizeBytes > TOKEN_FILE_BYTES_MAX) return misshapen(path, `${sizeBytes} bytes`);
  const read = reader.files.readFile(path);
  return read.ok ? parseToken(path, read.value) : unreadable(path, read.error.message, read.error);
}

function parseToken(path: string, bytes: Uint8Array): Result<ApiToken> {
  const text = new TextDecoder().decode(bytes).trim();
  if (text === "") return misshapen(path, "nothing");
  if (text.startsWith("PVEAPIToken=")) return misshapen(path, "`PVEAPIToken=` in front of it");
  if (/[\r\n]/.test(text)) return misshapen(path, "several lines");
  const match = TOKEN_FORM.exec(text);
  const [, id, secret] = match ?? [];
  return id === undefined || secret === undefined ? misshapen(path, "something else") : ok(new ApiToken(id, secret));
}

function misshapen(path: string, found: string): Result<ApiToken> {
  return fault("config.schema", `${path}: expected one line \`user@realm!name=uuid\` (such as steward@pve!agent=…), found ${found}; write what \`pveum user token add\` printed`);
}

function unreadable(path: string, why: string, cause?: unknown): Result<ApiToken> {
  return fault("config.unreadable", `${path}: expected the file with the API token, found that it cannot be read: ${why}; create it with mode 0600 and the agent's user as owner`, cause);
}
