/**
 * Guests: what a guest is called, what makes it itself, and how it looks from outside. Types that
 * every room shares; no behaviour beyond small pure functions.
 */

export const GUEST_KINDS = ["qemu", "lxc"] as const;
export type GuestKind = (typeof GUEST_KINDS)[number];

/** Proxmox's own bounds for a guest number (schema format pve-vmid). */
export const VMID_MIN = 100;
export const VMID_MAX = 999_999_999;

/** The lane key: unique across kinds and across a cluster. It is not the identity: numbers are reused. */
export interface GuestKey {
  readonly kind: GuestKind;
  readonly vmid: number;
}

/** "qemu/101": how a guest is written in logs, the journal and messages. */
export function formatGuestKey(key: GuestKey): string {
  return `${key.kind}/${key.vmid}`;
}

/** Whether a value is a number that Proxmox gives to guests (VMID_MIN to VMID_MAX). */
export function isVmid(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= VMID_MIN && value <= VMID_MAX;
}
