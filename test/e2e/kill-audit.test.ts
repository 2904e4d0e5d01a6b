import { describe, expect, test } from "bun:test";
import { auditCampaign, type CampaignRecords } from "./kill-audit.ts";

/** The audit of the kill campaign finds what it is there to find. */

const AT = Date.UTC(2026, 0, 1);
const at = (ms: number): string => new Date(AT + ms).toISOString();
const line = (record: object): string => `${JSON.stringify(record)}\n`;

function planned(op: string, ms: number, key?: string): string {
  const operation = { guest: { kind: "qemu", vmid: 100 }, action: "start", ...(key === undefined ? {} : { key }) };
  return line({ kind: "planned", at: at(ms), op, operation });
}

const event = (op: string, ms: number, type: string): string => line({ kind: "event", at: at(ms), op, event: { type } });
const request = (ms: number) => ({ atMs: AT + ms, method: "POST", path: "/api2/json/nodes/pve1/qemu/100/status/start" });
const TOLD = '<6>{"message":"acted","guest":"qemu/100","action":"start","outcome":"succeeded"}';
const DONE = planned("a", 0) + event("a", 1, "start") + event("a", 9, "succeed");

function audit(records: Partial<CampaignRecords>): string {
  try {
    return JSON.stringify(auditCampaign({ journal: DONE, requests: [], told: "", restarted: [], ...records }));
  } catch (error) {
    return String(error);
  }
}

test("an act that was begun, sent, told and kept is in order", () => {
  expect(audit({ requests: [request(5)], told: TOLD })).toBe('{"operations":1,"requests":1,"states":{"succeeded":1},"acknowledged":1,"keys":0}');
});

test("one that was begun and never sent is in order: it died before", () => {
  expect(audit({})).toContain('"operations":1,"requests":0');
});

describe("it finds", () => {
  const rows: readonly (readonly [string, Partial<CampaignRecords>, string])[] = [
    ["a request before its intent", { requests: [request(0)] }, "no operation was begun for it"],
    ["a request after its outcome", { requests: [request(10)] }, "no operation was begun for it"],
    ["a request of another kind", { requests: [{ ...request(5), path: "/api2/json/nodes/pve1/qemu/100/status/stop" }] }, "no operation was begun for it"],
    ["a request for another guest", { requests: [{ ...request(5), path: "/api2/json/nodes/pve1/qemu/101/status/start" }] }, "no operation was begun for it"],
    ["two requests for one operation", { requests: [request(5), request(6)] }, "2 requests for the one operation a"],
    ["an intent that was planned and not begun", { journal: planned("a", 0), requests: [request(5)] }, "no operation was begun for it"],
    ["an act told as done that the journal does not have", { told: `${TOLD}\n${TOLD}` }, "was told as done 2 times, the journal has 1"],
    ["a key that was used twice", { journal: planned("a", 0, "k") + event("a", 1, "start") + event("a", 2, "lose") + planned("b", 3, "k") + event("b", 4, "start") + event("b", 5, "succeed") }, "key k was used by a (unknown), b (succeeded)"],
    ["a restart answered with success that the journal does not have", { restarted: ["k"] }, "key k was answered with success"],
  ];
  test.each(rows)("%s", (_, records, found) => {
    expect(audit(records)).toContain(found);
  });

  test("but not a key that was used again after a failure, which frees it", () => {
    const journal = planned("a", 0, "k") + event("a", 1, "start") + event("a", 2, "fail") + planned("b", 3, "k") + event("b", 4, "start") + event("b", 5, "succeed");
    expect(audit({ journal })).toContain('"keys":1');
  });
});
