import { formatGuestKey, type GuestKey } from "../../src/guest/key.ts";
import type { ProxmoxFault } from "../../src/ports/proxmox-api.ts";

/** Faults as the real client makes them of a real Proxmox's answers (texts as recorded). */
export const faults = {
  unreachable: (): ProxmoxFault => ({ code: "proxmox.unreachable", message: "connect ECONNREFUSED 127.0.0.1:8006", delivery: "none" }),
  noAnswer: (): ProxmoxFault => ({ code: "proxmox.no_answer", message: "no answer within 30 s", delivery: "unknown" }),
  untrusted: (): ProxmoxFault => ({ code: "proxmox.untrusted", message: "the certificate is not the pinned one", delivery: "none" }),
  unauthenticated: (): ProxmoxFault => ({ code: "proxmox.unauthenticated", message: "401 No ticket", delivery: "answered", status: 401 }),
  tokenUnusable: (): ProxmoxFault => ({ code: "proxmox.unauthenticated", message: "the token file can be read by others", delivery: "none" }),
  forbidden: (): ProxmoxFault => ({ code: "proxmox.forbidden", message: "403 Permission check failed (/vms/101, VM.Config.CPU)", missing: "(/vms/101, VM.Config.CPU)", delivery: "answered", status: 403 }),
  readOnly: (): ProxmoxFault => ({ code: "proxmox.transient", message: "cluster not ready - no quorum?", delivery: "answered", status: 500, isReadOnlyCluster: true }),
  transient: (): ProxmoxFault => ({ code: "proxmox.transient", message: "RPCEnvironment init request failed", delivery: "none", status: 500, isReadOnlyCluster: false }),
  badParameter: (key = "cores"): ProxmoxFault => ({ code: "proxmox.bad_parameter", message: `400 Parameter verification failed: ${key}`, parameters: { [key]: "value must have a maximum value of 128" }, delivery: "answered", status: 400 }),
  noSuchTask: (): ProxmoxFault => ({ code: "proxmox.bad_parameter", message: "400 Parameter verification failed: upid", parameters: { upid: "no such task" }, delivery: "answered", status: 400 }),
  missing: (guest: GuestKey): ProxmoxFault => ({ code: "proxmox.guest_missing", message: `Configuration file 'nodes/pve1/${formatGuestKey(guest)}.conf' does not exist`, delivery: "answered", status: 500 }),
  locked: (guest: GuestKey, lock: string): ProxmoxFault => ({ code: "proxmox.locked", message: `${guest.kind === "qemu" ? "VM" : "CT"} is locked (${lock})`, lock, delivery: "answered", status: 500 }),
  lockTimeout: (guest: GuestKey): ProxmoxFault => ({ code: "proxmox.lock_timeout", message: `can't lock file '/var/lock/qemu-server/lock-${guest.vmid}.conf' - got timeout`, delivery: "answered", status: 500 }),
  digestConflict: (): ProxmoxFault => ({ code: "proxmox.digest_conflict", message: "checksum mismatch (file change by other user?)", delivery: "answered", status: 500 }),
  unexpected: (): ProxmoxFault => ({ code: "proxmox.unexpected_answer", message: "expected JSON, found <html>", delivery: "answered", status: 200 }),
  other: (message: string): ProxmoxFault => ({ code: "proxmox.other", message, delivery: "answered", status: 500 }),
} as const;
