import type { ApiAnswer, ApiCall, HostChange, HostEdit, HostFault, SimulatedNode, VmListEntry } from "../../src/simulator/api.ts";

/** A node without a host: remembers what it was asked and answers what it was told. For tests of what stands around a node. */
export class FakeNode implements SimulatedNode {
  readonly name = "pve1";
  readonly calls: ApiCall[] = [];
  readonly edits: HostEdit[] = [];
  readonly faults: HostFault[] = [];
  answer: (call: ApiCall) => ApiAnswer | Promise<ApiAnswer> = (call) => ({ status: 200, data: null, isProxied: call.method !== "GET" });
  ids: Record<string, VmListEntry> = {};
  running: { kind: "qemu" | "lxc"; vmid: number }[] = [];
  tasks: string[] = [];
  datacenter = "";
  ha = "";
  version = 1;
  isStopped = false;
  readonly #listeners = new Set<(change: HostChange) => void>();

  handle(call: ApiCall): Promise<ApiAnswer> {
    this.calls.push(call);
    return Promise.resolve(this.answer(call));
  }

  isProxied(method: string): boolean {
    return method !== "GET";
  }

  edit(edit: HostEdit): Promise<{ ok: true } | { ok: false; message: string }> {
    this.edits.push(edit);
    return Promise.resolve(edit.vmid === 404 ? { ok: false, message: "no guest 404" } : { ok: true });
  }

  addFault(fault: HostFault): () => void {
    this.faults.push(fault);
    return () => void this.faults.splice(this.faults.indexOf(fault), 1);
  }

  change(change: HostChange): void {
    this.version++;
    for (const listener of this.#listeners) listener(change);
  }

  vmlist(): { version: number; ids: Record<string, VmListEntry> } {
    return { version: this.version, ids: this.ids };
  }

  clusterVersion(): Record<string, unknown> {
    return { starttime: 1_700_000_000, vmlist: this.version };
  }

  activeTasks(): readonly string[] {
    return this.tasks;
  }

  runningGuests(): readonly { kind: "qemu" | "lxc"; vmid: number }[] {
    return this.running;
  }

  datacenterConfig(): string {
    return this.datacenter;
  }

  haResources(): string {
    return this.ha;
  }

  onChange(callback: (change: HostChange) => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  stop(): void {
    this.isStopped = true;
  }
}
