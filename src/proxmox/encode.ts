import type { GuestKey } from "../guest/key.ts";

/** Parameters of a request, in the order they are to be sent. */
export type Parameters = Readonly<Record<string, string>>;

/**
 * Percent-encodes everything but RFC 3986's unreserved characters. Proxmox's form parser splits on
 * `&`, `;` and every `=`, and reads `+` as a space: what is not encoded is cut or changed
 * (docs/proxmox.md, "Transport"). Lone surrogates become U+FFFD instead of throwing.
 */
export function percentEncode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** `a=1&b=2`, for a form body or a query string; empty for no parameters. */
export function encodeParameters(parameters: Parameters): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
    .join("&");
}

/** `/nodes/NODE/…` with every segment encoded. */
export function nodePath(node: string, ...segments: readonly string[]): string {
  return ["/nodes", node, ...segments].map((part, index) => (index === 0 ? part : percentEncode(part))).join("/");
}

/** `/nodes/NODE/KIND/VMID/…`. */
export function guestPath(node: string, guest: GuestKey, ...segments: readonly string[]): string {
  return nodePath(node, guest.kind, String(guest.vmid), ...segments);
}
