import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { DesiredGuest } from "../../src/desired/model.ts";
import { gatePlan } from "../../src/gate/admit.ts";
import { escapeJson, escapeText } from "../../src/plan/escape.ts";
import type { GuestPlanInput } from "../../src/plan/input.ts";
import { planConflict, planGuest } from "../../src/plan/plan-guest.ts";
import { type HostPlan, hostPlanOf } from "../../src/plan/plan-host.ts";
import { renderPlan } from "../../src/plan/render.ts";
import { renderPlanJson } from "../../src/plan/render-json.ts";
import { COLOUR_STYLE, PLAIN_STYLE } from "../../src/plan/render-style.ts";
import { type FieldChange, GUEST_STANDINGS, type GuestPlan } from "../../src/plan/types.ts";
import { desiredGuest, HOST_FACTS, observedGuest, type ObservedOverrides } from "../support/guests.ts";

function guest(desired: Partial<DesiredGuest>, observed: ObservedOverrides | undefined, rest: Partial<GuestPlanInput> = {}): GuestPlan {
  const input = { desired: desiredGuest(desired), observed: observed === undefined ? undefined : observedGuest({ ...observed, vmid: desired.vmid ?? 101 }), situation: {}, facts: HOST_FACTS, ...rest };
  return gatePlan(planGuest(input), input.observed);
}

/** One of everything a plan can say. */
function story(): HostPlan {
  const pending = [{ key: "memory", change: "set", value: "4096" }] as const;
  return hostPlanOf([
    guest({ vmid: 107, mode: "observe", config: { cores: 8 } }, { running: { name: "lab", cores: 1 } }),
    guest(
      { vmid: 101, config: { cores: 4, tags: ["prod", "web"], description: "Front web server\nSecond line\n", name: null, memory: 4096, unused0: null, args: "-foo" } },
      { runState: "running", running: { name: "web-1", cores: 2, memory: "2048", description: "Front", unused0: "local-lvm:vm-101-disk-3" }, pending },
    ),
    guest({ vmid: 102, state: "running", config: { net0: { bridge: "vmbr1" } } }, { running: { name: "db", net0: "virtio=BC:24:11:00:01:02,bridge=vmbr0,firewall=1,tag=20,mtu=1450,queues=4" } }),
    guest({ vmid: 103, state: "stopped", config: { onboot: 1 } }, { runState: "running", lock: "backup", running: { name: "files" } }),
    guest({ vmid: 104, state: "running" }, undefined, { absence: "missing" }),
    guest({ vmid: 105, config: {} }, undefined, { absence: "unreadable", absenceMessage: "Permission check failed (/vms/105, VM.Audit)" }),
    guest({ vmid: 106 }, undefined, { absence: "on_other_node", absenceMessage: "it is on node pve2" }),
    guest({ vmid: 108, mode: "ignore" }, { running: {} }),
    guest({ vmid: 109, config: { cores: 2 } }, { running: { name: "calm", cores: 2 } }),
    planConflict({ kind: "lxc", vmid: 110 }, undefined, { vmid: 110, positions: [{ file: "a.yaml", line: 3, column: 5 }, { file: "b.yaml", line: 9, column: 5 }] }),
  ]);
}

describe("a plan as text", () => {
  test("shows one of everything, aligned (golden)", () => {
    expect(renderPlan(story(), PLAIN_STYLE)).toMatchSnapshot();
  });

  test("has every standing in its story", () => {
    const standings = new Set(story().guests.map(({ standing }) => standing));
    expect([...standings].sort()).toEqual([...GUEST_STANDINGS].sort());
  });

  test("in colour says the same as without", () => {
    const coloured = renderPlan(story(), COLOUR_STYLE);
    expect(coloured).not.toBe(renderPlan(story(), PLAIN_STYLE));
    expect(Bun.stripANSI(coloured)).toBe(renderPlan(story(), PLAIN_STYLE));
  });

  test("of nothing is one line", () => {
    expect(renderPlan(hostPlanOf([]), PLAIN_STYLE)).toBe("Plan: nothing to do; 0 of 0 guests in sync.\n");
  });

  test("shows of long values the place where they part", () => {
    const common = "x".repeat(300);
    const text = renderPlan(hostPlanOf([guest({ config: { description: `${common} new` } }, { running: { description: `${common} old` } })]), PLAIN_STYLE);
    expect(text).toContain("xxx old → …");
    expect(text).toContain("xxx new");
    expect(text.length).toBeLessThan(300);
  });

  test("never shows a secret", () => {
    const plan = hostPlanOf([guestWith({ key: "cipassword", change: "set", declared: "hunter2", found: "hunter1", foundRaw: "hunter1", send: "hunter2", applies: "now" })]);
    for (const text of [renderPlan(plan, PLAIN_STYLE), renderPlanJson(plan)]) {
      expect(text).toContain("cipassword");
      expect(text).not.toContain("hunter");
    }
  });

  test("lets no text of a guest reach the terminal as a control (property)", () => {
    const evil = fc.string({ unit: fc.constantFrom("\u001b[31m", "\u009b", "\r", "\n", "\u0007", "\u202e", "\u2066", "\u200b", "\ud800", "a", "é", "☃", "\\u000a") });
    fc.assert(fc.property(evil, evil, evil, (name, value, key) => {
      const change: FieldChange = { key, change: "set", declared: value, found: value, foundRaw: value, send: `${value}!`, applies: "now" };
      const base = guestWith(change);
      const plan = hostPlanOf([{ ...base, name, deferred: [{ key, reason: "root_only", declared: value, found: value, message: value }], restartPending: [{ key, running: value, pending: value }], holds: [{ reason: "ForeignTask", scope: "power", message: value }] }]);
      for (const text of [renderPlan(plan, PLAIN_STYLE), renderPlanJson(plan)]) {
        // eslint-disable-next-line no-control-regex, no-misleading-character-class
        expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/);
      }
      expect(renderPlan(plan, PLAIN_STYLE).split("\n")).toHaveLength(4 + 3);
    }));
  });
});

describe("a plan as JSON", () => {
  test("has a version and a stable shape (golden)", () => {
    expect(renderPlanJson(story())).toMatchSnapshot();
  });

  test("carries every text whole, whatever is in it (property)", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (value) => {
      const plan = hostPlanOf([guestWith({ key: "description", change: "set", declared: value, found: null, foundRaw: undefined, send: value, applies: "now" })]);
      const document = JSON.parse(renderPlanJson(plan)) as { version: number; guests: { actions: { changes: { send: string }[] }[] }[] };
      expect(document.version).toBe(1);
      expect(document.guests[0]?.actions[0]?.changes[0]?.send).toBe(value);
    }));
  });
});

describe("escaping", () => {
  test("names the usual breaks and spells out the rest", () => {
    expect(escapeText("a\nb\tc\rd\u001b[2Je\u202ef")).toBe("a\\nb\\tc\\rd\\u{1b}[2Je\\u{202e}f");
    expect(escapeText("Ünïcode ☃ 😀")).toBe("Ünïcode ☃ 😀");
  });

  test("keeps JSON equal", () => {
    expect(JSON.parse(escapeJson(JSON.stringify("\u009b\u202e\u007f")))).toBe("\u009b\u202e\u007f");
  });
});

function guestWith(change: FieldChange): GuestPlan {
  return {
    guest: { kind: "qemu", vmid: 101 }, name: "web-1", standing: "managed", withheld: [], deferred: [], holds: [], restartPending: [], drivePending: [], driveUnknown: "", message: "",
    actions: [{ type: "set_config", guest: { kind: "qemu", vmid: 101 }, digest: "d0", changes: [change] }],
  };
}
