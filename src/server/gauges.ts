import { Counter, Gauge, type Registry } from "prom-client";
import type { Condition } from "../conditions/condition.ts";
import { GUEST_KINDS, type GuestKind } from "../guest/key.ts";
import type { ProcessSample } from "../ports/process-sample.ts";
import type { QueueState } from "../reconcile/types.ts";
import { CONDITION_LABELS, GUEST_STATES, QUEUE_PRIORITIES, closedLabel } from "./metric-labels.ts";
import type { GuestConditions, JournalHeadView } from "./view.ts";

/**
 * What is read when somebody scrapes, instead of being kept up to date: a gauge that is computed cannot
 * drift away from what it measures. Every function must answer at once.
 */
export interface GaugeSource {
  hostConditions(): readonly Condition[];
  guestConditions(): Iterable<Pick<GuestConditions, "conditions">>;
  /** One entry a declared guest; `state` is its run state, "absent" when it does not exist here. */
  guests(): Iterable<{ readonly kind: GuestKind; readonly state: string }>;
  driftedFields(): number;
  /** Jobs waiting and running over all lanes. */
  laneDepth(): number;
  longestLaneWaitSeconds(): number;
  /** Which guests are next. */
  queue(): QueueState;
  backoffGuests(): number;
  /** Config keys that Proxmox refused and that are set aside. */
  refusedKeys(): number;
  /** True while the host's own files tell what changed. */
  isToldOfChanges(): boolean;
  /** Records appended since the process started. */
  journalRecords(): number;
  journalHead(): JournalHeadView | undefined;
  /** Every configured limit by name, its unit last ("request_timeout_seconds"). */
  limits(): Readonly<Record<string, number>>;
  process(): ProcessSample | undefined;
}

/** Registers everything that is computed at the scrape. */
export function registerGauges(registry: Registry, source: GaugeSource): void {
  registerConditions(registry, source);
  registerGuests(registry, source);
  registerJournal(registry, source);
  registerQueue(registry, source);
  number(registry, "steward_drifted_fields", "Declared values that differ from what was found, over all guests.", () => source.driftedFields());
  number(registry, "steward_lane_depth", "Jobs waiting and running in the lanes of all guests.", () => source.laneDepth());
  number(registry, "steward_lane_longest_wait_seconds", "How long the job that waits longest has waited so far.", () => source.longestLaneWaitSeconds());
  number(registry, "steward_backoff_guests", "Guests that failed and wait before they are tried again.", () => source.backoffGuests());
  number(registry, "steward_refused_keys", "Config keys that Proxmox refused and that are set aside, over all guests.", () => source.refusedKeys());
  number(registry, "steward_host_files_used", "1 while the host's own files tell what changed, 0 while the API is asked.", () => (source.isToldOfChanges() ? 1 : 0));
  labelled(registry, "steward_limit", "Every bound the agent works by; the unit is the last word of the name.", ["name"], (gauge) => {
    for (const [name, value] of Object.entries(source.limits())) gauge.set({ name }, value);
  });
  registerProcess(registry, source);
}

function registerConditions(registry: Registry, source: GaugeSource): void {
  const help = "How many have this condition now: 0 or 1 for the host's own, a number of guests for the guests'.";
  labelled(registry, "steward_condition", help, ["type", "status", "reason"], (gauge) => {
    for (const labels of CONDITION_LABELS) gauge.set(labels, 0);
    const count = ({ type, status, reason }: Condition): void => gauge.inc({ type, status, reason });
    source.hostConditions().forEach(count);
    for (const guest of source.guestConditions()) guest.conditions.forEach(count);
  });
}

function registerGuests(registry: Registry, source: GaugeSource): void {
  labelled(registry, "steward_guests", "Declared guests by kind and run state.", ["kind", "state"], (gauge) => {
    for (const kind of GUEST_KINDS) for (const state of GUEST_STATES) gauge.set({ kind, state }, 0);
    for (const { kind, state } of source.guests()) gauge.inc({ kind, state: closedLabel(GUEST_STATES, state) });
  });
}

function registerQueue(registry: Registry, source: GaugeSource): void {
  labelled(registry, "steward_queue_depth", "Guests that are ready to be looked at, by who asked.", ["priority"], (gauge) => {
    const { depth } = source.queue();
    for (const priority of QUEUE_PRIORITIES) gauge.set({ priority }, depth[priority]);
  });
  number(registry, "steward_queue_delayed", "Guests that wait for a set time: a backoff, the end of a delay.", () => source.queue().delayed);
  number(registry, "steward_queue_running", "Guests that are being worked on.", () => source.queue().running);
  number(registry, "steward_queue_unfinished_work_seconds", "Time spent so far on the guests that are being worked on, together.", () => source.queue().unfinishedSeconds);
  number(registry, "steward_queue_longest_running_seconds", "How long the guest that is being worked on longest has been so.", () => source.queue().longestRunningSeconds);
}

function registerJournal(registry: Registry, source: GaugeSource): void {
  total(registry, "steward_journal_records_total", "Records appended to the journal since the start.", () => source.journalRecords());
  number(registry, "steward_journal_head_sequence", "Number of the journal's last record.", () => source.journalHead()?.sequence);
  // Only the newest head is shown, so there is one series at a time; the number is a value of its own, not a label.
  const help = "The end of the journal's chain; kept elsewhere it proves that nothing before it was changed.";
  labelled(registry, "steward_journal_head_info", help, ["segment", "hash"], (gauge) => {
    const head = source.journalHead();
    if (head !== undefined) gauge.set({ segment: head.segment, hash: head.hash }, 1);
  });
}

function registerProcess(registry: Registry, source: GaugeSource): void {
  total(registry, "process_cpu_seconds_total", "User and system time spent.", () => source.process()?.cpuSeconds);
  number(registry, "process_resident_memory_bytes", "Resident memory.", () => source.process()?.residentBytes);
  number(registry, "process_virtual_memory_bytes", "Virtual memory.", () => source.process()?.virtualBytes);
  number(registry, "process_open_fds", "Open file descriptors.", () => source.process()?.openFds);
  number(registry, "process_max_fds", "Most file descriptors the process may open.", () => source.process()?.maxFds);
  number(registry, "process_start_time_seconds", "When the process started, in seconds since the epoch.", () => source.process()?.startTimeSeconds);
}

/** A gauge without labels; `read` gives undefined when there is nothing to show. */
function number(registry: Registry, name: string, help: string, read: () => number | undefined): void {
  const gauge: Gauge = new Gauge({
    name, help, registers: [registry],
    collect: () => {
      const value = read();
      if (value === undefined) gauge.remove();
      else gauge.set(value);
    },
  });
}

/** A counter that somebody else counts. */
function total(registry: Registry, name: string, help: string, read: () => number | undefined): void {
  const counter: Counter = new Counter({
    name, help, registers: [registry],
    collect: () => {
      const value = read();
      counter.reset();
      if (value === undefined) counter.remove();
      else counter.inc(value);
    },
  });
}

/** A gauge with labels whose series are all made anew at each scrape, so that what is gone disappears. */
function labelled<T extends string>(registry: Registry, name: string, help: string, labelNames: readonly T[], fill: (gauge: Gauge<T>) => void): void {
  const gauge: Gauge<T> = new Gauge({
    name, help, labelNames, registers: [registry],
    collect: () => {
      gauge.reset();
      fill(gauge);
    },
  });
}
