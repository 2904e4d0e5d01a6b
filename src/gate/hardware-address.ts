import type { RawConfig } from "../guest/observed.ts";

const HARDWARE_ADDRESS = /^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}$/;

/** Every hardware address written in a netN value, in order and spelling: `virtio=…`, `macaddr=…`, `hwaddr=…`. */
function hardwareAddresses(network: string): readonly string[] {
  return network
    .split(",")
    .map((part) => part.slice(part.indexOf("=") + 1).trim())
    .filter((value) => HARDWARE_ADDRESS.test(value));
}

/**
 * Whether sending `value` for `key` leaves the guest its hardware addresses. A slot is free only when
 * neither view has a NIC there; what the running guest still has counts, though a deletion is pending.
 * Compared in spelling: Proxmox re-plugs a NIC for a mere change of case (docs/proxmox.md row 24).
 */
export function keepsHardwareAddress(key: string, value: string, running: RawConfig, merged: RawConfig): boolean {
  const present = [merged[key], running[key]].filter((network) => network !== undefined);
  if (present.length === 0) return true;
  const sent = hardwareAddresses(value).join();
  return present.some((network) => hardwareAddresses(String(network)).join() === sent);
}
