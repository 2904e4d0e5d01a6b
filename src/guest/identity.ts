import type { GuestKind } from "./key.ts";
import type { RawConfig } from "./observed.ts";

/**
 * What tells a guest from another one that later got the same vmid. Each part is optional; a record
 * names the parts it used. QEMU: smbios1.uuid + meta.ctime (an in-place restore keeps the uuid).
 * LXC: root volume id + hardware addresses (its config has neither uuid nor creation time).
 */
export interface GuestIdentity {
  readonly smbiosUuid?: string;
  /** meta.ctime, seconds since the epoch. */
  readonly createdAt?: string;
  readonly rootVolume?: string;
  /** Hardware addresses, upper case, sorted, joined with a comma. */
  readonly hardwareAddresses?: string;
}

const NETWORK_KEY = /^net\d+$/;
const HARDWARE_ADDRESS = /\b[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\b/;

/** Reads the identity out of a guest's running configuration. */
export function identityOf(kind: GuestKind, config: RawConfig): GuestIdentity {
  return kind === "qemu" ? qemuIdentity(config) : lxcIdentity(config);
}

function qemuIdentity(config: RawConfig): GuestIdentity {
  const uuid = /(?:^|,)uuid=([^,]+)/.exec(String(config["smbios1"] ?? ""))?.[1]?.toLowerCase();
  const ctime = /(?:^|,)ctime=(\d+)/.exec(String(config["meta"] ?? ""))?.[1];
  return { ...(uuid === undefined ? {} : { smbiosUuid: uuid }), ...(ctime === undefined ? {} : { createdAt: ctime }) };
}

function lxcIdentity(config: RawConfig): GuestIdentity {
  const rootVolume = String(config["rootfs"] ?? "").split(",")[0];
  const addresses = Object.entries(config)
    .filter(([key]) => NETWORK_KEY.test(key))
    .map(([, value]) => HARDWARE_ADDRESS.exec(String(value))?.[0]?.toUpperCase())
    .filter((address) => address !== undefined)
    .sort();
  return {
    ...(rootVolume ? { rootVolume } : {}),
    ...(addresses.length > 0 ? { hardwareAddresses: addresses.join(",") } : {}),
  };
}

/** The identity in a record that was written earlier, by whatever version; without parts where there is none. */
export function recordedIdentity(record: unknown): GuestIdentity {
  if (typeof record !== "object" || record === null || Array.isArray(record)) return {};
  return Object.fromEntries(Object.entries(record).filter((pair): pair is [string, string] => typeof pair[1] === "string"));
}

/** True when a part that both know differs: certainly another guest. */
export function isOtherIdentity(left: GuestIdentity, right: GuestIdentity): boolean {
  return (["smbiosUuid", "createdAt", "rootVolume"] as const).some(
    (part) => left[part] !== undefined && right[part] !== undefined && left[part] !== right[part],
  );
}
