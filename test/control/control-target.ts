import type { ControlTarget } from "../../src/control/app.ts";
import type { Operation } from "../../src/journal/types.ts";
import { fault, ok } from "../../src/ports/errors.ts";

/** An agent that remembers what it was told. */
export class FakeAgent implements ControlTarget {
  readonly calls: string[] = [];
  isBroken = false;
  onRunOnce: () => Promise<void> = () => Promise.resolve();
  operationList: readonly Operation[] = [];

  status(): ReturnType<ControlTarget["status"]> {
    if (this.isBroken) throw new Error("a bug");
    this.calls.push("status");
    return {
      version: 1, now: "2026-01-01T00:00:00.000Z",
      agent: { version: "0.1.0", commit: "", node: "pve1", pid: 1, startedAt: "2026-01-01T00:00:00.000Z", isDryRun: false, proxmoxUrl: "https://127.0.0.1:8006", desired: "empty", configProblem: "" },
      revision: { id: "abc", isHeld: false, message: "", declaredGuests: 0 },
      journal: { state: "healthy", message: "", head: { segment: "s", sequence: 1, hash: "h" } },
      conditions: [], guests: [], pauses: [], openOperations: [], events: [], eventCount: 0,
    };
  }

  change(): ReturnType<ControlTarget["change"]> {
    return { version: 1, change: "1", activeGuests: 0 };
  }

  operations(): readonly Operation[] {
    return this.operationList;
  }

  pause: ControlTarget["pause"] = (request) => {
    this.calls.push(`pause ${JSON.stringify(request)}`);
    return Promise.resolve(ok({ target: request.target, reason: request.reason, since: "S" }));
  };

  resume: ControlTarget["resume"] = (target) => {
    this.calls.push(`resume ${target}`);
    return Promise.resolve(target === 404 ? fault("control.refused", "expected a pause of guest 404, found none", new Error("secret cause")) : ok(undefined));
  };

  accept: ControlTarget["accept"] = (revision) => {
    this.calls.push(`accept ${revision}`);
    return Promise.resolve(ok(revision));
  };

  resolve: ControlTarget["resolve"] = (id, outcome, reason) => {
    this.calls.push(`resolve ${id} ${outcome} ${reason}`);
    return Promise.resolve(fault("journal.unknown_operation", `no operation ${id}`));
  };

  async runOnce(): ReturnType<ControlTarget["runOnce"]> {
    this.calls.push("runOnce");
    await this.onRunOnce();
    return { version: 1, exitCode: 0, actions: [], remaining: [], problems: [] };
  }

  selftest: ControlTarget["selftest"] = (vmid) => {
    this.calls.push(`selftest ${vmid}`);
    return Promise.resolve(ok({ version: 1, kind: "qemu", vmid, name: "web", isPassed: true, isRestored: true, steps: [] }));
  };

  restart: ControlTarget["restart"] = (request) => {
    this.calls.push(`restart ${JSON.stringify(request)}`);
    return Promise.resolve(ok({
      version: 1, kind: "qemu", vmid: request.vmid, name: "web", key: request.key, state: "succeeded", isRepeat: false, operation: "op-1", keyExpiresAt: "2026-01-08T00:00:00.000Z",
      message: "it was restarted and runs", applied: ["cores"], stillPending: [],
    }));
  };

  compactJournal: ControlTarget["compactJournal"] = () => {
    this.calls.push("compactJournal");
    return Promise.resolve(ok({ segment: "0000000000000009.journal", records: 3, sizeBytes: 900, removed: [], kept: ["0000000000000001.journal"] }));
  };

  reload: ControlTarget["reload"] = () => {
    this.calls.push("reload");
    return Promise.resolve(ok(undefined));
  };
}
