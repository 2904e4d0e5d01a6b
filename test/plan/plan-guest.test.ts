import { describe, expect, test } from "bun:test";
import type { DesiredGuest } from "../../src/desired/model.ts";
import type { DeclaredValue } from "../../src/guest/declared.ts";
import type { ObservedGuest, RawConfig } from "../../src/guest/observed.ts";
import type { GuestPlanInput, GuestSituation } from "../../src/plan/input.ts";
import { planConflict, planGuest } from "../../src/plan/plan-guest.ts";
import type { FieldChange, GuestPlan } from "../../src/plan/types.ts";
import { desiredGuest, HOST_FACTS, observedGuest, type ObservedOverrides } from "../support/guests.ts";

function plan(desired: Partial<DesiredGuest>, observed: ObservedOverrides = {}, situation: GuestSituation = {}): GuestPlan {
  return planGuest({ desired: desiredGuest(desired), observed: observedGuest(observed), situation, facts: HOST_FACTS });
}

function changesOf(guestPlan: GuestPlan): readonly FieldChange[] {
  return guestPlan.actions.flatMap((action) => (action.type === "set_config" ? action.changes : []));
}

function changesFor(config: Record<string, DeclaredValue>, running: RawConfig, overrides: ObservedOverrides = {}): readonly FieldChange[] {
  return changesOf(plan({ config, kind: overrides.kind ?? "qemu" }, { ...overrides, running }));
}

describe("a declared key", () => {
  test("that differs becomes a change with both values, both normal forms, and the config's digest (rows O6 and 10)", () => {
    expect(plan({ config: { cores: 4 } }).actions).toEqual([
      {
        type: "set_config",
        guest: { kind: "qemu", vmid: 101 },
        digest: "d0",
        changes: [{ key: "cores", change: "set", declared: "4", found: "2", foundRaw: "2", send: "4", applies: "now" }],
      },
    ]);
  });

  const inSync: readonly [string, Record<string, DeclaredValue>, RawConfig][] = [
    ["a number and its text", { memory: 2048 }, { memory: "2048" }],
    ["tags in another order and case", { tags: ["Web", "prod"] }, { tags: "prod;web" }],
    ["a default declared, nothing there", { onboot: 0, protection: false }, {}],
    ["null, nothing there", { description: null, net1: null }, {}],
    ["an empty description, nothing there", { description: "" }, {}],
    ["null, an empty value there", { tags: null }, { tags: " " }],
    ["a NIC without its address", { net0: "virtio,bridge=vmbr0" }, { net0: "virtio=BC:24:11:00:01:00,bridge=vmbr0" }],
    ["a NIC of which a part is declared", { net0: { bridge: "vmbr0" } }, { net0: "virtio=BC:24:11:00:01:00,bridge=vmbr0,tag=20" }],
    ["a description with trailing blanks", { description: "Front web server\n" }, { description: "Front web server" }],
    ["text that is there literally, though no normalizer would take it", { cores: "many" }, { cores: "many" }],
  ];
  test.each(inSync)("is in sync: %s", (_, config, running) => {
    expect(plan({ config }, { running })).toMatchObject({ actions: [], withheld: [], deferred: [] });
  });

  test("cdrom is compared with ide2, which it is another name for (row 39)", () => {
    const running = { ide2: "local:iso/x.iso,media=cdrom,size=5M" };
    const planOf = (cdrom: string) => planGuest({ desired: desiredGuest({ config: { cdrom } }), observed: observedGuest({ running }), situation: {}, facts: HOST_FACTS });
    expect([planOf("local:iso/x.iso").actions, planOf("local:iso/x.iso").deferred]).toEqual([[], []]);
    expect(planOf("none").deferred).toMatchObject([{ key: "cdrom", reason: "holds_data", declared: "none,media=cdrom", found: "local:iso/x.iso,media=cdrom" }]);
  });

  test("that is null is deleted", () => {
    expect(changesFor({ tags: null, name: null }, { tags: "a", name: "x" })).toMatchObject([
      { key: "name", change: "delete", send: undefined, foundRaw: "x" },
      { key: "tags", change: "delete", send: undefined, foundRaw: "a" },
    ]);
  });

  test("keeps what it does not declare: addresses and sub-keys", () => {
    const [change] = changesFor({ net0: { bridge: "vmbr1" } }, { net0: "virtio=BC:24:11:00:01:00,bridge=vmbr0,firewall=1,tag=20" });
    expect(change?.send).toContain("BC:24:11:00:01:00");
    expect(change?.send).toContain("bridge=vmbr1");
    expect(change?.send).toContain("tag=20");
    expect(change?.send).toContain("firewall=1");
  });

  test("that cannot be written is deferred with what is wrong, and the others go on", () => {
    const result = plan({ config: { cores: "many", name: "web-2" } });
    expect(result.deferred).toMatchObject([{ key: "cores", reason: "invalid_value", declared: "many", found: "2", message: expect.stringMatching(/^cores: expected/) }]);
    expect(changesOf(result).map(({ key }) => key)).toEqual(["name"]);
  });

  test("that is a secret and cannot be written does not show up in the message", () => {
    const { deferred } = plan({ config: { cipassword: { not: "hunter2" } } });
    expect(deferred.map(({ message }) => message).join()).not.toContain("hunter2");
  });

  const serverOwned: readonly [string, DeclaredValue, boolean][] = [
    ["digest", "d0", false],
    ["digest", "other", true],
    ["meta", "creation-qemu=10.0.13,ctime=1790000000", false],
    ["meta", "ctime=1", true],
    ["meta", null, true],
    ["vmgenid", "1", true],
    ["lock", null, false],
    ["lock", "backup", true],
    ["snaptime", null, false],
    ["parent", "before", true],
  ];
  test.each(serverOwned)("that Proxmox owns (%s: %p) is deferred only when it differs: %p (row 11)", (key, declared, isDeferred) => {
    const result = plan({ config: { [key]: declared } }, { running: { meta: "creation-qemu=10.0.13,ctime=1790000000" } });
    expect(result.actions).toEqual([]);
    expect(result.deferred.map(({ reason }) => reason)).toEqual(isDeferred ? ["server_owned"] : []);
  });

  test("whose default follows another key is compared with what that key will be", () => {
    // Absent balloon means all of memory: declared as today's size, it has to be said once memory grows.
    const grows = changesFor({ memory: 4096, balloon: 2048 }, { memory: "2048" });
    expect(grows.map(({ key }) => key)).toEqual(["balloon", "memory"]);
    const alike = changesFor({ memory: 4096, balloon: 4096 }, { memory: "2048" });
    expect(alike.map(({ key }) => key)).toEqual(["memory"]);
  });
});

describe("pending values", () => {
  const pendingMemory = { runState: "running", running: { memory: "2048" }, pending: [{ key: "memory", change: "set", value: "4096" }] } as const;

  test("a declared value that is pending waits for a restart and is not sent again (row O18)", () => {
    expect(plan({ config: { memory: 4096 } }, pendingMemory)).toMatchObject({
      actions: [], restartPending: [{ key: "memory", running: "2048", pending: "4096" }],
    });
  });

  test("a foreign pending value that differs is overwritten", () => {
    expect(changesOf(plan({ config: { memory: 2048 } }, pendingMemory))).toMatchObject([{ key: "memory", foundRaw: "4096", send: "2048" }]);
  });

  test("a foreign pending value of a key that is not declared is not ours", () => {
    expect(plan({ config: { cores: 2 } }, { ...pendingMemory, running: { memory: "2048", cores: 2 } })).toMatchObject({ actions: [], restartPending: [] });
  });

  test("a pending deletion of what is declared absent waits for a restart", () => {
    const observed = { runState: "running", running: { agent: "1" }, pending: [{ key: "agent", change: "delete", isForced: false }] } as const;
    expect(plan({ config: { agent: null } }, observed)).toMatchObject({ actions: [], restartPending: [{ key: "agent", running: "1", pending: undefined }] });
  });

  test.each(["nameserver", "searchdomain", "env"])("a container's pending %s that is declared absent is deferred, for a deletion would leave it standing (row R2)", (key) => {
    const pending = [{ key, change: "set", value: "10.0.0.1" }] as const;
    for (const running of [{ hostname: "ct" }, { hostname: "ct", [key]: "10.0.0.9" }]) {
      const result = plan({ kind: "lxc", config: { [key]: null } }, { kind: "lxc", runState: "running", running, pending });
      expect(result).toMatchObject({ actions: [], withheld: [], restartPending: [] });
      expect(result.deferred).toEqual([
        { key, reason: "invalid_value", declared: null, found: key === "env" ? "******" : "10.0.0.1", message: expect.stringContaining(`"pct set 101 --revert ${key}"`) },
      ]);
      expect(result.deferred[0]?.message).not.toContain("10.0.0.1");
    }
  });

  test("a container's pending value is overwritten where another is declared, and its volumes stay volumes", () => {
    const observed = { kind: "lxc", runState: "running", running: {}, pending: [{ key: "nameserver", change: "set", value: "10.0.0.1" }, { key: "mp0", change: "set", value: "tank:1,mp=/x" }] } as const;
    expect(changesOf(plan({ kind: "lxc", config: { nameserver: "10.0.0.2" } }, observed))).toMatchObject([{ key: "nameserver", change: "set", send: "10.0.0.2" }]);
    expect(plan({ kind: "lxc", config: { mp0: null } }, observed).deferred).toMatchObject([{ key: "mp0", reason: "holds_data" }]);
  });

  test("a VM's pending value that is declared absent is deleted: Proxmox drops it then", () => {
    expect(changesOf(plan({ config: { memory: null } }, pendingMemory))).toMatchObject([{ key: "memory", change: "delete", send: undefined }]);
  });

  test("a pending value that only spells what runs differently is nothing to wait for", () => {
    const observed = { runState: "running", running: { memory: "2048" }, pending: [{ key: "memory", change: "set", value: "02048" }] } as const;
    expect(plan({ config: { memory: 2048 } }, observed)).toMatchObject({ actions: [], restartPending: [] });
  });

  test("a NIC whose deletion somebody left pending comes back with its address", () => {
    const net0 = "virtio=BC:24:11:00:01:00,bridge=vmbr0";
    const observed = { runState: "running", running: { net0 }, pending: [{ key: "net0", change: "delete", isForced: false }] } as const;
    expect(changesOf(plan({ config: { net0: "virtio,bridge=vmbr0" } }, observed))).toMatchObject([{ key: "net0", foundRaw: undefined, send: net0 }]);
  });

  test("a change says when it applies", () => {
    const applies = changesFor({ cores: 4, name: "web-2" }, { cores: 2, name: "web-1" }, { runState: "running" }).map(({ key, applies }) => [key, applies]);
    expect(applies).toEqual([["cores", "next restart"], ["name", "now"]]);
  });
});

describe("requests", () => {
  const keysOf = (guestPlan: GuestPlan): readonly (readonly string[])[] =>
    guestPlan.actions.map((action) => (action.type === "set_config" ? action.changes.map(({ key }) => key) : [action.type]));

  test("keys without an order share one; NICs have their own, after it; then run state", () => {
    const result = plan({ state: "running", config: { net1: "virtio,bridge=vmbr1", tags: "a", net0: "virtio,bridge=vmbr0", cores: 4 } });
    expect(keysOf(result)).toEqual([["cores", "tags"], ["net0", "net1"], ["start"]]);
    expect(new Set(result.actions.map((action) => (action.type === "set_config" ? action.digest : "d0")))).toEqual(new Set(["d0"]));
  });

  test("a boot order that names a new NIC comes after it", () => {
    expect(keysOf(plan({ config: { boot: "order=net0", net0: "virtio,bridge=vmbr0", cores: 4 } }, { running: { cores: 2, ide2: "none,media=cdrom" } }))).toEqual([["cores"], ["net0"], ["boot"]]);
  });

  test("a boot order over devices that are there has no order", () => {
    const running = { net0: "virtio=BC:24:11:00:01:00,bridge=vmbr0", ide2: "none,media=cdrom", cores: 2 };
    expect(keysOf(plan({ config: { boot: "order=net0", cores: 4 } }, { running }))).toEqual([["boot", "cores"]]);
  });

  test("a boot order over a device that is not there is deferred, and the others go on", () => {
    const result = plan({ config: { boot: "order=scsi7;net0", cores: 4 } });
    expect(keysOf(result)).toEqual([["cores"]]);
    expect(result.deferred).toMatchObject([{ key: "boot", reason: "invalid_value", message: expect.stringContaining("scsi7") }]);
  });

  test("memory and balloon, which Proxmox checks against each other, share one", () => {
    expect(keysOf(plan({ config: { memory: 4096, balloon: 1024, name: "x" } }))).toEqual([["balloon", "memory", "name"]]);
  });
});

describe("standings", () => {
  const input = (overrides: Partial<GuestPlanInput>): GuestPlan =>
    planGuest({ desired: desiredGuest({ state: "running", config: { cores: 4 } }), observed: undefined, situation: {}, facts: HOST_FACTS, ...overrides });
  const nothing = { actions: [], withheld: [], holds: [], restartPending: [] };

  test("a missing guest would be created", () => {
    expect(input({ absence: "missing" })).toMatchObject({ ...nothing, standing: "missing", deferred: [{ key: "state", reason: "would_create", declared: "running", found: null }] });
    expect(input({ absence: "missing", desired: desiredGuest({ config: { cores: 4 } }) })).toMatchObject({ standing: "missing", deferred: [{ reason: "would_create" }] });
  });

  test("a missing guest that is declared absent is in sync", () => {
    expect(input({ absence: "missing", desired: desiredGuest({ state: "absent" }) })).toMatchObject({ ...nothing, standing: "missing", deferred: [] });
  });

  test("a guest that was not read gets nothing, whatever is declared; unreadable is assumed", () => {
    expect(input({})).toMatchObject({ ...nothing, standing: "unreadable", deferred: [] });
    expect(input({ absence: "unreadable", absenceMessage: "403" })).toMatchObject({ ...nothing, standing: "unreadable", message: "403", deferred: [] });
    expect(input({ absence: "on_other_node", absenceMessage: "it is on pve2" })).toMatchObject({ ...nothing, standing: "on_other_node", message: "it is on pve2" });
  });

  test("a guest seen on another node is left to the agent there (row 84)", () => {
    expect(input({ observed: observedGuest({ node: "pve2" }) })).toMatchObject({ ...nothing, standing: "on_other_node", message: expect.stringContaining("pve2") });
  });

  test("a vmid of the other kind is a conflict, not a target", () => {
    expect(input({ observed: observedGuest({ kind: "lxc", running: {} }) })).toMatchObject({ ...nothing, standing: "conflict", message: expect.stringContaining("lxc/101") });
  });

  test("a vmid declared twice names both places", () => {
    const positions = [{ file: "a.yaml", line: 3, column: 5 }, { file: "b.yaml", line: 7, column: 5 }];
    expect(planConflict({ kind: "qemu", vmid: 101 }, "web-1", { vmid: 101, positions })).toMatchObject({
      ...nothing, standing: "conflict", name: "web-1", message: expect.stringContaining("a.yaml:3:5, b.yaml:7:5"),
    });
  });

  test("a guest that exists and is declared absent needs a signature, and its config is not touched", () => {
    expect(plan({ state: "absent", config: { cores: 4 } })).toMatchObject({ actions: [], deferred: [{ key: "state", reason: "needs_signature", found: "stopped" }] });
  });

  test("an ignored guest gets nothing at all", () => {
    expect(plan({ mode: "ignore", state: "running", config: { cores: 4, args: "x" } })).toMatchObject({ ...nothing, standing: "ignored", deferred: [] });
  });

  test("the plan carries no more of its guest than kind, vmid and name", () => {
    const observed: ObservedGuest = observedGuest();
    expect(planGuest({ desired: desiredGuest(), observed, situation: {}, facts: HOST_FACTS })).toMatchObject({ guest: { kind: "qemu", vmid: 101 }, name: "web-1", standing: "managed" });
  });
});
