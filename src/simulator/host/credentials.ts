import { createHash } from "node:crypto";
import { Died } from "./died.ts";
import type { Host } from "./host.ts";

/** Cloud-init credentials: SSH keys are checked, passwords are stored hashed (docs/proxmox.md rows 68, 69). */

const SALT_BYTES = 6;

/** Dies unless every line of the percent-encoded text is an OpenSSH public key or a comment. */
export function checkPublicKeys(encoded: string): void {
  const text = encoded.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  if (lines.length === 0 || !lines.every(isPublicKey)) throw Died.because("SSH public key validation error");
}

/** "[options ]TYPE BASE64 [comment]", where the blob begins with its own type. */
function isPublicKey(line: string): boolean {
  const [, type = "", blob = ""] = /(?:^|\s)((?:ssh|ecdsa|sk)-[\w@.-]+)\s+([A-Za-z0-9+/]+=*)(?:\s|$)/.exec(line) ?? [];
  const bytes = Buffer.from(blob, "base64");
  const length = bytes.length >= 4 ? bytes.readUInt32BE(0) : 0;
  return type !== "" && bytes.subarray(4, 4 + length).toString("latin1") === type && bytes.length > 4 + length;
}

/** A salted hash in crypt's form; what is hashed already is kept. The rounds of crypt are spared. */
export function encryptPassword(host: Host, password: string): string {
  if (/^\$(?:[156]|2[ay])(?:\$.+){2}/.test(password)) return password;
  const salt = Buffer.from(host.random.bytes(SALT_BYTES)).toString("base64").replace(/\+/g, ".");
  const hash = createHash("sha256").update(salt).update(password).digest("base64").replace(/\+/g, ".").replace(/=+$/, "");
  return `$5$${salt}$${hash}`;
}
