import type { Guest, Running } from "./guest.ts";
import type { Host } from "./host.ts";
import type { TaskContext } from "./tasks.ts";

/**
 * Guest processes: begun, ended, waited for; and the guest's lock as tasks take it. Ending a QEMU
 * process leaves its cleanup behind, which wants the lock a moment later.
 */

/** How long anything waits for a guest's lock (docs/proxmox.md section 2). */
export const LOCK_TIMEOUT_MS = 10_000;
/** When the cleanup of an ended QEMU process comes around. */
const CLEANUP_DELAY_MS = 200;
const CLEANUP_LOCK_TIMEOUT_MS = 60_000;
/** A guest that is running again when its cleanup gets the lock keeps the cleanup waiting, lock in hand. */
const CLEANUP_PATIENCE_MS = 30_000;

/** Runs `work` with the guest's lock, saying so in the task's log when it must wait. */
export async function withTaskLock<T>(guest: Guest, task: TaskContext, work: () => Promise<T>): Promise<T> {
  let hasWaited = false;
  const release = await guest.lock.acquire(LOCK_TIMEOUT_MS, task.signal, () => {
    hasWaited = true;
    task.print("trying to acquire lock...");
  });
  if (hasWaited) task.print(" OK");
  try {
    return await work();
  } finally {
    release();
  }
}

/** A guest's process begins, whoever started it. */
export function beginProcess(host: Host, guest: Guest): Running {
  const running: Running = { pid: host.nextPid(), startedAtMs: host.clock.now(), isPaused: false, exit: new AbortController() };
  host.beforeChange();
  guest.running = running;
  host.tell({ kind: "run", vmid: guest.vmid });
  return running;
}

/** The process ends, whoever made it; false when it was gone already. `afterCleanup` is told when nothing of it is left. */
export function endProcess(host: Host, guest: Guest, running: Running, afterCleanup?: () => void): boolean {
  if (guest.running !== running) return false;
  host.beforeChange();
  guest.running = undefined;
  running.exit.abort();
  host.tell({ kind: "run", vmid: guest.vmid });
  host.after(CLEANUP_DELAY_MS, () => void cleanUp(host, guest, afterCleanup ?? (() => undefined)));
  return true;
}

async function cleanUp(host: Host, guest: Guest, afterCleanup: () => void): Promise<void> {
  if (host.stopped.aborted) return;
  if (guest.kind === "lxc") return afterCleanup();
  const release = await guest.lock.acquire(CLEANUP_LOCK_TIMEOUT_MS, host.stopped).catch(() => undefined);
  if (release === undefined) return;
  const isRestarted = guest.running !== undefined;
  if (guest.running !== undefined) {
    await host.clock.sleep(CLEANUP_PATIENCE_MS, AbortSignal.any([guest.running.exit.signal, host.stopped]));
  }
  release();
  if (!isRestarted && !host.stopped.aborted) afterCleanup();
}

/** Waits until the process has ended; false when `timeoutMs` passed first. Dies when the task is stopped. */
export async function waitForExit(host: Host, running: Running, timeoutMs: number, task: TaskContext): Promise<boolean> {
  await host.clock.sleep(timeoutMs, AbortSignal.any([running.exit.signal, task.signal]));
  await task.sleep(0);
  return running.exit.signal.aborted;
}
