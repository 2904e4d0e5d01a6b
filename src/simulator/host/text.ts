/**
 * Descriptions inside configuration files: comment lines whose control characters, 8-bit characters,
 * `:` and `%` are written as %XX of their UTF-8 bytes (docs/proxmox.md row 16).
 */

/** Text as a comment line holds it. */
export function encodeText(text: string): string {
  let encoded = "";
  for (const byte of Buffer.from(text, "utf8")) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x3a && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** The reverse; what a person typed into the file unencoded is taken as it is. */
export function decodeText(text: string): string {
  const bytes = Buffer.from(text, "utf8").toString("latin1").replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}
