import type { Caller } from "../api.ts";
import { Died } from "./died.ts";
import type { Guest, Running } from "./guest.ts";
import { haStateOf, setHaState } from "./ha.ts";
import type { Host } from "./host.ts";
import { need } from "./permissions.ts";
import { endProcess, waitForExit, withTaskLock } from "./process.ts";
import { applyPending } from "./qemu-apply.ts";
import { startQemu } from "./qemu-start.ts";
import { assertUnlocked } from "./qemu-update.ts";
import { isTrue } from "./perl.ts";
import type { TaskContext, TaskOwner, Worker } from "./tasks.ts";
import type { Values } from "./verify.ts";

/**
 * Power of QEMU guests: all of it happens in tasks, so that most refusals are a task's exit text and
 * not an HTTP error (docs/proxmox.md section 2).
 */

const SHUTDOWN_TIMEOUT_SECONDS = 60;
/** An ended process is seen by its parent after this long. */
const KILL_DURATION_MS = 100;
/** The HA manager acts on a request in its next round. */
const HA_ROUND_MS = 10_000;
/** The user that the host's own services act as. */
export const HOST_ITSELF: TaskOwner = { user: "root@pam", tokenId: undefined };

export interface PowerCall {
  readonly host: Host;
  readonly vmid: number;
  readonly caller: Caller;
  readonly values: Values;
}

/** Dies unless `skiplock` and the like are used by root only. */
export function takeRootFlags(call: PowerCall, names: readonly string[]): boolean {
  for (const name of names) {
    if (call.values.get(name) === "1" && !call.caller.isRootLogin) throw Died.parameters({ [name]: "Only root may use this option." });
  }
  return call.values.get("skiplock") === "1";
}

function fork(call: PowerCall, type: string, work: Worker): string {
  return call.host.tasks.start(type, String(call.vmid), call.caller, work).upid;
}

/** Runs `work` under the lock of the guest, which must exist by then. */
function locked(call: PowerCall, work: (guest: Guest, task: TaskContext) => Promise<void>): Worker {
  return async (task) => {
    const known = call.host.needGuest("qemu", call.vmid);
    await withTaskLock(known, task, () => work(call.host.needGuest("qemu", call.vmid), task));
  };
}

/** POST /status/start: always a task, even for a guest that is not there. */
export function start(call: PowerCall): string {
  const isLockSkipped = takeRootFlags(call, ["skiplock", "stateuri", "migratedfrom", "targetstorage"]);
  call.host.assertQuorum();
  if (haStateOf(call.host, "qemu", call.vmid) !== undefined) return forkHa(call, "hastart");
  return fork(call, "qmstart", locked(call, (guest, task) => startQemu(call.host, guest, task, isLockSkipped)));
}

/** HA takes the request; the guest follows later, by a task of the host's own (docs/proxmox.md section 2). */
function forkHa(call: PowerCall, type: "hastart" | "hastop"): string {
  const { host, vmid } = call;
  return fork(call, type, async (task) => {
    task.print(`Requesting HA ${type === "hastart" ? "start" : "stop"} for VM ${vmid}`);
    setHaState(host, "qemu", vmid, type === "hastart" ? "started" : "stopped");
    host.after(HA_ROUND_MS, () => actForHa(call, type));
    await task.sleep(KILL_DURATION_MS);
  });
}

function actForHa(call: PowerCall, type: "hastart" | "hastop"): void {
  const { host, vmid } = call;
  const guest = host.findGuest(vmid);
  if (guest === undefined || host.stopped.aborted || (type === "hastart") === (guest.running !== undefined)) return;
  const work =
    type === "hastart"
      ? locked(call, (found, task) => startQemu(host, found, task, false))
      : locked(call, (found, task) => stopQemu(host, found, task, { isShutdown: true, isForced: true, isLockSkipped: false, timeoutSeconds: undefined }));
  host.tasks.start(type === "hastart" ? "qmstart" : "qmshutdown", String(vmid), HOST_ITSELF, work);
}

/** POST /status/stop: kills the process; fine when there is none. */
export function stop(call: PowerCall): string {
  const { host, vmid, caller, values } = call;
  const isLockSkipped = takeRootFlags(call, ["skiplock", "keepActive", "migratedfrom"]);
  if (haStateOf(host, "qemu", vmid) !== undefined) return forkHa(call, "hastop");
  return fork(call, "qmstop", async (task) => {
    if (values.get("overrule-shutdown") === "1") await overrule(host, caller, "qmshutdown", vmid, task.print);
    assertIsThere(host, vmid);
    const options = { isShutdown: false, isForced: true, isLockSkipped, timeoutSeconds: undefined };
    await locked(call, (guest) => stopQemu(host, guest, task, options))(task);
  });
}

function assertIsThere(host: Host, vmid: number): void {
  if (host.findGuest(vmid)?.kind !== "qemu") throw Died.because(`unable to find configuration file for VM ${vmid} on node '${host.name}'`);
}

/** Stops the caller's own shutdown tasks on this guest (everybody's with Sys.Modify on the node). */
export async function overrule(host: Host, caller: Caller, type: string, vmid: number, print: (line: string) => void): Promise<void> {
  const isAllowed = (owner: TaskOwner): boolean =>
    (owner.user === caller.user && owner.tokenId === caller.tokenId) || caller.can(`/nodes/${host.name}`, "Sys.Modify");
  const overruled = host.tasks.running().filter((other) => other.type === type && other.id === String(vmid) && isAllowed(other));
  for (const other of overruled) other.stopper.abort();
  await Promise.all(overruled.map((other) => other.ended));
  print(`overruled ${type} tasks: ${overruled.map((other) => other.upid).join(", ")}`);
}

/** POST /status/shutdown: asks the guest, waits with its lock held, and kills it if forced. */
export function shutdown(call: PowerCall): string {
  const { host, vmid, values } = call;
  const isLockSkipped = takeRootFlags(call, ["skiplock", "keepActive"]);
  const isForced = values.get("forceStop") === "1";
  const isPaused = host.findGuest(vmid)?.running?.isPaused === true;
  if (isPaused && !isForced) throw Died.because("VM is paused - cannot shutdown");
  if (haStateOf(host, "qemu", vmid) !== undefined) return forkHa(call, "hastop");
  return fork(call, "qmshutdown", async (task) => {
    assertIsThere(host, vmid);
    const options = { isShutdown: !isPaused, isForced, isLockSkipped, timeoutSeconds: secondsOf(values) };
    await locked(call, (guest) => stopQemu(host, guest, task, options))(task);
  });
}

function secondsOf(values: Values): number | undefined {
  const timeout = values.get("timeout");
  return timeout === undefined || timeout === null ? undefined : Number(timeout);
}

interface StopOptions {
  readonly isShutdown: boolean;
  readonly isForced: boolean;
  readonly isLockSkipped: boolean;
  readonly timeoutSeconds: number | undefined;
}

/** Ends the guest's process and applies what was pending; a stopped guest is fine, whatever its lock. */
async function stopQemu(host: Host, guest: Guest, task: TaskContext, options: StopOptions): Promise<void> {
  const { running } = guest;
  if (running === undefined) return;
  if (!options.isLockSkipped) assertUnlocked(guest);
  if (options.isShutdown) await shutDown(host, guest, running, task, options);
  else await quit(host, guest, running, task);
  if (host.findGuest(guest.vmid) === guest) applyPending(host, guest, undefined);
}

async function shutDown(host: Host, guest: Guest, running: Running, task: TaskContext, options: StopOptions): Promise<void> {
  const fromStartup = /(?:^|,)\s*down=(\d+)/.exec(guest.option("startup") ?? "")?.[1];
  const seconds = options.timeoutSeconds ?? (isTrue(fromStartup) ? Number(fromStartup) : SHUTDOWN_TIMEOUT_SECONDS);
  if (host.traits.honoursShutdown(guest)) {
    host.after(host.traits.shutdownDurationMs, () => endQemu(host, guest, running));
  }
  if (await waitForExit(host, running, seconds * 1000, task)) return;
  if (!options.isForced) throw Died.because("VM quit/powerdown failed - got timeout");
  task.print("VM still running - terminating now with SIGTERM");
  await quit(host, guest, running, task);
}

async function quit(host: Host, guest: Guest, running: Running, task: TaskContext): Promise<void> {
  await task.sleep(KILL_DURATION_MS);
  endQemu(host, guest, running);
}

/** Ends a QEMU process, by whatever cause; its cleanup starts it again if a reboot was asked for. */
export function endQemu(host: Host, guest: Guest, running: Running): void {
  endProcess(host, guest, running, () => {
    if (!guest.isRebootRequested || host.findGuest(guest.vmid) !== guest) return;
    guest.isRebootRequested = false;
    host.tasks.start("qmstart", String(guest.vmid), HOST_ITSELF, (task) => withTaskLock(guest, task, () => startQemu(host, guest, task, false)));
  });
}

function needRunning(call: PowerCall): Running {
  const running = call.host.findGuest(call.vmid)?.running;
  if (running === undefined) throw Died.because(`VM ${call.vmid} not running`);
  return running;
}

/** POST /status/reboot: a shutdown after which the host starts the guest by a task of its own. */
export function reboot(call: PowerCall): string {
  if (call.host.findGuest(call.vmid)?.running?.isPaused === true) throw Died.because("VM is paused - cannot shutdown");
  needRunning(call);
  const options = { isShutdown: true, isForced: false, isLockSkipped: false, timeoutSeconds: secondsOf(call.values) };
  return fork(
    call,
    "qmreboot",
    locked(call, async (guest, task) => {
      if (guest.running === undefined) return;
      guest.isRebootRequested = true;
      try {
        await stopQemu(call.host, guest, task, options);
      } catch (error) {
        guest.isRebootRequested = false;
        throw error;
      }
    }),
  );
}

/** POST /status/reset. */
export function reset(call: PowerCall): string {
  const isLockSkipped = takeRootFlags(call, ["skiplock"]);
  needRunning(call);
  return fork(call, "qmreset", locked(call, async (guest) => {
    if (!isLockSkipped) assertUnlocked(guest);
  }));
}

/** POST /status/suspend: pauses, or saves to disk and stops. */
export function suspend(call: PowerCall): string {
  const isLockSkipped = takeRootFlags(call, ["skiplock"]);
  needRunning(call);
  if (call.values.get("todisk") === "1") return suspendToDisk(call);
  return fork(call, "qmpause", locked(call, async (guest) => {
    if (!isLockSkipped && guest.option("lock") !== "backup") assertUnlocked(guest);
    if (guest.running !== undefined) guest.running.isPaused = true;
  }));
}

function suspendToDisk(call: PowerCall): string {
  const { host, vmid, caller, values } = call;
  if (haStateOf(host, "qemu", vmid) !== undefined) throw Died.because("Cannot suspend HA managed VM to disk");
  if (!caller.isRootLogin) need(caller, `/vms/${vmid}`, "VM.Config.Disk");
  const storage = values.get("statestorage") ?? host.storages.all().find((each) => each.content.has("images"))?.id ?? "local";
  need(caller, `/storage/${storage}`, "Datastore.AllocateSpace");
  return fork(call, "qmsuspend", locked(call, async (guest, task) => {
    assertUnlocked(guest);
    const { running } = guest;
    if (running === undefined) throw Died.because(`VM ${vmid} not running`);
    const file = guest.load();
    const volume = `${storage}:${vmid}/vm-${vmid}-state-suspend.raw`;
    host.storages.add({ id: volume, vmid, sizeBytes: host.traits.memoryBytes, format: "raw", content: "images", createdAt: host.nowSeconds() });
    file.main.set("lock", "suspended").set("vmstate", volume);
    host.writeConfig(guest, file);
    await quit(host, guest, running, task);
  }));
}

/** POST /status/resume: of a paused guest, or of one saved to disk. */
export function resume(call: PowerCall): string {
  const isLockSkipped = takeRootFlags(call, ["skiplock", "nocheck"]);
  const isOnDisk = call.host.findGuest(call.vmid)?.option("lock") === "suspended";
  if (!isOnDisk) needRunning(call);
  return fork(call, "qmresume", locked(call, async (guest, task) => {
    if (isOnDisk) return startQemu(call.host, guest, task, isLockSkipped);
    if (!isLockSkipped && guest.option("lock") !== "backup") assertUnlocked(guest);
    if (guest.running !== undefined) guest.running.isPaused = false;
  }));
}
