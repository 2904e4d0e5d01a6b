import type { DesiredGuest } from "../../src/desired/model.ts";
import type { PveVersion } from "../../src/guest/host-facts.ts";
import { DEFAULT_TAG_STYLE } from "../../src/guest/host-facts.ts";
import { identityOf } from "../../src/guest/identity.ts";
import type { GuestConfig, ObservedGuest, PendingChange, RawConfig, RawValue } from "../../src/guest/observed.ts";

/** Guests for tests: what is not said is as on the recorded host (node pve1, Proxmox VE 9.2). */

const PVE_VERSION: PveVersion = { major: 9, minor: 2, patch: 11 };
export const HOST_FACTS = { node: "pve1", tagStyle: DEFAULT_TAG_STYLE, pveVersion: PVE_VERSION };

export type ObservedOverrides = Partial<Omit<ObservedGuest, "config" | "identity">> & {
  readonly running?: RawConfig;
  readonly pending?: readonly PendingChange[];
  readonly digest?: string;
};

/** An observed guest: stopped VM 101 unless said otherwise; the merged view follows from running and pending. */
export function observedGuest(overrides: ObservedOverrides = {}): ObservedGuest {
  const { running = { name: "web-1", cores: 2, memory: "2048" }, pending = [], digest = "d0", ...rest } = overrides;
  const kind = rest.kind ?? "qemu";
  return {
    kind,
    vmid: 101,
    node: "pve1",
    name: String(running[kind === "qemu" ? "name" : "hostname"] ?? "web-1"),
    runState: "stopped",
    isTemplate: false,
    lock: undefined,
    ha: undefined,
    ...rest,
    config: guestConfig(running, pending, digest),
    identity: identityOf(kind, running),
  };
}

export function guestConfig(running: RawConfig, pending: readonly PendingChange[], digest: string): GuestConfig {
  const merged: Record<string, RawValue> = { ...running };
  for (const change of pending) {
    if (change.change === "set") merged[change.key] = change.value;
    else delete merged[change.key];
  }
  return { running, merged, pending, digest };
}

/** A declared guest: VM 101, enforced, run state not managed, nothing in its config. */
export function desiredGuest(overrides: Partial<DesiredGuest> = {}): DesiredGuest {
  return {
    kind: "qemu",
    vmid: 101,
    mode: "enforce",
    state: undefined,
    config: {},
    position: { file: "guests.yaml", line: 1, column: 1 },
    ...overrides,
  };
}
