import type { DesiredGuest } from "../desired/model.ts";
import { formatGuestKey } from "../guest/key.ts";
import type { DriveState, HaStatus, ObservedGuest } from "../guest/observed.ts";
import { hasCloudInitDrive, isCloudInitKey } from "../plan/hot-applied.ts";
import type { GuestStatus, ProxmoxApi, ProxmoxFault } from "../ports/proxmox-api.ts";
import { assembleGuest } from "../proxmox/reader.ts";
import type { HostFacts, HostSnapshot } from "./host-snapshot.ts";

/** What reading one declared guest gave. Never a guess: what cannot be read is said to be unreadable. */
export type Observation =
  | { readonly kind: "observed"; readonly guest: ObservedGuest }
  | { readonly kind: "missing" | "on_other_node"; readonly message: string }
  | { readonly kind: "unreadable"; readonly message: string; readonly fault: ProxmoxFault | undefined };

/**
 * Reads one guest: its place from the snapshot, its configuration with one GET of /pending. Run state
 * comes from the snapshot; `refine` puts status/current in its place right before a power act.
 */
export async function observeGuest(api: ProxmoxApi, desired: DesiredGuest, snapshot: HostSnapshot, facts: HostFacts): Promise<Observation> {
  const listed = snapshot.guests.get(desired.vmid);
  if (listed === undefined) return absent(desired, snapshot);
  if (listed.kind !== desired.kind) {
    return {
      kind: "unreadable",
      message: `declared as ${formatGuestKey(desired)}, found ${formatGuestKey(listed)}: correct "kind" in the desired state`,
      fault: undefined,
    };
  }
  if (listed.problem !== undefined) return { kind: "unreadable", message: `its row in Proxmox's guest list cannot be read: ${listed.problem}`, fault: undefined };
  const config = await api.readConfig(desired);
  if (!config.ok) return { kind: "unreadable", message: config.error.message, fault: config.error };
  const entry = { ...listed, name: undefined, isTemplate: false, lock: undefined };
  const guest = assembleGuest(entry, config.value, facts.node);
  const drive = await driveOf(api, desired, guest);
  return { kind: "observed", guest: { ...guest, ...(drive === undefined ? {} : { drive }), ha: facts.ha === null ? undefined : (facts.ha.get(desired.vmid) ?? UNMANAGED) } };
}

/**
 * What the cloud-init drive holds, where it can matter: of a VM that runs (a start writes the drive anew)
 * with something declared that is on it. A fault costs this knowledge and nothing else.
 */
async function driveOf(api: ProxmoxApi, desired: DesiredGuest, guest: ObservedGuest): Promise<DriveState | undefined> {
  if (guest.kind !== "qemu" || guest.runState === "stopped" || !hasCloudInitDrive(guest.config.running)) return undefined;
  if (!Object.keys(desired.config).some(isCloudInitKey)) return undefined;
  const read = await api.readCloudInitDrive(desired, guest.config.digest);
  return read.ok ? { isKnown: true, changes: read.value } : { isKnown: false, message: read.error.message };
}

/** The same guest with what status/current says about run state, lock and HA. */
export function refine(observed: ObservedGuest, status: GuestStatus): ObservedGuest {
  return { ...observed, runState: status.runState, lock: status.lock ?? observed.lock, ha: status.ha ?? observed.ha };
}

const UNMANAGED: HaStatus = { isManaged: false };

function absent(desired: DesiredGuest, snapshot: HostSnapshot): Observation {
  const node = snapshot.elsewhere.get(desired.vmid);
  if (node !== undefined) return { kind: "on_other_node", message: `is on node ${node}` };
  if (snapshot.unlocated !== undefined) {
    return { kind: "unreadable", message: `not among this node's guests, and the cluster's could not be read: ${snapshot.unlocated}`, fault: undefined };
  }
  return { kind: "missing", message: "not among this node's guests nor the cluster's, as far as this token may see (VM.Audit on its path)" };
}
