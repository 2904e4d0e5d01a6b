import type { HostFault } from "../api.ts";

interface Active {
  readonly fault: HostFault;
  readonly released: Promise<void>;
}

/** What is wrong with the host at the moment; each fault holds until it is released. */
export class Faults {
  readonly #active = new Set<Active>();

  add(fault: HostFault): () => void {
    let release: () => void = () => undefined;
    const entry = { fault, released: new Promise<void>((resolve) => (release = resolve)) };
    this.#active.add(entry);
    return () => {
      this.#active.delete(entry);
      release();
    };
  }

  get isReadOnly(): boolean {
    return [...this.#active].some(({ fault }) => fault.kind === "read_only");
  }

  /** What a new task must wait for; the promised text, if any, is what it then dies of. Undefined: nothing is wrong. */
  ofTask(type: string, id: string): Promise<string | undefined> | undefined {
    for (const { fault, released } of this.#active) {
      if (fault.kind === "read_only") continue;
      if ((fault.taskType ?? type) !== type || String(fault.vmid ?? id) !== id) continue;
      return fault.kind === "task_hang" ? released.then(() => undefined) : Promise.resolve(fault.exit);
    }
    return undefined;
  }
}
