import type { RunState } from "../guest/observed.ts";

/**
 * Which guests status/current is asked about although no power act is planned: Proxmox's guest list
 * calls a paused VM running. At each resync those whose turn it is; one that was found paused at every
 * look, until it is not.
 */

/** Asked in one resync: at some 15 ms each, three seconds of one of pvedaemon's three workers. The others come with the next. */
export const STATUS_READS_PER_RESYNC_MAX = 200;

export class StatusTurns {
  readonly #wanted = new Set<number>();
  readonly #paused = new Set<number>();
  #next = 0;

  /** A resync begins. `vmids`: VMs declared running that the list calls running, in any constant order. */
  begin(vmids: readonly number[]): void {
    const count = Math.min(vmids.length, STATUS_READS_PER_RESYNC_MAX);
    for (let index = 0; index < count; index++) {
      const vmid = vmids[(this.#next + index) % vmids.length];
      if (vmid !== undefined) this.#wanted.add(vmid);
    }
    this.#next = vmids.length === 0 ? 0 : (this.#next + count) % vmids.length;
  }

  wants(vmid: number): boolean {
    return this.#wanted.has(vmid) || this.#paused.has(vmid);
  }

  /** What status/current said. */
  note(vmid: number, runState: RunState): void {
    this.#wanted.delete(vmid);
    if (runState === "paused") this.#paused.add(vmid);
    else this.#paused.delete(vmid);
  }

  forget(vmid: number): void {
    this.#wanted.delete(vmid);
    this.#paused.delete(vmid);
  }
}
