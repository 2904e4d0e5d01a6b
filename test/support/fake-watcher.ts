import type { HostSnapshot, HostWatcher } from "../../src/proxmox/host-watcher.ts";
import type { HostProblem } from "../../src/proxmox/run-states.ts";
import { DEFAULT_TAG_STYLE, type TagStyle } from "../../src/guest/host-facts.ts";
import type { HaResource } from "../../src/ports/proxmox-api.ts";
import type { FakeProxmox } from "./fake-proxmox.ts";

/**
 * The files of a fake node's host, as the real watcher tells them: run states live (a paused guest
 * runs), a counter a guest that moves with its config, the running tasks. The first poll is the
 * baseline and reports no changes; what changed is told once.
 */
export class FakeWatcher implements HostWatcher {
  problems: HostProblem[] = [];
  starttime = 1;
  tagStyle: TagStyle | null = DEFAULT_TAG_STYLE;
  haResources: readonly HaResource[] | null = [];
  polls = 0;
  readonly #proxmox: FakeProxmox;
  #before: { readonly starttime: number; readonly configs: ReadonlyMap<number, string>; readonly states: ReadonlyMap<number, "running" | "stopped"> } | undefined;

  constructor(proxmox: FakeProxmox) {
    this.#proxmox = proxmox;
  }

  isPresent(): boolean {
    return true;
  }

  poll(): HostSnapshot {
    this.polls++;
    const guests = this.#proxmox.guests();
    const configs = new Map(guests.map((guest) => [guest.vmid, `${guest.kind} ${guest.node} ${JSON.stringify([guest.running, guest.pending])}`]));
    const here = guests.filter((guest) => guest.node === this.#proxmox.node);
    const states = new Map(here.map((guest): [number, "running" | "stopped"] => [guest.vmid, guest.runState === "stopped" ? "stopped" : "running"]));
    const before = this.#before;
    this.#before = { starttime: this.starttime, configs, states };
    return {
      starttimeChanged: before !== undefined && before.starttime !== this.starttime,
      vmlist: new Map(guests.map((guest) => [guest.vmid, { kind: guest.kind, node: guest.node, version: 1 }])),
      changed: before === undefined ? [] : differing(before.configs, configs),
      runStateChanged: before === undefined ? [] : differing(before.states, states).filter((vmid) => before.states.has(vmid) && states.has(vmid)),
      runStates: states,
      activeTasks: this.#proxmox.tasks().filter((task) => task.isRunning),
      tagStyle: this.tagStyle,
      haResources: this.haResources,
      problems: this.problems,
    };
  }
}

function differing<T>(before: ReadonlyMap<number, T>, after: ReadonlyMap<number, T>): number[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((vmid) => before.get(vmid) !== after.get(vmid)).sort((a, b) => a - b);
}
