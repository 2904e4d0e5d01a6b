import { describe, expect, test } from "bun:test";
import type { GuestPlanInput, GuestSituation } from "../../src/plan/input.ts";
import { PlanCache } from "../../src/plan/plan-cache.ts";
import { planGuest } from "../../src/plan/plan-guest.ts";
import { planHost } from "../../src/plan/plan-host.ts";
import { desiredGuest, HOST_FACTS, observedGuest, type ObservedOverrides } from "../support/guests.ts";

const desired = desiredGuest({ state: "running", config: { cores: 4 } });

function input(observed: ObservedOverrides = {}, overrides: Partial<GuestPlanInput> = {}): GuestPlanInput {
  return { desired, observed: observedGuest(observed), situation: {}, facts: HOST_FACTS, ...overrides };
}

describe("the plan cache", () => {
  test("gives the same plan object while nothing has changed, though every part was read anew", () => {
    const cache = new PlanCache();
    const first = cache.plan(input());
    expect(cache.plan({ ...input(), situation: {}, facts: { ...HOST_FACTS, tagStyle: { ...HOST_FACTS.tagStyle }, pveVersion: { ...HOST_FACTS.pveVersion } } })).toBe(first);
    expect(cache.plan(input())).toBe(first);
  });

  const different: readonly [string, GuestPlanInput][] = [
    ["the config", input({ digest: "d1", running: { cores: 3 } })],
    ["the run state", input({ runState: "running" })],
    ["the lock", input({ lock: "backup" })],
    ["HA", input({ ha: { isManaged: true, state: "started" } })],
    ["the template flag", input({ isTemplate: true })],
    ["the name", input({ name: "other" })],
    ["the node", input({ node: "pve2" })],
    ["the kind", input({ kind: "lxc" })],
    ["the observation", input({}, { observed: undefined })],
    ["the declaration object", input({}, { desired: { ...desired, config: { cores: 8 } } })],
    ["the facts: node", input({}, { facts: { ...HOST_FACTS, node: "pve9" } })],
    ["the facts: tag style", input({}, { facts: { ...HOST_FACTS, tagStyle: { isOrdered: true, isCaseSensitive: false } } })],
    ["the facts: version", input({}, { facts: { ...HOST_FACTS, pveVersion: { major: 8, minor: 4, patch: 1 } } })],
    ...situations().map((situation): [string, GuestPlanInput] => [`the situation: ${Object.keys(situation).join()}`, input({}, { situation })]),
  ];
  test.each(different)("plans again when %s changed, and as if there were no cache", (_, other) => {
    const cache = new PlanCache();
    const first = cache.plan(input());
    const second = cache.plan(other);
    expect(second).not.toBe(first);
    expect(second).toEqual(planGuest(other));
    expect(cache.plan(input())).toEqual(first);
  });

  test("tells one absence from another", () => {
    const cache = new PlanCache();
    const missing = cache.plan(input({}, { observed: undefined, absence: "missing" }));
    expect(cache.plan(input({}, { observed: undefined, absence: "missing" }))).toBe(missing);
    expect(cache.plan(input({}, { observed: undefined, absence: "unreadable" })).standing).toBe("unreadable");
    expect(cache.plan(input({}, { observed: undefined, absence: "unreadable", absenceMessage: "403" })).message).toBe("403");
  });

  test("keeps one entry a guest and forgets those that are gone", () => {
    const cache = new PlanCache();
    for (const vmid of [101, 102, 103, 101]) cache.plan(input({ vmid }, { desired: { ...desired, vmid } }));
    expect(cache.size).toBe(3);
    cache.retain(new Set([102]));
    expect(cache.size).toBe(1);
  });

  test("is bounded, though nobody says which guests are gone", () => {
    const cache = new PlanCache();
    for (let vmid = 100; vmid < 100 + 50_010; vmid += 1) cache.plan({ desired: { ...desired, vmid }, observed: undefined, situation: {}, facts: HOST_FACTS });
    expect(cache.size).toBe(50_000);
  });

  test("serves a whole host", () => {
    const cache = new PlanCache();
    const inputs = [102, 101].map((vmid) => input({ vmid }, { desired: { ...desired, vmid } }));
    const first = planHost(inputs, (one) => cache.plan(one));
    const second = planHost(inputs, (one) => cache.plan(one));
    expect(first.guests.map(({ guest }) => guest.vmid)).toEqual([101, 102]);
    expect(second.guests[0]).toBe(first.guests[0] as never);
  });
});

function situations(): readonly GuestSituation[] {
  return [
    { pausedReason: "" }, { isActUnsettled: "x" }, { foreignTask: "x" }, { bulkTask: "x" }, { mustWaitForOrder: "x" }, { shutdownFailed: true }, { hasNoQuorum: true },
  ];
}
