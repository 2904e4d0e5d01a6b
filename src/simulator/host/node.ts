import type { GuestKind } from "../../guest/key.ts";
import type { SimulatedNode } from "../api.ts";
import { editHost } from "./host-edit.ts";
import { Host, type HostOptions } from "./host.ts";
import { HOST_ITSELF } from "./qemu-power.ts";
import { Resources } from "./resources.ts";
import { answerCall, findRoute } from "./router.ts";

/**
 * A simulated Proxmox VE node: guests with their files, tasks, locks and power, behind the same methods
 * as the real API. Promises to answer as a real Proxmox VE 9.2.11 was recorded to answer (status, reason,
 * texts, JSON types, side effects), never kinder. Leaves HTTP, tokens and ACLs to the rooms beside it;
 * replication, backups, firewalls, consoles, guest agents and other nodes are not simulated.
 */

export interface Node extends SimulatedNode {
  /** Kills a task's worker process: its task ends as `unexpected status`, whatever it was doing. */
  killTask(upid: string): void;
  /** The text of a guest's configuration file, undefined where there is no such guest. */
  configFile(vmid: number): string | undefined;
  /** Replaces the text of a guest's configuration file, as an editor would: nothing is checked. */
  putConfigFile(vmid: number, text: string): void;
  /** A guest that was on another node arrives, stopped, with this file. */
  receiveGuest(kind: GuestKind, vmid: number, text: string): void;
  /** Another user's task (a backup, a start of all guests) runs for a while and succeeds; it does nothing by itself. Gives its UPID. */
  runTask(type: string, id: string, durationMs: number): string;
  /** Replaces ha/resources.cfg, as another node of the cluster would. */
  putHaResources(text: string): void;
  /** Takes a guest's lock file, as a process of the host would; the returned function gives it back. */
  holdLock(vmid: number): Promise<() => void>;
}

/** Makes a node that starts from the given files, all guests stopped. */
export function createNode(options: HostOptions): Node {
  const host = new Host(options);
  const resources = new Resources(host);
  return {
    name: host.name,
    handle: (call) => answerCall(host, resources, call),
    isProxied: (method, segments) => findRoute(method, segments)?.route.isProxied ?? false,
    edit: (edit) => Promise.resolve(editHost(host, edit)),
    addFault: (fault) => host.addFault(fault),
    vmlist: () => host.vmlist(),
    clusterVersion: () => host.clusterVersion(),
    activeTasks: () => host.tasks.activeFile(),
    runningGuests: () => host.guests().filter((guest) => guest.running !== undefined).map(({ kind, vmid }) => ({ kind, vmid })),
    datacenterConfig: () => host.datacenter.text,
    haResources: () => host.haConfig,
    onChange: (callback) => host.onChange(callback),
    stop: () => host.stop(),
    killTask: (upid) => host.tasks.kill(upid),
    configFile: (vmid) => host.findGuest(vmid)?.text,
    putConfigFile: (vmid, text) => {
      const guest = host.findGuest(vmid);
      if (guest !== undefined) host.putText(guest, text);
    },
    receiveGuest: (kind, vmid, text) => host.receiveGuest(kind, vmid, text),
    runTask: (type, id, durationMs) => host.tasks.start(type, id, HOST_ITSELF, (task) => task.sleep(durationMs)).upid,
    putHaResources: (text) => host.setHaConfig(text),
    holdLock: (vmid) => host.findGuest(vmid)?.lock.acquire(0) ?? Promise.reject(new Error(`there is no guest ${vmid}`)),
  };
}
