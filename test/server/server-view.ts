import { HOST_CONDITIONS, type Condition, type ConditionStatus, type TransitionEvent } from "../../src/conditions/condition.ts";
import type { Log, LogFields } from "../../src/ports/log.ts";
import type { GaugeSource } from "../../src/server/gauges.ts";
import { createMetrics } from "../../src/server/metrics.ts";
import type { GuestConditions, ServerView } from "../../src/server/view.ts";

/** The state behind a view; tests change it between requests. */
export interface ViewState {
  liveness: { isAlive: boolean; message: string };
  host: Condition[];
  guests: GuestConditions[];
  events: TransitionEvent[];
  source: GaugeSource;
}

export const BUILD = { version: "1.2.3", commit: "abc1234" };
const HEALTHY_REASON: Readonly<Record<string, string>> = {
  JournalReady: "Healthy", DesiredStateReady: "Loaded", ProxmoxReachable: "Reachable", QuorumOk: "Quorate", FirstFullReadDone: "Done", ClockSane: "Sane",
};

export function condition(type: Condition["type"], status: ConditionStatus, reason: string, message = ""): Condition {
  return { type, status, reason, message, lastTransitionTime: "2026-01-01T00:00:00.000Z", observedGeneration: "r1" };
}

/** Every required condition True; RevisionHeld False. */
export function healthyHost(): Condition[] {
  return Object.entries(HOST_CONDITIONS).map(([type, { isRequired }]) =>
    isRequired
      ? condition(type as Condition["type"], "True", HEALTHY_REASON[type] ?? "")
      : condition(type as Condition["type"], "False", "NotHeld"),
  );
}

/** A view with real metrics over state that a test owns. */
export function viewOf(overrides: Partial<ViewState> = {}): { view: ServerView; state: ViewState } {
  const state: ViewState = {
    liveness: { isAlive: true, message: "" },
    host: healthyHost(),
    guests: [],
    events: [],
    source: gaugeSource({ hostConditions: () => state.host, guestConditions: () => state.guests }),
    ...overrides,
  };
  const view: ServerView = {
    liveness: () => state.liveness,
    hostConditions: () => state.host,
    guestConditions: () => state.guests,
    events: () => state.events,
    metrics: createMetrics(BUILD, state.source),
    ...BUILD,
    node: "pve1",
    journalHead: () => state.source.journalHead(),
  };
  return { view, state };
}

/** Gauges at rest, with what a test gives instead. */
export function gaugeSource(overrides: Partial<GaugeSource> = {}): GaugeSource {
  return {
    hostConditions: () => [],
    guestConditions: () => [],
    guests: () => [],
    driftedFields: () => 0,
    laneDepth: () => 0,
    longestLaneWaitSeconds: () => 0,
    queue: () => ({ depth: { wish: 0, event: 0, resync: 0 }, delayed: 0, running: 0, unfinishedSeconds: 0, longestRunningSeconds: 0 }),
    backoffGuests: () => 0,
    journalRecords: () => 0,
    journalHead: () => undefined,
    refusedKeys: () => 0,
    isToldOfChanges: () => false,
    limits: () => ({}),
    process: () => undefined,
    ...overrides,
  };
}

/** A log that keeps what it is told. */
export function recordingLog(): Log & { readonly lines: { level: string; message: string; fields: LogFields | undefined }[] } {
  const lines: { level: string; message: string; fields: LogFields | undefined }[] = [];
  const at = (level: string) => (message: string, fields?: LogFields) => void lines.push({ level, message, fields });
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
