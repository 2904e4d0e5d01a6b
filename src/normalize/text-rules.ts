import type { ValueRule } from "./value-rule.ts";

/** Any text, compared as it stands. */
export const TEXT: ValueRule = { expected: "text", canonical: (text) => text };

/**
 * Text without a format of its own: Proxmox drops one outer pair of double quotes when it takes it
 * (docs/proxmox.md row 17). All pairs are dropped here, for what was sent and what is read back must
 * come out the same.
 */
export const UNQUOTED_TEXT: ValueRule = {
  expected: "text",
  canonical: (text) => {
    let inner = text;
    while (inner.length >= 2 && inner.startsWith('"') && inner.endsWith('"')) inner = inner.slice(1, -1).trim();
    return inner;
  },
};

/** Text whose case has no meaning (hex numbers, IPv6 addresses, UUIDs). */
export const LOWER_TEXT: ValueRule = { expected: "text", canonical: (text) => text.toLowerCase() };

/** One of a closed list of words. What is there is read even when a newer Proxmox knows more words. */
export function oneOf(values: readonly string[], byDefault?: string): ValueRule {
  const known = new Set(values);
  return {
    expected: `one of ${values.join(", ")}`,
    canonical: (text) => text,
    isWritable: (text) => known.has(text),
    ...(byDefault === undefined ? {} : { byDefault }),
  };
}

/** Text of a given shape, compared as it stands. */
export function matching(pattern: RegExp, expected: string): ValueRule {
  return { expected, canonical: (text) => text, isWritable: (text) => pattern.test(text) };
}

/** Text of a given shape whose case has no meaning. */
export function matchingLower(pattern: RegExp, expected: string): ValueRule {
  return { expected, canonical: (text) => text.toLowerCase(), isWritable: (text) => pattern.test(text) };
}

const DNS_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const DNS_NAME = new RegExp(`^${DNS_LABEL}(?:\\.${DNS_LABEL})*$`);

/** Proxmox's dns-name: letters, digits, inner hyphens, dots; no underscore; case is kept (docs/proxmox.md row 18). */
export const DNS_NAME_RULE: ValueRule = matching(DNS_NAME, "a DNS name (letters, digits, dots, inner hyphens; no underscore)");

/** Longest hostname Proxmox takes for a container, in characters. */
const HOSTNAME_LENGTH_MAX = 255;

export const HOSTNAME_RULE: ValueRule = {
  ...DNS_NAME_RULE,
  isWritable: (text) => text.length <= HOSTNAME_LENGTH_MAX && DNS_NAME.test(text),
};

const MAC_ADDRESS = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;
const UNICAST = /^.[02468ace]/i;

/**
 * A hardware address. Case has no meaning (docs/proxmox.md row 24); the normal form is Proxmox's own
 * upper case. Multicast addresses are refused as Proxmox refuses them (row 29).
 */
export const MAC_RULE: ValueRule = {
  expected: 'a unicast MAC address such as "BC:24:11:00:00:01"',
  canonical: (text) => (MAC_ADDRESS.test(text) ? text.toUpperCase() : undefined),
  isWritable: (text) => UNICAST.test(text),
};

const OCTET = "(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)";
const IPV4 = `${OCTET}(?:\\.${OCTET}){3}`;
// Shape only: hex groups and colons, at least two of the latter; Proxmox checks the rest.
const IPV6 = "(?=[^:]*:[^:]*:)[0-9a-f:]{2,39}(?:(?<=:)\\d{1,3}(?:\\.\\d{1,3}){3})?";
const INTERFACE = "(?:%[\\w.-]+)?";

function addressRule(pattern: string, expected: string): ValueRule {
  return matchingLower(new RegExp(`^(?:${pattern})$`, "i"), expected);
}

/** A name server of a container: an address; link-local ones may name their interface. */
export const IP_ADDRESS: ValueRule = addressRule(`${IPV4}|${IPV6}${INTERFACE}`, "an IP address");

/** A name server of a VM: Proxmox takes an address or a name. */
export const IP_ADDRESS_OR_NAME: ValueRule = {
  expected: "an IP address or a DNS name",
  canonical: (text) => text.toLowerCase(),
  isWritable: (text) => IP_ADDRESS.isWritable?.(text) === true || DNS_NAME.test(text),
};

export const IPV4_ADDRESS: ValueRule = addressRule(IPV4, "an IPv4 address");
export const IPV6_ADDRESS: ValueRule = addressRule(IPV6, "an IPv6 address");

/** An IPv4 network address in CIDR notation, of 8 bits at least as in Proxmox, or one of `words`. */
export function ipv4Config(...words: readonly string[]): ValueRule {
  return addressRule(`${[...words, `${IPV4}/(?:3[0-2]|[12]\\d|[89])`].join("|")}`, `${words.join(", ")} or an IPv4 address with prefix length`);
}

/** An IPv6 network address in CIDR notation, of 8 bits at least as in Proxmox, or one of `words`. */
export function ipv6Config(...words: readonly string[]): ValueRule {
  return addressRule(`${[...words, `${IPV6}/(?:12[0-8]|1[01]\\d|[1-9]\\d|[89])`].join("|")}`, `${words.join(", ")} or an IPv6 address with prefix length`);
}
