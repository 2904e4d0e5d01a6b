import type { Caller } from "../api.ts";
import type { GuestConfigFile } from "./config-file.ts";
import { uniqueTags } from "./datacenter.ts";
import { Died, whatKills } from "./died.ts";
import type { Guest } from "./guest.ts";
import type { Host } from "./host.ts";
import { assertHoldsContainers, detachMountPoint, isVolumeUsed, parseMountPoint, storedMountPoint } from "./lxc-volumes.ts";
import { bridgeOf, parseNet, printNet } from "./net.ts";
import { addPendingDelete, cleanupPending, pendingDeletes, removePendingDelete } from "./pending.ts";
import { compareText, isTrue, splitList } from "./perl.ts";
import { needForLxcKeys } from "./permissions.ts";
import { assertHookscript, assertUnlocked } from "./qemu-update.ts";
import { configOption } from "./schema.ts";
import type { Values } from "./verify.ts";

/**
 * A config write on a container. Other than QEMU's: one write at the end, and a file that can be
 * written but not turned into a container's configuration fails the call after the write
 * (docs/proxmox.md section 2).
 */

export interface LxcUpdate {
  readonly host: Host;
  readonly vmid: number;
  readonly digest: string | undefined;
  readonly deletes: readonly string[];
  readonly reverts: readonly string[];
  readonly sets: Values;
}

/** Verifies a call's parameters beyond their schema and checks privileges, without the lock. */
export function prepareLxcUpdate(host: Host, vmid: number, caller: Caller, values: Values): LxcUpdate {
  const rest = new Map(values);
  const take = (name: string): string | undefined => {
    const value = rest.get(name) ?? undefined;
    rest.delete(name);
    return value;
  };
  const digest = take("digest");
  if (rest.size === 0) throw Died.because("no options specified");
  const deletes = splitList(take("delete"));
  const reverts = splitList(take("revert"));
  const { main } = host.needGuest("lxc", vmid).view();
  needForLxcKeys(host, caller, vmid, main, deletes, undefined);
  needForLxcKeys(host, caller, vmid, main, reverts, undefined);
  checkNames(deletes, reverts, rest);
  needForLxcKeys(host, caller, vmid, main, rest.keys(), rest);
  return { host, vmid, digest, deletes, reverts, sets: rest };
}

function checkNames(deletes: readonly string[], reverts: readonly string[], sets: Values): void {
  for (const key of reverts) {
    if (configOption("lxc", key) === undefined) throw Died.parameters({ revert: `unknown option '${key}'` });
    if (sets.has(key)) throw Died.parameters({ revert: `you can't use '-${key}' and '-revert ${key}' at the same time` });
  }
  for (const key of deletes) {
    if (configOption("lxc", key) === undefined) throw Died.parameters({ delete: `unknown option '${key}'` });
    if (sets.has(key)) throw Died.parameters({ delete: `you can't use '-${key}' and -delete ${key}' at the same time` });
    if (reverts.includes(key)) throw Died.parameters({ delete: `you can't use '-delete ${key}' and '-revert ${key}' at the same time` });
  }
}

/** The write itself; the caller holds the container's lock. */
export function applyLxcUpdate(update: LxcUpdate): void {
  const { host, vmid, digest } = update;
  const guest = host.needGuest("lxc", vmid);
  assertUnlocked(guest);
  if (isTrue(digest) && digest !== guest.view().digest) throw Died.because("detected modified configuration - file changed by other user? Try again.");
  const file = guest.load();
  const modified = putPending(update, file);
  cleanupPending(file);
  if (guest.running === undefined) applyLxcPending(host, guest, file, modified);
  else hotplugLxc(host, guest, file, modified);
  assertUsable(host, guest);
}

/** What every write ends with: the container's low-level configuration is made anew. */
export function assertUsable(host: Host, guest: Guest): void {
  for (const [key, value] of guest.view().main) {
    if (!/^net\d+$/.test(key)) continue;
    const bridge = bridgeOf("lxc", value) ?? "";
    if (!host.traits.bridges.includes(bridge)) throw Died.because(`bridge '${bridge}' does not exist`);
  }
}

function putPending(update: LxcUpdate, file: GuestConfigFile): Set<string> {
  const modified = new Set<string>();
  for (const key of update.reverts) {
    file.pending.delete(key);
    removePendingDelete(file.pending, key);
  }
  for (const key of update.deletes) {
    if (!file.main.has(key) && !file.pending.has(key)) continue;
    modified.add(key);
    assertDeletable(update.vmid, file, key);
    addPendingDelete(file.pending, key, false);
  }
  for (const key of [...update.sets.keys()].sort(compareText)) {
    modified.add(key);
    const value = update.sets.get(key) ?? null;
    file.pending.set(key, value === null ? null : storedValue(update, file, key, value));
    removePendingDelete(file.pending, key);
  }
  return modified;
}

function assertDeletable(vmid: number, file: GuestConfigFile, key: string): void {
  if (key === "memory" || key === "rootfs" || key === "ostype") throw Died.because(`unable to delete required option '${key}'`);
  if (key === "unprivileged") throw Died.because(`unable to delete read-only option: '${key}'`);
  const isVolume = /^(?:unused|mp)\d+$/.test(key);
  if (isVolume && file.main.get("protection") === "1") throw Died.because(`can't remove CT ${vmid} drive '${key}' - protection mode enabled`);
}

const CPU_SHARES_MAX = 10_000;

function storedValue(update: LxcUpdate, file: GuestConfigFile, key: string, value: string): string {
  const { host, vmid } = update;
  if (key === "unprivileged") throw Died.because(`unable to modify read-only option: '${key}'`);
  if (key === "hookscript") assertHookscript(host, key, value);
  if (key === "tags") return uniqueTags(value, host.datacenter.tagStyle());
  if (key === "nameserver" || key === "searchdomain") return splitList(value).join(" ");
  if (key === "cpuunits") return String(Math.min(CPU_SHARES_MAX, Math.max(1, Number(value))));
  if (key === "rootfs" || /^mp\d+$/.test(key)) {
    if (file.main.get("protection") === "1") throw Died.because(`can't update CT ${vmid} drive '${key}' - protection mode enabled`);
    const mountPoint = parseMountPoint(key, value);
    if (mountPoint !== undefined) assertHoldsContainers(host, mountPoint);
  }
  return value;
}

/** Applies pending changes of a stopped container (of the `selected` keys, or all) and writes the file. */
export function applyLxcPending(host: Host, guest: Guest, file: GuestConfigFile, selected?: ReadonlySet<string>): void {
  const isSelected = (key: string): boolean => selected === undefined || selected.has(key);
  for (const key of pendingDeletes(file.pending).keys()) {
    if (!isSelected(key)) continue;
    if (/^mp\d+$/.test(key)) detachMountPoint(file, key);
    else if (/^unused\d+$/.test(key)) freeUnused(host, guest, file, key);
    file.main.delete(key);
    removePendingDelete(file.pending, key);
  }
  cleanupPending(file);
  for (const [key, value] of [...file.pending].sort(([left], [right]) => compareText(left, right))) {
    if (key === "delete" || !isSelected(key)) continue;
    if (/^mp\d+$/.test(key) && file.main.has(key)) detachMountPoint(file, key);
    file.main.set(key, value === null ? null : appliedValue(host, guest, key, value));
    file.pending.delete(key);
  }
  host.writeConfig(guest, file);
}

function appliedValue(host: Host, guest: Guest, key: string, value: string): string {
  if (/^mp\d+$/.test(key)) return storedMountPoint(host, guest, key, value);
  return /^net\d+$/.test(key) ? printNet("lxc", parseNet(host, "lxc", value)) : value;
}

function freeUnused(host: Host, guest: Guest, file: GuestConfigFile, key: string): void {
  const volume = file.main.get(key) ?? "";
  if (host.storages.volume(volume)?.vmid === guest.vmid && !isVolumeUsed(file, volume)) host.storages.free(volume);
}

const WITHOUT_EFFECT = new Set(["description", "onboot", "startup", "protection", "hostname", "hookscript", "cores", "tags", "lock"]);

/** Applies what a running container can take; an error leaves the file as it was, fast-plugged keys excepted. */
function hotplugLxc(host: Host, guest: Guest, file: GuestConfigFile, selected: ReadonlySet<string>): void {
  let hasChanged = false;
  for (const [key, value] of [...file.pending]) {
    if (!WITHOUT_EFFECT.has(key) || !selected.has(key)) continue;
    file.main.set(key, value);
    file.pending.delete(key);
    hasChanged = true;
  }
  if (hasChanged) host.writeConfig(guest, file);
  const errors: Record<string, string> = {};
  const attempt = (key: string, act: () => void): void => {
    const death = whatKills(act);
    if (death !== undefined) errors[key] = `unable to hotplug ${key}: ${death.message}\n`;
  };
  for (const key of pendingDeletes(file.pending).keys()) if (selected.has(key)) attempt(key, () => deleteLive(host, guest, file, key));
  for (const key of [...file.pending.keys()].sort(compareText)) if (key !== "delete" && selected.has(key)) attempt(key, () => setLive(host, guest, file, key));
  if (Object.keys(errors).length > 0) throw Died.parameters(errors);
  host.writeConfig(guest, file);
}

function deleteLive(host: Host, guest: Guest, file: GuestConfigFile, key: string): void {
  if (key === "swap") assertMemoryCgroup(host);
  else if (/^unused\d+$/.test(key)) freeUnused(host, guest, file, key);
  else if (!WITHOUT_EFFECT.has(key) && !/^(?:cpulimit|cpuunits|net\d+)$/.test(key)) return;
  file.main.delete(key);
  removePendingDelete(file.pending, key);
}

function setLive(host: Host, guest: Guest, file: GuestConfigFile, key: string): void {
  const value = file.pending.get(key) ?? "";
  if (key === "memory" || key === "swap") assertMemoryCgroup(host);
  else if (/^mp\d+$/.test(key) ? file.main.has(key) : !/^(?:cpulimit|cpuunits|net\d+)$/.test(key)) return;
  if (/^net\d+$/.test(key)) {
    const bridge = bridgeOf("lxc", value) ?? "";
    if (!host.traits.bridges.includes(bridge)) throw Died.because(`bridge '${bridge}' does not exist`);
  }
  file.main.set(key, appliedValue(host, guest, key, value));
  file.pending.delete(key);
}

function assertMemoryCgroup(host: Host): void {
  if (!host.traits.hasContainerCgroups) throw Died.because("trying to change memory cgroup values: container not running");
}
