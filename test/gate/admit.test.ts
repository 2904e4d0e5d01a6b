import { describe, expect, test } from "bun:test";
import { actionDigest } from "../../src/gate/action-digest.ts";
import { admit, gatePlan } from "../../src/gate/admit.ts";
import { assertApproved } from "../../src/gate/assert-approved.ts";
import type { GuestPlan } from "../../src/plan/types.ts";
import type { MutatingRequest } from "../../src/ports/proxmox-api.ts";
import { observedGuest } from "../support/guests.ts";
import { change, setConfig } from "./gate-actions.ts";

const GUEST = { kind: "qemu", vmid: 101 } as const;

describe("admission", () => {
  test("splits a write into what may be sent and what is deferred", () => {
    const { approved, deferred } = admit([setConfig([change("cores", "4"), change("args", "-foo"), change("name", "web")])], observedGuest());
    expect(approved).toEqual([expect.objectContaining({ type: "set_config", digest: "d0", changes: [change("cores", "4"), change("name", "web")] })]);
    expect(deferred.map((one) => [one.key, one.reason])).toEqual([["args", "root_only"]]);
  });

  test("drops a write of which nothing may be sent", () => {
    const { approved, deferred } = admit([setConfig([change("unused0")])], observedGuest());
    expect(approved).toEqual([]);
    expect(deferred.map((one) => one.reason)).toEqual(["holds_data"]);
  });

  test("keeps the order of actions", () => {
    const actions = [setConfig([change("cores", "4")]), setConfig([change("net1", "virtio,bridge=vmbr0")]), { type: "start", guest: GUEST, reason: "" } as const];
    expect(admit(actions, observedGuest()).approved.map((action) => action.type)).toEqual(["set_config", "set_config", "start"]);
  });

  test("judges nothing against another guest, another read, or none", () => {
    const write = setConfig([change("cores", "4")]);
    for (const observed of [undefined, observedGuest({ vmid: 102 }), observedGuest({ kind: "lxc" }), observedGuest({ digest: "d1" })]) {
      expect(admit([write], observed)).toEqual({ approved: [], deferred: [expect.objectContaining({ key: "cores", reason: "not_on_allow_list" })] });
    }
  });
});

describe("a gated plan", () => {
  const plan: GuestPlan = {
    guest: GUEST, name: "web-1", standing: "managed", actions: [], withheld: [], deferred: [], holds: [], restartPending: [], drivePending: [], driveUnknown: "", message: "",
  };
  const locked = { reason: "Locked", scope: "all", message: "" } as const;

  test("moves what is refused from the actions to the deferred", () => {
    const gated = gatePlan({ ...plan, actions: [setConfig([change("cores", "4"), change("template", "1")])] }, observedGuest());
    expect(gated.actions).toEqual([expect.objectContaining({ changes: [change("cores", "4")] })]);
    expect(gated.deferred.map((one) => one.reason)).toEqual(["template"]);
  });

  test("judges what is withheld, too", () => {
    const gated = gatePlan({ ...plan, withheld: [setConfig([change("cores", "4"), change("template", "1")])], holds: [locked] }, observedGuest());
    expect(gated).toMatchObject({ withheld: [{ changes: [{ key: "cores" }] }], holds: [locked], deferred: [{ key: "template" }] });
  });

  test("is not held over what is deferred anyway", () => {
    const paused = { reason: "GuestPaused", scope: "power", message: "" } as const;
    const gated = gatePlan({ ...plan, withheld: [setConfig([change("template", "1")])], holds: [locked, paused] }, observedGuest());
    expect(gated).toMatchObject({ withheld: [], holds: [paused] });
  });

  test("is the same object when there is nothing to judge", () => {
    expect(gatePlan(plan, observedGuest())).toBe(plan);
  });
});

describe("the second look before sending", () => {
  const request: MutatingRequest = { type: "set_config", guest: GUEST, digest: "d0", set: { cores: "4" }, delete: ["tags"] };

  test("lets through what the gate approved", () => {
    expect(() => assertApproved(request, observedGuest())).not.toThrow();
    expect(() => assertApproved({ type: "start", guest: GUEST }, observedGuest())).not.toThrow();
    expect(() => assertApproved({ type: "shutdown", guest: GUEST, timeoutSeconds: 60 }, observedGuest())).not.toThrow();
    expect(() => assertApproved({ type: "shutdown", guest: GUEST }, observedGuest())).not.toThrow();
    expect(() => assertApproved({ type: "reboot", guest: { kind: "qemu", vmid: 101 }, timeoutSeconds: 60 }, observedGuest())).not.toThrow();
  });

  const cases: readonly [string, MutatingRequest, RegExp][] = [
    ["a key that crept in", { ...request, set: { cores: "4", unused0: "x" } }, /unused0/],
    ["a deletion that crept in", { ...request, delete: ["scsi0"] }, /scsi0/],
    ["a request parameter", { ...request, set: { delete: "unused0" } }, /delete: it is a parameter/],
    ["a lost hardware address", { ...request, set: { net0: "virtio,bridge=vmbr0" } }, /hardware address/],
    ["another digest", { ...request, digest: "d1" }, /digest/],
    ["nothing at all", { ...request, set: {}, delete: [] }, /changes nothing/],
    ["a key both set and deleted", { ...request, delete: ["cores"] }, /twice/],
    ["another guest", { ...request, guest: { kind: "lxc", vmid: 101 } }, /approved for qemu\/101/],
    ["a start of another guest", { type: "start", guest: { kind: "qemu", vmid: 102 } }, /approved for qemu\/101/],
    ["a reboot without time", { type: "reboot", guest: { kind: "qemu", vmid: 101 }, timeoutSeconds: 0 }, /timeout/],
    ["a reboot of another guest", { type: "reboot", guest: { kind: "qemu", vmid: 102 }, timeoutSeconds: 60 }, /approved for qemu\/101/],
    ["a shutdown without time", { type: "shutdown", guest: GUEST, timeoutSeconds: 0 }, /timeout/],
  ];
  test.each(cases)("throws for %s", (_, wrong, message) => {
    const observed = observedGuest({ running: { net0: "virtio=BC:24:11:00:01:00,bridge=vmbr0" } });
    expect(() => assertApproved(wrong, observed)).toThrow(message);
  });
});

test("a write without a digest is not sent even when the guest was read without one: Proxmox would check nothing", () => {
  const request: MutatingRequest = { type: "set_config", guest: GUEST, digest: "", set: { cores: "4" }, delete: [] };
  expect(() => assertApproved(request, observedGuest({ digest: "" }))).toThrow(/digest/);
});

describe("an action's digest", () => {
  const base = setConfig([change("cores", "4"), change("name", "web")]);

  test("is the same for the same act, whatever was found, in whatever order, from whatever read", () => {
    const other = setConfig([change("name", "web", "old"), change("cores", "4", "2")], GUEST, "another");
    expect(actionDigest(other)).toBe(actionDigest(base));
    expect(actionDigest(base)).toMatch(/^[0-9a-f]{64}$/);
  });

  test("differs with the guest, the act, a key, a value, and between set and delete", () => {
    const others = [
      setConfig([change("cores", "4"), change("name", "web")], { kind: "lxc", vmid: 101 }),
      setConfig([change("cores", "4"), change("name", "web")], { kind: "qemu", vmid: 102 }),
      setConfig([change("cores", "4")]),
      setConfig([change("cores", "5"), change("name", "web")]),
      setConfig([change("cores"), change("name", "web")]),
      { type: "start", guest: GUEST, reason: "" } as const,
      { type: "shutdown", guest: GUEST, reason: "" } as const,
    ];
    expect(new Set([base, ...others].map(actionDigest)).size).toBe(others.length + 1);
  });

  test("does not depend on a secret's value", () => {
    expect(actionDigest(setConfig([change("cipassword", "one")]))).toBe(actionDigest(setConfig([change("cipassword", "two")])));
  });

  test("stays what it was: recorded verdicts refer to it", () => {
    expect(actionDigest({ type: "start", guest: GUEST, reason: "whatever" })).toBe(
      new Bun.CryptoHasher("sha256").update('["start","qemu",101]').digest("hex"),
    );
  });
});
