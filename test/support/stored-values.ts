import type { GuestKind } from "../../src/guest/key.ts";
import type { RawConfig, RawValue } from "../../src/guest/observed.ts";

/**
 * How Proxmox VE 9.2 was seen to store values, and what it applies to a running guest at once
 * (docs/proxmox.md). Written down a second time on purpose: a double that asked the code under test
 * would agree with its mistakes.
 */
const AT_ONCE: Readonly<Record<GuestKind, readonly string[]>> = {
  qemu: ["description", "name", "tags", "onboot", "startup", "protection", "hotplug", "cpulimit", "cpuunits", "balloon", "shares", "nameserver", "searchdomain", "lock"],
  lxc: ["description", "hostname", "tags", "onboot", "startup", "protection", "cpulimit", "cpuunits", "cores", "memory", "swap", "lock"],
};

export function isAppliedAtOnce(kind: GuestKind, key: string, running: RawConfig): boolean {
  if (/^net\d+$/.test(key)) return kind === "lxc" || String(running["hotplug"] ?? "network") !== "0";
  return AT_ONCE[kind].includes(key);
}

const QEMU_NUMBERS = ["cores", "sockets", "onboot", "balloon", "cpuunits", "protection", "shares", "vcpus"];
const LXC_NUMBERS = ["cores", "onboot", "memory", "swap", "protection", "cpuunits"];

export function storedAs(kind: GuestKind, key: string, sent: string, drawAddress: () => string): RawValue {
  if ((kind === "qemu" ? QEMU_NUMBERS : LXC_NUMBERS).includes(key)) return Number(sent);
  if (key === "description") return kind === "lxc" ? `${sent.replace(/\n+$/, "")}\n` : sent.trimEnd();
  if (key === "tags") return [...new Set(sent.split(/[,;\s]+/).filter((tag) => tag !== "").map((tag) => tag.toLowerCase()))].sort().join(";");
  if (/^net\d+$/.test(key)) return kind === "qemu" ? storedNic(sent, drawAddress) : storedContainerNic(sent, drawAddress);
  return sent;
}

const ADDRESS = /^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}$/;

/** `model=MAC` first, the rest in alphabetical order; an address is drawn when none was sent. */
function storedNic(sent: string, drawAddress: () => string): string {
  const [first = "", ...rest] = sent.split(",");
  const [model = "", address] = first.replace(/^model=/, "").split("=");
  const given = rest.find((part) => part.startsWith("macaddr="))?.slice("macaddr=".length) ?? address;
  const others = rest.filter((part) => !part.startsWith("macaddr=")).toSorted();
  return [`${model}=${given !== undefined && ADDRESS.test(given) ? given : drawAddress()}`, ...others].join(",");
}

function storedContainerNic(sent: string, drawAddress: () => string): string {
  const parts = sent.split(",");
  const added = [...(parts.some((part) => part.startsWith("hwaddr=")) ? [] : [`hwaddr=${drawAddress()}`]), ...(parts.includes("type=veth") ? [] : ["type=veth"])];
  return [...parts, ...added].toSorted((a, b) => Number(b.startsWith("name=")) - Number(a.startsWith("name=")) || (a < b ? -1 : 1)).join(",");
}
