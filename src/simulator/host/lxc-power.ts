import { Died } from "./died.ts";
import type { Guest, Running } from "./guest.ts";
import { haStateOf, setHaState } from "./ha.ts";
import type { Host } from "./host.ts";
import { applyLxcPending, assertUsable } from "./lxc-update.ts";
import { parseMountPoint } from "./lxc-volumes.ts";
import { beginProcess, endProcess, LOCK_TIMEOUT_MS, waitForExit } from "./process.ts";
import { overrule, takeRootFlags, type PowerCall } from "./qemu-power.ts";
import { assertUnlocked } from "./qemu-update.ts";
import { isLxcVolume } from "./schema.ts";
import type { TaskContext } from "./tasks.ts";

/**
 * Power of containers: whether it runs is looked at in the request, which also waits for the lock and
 * hands it on to its task (docs/proxmox.md section 2).
 */

const START_DURATION_MS = 1_000;
const KILL_DURATION_MS = 300;
const SHUTDOWN_TIMEOUT_SECONDS = 60;
const HA_ROUND_MS = 10_000;

type LxcWork = (guest: Guest, task: TaskContext) => Promise<void>;

/** Waits for the lock in the request and forks a task that keeps it to its end. */
async function forkLocked(call: PowerCall, type: string, work: LxcWork): Promise<string> {
  const { host, vmid } = call;
  const guest = host.needGuest("lxc", vmid);
  const release = await guest.lock.acquire(LOCK_TIMEOUT_MS, host.stopped);
  const task = host.tasks.start(type, String(vmid), call.caller, (context) => work(host.needGuest("lxc", vmid), context));
  void task.ended.then(release);
  return task.upid;
}

function needRunning(call: PowerCall, what = "CT"): Running {
  const running = call.host.needGuest("lxc", call.vmid).running;
  if (running === undefined) throw Died.because(`${what} ${call.vmid} not running`);
  return running;
}

/** POST /status/start. */
export async function startLxc(call: PowerCall): Promise<string> {
  const { host, vmid } = call;
  const isLockSkipped = takeRootFlags(call, ["skiplock"]);
  if (host.findGuest(vmid)?.kind === "lxc" && host.findGuest(vmid)?.running !== undefined) throw Died.because(`CT ${vmid} already running`);
  host.assertQuorum();
  if (haStateOf(host, "lxc", vmid) !== undefined) return forkHa(call, "hastart");
  return forkLocked(call, "vzstart", (guest, task) => startContainer(host, guest, task, isLockSkipped));
}

async function startContainer(host: Host, guest: Guest, task: TaskContext, isLockSkipped: boolean): Promise<void> {
  if (guest.isTemplate) throw Died.because("you can't start a CT if it's a template");
  if (!isLockSkipped && guest.option("lock") !== "mounted") assertUnlocked(guest);
  const hasQuota = [...guest.view().main].some(([key, value]) => isLxcVolume(key) && parseMountPoint(key, value)?.get("quota") === "1");
  if (guest.option("unprivileged") === "1" && hasQuota) throw Died.because("Quotas are not supported by unprivileged containers.");
  if (guest.view().pending.size > 0) applyLxcPending(host, guest, guest.load());
  assertUsable(host, guest);
  assertVolumes(host, guest);
  await task.sleep(START_DURATION_MS);
  if (guest.running === undefined) beginProcess(host, guest);
}

function assertVolumes(host: Host, guest: Guest): void {
  for (const [key, value] of guest.view().main) {
    if (!isLxcVolume(key)) continue;
    const volume = parseMountPoint(key, value)?.get("volume") ?? "";
    if (!volume.startsWith("/") && host.storages.volume(volume) === undefined) throw Died.because(`volume '${volume}' does not exist`);
  }
}

/** POST /status/stop: kills the container. */
export async function stopLxc(call: PowerCall): Promise<string> {
  const { host, vmid, caller, values } = call;
  const isLockSkipped = takeRootFlags(call, ["skiplock"]);
  needRunning(call);
  if (haStateOf(host, "lxc", vmid) !== undefined) return forkHa(call, "hastop");
  const isOverruling = values.get("overrule-shutdown") === "1";
  const overruled: string[] = [];
  if (isOverruling) await overrule(host, caller, "vzshutdown", vmid, (line) => overruled.push(line));
  return forkLocked(call, "vzstop", async (guest, task) => {
    for (const line of overruled) task.print(line);
    if (!isLockSkipped && guest.option("lock") !== "mounted") assertUnlocked(guest);
    if (guest.running !== undefined) await kill(host, guest, guest.running, task);
  });
}

async function kill(host: Host, guest: Guest, running: Running, task: TaskContext): Promise<void> {
  await task.sleep(KILL_DURATION_MS);
  endContainer(host, guest, running);
}

/** Ends a container's init, by whatever cause; its post-stop hook applies what was pending. */
export function endContainer(host: Host, guest: Guest, running: Running): void {
  const hasEnded = endProcess(host, guest, running, () => {
    if (guest.isRebootRequested && host.findGuest(guest.vmid) === guest && guest.running === undefined) {
      guest.isRebootRequested = false;
      beginProcess(host, guest);
    }
  });
  if (hasEnded && host.findGuest(guest.vmid) === guest && guest.view().pending.size > 0 && !host.isReadOnly) applyLxcPending(host, guest, guest.load());
}

/** POST /status/shutdown: asks, waits, and kills if forced. */
export async function shutdownLxc(call: PowerCall): Promise<string> {
  const { host, vmid, values } = call;
  needRunning(call);
  if (haStateOf(host, "lxc", vmid) !== undefined) return forkHa(call, "hastop");
  const seconds = Number(values.get("timeout") ?? SHUTDOWN_TIMEOUT_SECONDS);
  const isForced = values.get("forceStop") === "1";
  return forkLocked(call, "vzshutdown", async (guest, task) => {
    assertUnlocked(guest);
    await shutDownContainer(host, guest, task, seconds, isForced);
  });
}

async function shutDownContainer(host: Host, guest: Guest, task: TaskContext, seconds: number, isForced: boolean): Promise<void> {
  const { running } = guest;
  if (running === undefined) return;
  if (host.traits.honoursShutdown(guest)) host.after(host.traits.shutdownDurationMs, () => endContainer(host, guest, running));
  if (await waitForExit(host, running, seconds * 1000, task)) return;
  if (!isForced) throw Died.because(`command 'lxc-stop -n ${guest.vmid} --nokill --timeout ${seconds}' failed: exit code 1`);
  await kill(host, guest, running, task);
}

/** POST /status/reboot: a shutdown that is followed by a start. */
export async function rebootLxc(call: PowerCall): Promise<string> {
  const { host, values } = call;
  needRunning(call, "VM");
  const seconds = Number(values.get("timeout") ?? SHUTDOWN_TIMEOUT_SECONDS);
  return forkLocked(call, "vzreboot", async (guest, task) => {
    if (guest.running === undefined) return;
    guest.isRebootRequested = true;
    try {
      await shutDownContainer(host, guest, task, seconds, true);
    } catch (error) {
      guest.isRebootRequested = false;
      throw error;
    }
    await task.sleep(START_DURATION_MS);
  });
}

/** Checkpointing is not part of a normal host: the tool is there and fails. */
export async function suspendLxc(call: PowerCall): Promise<string> {
  needRunning(call);
  return forkLocked(call, "vzsuspend", async (guest) => {
    assertUnlocked(guest);
    throw Died.because(`command 'lxc-checkpoint -n ${guest.vmid} -s -D /var/lib/vz/dump' failed: exit code 1`);
  });
}

/** POST /status/resume: of a checkpoint, which there never is. */
export async function resumeLxc(call: PowerCall): Promise<string> {
  const { host, vmid } = call;
  if (host.findGuest(vmid)?.running !== undefined) throw Died.because(`CT ${vmid} already running`);
  return host.tasks.start("vzresume", String(vmid), call.caller, async () => {
    throw Died.because(`command 'lxc-checkpoint -n ${vmid} -r --foreground -D /var/lib/vz/dump' failed: exit code 1`);
  }).upid;
}

function forkHa(call: PowerCall, type: "hastart" | "hastop"): string {
  const { host, vmid, caller } = call;
  return host.tasks.start(type, String(vmid), caller, async (task) => {
    task.print(`Requesting HA ${type === "hastart" ? "start" : "stop"} for CT ${vmid}`);
    setHaState(host, "lxc", vmid, type === "hastart" ? "started" : "stopped");
    host.after(HA_ROUND_MS, () => actForHa(call, type));
    await task.sleep(KILL_DURATION_MS);
  }).upid;
}

function actForHa(call: PowerCall, type: "hastart" | "hastop"): void {
  const { host, vmid } = call;
  const guest = host.findGuest(vmid);
  if (guest === undefined || host.stopped.aborted || (type === "hastart") === (guest.running !== undefined)) return;
  const asHost = { user: "root@pam", tokenId: undefined };
  host.tasks.start(type === "hastart" ? "vzstart" : "vzshutdown", String(vmid), asHost, (task) =>
    type === "hastart" ? startContainer(host, guest, task, false) : shutDownContainer(host, guest, task, SHUTDOWN_TIMEOUT_SECONDS, true),
  );
}
