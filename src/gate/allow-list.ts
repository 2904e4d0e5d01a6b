import type { GuestKind } from "../guest/key.ts";

/**
 * The whole of what may be written without a signature, as data: per kind, per key, whether it may be
 * set and whether it may be deleted. What is not in here is not harmless. docs/security.md says why
 * each key is, and a test holds that text, these tables and Proxmox's own list of keys together.
 */
export interface AllowedKey {
  readonly set: SetRule;
  /** True when removing the key only gives Proxmox's default back. */
  readonly delete: boolean;
}

/**
 * "any": whatever the value. "turn_on": only to "1". "same_hardware_address": only with the hardware
 * addresses that the NIC has, or on a slot without a NIC. `without`: any value that this is no part of.
 */
export type SetRule = "any" | "turn_on" | "same_hardware_address" | { readonly without: string };

const FREE: AllowedKey = { set: "any", delete: true };
/** Proxmox requires the key on containers, or removing it is not known to be harmless. */
const SET_ONLY: AllowedKey = { set: "any", delete: false };
/** Taking protection away is what somebody does who is about to destroy something. */
const PROTECTION: AllowedKey = { set: "turn_on", delete: false };
/** Deleting a NIC loses its hardware address, by which networks know the guest. */
const NETWORK: AllowedKey = { set: "same_hardware_address", delete: false };

/** The host's random number hardware is shared by all guests: one could drain it. */
const RANDOM_SOURCE: AllowedKey = { set: { without: "/dev/hwrng" }, delete: true };
/** A console without a login is a way into the container for everybody who may open it. */
const CONSOLE_MODE: AllowedKey = { set: { without: "shell" }, delete: true };

const BOTH_KINDS: readonly (readonly [string, AllowedKey])[] = [
  ["cores", FREE],
  ["cpulimit", FREE],
  ["cpuunits", FREE],
  ["description", FREE],
  ["nameserver", FREE],
  ["onboot", FREE],
  ["protection", PROTECTION],
  ["searchdomain", FREE],
  ["startup", FREE],
  ["tags", FREE],
];

const ALLOWED: Readonly<Record<GuestKind, ReadonlyMap<string, AllowedKey>>> = {
  qemu: new Map([
    ...BOTH_KINDS,
    ["agent", FREE],
    ["audio0", FREE],
    ["balloon", FREE],
    ["boot", FREE],
    ["citype", FREE],
    ["ciupgrade", FREE],
    ["ciuser", FREE],
    ["cpu", FREE],
    ["hotplug", FREE],
    ["keyboard", FREE],
    ["localtime", FREE],
    ["memory", FREE],
    ["name", FREE],
    ["numa", FREE],
    ["ostype", FREE],
    ["rng0", RANDOM_SOURCE],
    ["shares", FREE],
    ["sockets", FREE],
    ["sshkeys", FREE],
    ["tablet", FREE],
    ["vcpus", FREE],
    ["vga", FREE],
  ]),
  lxc: new Map([
    ...BOTH_KINDS,
    ["cmode", CONSOLE_MODE],
    ["console", FREE],
    ["debug", FREE],
    ["hostname", FREE],
    ["memory", SET_ONLY],
    ["ostype", SET_ONLY],
    ["swap", FREE],
    ["timezone", FREE],
    ["tty", FREE],
  ]),
};

/** Keys with a number. Proxmox knows 0 to 31 of each; another spelling of a number is another key. */
const INDEXED: Readonly<Record<GuestKind, ReadonlyMap<string, AllowedKey>>> = {
  qemu: new Map([["ipconfig", FREE], ["net", NETWORK]]),
  lxc: new Map([["net", NETWORK]]),
};
const INDEXED_KEY = /^([a-z]+)(?:[0-9]|[12][0-9]|3[01])$/;

/** The rule for a key, or undefined: not on the list. */
export function allowedKey(kind: GuestKind, key: string): AllowedKey | undefined {
  const stem = INDEXED_KEY.exec(key)?.[1];
  return (stem === undefined ? undefined : INDEXED[kind].get(stem)) ?? ALLOWED[kind].get(key);
}

/** Every allowed key of a kind, "net[n]" for the indexed ones. For documentation and tests. */
export function allowedKeys(kind: GuestKind): readonly (readonly [string, AllowedKey])[] {
  return [...ALLOWED[kind], ...[...INDEXED[kind]].map(([stem, allowed]) => [`${stem}[n]`, allowed] as const)];
}
