import type { ObservedGuest } from "../guest/observed.ts";
import { balloonChanges } from "./balloon.ts";
import { isNetworkKey } from "./keys.ts";
import type { Action, Deferred, FieldChange } from "./types.ts";

/**
 * How field changes become requests. In one call Proxmox deletes first and then sets in random order,
 * and writes a QEMU config once per option, so whatever has an order gets a request of its own
 * (docs/proxmox.md "API behaviours"):
 *  1. everything that has no order. `memory` and `balloon` must share a call: each is checked against
 *     the other's new value only then;
 *  2. all NICs. Their hot-plug may fail half-way and fail the call with it, which then must not put
 *     the outcome of other keys in doubt. One call for all: a NIC that fails stays pending by itself
 *     and does not stop its neighbours;
 *  3. a boot order that names a NIC which only step 2 creates: Proxmox refuses unknown devices; and memory or
 *     balloon where the other one is deleted in step 1, which the check does not see (balloon.ts).
 * All carry the digest of the read they were computed from; the engine reads and plans again after
 * each, so a later one is only ever sent as a first one.
 */
export interface ConfigRequests {
  readonly actions: readonly Action[];
  readonly deferred: readonly Deferred[];
}

const BOOT_KEY = "boot";

/** Splits changes (in key order) into set_config actions; a boot order over devices that do not exist is deferred. */
export function configRequests(observed: ObservedGuest, changes: readonly FieldChange[]): ConfigRequests {
  if (changes.length === 0) return { actions: [], deferred: [] };
  const unknownDevice = firstUnknownBootDevice(observed, changes);
  const balloon = balloonChanges(observed, changes);
  const impossible = new Set(balloon.deferred.map(({ key }) => key));
  const possible = changes.filter((change) => !impossible.has(change.key) && (unknownDevice === undefined || !isBoot(observed, change)));
  const network = possible.filter((change) => isNetworkKey(change.key));
  const late = possible.filter((change) => balloon.late.includes(change) || (isBoot(observed, change) && namesNewDevice(change, network)));
  const plain = possible.filter((change) => !network.includes(change) && !late.includes(change));
  return {
    actions: [plain, network, late].filter((group) => group.length > 0).map((group) => setConfig(observed, group)),
    deferred: [...balloon.deferred, ...(unknownDevice === undefined ? [] : changes.filter((change) => isBoot(observed, change)).map((change) => unbootable(change, unknownDevice)))],
  };
}

function setConfig(observed: ObservedGuest, changes: readonly FieldChange[]): Action {
  return { type: "set_config", guest: { kind: observed.kind, vmid: observed.vmid }, digest: observed.config.digest, changes };
}

function isBoot(observed: ObservedGuest, change: FieldChange): boolean {
  return observed.kind === "qemu" && change.key === BOOT_KEY;
}

function namesNewDevice(boot: FieldChange, network: readonly FieldChange[]): boolean {
  const devices = bootDevices(boot.send);
  return network.some((change) => change.foundRaw === undefined && devices.includes(change.key));
}

/** Devices of `order=scsi0;net0`; the legacy letters ("cdn") name classes, which always exist. */
function bootDevices(send: string | undefined): readonly string[] {
  const order = /(?:^|,)order=([^,]*)/.exec(send ?? "")?.[1] ?? "";
  return order.split(";").map((device) => device.trim()).filter((device) => device !== "");
}

function firstUnknownBootDevice(observed: ObservedGuest, changes: readonly FieldChange[]): string | undefined {
  const boot = changes.find((change) => isBoot(observed, change));
  const isThere = (device: string): boolean => {
    const change = changes.find((candidate) => candidate.key === device);
    return change === undefined ? observed.config.merged[device] !== undefined : change.change === "set";
  };
  return bootDevices(boot?.send).find((device) => !isThere(device));
}

function unbootable(change: FieldChange, device: string): Deferred {
  return {
    key: change.key,
    reason: "invalid_value",
    declared: change.declared,
    found: change.found,
    message: `boot names ${device}, which this guest does not have, and Proxmox refuses such an order; add the device in Proxmox or take it out of boot`,
  };
}
