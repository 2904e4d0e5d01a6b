import type { Caller } from "../api.ts";
import { checkPublicKeys } from "./credentials.ts";
import { Died } from "./died.ts";
import type { Guest } from "./guest.ts";
import type { Host } from "./host.ts";
import { parseNet, printNet } from "./net.ts";
import { cleanupPending } from "./pending.ts";
import { compareText, isTrue, splitList } from "./perl.ts";
import { needForBridge, needForQemuKeys } from "./permissions.ts";
import { applyPending } from "./qemu-apply.ts";
import { needForDrives, normalizeDrives } from "./qemu-disks.ts";
import { hotplugPending, memoryOf } from "./qemu-hotplug.ts";
import { PendingWriter } from "./qemu-writer.ts";
import { configOption } from "./schema.ts";
import type { Values } from "./verify.ts";

/**
 * A config write on a QEMU guest, in Proxmox's two halves: `prepare` verifies and checks without the
 * lock, `applyUpdate` runs under the guest's lock and writes once per key, so that a call that fails in
 * the middle has done its first half (docs/proxmox.md section 2).
 */

export interface QemuUpdate {
  readonly host: Host;
  readonly vmid: number;
  readonly caller: Caller;
  readonly digest: string | undefined;
  readonly isLockSkipped: boolean;
  readonly isForced: boolean;
  readonly deletes: string[];
  readonly reverts: ReadonlySet<string>;
  readonly sets: Values;
  /** The parameters as the task log and syslog show them. */
  readonly logLine: string;
  /** Seconds to wait for the task; 0: not at all. */
  readonly backgroundDelay: number;
}

/** Verifies a call's parameters beyond their schema, checks privileges, and takes the first look at the guest. */
export function prepareUpdate(host: Host, vmid: number, caller: Caller, values: Values): QemuUpdate {
  const rest = new Map(values);
  const take = (name: string): string | undefined => {
    const value = rest.get(name) ?? undefined;
    rest.delete(name);
    return value;
  };
  const digest = take("digest");
  const backgroundDelay = Number(take("background_delay") ?? 0);
  take("import-working-storage");
  const logLine = formatLogLine(vmid, rest);
  const isLockSkipped = take("skiplock") === "1";
  if (isLockSkipped && !caller.isRootLogin) throw Died.parameters({ skiplock: "Only root may use this option." });
  const [deleteText, revertText, force] = [take("delete"), take("revert"), take("force")];
  if (!isTrue(deleteText) && !isTrue(revertText) && rest.size === 0) throw Died.because("no options specified");
  resolveAliases(rest);
  const reverts = parseReverts(revertText, rest);
  const deletes = parseDeletes(deleteText, rest, reverts);
  normalizeValues(host, rest);
  needForQemuKeys(caller, vmid, deletes);
  needForQemuKeys(caller, vmid, rest.keys());
  needForDrives(host, caller, vmid, rest);
  for (const [key, value] of rest) if (/^net\d+$/.test(key)) needForBridge(caller, "qemu", value ?? "");
  const update = { host, vmid, caller, digest, isLockSkipped, isForced: force === "1", deletes, reverts, sets: rest, logLine, backgroundDelay };
  checkGuest(update, false);
  return update;
}

/** As the task log has it: parameters sorted, passwords hidden. */
function formatLogLine(vmid: number, values: Values): string {
  const shown = (key: string, value: string | null): string => (key === "cipassword" ? "<hidden>" : (value ?? ""));
  const parts = [...values].sort(([left], [right]) => compareText(left, right)).map(([key, value]) => `-${key} ${shown(key, value)}`);
  return `update VM ${vmid}: ${parts.join(" ")}`;
}

function resolveAliases(values: Values): void {
  const cdrom = values.get("cdrom");
  if (cdrom !== undefined && isTrue(cdrom)) {
    values.set("ide2", /media=/.test(cdrom ?? "") ? cdrom : `${cdrom},media=cdrom`);
    values.delete("cdrom");
  }
}

function parseReverts(text: string | undefined, sets: Values): ReadonlySet<string> {
  const reverts = new Set(splitList(text));
  for (const key of reverts) {
    if (configOption("qemu", key) === undefined) throw Died.parameters({ revert: `unknown option '${key}'` });
    if (sets.has(key)) throw Died.parameters({ delete: `you can't use '-${key}' and -revert ${key}' at the same time` });
  }
  return reverts;
}

function parseDeletes(text: string | undefined, sets: Values, reverts: ReadonlySet<string>): string[] {
  return splitList(text).map((name) => {
    const key = name === "cdrom" ? "ide2" : name;
    if (sets.has(key)) throw Died.parameters({ delete: `you can't use '-${key}' and -delete ${key}' at the same time` });
    if (reverts.has(key)) throw Died.parameters({ revert: `you can't use '-delete ${key}' and -revert ${key}' at the same time` });
    if (configOption("qemu", key) === undefined) throw Died.parameters({ delete: `unknown option '${key}'` });
    return key;
  });
}

const CPU_SHARES_MAX = 10_000;

/** Values that Proxmox rewrites before it stores them. */
function normalizeValues(host: Host, values: Values): void {
  const keys = values.get("sshkeys");
  if (keys !== undefined && keys !== null) checkPublicKeys(keys);
  const units = values.get("cpuunits");
  if (units !== undefined && units !== null) values.set("cpuunits", String(Math.min(CPU_SHARES_MAX, Math.max(1, Number(units)))));
  normalizeDrives(host, values);
  for (const [key, value] of values) {
    if (value === null) continue;
    if (/^net\d+$/.test(key)) values.set(key, printNet("qemu", parseNet(host, "qemu", value)));
    else if (key === "vmgenid" && value === "1") values.set(key, host.uuid());
    else if (key === "hookscript") assertHookscript(host, key, value);
  }
}

/** Dies unless the value names a snippet that is there. */
export function assertHookscript(host: Host, key: string, value: string): void {
  const { content } = host.storages.parseName(value);
  if (content !== "snippets") throw Died.parameters({ [key]: `'${value}' is not in the snippets directory\n` });
  if (host.storages.volume(value) === undefined) throw Died.parameters({ [key]: `script '${value}' does not exist\n` });
}

/** The look at the guest that is taken twice, before and under the lock: digest, lock, reverts, balloon. */
function checkGuest(update: QemuUpdate, isUnderLock: boolean): Guest {
  const { host, vmid, sets, digest } = update;
  const guest = host.needGuest("qemu", vmid);
  const { main, pending } = guest.view();
  if (isTrue(digest) && digest !== guest.view().digest) throw Died.because("checksum mismatch (file change by other user?)");
  const isResuming = update.deletes.includes("vmstate") && main.get("lock") === "suspended";
  if (isResuming && isUnderLock) update.deletes.push("lock");
  if (!update.isLockSkipped && !isResuming) assertUnlocked(guest);
  for (const key of update.reverts) {
    const current = main.get(key);
    if (current !== undefined) sets.set(key, current);
    else if (pending.has(key) && isUnderLock) update.deletes.push(key);
  }
  if (isTrue(sets.get("memory")) || sets.has("balloon")) assertBalloonFits(sets, main, pending);
  return guest;
}

function assertBalloonFits(sets: Values, main: ReadonlyMap<string, string | null>, pending: ReadonlyMap<string, string | null>): void {
  const memory = sets.get("memory") ?? pending.get("memory") ?? main.get("memory");
  const balloon = Number(sets.get("balloon") ?? pending.get("balloon") ?? main.get("balloon") ?? 0);
  if (balloon > memoryOf(memory)) throw Died.because("balloon value too large (must be smaller than assigned memory)");
}

/** Dies when the guest's config lock is set ("backup", "migrate", …). */
export function assertUnlocked(guest: Guest): void {
  const lock = guest.option("lock");
  if (isTrue(lock)) throw Died.because(`${guest.kind === "qemu" ? "VM" : "CT"} is locked (${lock})`);
}

/** The write itself; the caller holds the guest's lock. `print` is the task log, or nowhere. */
export function applyUpdate(update: QemuUpdate, print: (line: string) => void): void {
  const guest = checkGuest(update, true);
  print(update.logLine);
  const writer = new PendingWriter(update, guest, print);
  for (const key of update.deletes) writer.delete(key);
  for (const key of update.host.shuffled([...update.sets.keys()])) writer.set(key, update.sets.get(key) ?? null);
  const file = guest.load();
  if (cleanupPending(file)) update.host.writeConfig(guest, file);
  if (guest.view().pending.size === 0) return;
  if (guest.running !== undefined) hotplugPending(update.host, guest, update.caller, writer.modified);
  else applyPending(update.host, guest, update.caller);
}
