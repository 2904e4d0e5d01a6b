import type { GuestKind } from "../guest/key.ts";
import type { DeferredReason } from "../plan/types.ts";

/**
 * Why a key is not on the allow-list, in words a person can act on. These tables decide nothing: a
 * key that matches no row is refused all the same.
 */
interface Refusal {
  readonly keys: RegExp;
  readonly kinds: readonly GuestKind[];
  readonly reason: DeferredReason;
  readonly message: string;
}

const BOTH: readonly GuestKind[] = ["qemu", "lxc"];
const ROOT_ONLY_MESSAGE = "Proxmox takes it only from a root@pam password login, never from an API token; set it there, or remove it from the desired state";

const REFUSALS: readonly Refusal[] = [
  {
    keys: /^(?:(?:ide|sata|scsi|virtio|unused)\d+|efidisk0|tpmstate0|cdrom|vmstate)$/,
    kinds: ["qemu"],
    reason: "holds_data",
    message: "data lies behind it, and Proxmox allocates, detaches or destroys volumes through this key; do it in Proxmox if that is meant",
  },
  {
    keys: /^(?:rootfs|(?:mp|unused)\d+)$/,
    kinds: ["lxc"],
    reason: "holds_data",
    message: "data lies behind it, and Proxmox allocates, detaches or destroys volumes through this key; do it in Proxmox if that is meant",
  },
  {
    keys: /^template$/,
    kinds: BOTH,
    reason: "template",
    message: "turning a guest into a template cannot be undone; do it in Proxmox",
  },
  {
    keys: /^protection$/,
    kinds: BOTH,
    reason: "removes_protection",
    message: "it guards the guest against destruction and is only ever turned on; turn it off in Proxmox if that is meant",
  },
  {
    keys: /^net\d+$/,
    kinds: BOTH,
    reason: "hardware_address",
    message: "this would change or drop the NIC's hardware address, by which networks and licences know the guest; do it in Proxmox if that is meant",
  },
  {
    keys: /^(?:args|affinity|hookscript|lock|vmgenid|(?:hostpci|parallel|serial|usb)\d+)$/,
    kinds: ["qemu"],
    reason: "root_only",
    message: ROOT_ONLY_MESSAGE,
  },
  {
    // No file that is read can declare them (docs/proxmox.md row 80); the gate trusts nobody for that.
    keys: /^lxc(?:\..*)?$/,
    kinds: ["lxc"],
    reason: "root_only",
    message: "raw lxc lines can be neither read nor written over the API; edit the container's file under /etc/pve/lxc on the host, and remove the key from the desired state",
  },
  {
    keys: /^(?:features|hookscript|lock|dev\d+)$/,
    kinds: ["lxc"],
    reason: "root_only",
    message: ROOT_ONLY_MESSAGE,
  },
  {
    keys: /^(?:bios|machine|scsihw)$/,
    kinds: ["qemu"],
    reason: "not_on_allow_list",
    message: "a system that is installed may no longer start on other hardware, or lose its licence; set it in Proxmox if that is meant",
  },
  {
    keys: /^acpi$/,
    kinds: ["qemu"],
    reason: "not_on_allow_list",
    message: "without ACPI the guest cannot be asked to shut down, and a system that is installed may not start with the other setting; set it in Proxmox if that is meant",
  },
  {
    keys: /^smp$/,
    kinds: ["qemu"],
    reason: "not_on_allow_list",
    message: "Proxmox turns it into sockets; declare sockets instead",
  },
  {
    keys: /^rng0$/,
    kinds: ["qemu"],
    reason: "not_on_allow_list",
    message: "/dev/hwrng is hardware of the host that all guests share; declare /dev/urandom, or set it in Proxmox",
  },
  {
    keys: /^cmode$/,
    kinds: ["lxc"],
    reason: "not_on_allow_list",
    message: '"shell" lets everybody who may open the console in without a login; declare tty or console, or set it in Proxmox',
  },
  {
    keys: /^env$/,
    kinds: ["lxc"],
    reason: "not_on_allow_list",
    message: "writing it replaces every lxc.environment.runtime line of the container, which cannot be read back over the API; set it in Proxmox",
  },
  {
    keys: /^(?:background_delay|delete|digest|force|import-working-storage|node|revert|skiplock|vmid)$/,
    kinds: BOTH,
    reason: "not_on_allow_list",
    message: "it is a parameter of Proxmox's requests and no part of a guest's configuration; remove it from the desired state",
  },
];

const UNKNOWN_MESSAGE = "it is not known to be harmless, so it is reported and not sent; set it in Proxmox, or remove it from the desired state";
const DELETE_MESSAGE = "setting it is harmless, removing it is not known to be; declare a value instead of null, or remove it in Proxmox";

/** The reason and the message for a change that is not on the list. `isSettable`: setting the same key is. */
export function refusalOf(kind: GuestKind, key: string, isSettable: boolean): Pick<Refusal, "reason" | "message"> {
  const known = REFUSALS.find((refusal) => refusal.kinds.includes(kind) && refusal.keys.test(key));
  if (known !== undefined) return { reason: known.reason, message: `${key}: ${known.message}` };
  return { reason: "not_on_allow_list", message: `${key}: ${isSettable ? DELETE_MESSAGE : UNKNOWN_MESSAGE}` };
}
