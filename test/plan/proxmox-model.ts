import { identityOf } from "../../src/guest/identity.ts";
import type { ObservedGuest, PendingChange, RawConfig, RawValue } from "../../src/guest/observed.ts";
import type { Action, FieldChange } from "../../src/plan/types.ts";
import { guestConfig } from "../support/guests.ts";

/**
 * Applies actions to a guest the way a real Proxmox stores them: enough of it to ask whether the plan
 * after an act is empty. Values are stored as Proxmox 9.2 was seen to (docs/proxmox.md rows 4, 14, 15,
 * 19, 22); what is not applied to a running guest lands in its pending section.
 */
export function applyActions(observed: ObservedGuest, actions: readonly Action[]): ObservedGuest {
  return actions.reduce(applyAction, observed);
}

function applyAction(observed: ObservedGuest, action: Action): ObservedGuest {
  switch (action.type) {
    case "start":
      return { ...withPendingApplied(observed), runState: "running" };
    case "shutdown":
      return { ...withPendingApplied(observed), runState: "stopped" };
    case "set_config":
      return action.changes.reduce(applyChange, observed);
    default:
      throw new Error("unknown action");
  }
}

/** Proxmox moves pending values into the config when the guest stops or starts. */
export function withPendingApplied(observed: ObservedGuest): ObservedGuest {
  return withConfig(observed, observed.config.merged, []);
}

function applyChange(observed: ObservedGuest, change: FieldChange): ObservedGuest {
  const { running, pending } = observed.config;
  const others = pending.filter((one) => one.key !== change.key);
  const value = change.send === undefined ? undefined : storedAs(observed, change.key, change.send);
  // Sending what runs clears the pending change.
  if (change.applies === "now" || (value !== undefined && String(running[change.key]) === String(value))) {
    return withConfig(observed, withValue(running, change.key, value), others);
  }
  const held: readonly PendingChange[] =
    value !== undefined ? [{ key: change.key, change: "set", value }] : running[change.key] === undefined ? [] : [{ key: change.key, change: "delete", isForced: false }];
  return withConfig(observed, running, [...others, ...held]);
}

function withValue(config: RawConfig, key: string, value: RawValue | undefined): RawConfig {
  return Object.fromEntries([...Object.entries(config).filter(([other]) => other !== key), ...(value === undefined ? [] : [[key, value]])]);
}

function withConfig(observed: ObservedGuest, running: RawConfig, pending: readonly PendingChange[]): ObservedGuest {
  const digest = new Bun.CryptoHasher("sha1").update(JSON.stringify([running, pending])).digest("hex");
  return { ...observed, config: guestConfig(running, pending, digest), identity: identityOf(observed.kind, running) };
}

const INTEGERS = new Set(["cores", "sockets", "onboot", "balloon", "cpuunits", "protection", "shares", "vcpus", "swap"]);

function storedAs(observed: ObservedGuest, key: string, send: string): RawValue {
  if (INTEGERS.has(key) || (key === "memory" && observed.kind === "lxc")) return Number(send);
  if (key === "description") return observed.kind === "lxc" ? `${send}\n` : send.trimEnd();
  if (key === "tags") return [...new Set(send.split(/[,;\s]+/).filter((tag) => tag !== "").map((tag) => tag.toLowerCase()))].sort().join(";");
  if (/^net\d+$/.test(key)) return withHardwareAddress(observed, key, send);
  return send;
}

/** A NIC without an address is given a new one each time. */
function withHardwareAddress(observed: ObservedGuest, key: string, send: string): string {
  if (/[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}/.test(send)) return send;
  const drawn = `BC:24:11:FF:FF:${key.slice(3).padStart(2, "0")}`;
  return observed.kind === "lxc" ? `${send},hwaddr=${drawn},type=veth` : send.replace(/^(model=)?(\w+)/, (_, prefix: string | undefined, model: string) => (prefix === undefined ? `${model}=${drawn}` : `${model}=${drawn}`));
}
