import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CONDITION_STATUSES, formatTransition, GUEST_CONDITIONS, HOST_CONDITIONS, type GuestConditionType, type TransitionEvent } from "../../src/conditions/condition.ts";
import { ConditionTracker } from "../../src/conditions/tracker.ts";

/** Events that are kept. */
const EVENT_COUNT_MAX = 500;
const GUEST = { kind: "qemu", vmid: 101 } as const;
const at = (nowMs: number, generation = "r1"): { nowMs: number; generation: string } => ({ nowMs, generation });

function tracked(): { tracker: ConditionTracker; events: TransitionEvent[] } {
  const events: TransitionEvent[] = [];
  return { tracker: new ConditionTracker(0, (event) => void events.push(event)), events };
}

describe("host conditions", () => {
  test("all of them are there from the start, unknown", () => {
    const { tracker, events } = tracked();
    expect(tracker.host().map(({ type, status, reason }) => `${type} ${status} ${reason}`)).toEqual(Object.keys(HOST_CONDITIONS).map((type) => `${type} Unknown Starting`));
    expect(events).toEqual([]);
  });

  test("one event a transition, none for what is said again", () => {
    const { tracker, events } = tracked();
    for (let pass = 0; pass < 10; pass++) tracker.setHost("ProxmoxReachable", "True", "Reachable", "", at(pass * 1000));
    for (let pass = 10; pass < 20; pass++) tracker.setHost("ProxmoxReachable", "False", "Unreachable", `try ${pass}`, at(pass * 1000));
    expect(events.map((event) => `${event.from}>${event.to} ${event.reason} ${event.message} ${event.at}`)).toEqual([
      "Unknown>True Reachable  1970-01-01T00:00:00.000Z",
      "True>False Unreachable try 10 1970-01-01T00:00:10.000Z",
    ]);
  });

  test("another reason is news, though the time of the transition stays that of the status", () => {
    const { tracker, events } = tracked();
    tracker.setHost("ProxmoxReachable", "False", "Unreachable", "a", at(1_000));
    tracker.setHost("ProxmoxReachable", "False", "Untrusted", "b", at(2_000, "r2"));
    expect(events).toHaveLength(2);
    expect(tracker.hostCondition("ProxmoxReachable")).toEqual({ type: "ProxmoxReachable", status: "False", reason: "Untrusted", message: "b", lastTransitionTime: "1970-01-01T00:00:01.000Z", observedGeneration: "r2" });
  });

  test("are counted for ever, and kept up to a number", () => {
    const { tracker } = tracked();
    for (let count = 0; count < 700; count++) tracker.setHost("ProxmoxReachable", count % 2 === 0 ? "True" : "False", count % 2 === 0 ? "Reachable" : "Unreachable", "", at(count));
    expect([tracker.eventCount(), tracker.events().length]).toEqual([700, EVENT_COUNT_MAX]);
  });

  test("the newest message is shown although it is no event", () => {
    const { tracker, events } = tracked();
    tracker.setHost("JournalReady", "False", "Full", "1 MB left", at(1));
    tracker.setHost("JournalReady", "False", "Full", "0 MB left", at(2));
    expect([tracker.hostCondition("JournalReady")?.message, events.length]).toEqual(["0 MB left", 1]);
  });
});

describe("guest conditions", () => {
  test.each([["Synced", "True", 0], ["Synced", "False", 1], ["Synced", "Unknown", 1], ["Held", "False", 0], ["Held", "True", 1], ["OutcomeUnknown", "False", 0], ["OutcomeUnknown", "True", 1]] as const)("%s that starts out %s is %p event(s)", (type, status, count) => {
    const { tracker, events } = tracked();
    tracker.setGuest(GUEST, type, status, GUEST_CONDITIONS[type].reasons[0], "", at(1));
    expect(events).toHaveLength(count);
  });

  test("belong to the guest: its own events, its own list, by vmid", () => {
    const { tracker, events } = tracked();
    tracker.setGuest({ kind: "lxc", vmid: 200 }, "Synced", "False", "Drifted", "x", at(1));
    tracker.setGuest(GUEST, "Synced", "False", "Drifted", "y", at(2));
    tracker.setGuest(GUEST, "Synced", "True", "InSync", "", at(3));
    expect(tracker.guests().map(({ guest, conditions }) => `${guest.kind}/${guest.vmid} ${conditions.map((condition) => condition.status).join()}`)).toEqual(["qemu/101 True", "lxc/200 False"]);
    expect(events.map(formatTransition)).toEqual(["lxc/200 Synced False Drifted: x", "qemu/101 Synced False Drifted: y", "qemu/101 Synced True InSync"]);
    expect([tracker.guestCondition(101, "Held"), tracker.guest(999)]).toEqual([undefined, []]);
  });

  test("start over when the number is a guest of another kind", () => {
    const { tracker } = tracked();
    tracker.setGuest(GUEST, "Held", "True", "Locked", "", at(1));
    tracker.setGuest({ kind: "lxc", vmid: 101 }, "Synced", "True", "InSync", "", at(2));
    expect(tracker.guests()).toMatchObject([{ guest: { kind: "lxc", vmid: 101 }, conditions: [{ type: "Synced" }] }]);
  });

  test("are gone when the guest is forgotten", () => {
    const { tracker } = tracked();
    tracker.setGuest(GUEST, "Synced", "True", "InSync", "", at(1));
    tracker.forgetGuest(101);
    tracker.forgetGuest(101);
    expect([tracker.guests(), tracker.guest(101)]).toEqual([[], []]);
  });
});

describe("bounds", () => {
  test("the newest events are kept, the oldest go", () => {
    const { tracker, events } = tracked();
    for (let flip = 0; flip < EVENT_COUNT_MAX + 50; flip++) tracker.setHost("QuorumOk", flip % 2 === 0 ? "True" : "False", flip % 2 === 0 ? "Quorate" : "NoQuorum", String(flip), at(flip));
    expect(events).toHaveLength(EVENT_COUNT_MAX + 50);
    expect(tracker.events()).toHaveLength(EVENT_COUNT_MAX);
    expect([tracker.events()[0]?.message, tracker.events().at(-1)?.message]).toEqual(["50", String(EVENT_COUNT_MAX + 49)]);
  });

  test("a message of pages is cut", () => {
    const { tracker, events } = tracked();
    tracker.setGuest(GUEST, "Synced", "False", "ActFailed", "x".repeat(100_000), at(1));
    const message = tracker.guestCondition(101, "Synced")?.message ?? "";
    expect([message.length, message.endsWith("…"), events[0]?.message]).toEqual([1_001, true, message]);
  });
});

test("what stands is what was said last; events are exactly the changes of status or reason (property)", () => {
  const saying = fc.record({
    vmid: fc.integer({ min: 101, max: 103 }),
    type: fc.constantFrom<GuestConditionType>("Synced", "Held", "Paused"),
    status: fc.constantFrom(...CONDITION_STATUSES),
    reason: fc.integer({ min: 0, max: 1 }),
  });
  fc.assert(fc.property(fc.array(saying, { maxLength: 100 }), (sayings) => {
    const { tracker, events } = tracked();
    const last = new Map<string, string>();
    let expected = 0;
    sayings.forEach(({ vmid, type, status, reason }, index) => {
      const word = GUEST_CONDITIONS[type].reasons[reason] ?? "";
      const key = `${vmid} ${type}`;
      const before = last.get(key);
      const isQuiet = before === undefined && status === (type === "Synced" ? "True" : "False");
      if (before !== `${status} ${word}` && !isQuiet) expected++;
      last.set(key, `${status} ${word}`);
      tracker.setGuest({ kind: "qemu", vmid }, type, status, word as never, "", at(index));
    });
    expect(events).toHaveLength(expected);
    for (const [key, stands] of last) {
      const [vmid, type] = key.split(" ");
      const condition = tracker.guestCondition(Number(vmid), type as GuestConditionType);
      expect(`${condition?.status} ${condition?.reason}`).toBe(stands);
    }
  }));
});
