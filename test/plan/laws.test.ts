import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { gatePlan } from "../../src/gate/admit.ts";
import type { DeclaredValue } from "../../src/guest/declared.ts";
import { GUEST_KINDS, type GuestKind } from "../../src/guest/key.ts";
import type { ObservedGuest, RawConfig, RawValue } from "../../src/guest/observed.ts";
import type { GuestPlanInput } from "../../src/plan/input.ts";
import { planGuest } from "../../src/plan/plan-guest.ts";
import { planHost } from "../../src/plan/plan-host.ts";
import type { FieldChange, GuestPlan } from "../../src/plan/types.ts";
import { desiredGuest, HOST_FACTS, observedGuest } from "../support/guests.ts";
import { applyActions, withPendingApplied } from "./proxmox-model.ts";

const MAC = /[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}/;

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,6}[a-z0-9]$/);
const text = fc.oneof(word, fc.constantFrom("two\nlines", "Ünïcode ☃", "trailing  ", "100%", "#hash: x"));
const mac = fc.integer({ min: 0, max: 0xffff }).map((n) => `BC:24:11:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`);
const bridge = fc.constantFrom("vmbr0", "vmbr1");

/** What Proxmox may hold behind a key, and what may be declared for it. */
interface Field {
  readonly key: string;
  readonly kinds: readonly GuestKind[];
  readonly found: fc.Arbitrary<RawValue>;
  readonly declared: fc.Arbitrary<DeclaredValue>;
}

const small = fc.integer({ min: 1, max: 8 });
const count = (key: string, kinds: readonly GuestKind[] = GUEST_KINDS): Field => ({ key, kinds, found: small, declared: fc.oneof(small, small.map(String)) });
const flag = (key: string): Field => ({ key, kinds: GUEST_KINDS, found: fc.constantFrom(0, 1), declared: fc.oneof(fc.boolean(), fc.constantFrom(0, 1)) });
const megabytes = fc.integer({ min: 1, max: 16 }).map((n) => n * 256);
const tags = fc.uniqueArray(word, { minLength: 1, maxLength: 4 });

const FIELDS: readonly Field[] = [
  count("cores"),
  count("sockets", ["qemu"]),
  flag("onboot"),
  { key: "protection", kinds: GUEST_KINDS, found: fc.constantFrom(0, 1), declared: fc.constantFrom(1, true) },
  { key: "memory", kinds: GUEST_KINDS, found: megabytes.map(String), declared: fc.oneof(megabytes, megabytes.map(String)) },
  { key: "balloon", kinds: ["qemu"], found: megabytes, declared: megabytes },
  { key: "swap", kinds: ["lxc"], found: megabytes, declared: megabytes },
  { key: "name", kinds: ["qemu"], found: word, declared: word },
  { key: "hostname", kinds: ["lxc"], found: word, declared: word },
  { key: "description", kinds: GUEST_KINDS, found: text, declared: text },
  { key: "tags", kinds: GUEST_KINDS, found: tags.map((all) => all.toSorted().join(";")), declared: fc.oneof(tags, tags.map((all) => all.join(","))) },
  { key: "startup", kinds: GUEST_KINDS, found: small.map((order) => `order=${order}`), declared: fc.oneof(small.map((order) => `${order},up=30`), small.map((order) => ({ order, down: null }))) },
  { key: "agent", kinds: ["qemu"], found: fc.constantFrom("1", "0", "enabled=1,type=virtio"), declared: fc.constantFrom<DeclaredValue>("1", { enabled: true }, { type: "isa" }) },
  {
    key: "net0", kinds: ["qemu"],
    found: fc.tuple(mac, bridge).map(([address, on]) => `virtio=${address},bridge=${on},firewall=1,tag=20`),
    declared: fc.oneof(bridge.map((on) => `virtio,bridge=${on}`), bridge.map((on) => ({ model: "virtio", bridge: on, tag: null })), bridge.map((on) => ({ bridge: on, rate: 5 }))),
  },
  {
    key: "net0", kinds: ["lxc"],
    found: fc.tuple(mac, bridge).map(([address, on]) => `name=eth0,bridge=${on},hwaddr=${address},ip=dhcp,type=veth`),
    declared: bridge.map((on) => ({ name: "eth0", bridge: on, ip: "dhcp" })),
  },
  { key: "scsi0", kinds: ["qemu"], found: fc.constant("local-lvm:vm-101-disk-0,size=32G,ssd=1"), declared: fc.constantFrom<DeclaredValue>({ size: "64G" }, { storage: "local-lvm", size: "32G" }, "local-lvm:64", null) },
  { key: "unused0", kinds: GUEST_KINDS, found: fc.constant("local-lvm:vm-101-disk-9"), declared: fc.constant(null) },
  { key: "args", kinds: ["qemu"], found: fc.constant("-no-hpet"), declared: fc.constantFrom("-foo", null) },
];

const runStates = fc.constantFrom("running", "stopped" as const);

/** A guest and a declaration over it: any of the fields declared, or null, any of them found. */
const situation: fc.Arbitrary<GuestPlanInput> = fc.constantFrom(...GUEST_KINDS).chain((kind) => {
  const fields = FIELDS.filter(({ kinds }) => kinds.includes(kind));
  const found = fc.record(Object.fromEntries(fields.map(({ key, found: value }) => [key, value])), { requiredKeys: [] });
  const declared = fc.record(
    Object.fromEntries(fields.map(({ key, declared: value }) => [key, fc.oneof({ weight: 4, arbitrary: value }, { weight: 1, arbitrary: fc.constant(null) })])),
    { requiredKeys: [] },
  );
  return fc.record({ running: found, config: declared, runState: runStates, state: fc.constantFrom("running" as const, "stopped" as const, undefined) }).map(
    ({ running, config, runState, state }) => ({
      desired: desiredGuest({ kind, state, config: config as Record<string, DeclaredValue> }),
      observed: observedGuest({ kind, runState, running: running as RawConfig }),
      situation: {},
      facts: HOST_FACTS,
    }),
  );
});

function changesOf(plan: GuestPlan): readonly FieldChange[] {
  return plan.actions.flatMap((action) => (action.type === "set_config" ? action.changes : []));
}

function observedOf(input: GuestPlanInput): ObservedGuest {
  if (input.observed === undefined) throw new Error("expected an observed guest");
  return input.observed;
}

const RUNS = { numRuns: 400 };

describe("for every guest and declaration (property)", () => {
  test("plan, apply, plan: nothing is left to send", () => {
    fc.assert(fc.property(situation, (input) => {
      const observed = observedOf(input);
      const gated = gatePlan(planGuest(input), observed);
      const after = applyActions(observed, gated.actions);
      expect(gatePlan(planGuest({ ...input, observed: after }), after).actions).toEqual([]);
    }), RUNS);
  });

  test("after the next start nothing is pending and still nothing is left to send", () => {
    fc.assert(fc.property(situation, (input) => {
      const observed = observedOf(input);
      const after = withPendingApplied(applyActions(observed, gatePlan(planGuest(input), observed).actions));
      const plan = gatePlan(planGuest({ ...input, observed: after }), after);
      expect([plan.actions, plan.restartPending]).toEqual([[], []]);
    }), RUNS);
  });

  test("only declared keys that differ are changed, each at most once (row O5)", () => {
    fc.assert(fc.property(situation, (input) => {
      const changes = changesOf(planGuest(input));
      for (const { key, declared, found } of changes) {
        expect(Object.keys(input.desired.config)).toContain(key);
        expect(declared).not.toBe(found);
      }
      expect(new Set(changes.map(({ key }) => key)).size).toBe(changes.length);
    }), RUNS);
  });

  test("no hardware address is lost, no volume is ever in an action", () => {
    fc.assert(fc.property(situation, (input) => {
      for (const change of changesOf(gatePlan(planGuest(input), input.observed))) {
        const address = MAC.exec(change.foundRaw ?? "")?.[0];
        if (address !== undefined) expect(change.send).toContain(address);
        expect(change.key).not.toMatch(/^(scsi|unused|rootfs|mp)/);
      }
      expect(changesOf(planGuest(input)).some(({ key }) => /^(scsi|unused|rootfs|mp)/.test(key))).toBe(false);
    }), RUNS);
  });

  test("sub-keys of a NIC that are not declared stay", () => {
    fc.assert(fc.property(situation, (input) => {
      for (const change of changesOf(planGuest(input))) {
        if (change.key === "net0" && change.send !== undefined && (change.foundRaw ?? "").includes("firewall=1")) expect(change.send).toContain("firewall=1");
      }
    }), RUNS);
  });

  test("the order of keys, on either side, changes nothing", () => {
    const reversed = <T>(record: Readonly<Record<string, T>>): Record<string, T> => Object.fromEntries(Object.entries(record).reverse());
    fc.assert(fc.property(situation, (input) => {
      const observed = observedOf(input);
      const config = { ...observed.config, running: reversed(observed.config.running), merged: reversed(observed.config.merged) };
      const other = { ...input, desired: { ...input.desired, config: reversed(input.desired.config) }, observed: { ...observed, config } };
      expect(planGuest(other)).toEqual(planGuest(input));
    }), RUNS);
  });

  test("neither does the order of guests; plans come by vmid", () => {
    fc.assert(fc.property(fc.array(situation, { maxLength: 6 }), fc.infiniteStream(fc.nat()), (inputs, order) => {
      const guests = inputs.map((input, index) => ({
        ...input,
        desired: { ...input.desired, vmid: 100 + index },
        observed: { ...observedOf(input), vmid: 100 + index },
      }));
      const shuffled = guests.map((guest) => ({ guest, rank: order.next().value ?? 0 })).sort((a, b) => a.rank - b.rank).map(({ guest }) => guest);
      const plan = planHost(shuffled);
      expect(plan).toEqual(planHost(guests));
      expect(plan.guests.map(({ guest }) => guest.vmid)).toEqual(guests.map(({ desired }) => desired.vmid));
    }), { numRuns: 60 });
  });

  test("no input is changed", () => {
    fc.assert(fc.property(situation, (input) => {
      const before = JSON.stringify(input);
      planGuest(input);
      expect(JSON.stringify(input)).toBe(before);
    }), RUNS);
  });
});
