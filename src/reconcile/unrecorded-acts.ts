import type { GuestKey } from "../guest/key.ts";
import type { Clock } from "../ports/clock.ts";
import type { ProxmoxApi, Upid } from "../ports/proxmox-api.ts";

/**
 * Acts that went on without a journal and whose outcome is not known. Nothing durable remembers them,
 * so this does while the process lives: their guest takes no new act before the settle window has
 * passed or, where the task is known, before it has ended. What is true then shows in the next read.
 */
export class UnrecordedActs {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #open = new Map<number, { readonly untilMs: number; readonly upid: Upid | undefined }>();

  constructor(clock: Clock, windowMs: number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
  }

  /** `sentAtMs` is monotonic. */
  note(guest: GuestKey, sentAtMs: number, upid: Upid | undefined): void {
    this.#open.set(guest.vmid, { untilMs: sentAtMs + this.#windowMs, upid });
  }

  /** What the guest still has to wait for, in words; undefined when it may be acted on. */
  async waitOf(vmid: number, api: Pick<ProxmoxApi, "taskState" | "listTasks">): Promise<string | undefined> {
    const open = this.#open.get(vmid);
    if (open === undefined) return undefined;
    const wait = open.upid === undefined ? (this.#windowWait(open.untilMs) ?? (await powerTaskWait(vmid, api))) : await taskWait(open.upid, api);
    if (wait === undefined) this.#open.delete(vmid);
    return wait;
  }

  #windowWait(untilMs: number): string | undefined {
    const leftMs = untilMs - this.#clock.monotonic();
    return leftMs > 0 ? `an act that could not be journaled got no answer; it may still happen for ${Math.ceil(leftMs / 1000)} s` : undefined;
  }
}

/** Workers of power acts, one of which may be the lost act's. */
const POWER_TASK = /^(?:qm|vz)(?:start|shutdown|reboot)$/;
/** Running tasks of one guest that are looked at; one is usual. */
const TASK_COUNT_MAX = 100;

/** The window is over, and what it was waited for may hang as a task by now. */
async function powerTaskWait(vmid: number, api: Pick<ProxmoxApi, "listTasks">): Promise<string | undefined> {
  const tasks = await api.listTasks({ source: "active", vmid, limit: TASK_COUNT_MAX });
  if (!tasks.ok) return `whether an act that could not be journaled still runs cannot be read: ${tasks.error.message}`;
  const running = tasks.value.find(({ isRunning, type }) => isRunning && POWER_TASK.test(type));
  return running === undefined ? undefined : `task ${running.upid} is running, and may be an act that could not be journaled`;
}

async function taskWait(upid: Upid, api: Pick<ProxmoxApi, "taskState">): Promise<string | undefined> {
  const state = await api.taskState(upid);
  // A task that Proxmox no longer knows does not run any more.
  if (!state.ok) return state.error.code === "proxmox.bad_parameter" ? undefined : `task ${upid} of an act that could not be journaled cannot be read: ${state.error.message}`;
  return state.value.isRunning ? `task ${upid} of an act that could not be journaled is still running` : undefined;
}
