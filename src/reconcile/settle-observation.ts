import type { GuestKey } from "../guest/key.ts";
import type { ProxmoxApi, ProxmoxFault } from "../ports/proxmox-api.ts";
import type { HostFacts, HostSnapshot } from "./host-snapshot.ts";
import { observeGuest } from "./observe.ts";
import { bareDeclaration, type SettleObservation } from "./settle.ts";

/**
 * A guest as it is now, to tell what became of an act on it. `fresh`: the host at this moment; an act
 * may just have destroyed or moved the guest, and the last poll would still show it.
 */
export async function observeForSettling(api: ProxmoxApi, facts: HostFacts, fresh: HostSnapshot | ProxmoxFault, guest: GuestKey): Promise<SettleObservation> {
  if ("code" in fresh) return { unreadable: fresh.message };
  if (!fresh.guests.has(guest.vmid)) return whereabouts(api, facts, guest.vmid);
  const observation = await observeGuest(api, bareDeclaration(guest), fresh, facts);
  if (observation.kind === "observed") return observation.guest;
  return observation.kind === "unreadable" ? { unreadable: observation.message } : "missing";
}

/** Of a guest that is not on this node: destroyed, or moved? The cluster's list lags behind a move. */
async function whereabouts(api: ProxmoxApi, facts: HostFacts, vmid: number): Promise<SettleObservation> {
  const located = await api.locateGuests();
  if (!located.ok) return { unreadable: located.error.message };
  const node = located.value.find((row) => row.vmid === vmid)?.node;
  if (node === undefined) return "missing";
  return node === facts.node ? { unreadable: "it left this node a moment ago" } : { elsewhere: node };
}
