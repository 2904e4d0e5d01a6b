import type { GuestKind } from "../guest/key.ts";
import type { PveVersion } from "../guest/host-facts.ts";

/**
 * What is younger than Proxmox VE 8.4, the oldest release supported: the first minor release that may
 * have it. Known from the manuals and sources of 9.0, 9.1 and 9.2; where a change came between two
 * releases, the earlier one, and what an updated 8.4 may have (`guest-phys-bits`, `aw-bits`) not at all:
 * the host itself says it better than a wrong guess here.
 */
const SINCE: Readonly<Record<GuestKind, Readonly<Record<string, readonly [major: number, minor: number]>>>> = {
  qemu: {
    "agent.freeze-fs": [9, 1],
    "agent.guest-fsfreeze": [9, 1],
    "allow-ksm": [9, 1],
    "cpu.level": [9, 1],
    "efidisk0.ms-cert": [9, 1],
    "hostpci.driver": [9, 1],
    "intel-tdx": [9, 1],
    "net.host-tunnel": [9, 1],
    "tpmstate0.format": [9, 1],
  },
  lxc: {
    entrypoint: [9, 1],
    env: [9, 1],
    "mp.idmap": [9, 1],
    "mp.keepattrs": [9, 1],
    "net.host-managed": [9, 1],
    "rootfs.idmap": [9, 1],
  },
};

/** The release a key (or a sub-key) needs, "9.1", when the host's is older; undefined when it has it. */
export function neededVersion(kind: GuestKind, key: string, subKey: string | undefined, version: PveVersion): string | undefined {
  const stem = key in SINCE[kind] ? key : key.replace(/\d+$/, "");
  // `efidisk0` and `tpmstate0` are whole names.
  const name = subKey === undefined ? key : `${Object.keys(SINCE[kind]).some((known) => known.startsWith(`${key}.`)) ? key : stem}.${subKey}`;
  const since = Object.hasOwn(SINCE[kind], name) ? SINCE[kind][name] : undefined;
  if (since === undefined) return undefined;
  const [major, minor] = since;
  const isOlder = version.major < major || (version.major === major && version.minor < minor);
  return isOlder ? `${major}.${minor}` : undefined;
}

/** Every key and sub-key that has a first release, "kind key" → "9.1". For documentation and tests. */
export function versionedNames(): readonly (readonly [GuestKind, string, string])[] {
  return (["qemu", "lxc"] as const).flatMap((kind) =>
    Object.entries(SINCE[kind]).map(([name, [major, minor]]) => [kind, name, `${major}.${minor}`] as const));
}
