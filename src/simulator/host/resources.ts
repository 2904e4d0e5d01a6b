import type { Caller } from "../api.ts";
import type { Guest } from "./guest.ts";
import { haStateOf } from "./ha.ts";
import type { Host } from "./host.ts";
import { statusRow, type Row } from "./status.ts";

/**
 * /cluster/resources: a sample that the host's statistics daemon takes every ten seconds, so names,
 * sizes and run state lag; a guest made since is "unknown". Tags and locks are read fresh
 * (docs/proxmox.md section 2). A sample is taken when it is due and something is about to change, or
 * somebody looks: the same as by a timer, without one.
 */

const SAMPLE_INTERVAL_MS = 10_000;

interface Sample {
  readonly status: Row;
  readonly isTemplate: boolean;
}

/** The sampled view of all guests. */
export class Resources {
  readonly #host: Host;
  readonly #startedAtMs: number;
  #takenAtRound = -1;
  #samples = new Map<number, Sample>();

  constructor(host: Host) {
    this.#host = host;
    this.#startedAtMs = host.clock.monotonic();
    host.onBeforeChange(() => this.#sampleWhenDue());
    this.#sampleWhenDue();
  }

  #sampleWhenDue(): void {
    const round = Math.floor((this.#host.clock.monotonic() - this.#startedAtMs) / SAMPLE_INTERVAL_MS);
    if (round === this.#takenAtRound) return;
    this.#takenAtRound = round;
    this.#samples = new Map(this.#host.guests().map((guest) => [guest.vmid, { status: statusRow(this.#host, guest, false), isTemplate: guest.isTemplate }]));
  }

  guestRows(caller: Caller): Row[] {
    this.#sampleWhenDue();
    const visible = this.#host.guests().filter((guest) => caller.can(`/vms/${guest.vmid}`, "VM.Audit"));
    return [...visible].sort((left, right) => left.vmid - right.vmid).map((guest) => this.#row(guest));
  }

  #row(guest: Guest): Row {
    const row: Row = { id: `${guest.kind}/${guest.vmid}`, vmid: guest.vmid, node: this.#host.name, type: guest.kind, status: "unknown" };
    const sample = this.#samples.get(guest.vmid);
    if (sample !== undefined) Object.assign(row, sampled(sample));
    const { main } = guest.view();
    for (const key of ["tags", "lock"] as const) if (main.has(key)) row[key] = main.get(key);
    const hastate = haStateOf(this.#host, guest.kind, guest.vmid);
    if (hastate !== undefined) row["hastate"] = hastate;
    return row;
  }
}

function sampled(sample: Sample): Row {
  const { status } = sample;
  const same = Object.fromEntries(["name", "status", "uptime", "maxmem", "maxdisk", "cpu", "mem", "disk", "netin", "netout"].map((key) => [key, status[key]]));
  return { ...same, maxcpu: status["cpus"], memhost: 0, diskread: 0, diskwrite: 0, template: sample.isTemplate ? 1 : 0 };
}
