import type { GuestKind } from "../../guest/key.ts";
import type { Host } from "./host.ts";
import { CONFIG_SCHEMAS } from "./schema.gen.ts";
import type { PropertySchema } from "./schema.ts";
import { parsePropertyString, printPropertyString } from "./verify.ts";

/** Network interfaces of both kinds. */
export type Net = Map<string, string>;

function schemaOf(kind: GuestKind): PropertySchema {
  const format = CONFIG_SCHEMAS[kind]["net[n]"]?.format;
  return typeof format === "object" ? format : {};
}

/** Parses `netN` as it stands. */
export function readNet(kind: GuestKind, value: string): Net {
  const parsed = parsePropertyString(schemaOf(kind), value);
  return parsed.ok ? parsed.values : new Map<string, string>();
}

/** The bridge of an interface, undefined without one. */
export function bridgeOf(kind: GuestKind, value: string | null): string | undefined {
  return readNet(kind, value ?? "").get("bridge");
}

/**
 * Parses `netN`; one without a hardware address gets a new one, each time it is parsed
 * (docs/proxmox.md rows 22, 23, 26). A container's gets its type too.
 */
export function parseNet(host: Host, kind: GuestKind, value: string): Net {
  const net = readNet(kind, value);
  const address = kind === "qemu" ? "macaddr" : "hwaddr";
  if (!net.has(address)) net.set(address, host.hardwareAddress());
  if (kind === "lxc") net.set("type", "veth");
  return net;
}

/** As Proxmox reprints an interface. */
export function printNet(kind: GuestKind, net: Net): string {
  return printPropertyString(schemaOf(kind), net);
}

/** True when one of these options differs between the two. */
export function differsIn(left: ReadonlyMap<string, string>, right: ReadonlyMap<string, string>, options: readonly string[]): boolean {
  return options.some((option) => left.get(option) !== right.get(option));
}
