import { formatGuestKey } from "../guest/key.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import type { FieldChange } from "../plan/types.ts";
import { unreachable } from "../ports/errors.ts";
import type { MutatingRequest } from "../ports/proxmox-api.ts";
import { classifyChange, isSameGuest } from "./classify.ts";

/**
 * The second look, right before sending: every key of the finished request is held against the
 * allow-list once more, whatever happened to it since it was approved. What does not pass here is a
 * mistake in this program, so it throws.
 * @param observed the guest as it was read for this act
 * @throws Error naming what is wrong; nothing may be sent then
 */
export function assertApproved(request: MutatingRequest, observed: ObservedGuest): void {
  const complaint = complaintAbout(request, observed);
  if (complaint !== undefined) throw new Error(`refused to send ${request.type} to ${formatGuestKey(request.guest)}: ${complaint}`);
}

function complaintAbout(request: MutatingRequest, observed: ObservedGuest): string | undefined {
  if (!isSameGuest(request.guest, observed)) return `it was approved for ${formatGuestKey(observed)}`;
  switch (request.type) {
    case "start":
      return undefined;
    case "shutdown":
      return request.timeoutSeconds === undefined || request.timeoutSeconds > 0 ? undefined : "a shutdown needs a positive timeout";
    case "reboot":
      // Proxmox kills a container that does not shut down within a reboot's timeout, and a VM never.
      if (observed.kind !== "qemu") return "only a VM is rebooted by Proxmox without being killed";
      return request.timeoutSeconds > 0 ? undefined : "a reboot needs a positive timeout";
    case "set_config":
      return complaintAboutConfig(request, observed);
    default:
      return unreachable(request);
  }
}

function complaintAboutConfig(request: Extract<MutatingRequest, { type: "set_config" }>, observed: ObservedGuest): string | undefined {
  // Proxmox ignores an empty digest, and with it the guard against writing over somebody's change.
  if (request.digest === "" || request.digest !== observed.config.digest) return "its digest is not that of the config it was approved for";
  const keys = [...Object.keys(request.set), ...request.delete];
  if (keys.length === 0) return "it changes nothing";
  if (new Set(keys).size !== keys.length) return "it names a key twice";
  const changes = [...Object.entries(request.set).map(([key, send]) => bareChange(key, send)), ...request.delete.map((key) => bareChange(key, undefined))];
  for (const change of changes) {
    const classification = classifyChange(change, observed, "desired");
    if (classification.class !== "benign") return `${change.change} of ${classification.deferred.message}`;
  }
  return undefined;
}

function bareChange(key: string, send: string | undefined): FieldChange {
  return { key, change: send === undefined ? "delete" : "set", declared: null, found: null, foundRaw: undefined, send, applies: "now" };
}
