import type { DesiredGuest, DesiredState } from "../desired/model.ts";
import type { GuestKey } from "../guest/key.ts";
import { allowedKey } from "../gate/allow-list.ts";
import { BRIDGES, needsOfKey, type Need } from "./privileges.ts";

/** A privilege that something declared leads to. */
export interface GuestNeed extends Need {
  readonly guest: GuestKey;
  /** What it is for: "reading", "state", or a config key. */
  readonly use: string;
}

/**
 * What a token needs for this desired state. Only what may come to be sent counts: what the gate defers
 * whatever the value (a disk, say) needs no privilege, and an observed guest needs to be read, no more.
 */
export function needsOfState(state: DesiredState): readonly GuestNeed[] {
  return [...state.guests.values()].flatMap(needsOfGuest);
}

function needsOfGuest(guest: DesiredGuest): readonly GuestNeed[] {
  const { kind, vmid, mode } = guest;
  if (mode === "ignore") return [];
  const on = (use: string, needs: readonly Need[]): readonly GuestNeed[] => needs.map((need) => ({ ...need, guest: { kind, vmid }, use }));
  const path = `/vms/${vmid}`;
  const reading = on("reading", [{ path, anyOf: ["VM.Audit"] }]);
  if (mode === "observe") return reading;
  const isPowerManaged = guest.state === "running" || guest.state === "stopped";
  const power = isPowerManaged ? on("state", [{ path, anyOf: ["VM.PowerMgmt"] }]) : [];
  const keys = sentKeys(guest).flatMap(([key, value]) => {
    const needs = needsOfKey(kind, vmid, key, value);
    return needs.type === "privileges" ? on(key, needs.needs) : [];
  });
  return [...reading, ...power, ...keys];
}

function sentKeys({ kind, config }: DesiredGuest) {
  return Object.entries(config).filter(([key, value]) => {
    const allowed = allowedKey(kind, key);
    return allowed !== undefined && (value !== null || allowed.delete);
  });
}

/** Declared keys that Proxmox takes from no token at all. */
export function rootOnlyKeys(state: DesiredState): readonly { readonly guest: GuestKey; readonly key: string }[] {
  return [...state.guests.values()]
    .filter(({ mode }) => mode !== "ignore")
    .flatMap(({ kind, vmid, config }) =>
      Object.entries(config)
        .filter(([key, value]) => allowedKey(kind, key) === undefined && needsOfKey(kind, vmid, key, value).type === "root_only")
        .map(([key]) => ({ guest: { kind, vmid }, key })),
    );
}

/** Paths to ask the token's privileges on: the host's own first, then those of guests, each once. */
export function pathsToAsk(state: DesiredState | undefined, node: string): readonly string[] {
  const ofGuests = state === undefined ? [] : needsOfState(state).map(({ path }) => path);
  return [...new Set(["/", `/nodes/${node}`, ...ofGuests])];
}

/** Whether a need is about a bridge, not about the guest. */
export function isBridgeNeed({ path }: Need): boolean {
  return path.startsWith(`${BRIDGES}/`);
}
