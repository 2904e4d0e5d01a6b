/** Headers by which a proxy says that it speaks for somebody else. */
const FORWARDING_HEADERS = ["forwarded", "x-forwarded-for", "x-real-ip"] as const;

const LOOPBACK = /^(?:127(?:\.\d{1,3}){3}|::1|::ffff:127(?:\.\d{1,3}){3})$/i;

/**
 * Whether the one who asks sits on this host, and so may see guest names and error texts. An unknown
 * address is not trusted; neither is a local proxy that passes on a request from elsewhere.
 */
export function isLocalPeer(address: string | undefined, headers: Headers): boolean {
  if (address === undefined || !LOOPBACK.test(address)) return false;
  return !FORWARDING_HEADERS.some((name) => headers.has(name));
}
