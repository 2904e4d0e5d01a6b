import type { GuestKind } from "../guest/key.ts";

/**
 * Config keys: their order, and which of them Proxmox owns. Indexed keys ("net10") sort by number.
 */

const DIGIT_ZERO = 48;
const DIGIT_NINE = 57;

/** Keys that Proxmox writes itself (docs/proxmox.md row 11); a declaration cannot change them. */
const SERVER_OWNED: ReadonlySet<string> = new Set([
  "digest", "lock", "meta", "parent", "pending", "runningcpu", "runningmachine", "running-nets-host-mtu",
  "snapshots", "snapstate", "snaptime", "vmgenid", "vmstate",
]);

/** Whether Proxmox writes the key itself. */
export function isServerOwned(key: string): boolean {
  return SERVER_OWNED.has(key);
}

const NETWORK_KEY = /^net\d+$/;

/** net0, net1, …: a network device, of both kinds of guest. */
export function isNetworkKey(key: string): boolean {
  return NETWORK_KEY.test(key);
}

/** Keys whose values must not be shown. Container `env` commonly carries tokens, like `cipassword`. */
export function isSecretKey(key: string): boolean {
  return key === "cipassword" || key === "env";
}

/** The key under which Proxmox keeps a value: `cdrom` is a VM's other name for ide2 (docs/proxmox.md row 39). */
export function storedKey(kind: GuestKind, key: string): string {
  return kind === "qemu" && key === "cdrom" ? "ide2" : key;
}

const MASK = "******";

/** A value as it may be shown: of a secret only that it is there. Whatever leaves the planner unsent goes through here. */
export function shownForm(key: string, form: string | null): string | null {
  return form !== null && isSecretKey(key) ? MASK : form;
}

/** Natural order: by name without its index, then by the index; total over all texts. */
export function compareKeys(left: string, right: string): number {
  const leftStem = left.slice(0, stemLength(left));
  const rightStem = right.slice(0, stemLength(right));
  if (leftStem !== rightStem) return leftStem < rightStem ? -1 : 1;
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Length without trailing digits. */
function stemLength(key: string): number {
  let end = key.length;
  while (end > 0) {
    const code = key.charCodeAt(end - 1);
    if (code < DIGIT_ZERO || code > DIGIT_NINE) break;
    end -= 1;
  }
  return end;
}
