import type { GuestKey } from "../../src/guest/key.ts";
import type { HaStatus, PendingChange, RawConfig, RawValue, RunState } from "../../src/guest/observed.ts";
import { isAppliedAtOnce, storedAs } from "./stored-values.ts";

/** A guest of the fake node: its two views, its digest, and what a write does to them. */
export interface FakeGuest extends GuestKey {
  node: string;
  running: Record<string, RawValue>;
  pending: PendingChange[];
  runState: RunState;
  ha: HaStatus | undefined;
  /** An ACPI shutdown does nothing. */
  ignoresShutdown: boolean;
  /** Exit text of every start; undefined: it starts. */
  startError: string | undefined;
  /** Until when a task or a slow worker holds the file lock. */
  lockedUntilMs: number;
}

export interface NewGuest extends Partial<Omit<FakeGuest, "vmid" | "running" | "pending">> {
  readonly config?: RawConfig;
  readonly pending?: readonly PendingChange[];
}

/** A stopped guest with a name, an identity and one core, unless said otherwise. */
export function newGuest(vmid: number, node: string, guest: NewGuest): FakeGuest {
  const { config, pending, kind = "qemu", ...rest } = guest;
  const name = kind === "qemu" ? { name: `vm-${vmid}` } : { hostname: `ct-${vmid}` };
  const identity: RawConfig = kind === "qemu" ? { smbios1: `uuid=00000000-0000-4000-8000-${String(vmid).padStart(12, "0")}` } : { rootfs: `local:subvol-${vmid}-disk-0,size=4G` };
  return {
    kind, vmid, node, runState: "stopped", ha: undefined, ignoresShutdown: false, startError: undefined, lockedUntilMs: 0, ...rest,
    running: { ...name, ...identity, cores: 1, ...(kind === "qemu" ? { memory: "512" } : { memory: 512 }), ...config },
    pending: [...(pending ?? [])],
  };
}

/** One key of a write, as Proxmox takes it: at once, or pending while the guest runs; sending what runs clears what is pending. */
export function writeKey(guest: FakeGuest, key: string, sent: string | undefined, drawAddress: () => string): void {
  const value = sent === undefined ? undefined : storedAs(guest.kind, key, sent, drawAddress);
  const others = guest.pending.filter((change) => change.key !== key);
  const running = guest.running[key];
  if (guest.runState === "stopped" || isAppliedAtOnce(guest.kind, key, guest.running) || (value !== undefined && String(running) === String(value))) {
    if (value === undefined) delete guest.running[key];
    else guest.running[key] = value;
    guest.pending = others;
    return;
  }
  if (value === undefined && running === undefined) guest.pending = others;
  else guest.pending = [...others, value === undefined ? { key, change: "delete", isForced: false } : { key, change: "set", value }];
}

export function merged(guest: FakeGuest): RawConfig {
  const view: Record<string, RawValue> = { ...guest.running };
  for (const change of guest.pending) {
    if (change.change === "set") view[change.key] = change.value;
    else delete view[change.key];
  }
  return view;
}

export function applyPending(guest: FakeGuest): void {
  guest.running = { ...merged(guest) };
  guest.pending = [];
}

/** Of the whole file, pending section included: the same content has the same digest, as SHA-1 of a file has. */
export function configDigest(guest: FakeGuest): string {
  const lines = [Object.entries(guest.running).toSorted(([a], [b]) => (a < b ? -1 : 1)), guest.pending.toSorted((a, b) => (a.key < b.key ? -1 : 1))];
  return new Bun.CryptoHasher("sha1").update(JSON.stringify(lines)).digest("hex");
}

export function lockOf(guest: FakeGuest): string | undefined {
  const lock = guest.running["lock"];
  return lock === undefined ? undefined : String(lock);
}
