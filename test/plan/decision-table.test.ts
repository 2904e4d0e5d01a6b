import { describe, expect, test } from "bun:test";
import { DESIRED_MODES, DESIRED_RUN_STATES, type DesiredMode, type DesiredRunState } from "../../src/desired/model.ts";
import type { RunState } from "../../src/guest/observed.ts";
import type { GuestSituation } from "../../src/plan/input.ts";
import { planGuest } from "../../src/plan/plan-guest.ts";
import { type Action, HOLD_REASONS, type HoldReason } from "../../src/plan/types.ts";
import { desiredGuest, HOST_FACTS, observedGuest, type ObservedOverrides } from "../support/guests.ts";

/** Every circumstance that may hold a guest, with the scope its hold must have. */
const CIRCUMSTANCES: readonly { readonly hold: HoldReason | undefined; readonly scope: "all" | "power" | "start"; readonly observed: ObservedOverrides; readonly situation: GuestSituation }[] = [
  { hold: undefined, scope: "all", observed: {}, situation: {} },
  { hold: undefined, scope: "all", observed: { ha: { isManaged: false } }, situation: {} },
  { hold: undefined, scope: "all", observed: { ha: { isManaged: true, state: "ignored" } }, situation: {} },
  { hold: "Paused", scope: "all", observed: {}, situation: { pausedReason: "" } },
  { hold: "ActUnsettled", scope: "all", observed: {}, situation: { isActUnsettled: "start, outcome unknown" } },
  { hold: "Locked", scope: "all", observed: { lock: "backup" }, situation: {} },
  { hold: "NoQuorum", scope: "all", observed: {}, situation: { hasNoQuorum: true } },
  { hold: "Template", scope: "power", observed: { isTemplate: true }, situation: {} },
  { hold: "HaManaged", scope: "power", observed: { ha: { isManaged: true, state: "started" } }, situation: {} },
  { hold: "HaManaged", scope: "power", observed: { ha: { isManaged: true } }, situation: {} },
  { hold: "ForeignTask", scope: "power", observed: {}, situation: { foreignTask: "vzdump by root@pam" } },
  { hold: "BulkTask", scope: "power", observed: {}, situation: { bulkTask: "startall by root@pam" } },
  { hold: "WaitingForOrder", scope: "start", observed: {}, situation: { mustWaitForOrder: "guest 100 starts first" } },
];

const RUN_STATES: readonly RunState[] = ["running", "stopped", "paused", "unknown"];
const STATES: readonly (DesiredRunState | undefined)[] = [...DESIRED_RUN_STATES, undefined];

interface Row {
  readonly mode: DesiredMode;
  readonly state: DesiredRunState | undefined;
  readonly runState: RunState;
  readonly hasDrift: boolean;
  readonly shutdownFailed: boolean;
  readonly circumstance: (typeof CIRCUMSTANCES)[number];
}

const ROWS: readonly Row[] = DESIRED_MODES.flatMap((mode) => STATES.flatMap((state) => RUN_STATES.flatMap((runState) =>
  [true, false].flatMap((hasDrift) => [true, false].flatMap((shutdownFailed) =>
    CIRCUMSTANCES.map((circumstance) => ({ mode, state, runState, hasDrift, shutdownFailed, circumstance })))))));

/** The acts that the declaration asks for, before any hold: written out, not computed the planner's way. */
function wantedActs({ state, runState, hasDrift, shutdownFailed }: Row): readonly Action["type"][] {
  const config: readonly Action["type"][] = hasDrift && state !== "absent" ? ["set_config"] : [];
  if (state === "running" && runState === "stopped") return [...config, "start"];
  if (state === "stopped" && runState === "running" && !shutdownFailed) return [...config, "shutdown"];
  return config;
}

function expectedDeferred({ state, runState, shutdownFailed }: Row): readonly string[] {
  if (state === "absent") return ["needs_signature"];
  return state === "stopped" && runState === "running" && shutdownFailed ? ["would_hard_stop"] : [];
}

function planOf({ mode, state, runState, hasDrift, shutdownFailed, circumstance }: Row) {
  return planGuest({
    desired: desiredGuest({ mode, state, config: { cores: hasDrift ? 4 : 2 } }),
    observed: observedGuest({ runState, ...circumstance.observed }),
    situation: { shutdownFailed, ...circumstance.situation },
    facts: HOST_FACTS,
  });
}

describe(`over the whole product (${ROWS.length} rows)`, () => {
  test("enforced: each act that is asked for is sent or withheld, exactly as the hold's scope says (rows 66 and 85)", () => {
    for (const row of ROWS.filter(({ mode }) => mode === "enforce")) {
      const { hold, scope } = row.circumstance;
      const isHeld = (type: Action["type"]): boolean =>
        hold !== undefined && (scope === "all" || (scope === "power" && type !== "set_config") || (scope === "start" && type === "start"));
      const plan = planOf(row);
      const wanted = wantedActs(row);
      expect([row, plan.actions.map(({ type }) => type)]).toEqual([row, wanted.filter((type) => !isHeld(type))]);
      expect([row, plan.withheld.map(({ type }) => type)]).toEqual([row, wanted.filter(isHeld)]);
    }
  });

  test("observed: everything that is asked for is withheld and nothing is sent", () => {
    for (const row of ROWS.filter(({ mode }) => mode === "observe")) {
      const plan = planOf(row);
      expect([row, plan.standing, plan.actions.length, plan.withheld.map(({ type }) => type)]).toEqual([row, "observed", 0, [...wantedActs(row)]]);
    }
  });

  test("ignored: nothing at all", () => {
    for (const row of ROWS.filter(({ mode }) => mode === "ignore")) {
      expect(planOf(row)).toMatchObject({ standing: "ignored", actions: [], withheld: [], deferred: [], holds: [], restartPending: [] });
    }
  });

  test("what is never done by itself is deferred, held or not", () => {
    for (const row of ROWS.filter(({ mode }) => mode !== "ignore")) {
      expect([row, planOf(row).deferred.map(({ reason }) => reason as string)]).toEqual([row, [...expectedDeferred(row)]]);
    }
  });

  test("a hold is named exactly where it withholds something", () => {
    for (const row of ROWS.filter(({ mode }) => mode === "enforce")) {
      const plan = planOf(row);
      const { hold } = row.circumstance;
      const isStuck = (row.state === "running" || row.state === "stopped") && (row.runState === "paused" || row.runState === "unknown");
      const isNamed = hold !== undefined && plan.holds.some(({ reason }) => reason === hold);
      expect([row, isNamed && !isStuck]).toEqual([row, plan.withheld.length > 0 && !isStuck]);
      expect([row, plan.holds.some(({ reason }) => reason === "GuestPaused")]).toEqual([row, isStuck]);
    }
  });

  test("every reason to hold is in the table", () => {
    const named = new Set(ROWS.flatMap((row) => planOf(row).holds.map(({ reason }) => reason)));
    expect([...named].sort()).toEqual([...HOLD_REASONS].sort());
  });

  test("no message is empty", () => {
    for (const row of ROWS) {
      const plan = planOf(row);
      for (const { message } of [...plan.holds, ...plan.deferred]) expect(message.length).toBeGreaterThan(20);
    }
  });
});

test("several holds are all named", () => {
  const plan = planGuest({
    desired: desiredGuest({ state: "running" }),
    observed: observedGuest({ lock: "migrate", ha: { isManaged: true, state: "started" } }),
    situation: { pausedReason: "at the console", bulkTask: "startall", mustWaitForOrder: "guest 100 starts first" },
    facts: HOST_FACTS,
  });
  expect(plan.holds.map(({ reason }) => reason)).toEqual(["Paused", "Locked", "HaManaged", "BulkTask", "WaitingForOrder"]);
  expect(plan.holds[0]?.message).toContain("at the console");
  expect(plan.holds[1]?.message).toContain('(migrate) until that is done; if nothing is running any more, "qm unlock 101"');
});
