import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { allowedKeys } from "../../src/gate/allow-list.ts";
import { admit } from "../../src/gate/admit.ts";
import { assertApproved } from "../../src/gate/assert-approved.ts";
import { GUEST_KINDS, type GuestKind } from "../../src/guest/key.ts";
import type { RawConfig } from "../../src/guest/observed.ts";
import { isCatalogued } from "../../src/normalize/registry.ts";
import { DEFERRED_REASONS, type FieldChange } from "../../src/plan/types.ts";
import { observedGuest } from "../support/guests.ts";
import { change, setConfig } from "./gate-actions.ts";
import parameterKeys from "./parameter-keys.json";

/**
 * What may be sent, written down a second time on purpose: a row that slips into the allow-list must
 * be put here too, by hand, and be looked at.
 */
const HARMLESS: Readonly<Record<GuestKind, { readonly set: readonly string[]; readonly delete: readonly string[] }>> = {
  qemu: {
    set: [
      "agent", "audio0", "balloon", "boot", "citype", "ciupgrade", "ciuser", "cores", "cpu", "cpulimit", "cpuunits", "description",
      "hotplug", "ipconfig[n]", "keyboard", "localtime", "memory", "name", "nameserver", "net[n]", "numa", "onboot", "ostype",
      "protection", "rng0", "searchdomain", "shares", "sockets", "sshkeys", "startup", "tablet", "tags", "vcpus", "vga",
    ],
    delete: [
      "agent", "audio0", "balloon", "boot", "citype", "ciupgrade", "ciuser", "cores", "cpu", "cpulimit", "cpuunits", "description",
      "hotplug", "ipconfig[n]", "keyboard", "localtime", "memory", "name", "nameserver", "numa", "onboot", "ostype",
      "rng0", "searchdomain", "shares", "sockets", "sshkeys", "startup", "tablet", "tags", "vcpus", "vga",
    ],
  },
  lxc: {
    set: [
      "cmode", "console", "cores", "cpulimit", "cpuunits", "debug", "description", "hostname", "memory", "nameserver", "net[n]", "onboot",
      "ostype", "protection", "searchdomain", "startup", "swap", "tags", "timezone", "tty",
    ],
    delete: [
      "cmode", "console", "cores", "cpulimit", "cpuunits", "debug", "description", "hostname", "nameserver", "onboot", "searchdomain",
      "startup", "swap", "tags", "timezone", "tty",
    ],
  },
};

/** Real indices, one past each limit, and other spellings of a number. */
const INDICES = ["0", "1", "7", "31", "32", "255", "00", "01", "-1", "", " 0"];

/** What may stand in a config file but in no parameter list, and what never should. */
const EXTRA_KEYS = [
  "lxc", "lxc.cgroup2.devices.allow", "digest", "pending", "parent", "snaptime", "vmstate", "meta", "running-nets-host-mtu", "vmgenid",
  "__proto__", "constructor", "toString", "hasOwnProperty", "", " ", "NAME", "name ", " name", "name\n", "name\nscsi0", "cores,unused0", "cores;unused0",
  "delete", "cores&delete", "net[0]", "net0.macaddr", "netO", "net٠",
];

function keysOf(kind: GuestKind): readonly string[] {
  const expanded = parameterKeys[kind].flatMap((key) => (key.endsWith("[n]") ? INDICES.map((index) => key.slice(0, -3) + index) : [key]));
  return [...expanded, ...EXTRA_KEYS];
}

/** "net[n]" for a key that Proxmox knows as net0 … net31, and so with ipconfig. */
function nameOf(key: string): string {
  const [, stem, index] = /^(net|ipconfig)(0|[1-9]\d?)$/.exec(key) ?? [];
  return index !== undefined && Number(index) <= 31 ? `${stem}[n]` : key;
}

const MAC = "BC:24:11:00:01:00";
const VALUES = [
  "", " ", "0", "1", "yes", "on", "none", "none,media=cdrom", "local-lvm:32", "local:101/vm-101-disk-0.qcow2,size=32G", "unused0", "scsi0", "root",
  `virtio=${MAC},bridge=vmbr0`, "virtio,bridge=vmbr0", `name=eth0,hwaddr=${MAC.toLowerCase()},bridge=vmbr0`, "x\nscsi0: local:1", "-device foo", "vzdump", "{}",
];

const anyValue = fc.oneof(fc.constantFrom(...VALUES), fc.string());
const anyConfig: fc.Arbitrary<RawConfig> = fc.dictionary(
  fc.constantFrom("net0", "net1", "net31", "scsi0", "unused0", "protection", "name", "template", "lock", "unprivileged"),
  fc.oneof(anyValue, fc.integer({ min: 0, max: 1 })),
);

describe.each([...GUEST_KINDS])("the allow-list of %s", (kind) => {
  test("holds exactly the keys that were looked at one by one", () => {
    const keys = allowedKeys(kind);
    expect(keys.map(([key]) => key).sort()).toEqual([...HARMLESS[kind].set].sort());
    expect(keys.filter(([, allowed]) => allowed.delete).map(([key]) => key).sort()).toEqual([...HARMLESS[kind].delete].sort());
  });

  test("names only keys that Proxmox has", () => {
    const unknown = allowedKeys(kind).map(([key]) => key).filter((key) => !parameterKeys[kind].includes(key));
    expect(unknown).toEqual([]);
  });

  test("names only keys whose values are understood, or an act would be repeated for ever", () => {
    const unknown = allowedKeys(kind).map(([key]) => key.replace("[n]", "31")).filter((key) => !isCatalogued(kind, key));
    expect(unknown).toEqual([]);
  });

  test("is what docs/security.md says it is", () => {
    const text = readFileSync(new URL("../../docs/security.md", import.meta.url), "utf8");
    const documented = (what: "set" | "delete"): string[] => {
      const line = new RegExp(`^\\| ${kind} \\| ${what} \\| (.*) \\|$`, "m").exec(text)?.[1] ?? "";
      return [...line.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "").sort();
    };
    expect(documented("set")).toEqual([...HARMLESS[kind].set].sort());
    expect(documented("delete")).toEqual([...HARMLESS[kind].delete].sort());
  });
});

test("docs/security.md explains every reason for deferring", () => {
  const text = readFileSync(new URL("../../docs/security.md", import.meta.url), "utf8");
  expect(DEFERRED_REASONS.filter((reason) => !text.includes(`| \`${reason}\` |`))).toEqual([]);
});

describe.each([...GUEST_KINDS])("over every parameter of Proxmox's schema for %s", (kind) => {
  const keys = keysOf(kind);

  test("no key off the list is ever approved, set or deleted, whatever the values", () => {
    const anyChange: fc.Arbitrary<FieldChange> = fc
      .record({ key: fc.oneof(fc.constantFrom(...keys), fc.string()), send: fc.option(anyValue, { nil: undefined }), found: fc.option(anyValue, { nil: undefined }) })
      .map(({ key, send, found }) => change(key, send, found));
    const property = fc.property(fc.array(anyChange, { minLength: 1, maxLength: 6 }), anyConfig, (changes, running) => {
      const observed = observedGuest({ kind, running });
      const { approved, deferred } = admit([setConfig(changes, observed)], observed);
      const passed = approved.flatMap((action) => (action.type === "set_config" ? action.changes : []));
      for (const one of passed) expect(HARMLESS[kind][one.change]).toContain(nameOf(one.key));
      expect(passed.length + deferred.length).toBe(changes.length);
    });
    fc.assert(property, { numRuns: 1500 });
  });

  test.each(["set", "delete"] as const)("each key by itself: %s passes exactly for the keys that were looked at", (what) => {
    const observed = observedGuest({ kind, running: {} });
    for (const key of keys) {
      const isExpected = HARMLESS[kind][what].includes(nameOf(key));
      const { approved, deferred } = admit([setConfig([change(key, what === "set" ? "1" : undefined)], observed)], observed);
      expect([key, approved.length, deferred.length]).toEqual([key, isExpected ? 1 : 0, isExpected ? 0 : 1]);
    }
  });

  test("the second look before sending refuses the same keys", () => {
    const observed = observedGuest({ kind, running: {} });
    for (const key of keys) {
      if (key === "__proto__") continue; // cannot be an own key of an object literal; Proxmox has no such key
      const set = { type: "set_config", guest: observed, digest: "d0", set: { [key]: "1" }, delete: [] } as const;
      const remove = { ...set, set: {}, delete: [key] } as const;
      const isAccepted = (request: typeof set | typeof remove): boolean => {
        try {
          assertApproved(request, observed);
          return true;
        } catch {
          return false;
        }
      };
      expect([key, isAccepted(set), isAccepted(remove)]).toEqual([
        key, HARMLESS[kind].set.includes(nameOf(key)), HARMLESS[kind].delete.includes(nameOf(key)),
      ]);
    }
  });
});
