import { identityOf } from "../guest/identity.ts";
import type { GuestConfig, ObservedGuest } from "../guest/observed.ts";
import { ok } from "../ports/errors.ts";
import type { GuestListEntry, GuestStatus, ProxmoxApi, ProxmoxResult } from "../ports/proxmox-api.ts";

/**
 * Reads one guest of the list: its configuration with one GET of /pending, and nothing else. Pass `status` where
 * the list's run state is not enough (it cannot tell running from paused, nor HA); a fault of the config is the result.
 */
export async function readGuest(
  api: Pick<ProxmoxApi, "readConfig">,
  entry: GuestListEntry,
  node: string,
  status?: GuestStatus,
): Promise<ProxmoxResult<ObservedGuest>> {
  const config = await api.readConfig({ kind: entry.kind, vmid: entry.vmid });
  return config.ok ? ok(assembleGuest(entry, config.value, node, status)) : config;
}

/** Puts together what the list, the configuration and, when given, status/current say. */
export function assembleGuest(entry: GuestListEntry, config: GuestConfig, node: string, status?: GuestStatus): ObservedGuest {
  const { running } = config;
  const name = running[entry.kind === "qemu" ? "name" : "hostname"];
  // The sources are read at different moments: a lock that one of them saw is respected until the next read.
  const lock = status?.lock ?? running["lock"];
  return {
    kind: entry.kind,
    vmid: entry.vmid,
    node,
    name: name === undefined ? entry.name : String(name),
    runState: status?.runState ?? entry.runState,
    isTemplate: Number(running["template"] ?? 0) === 1,
    lock: lock === undefined ? undefined : String(lock),
    ha: status?.ha,
    config,
    identity: identityOf(entry.kind, running),
  };
}
