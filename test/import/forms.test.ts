import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { DeclaredValue } from "../../src/guest/declared.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import type { RawConfig, RawValue } from "../../src/guest/observed.ts";
import { isBooleanKey, isBooleanSubKey } from "../../src/import/boolean-keys.ts";
import { importGuest } from "../../src/import/import-guest.ts";
import { reasonToLeaveOut, type LeftOutReason } from "../../src/import/left-out.ts";
import { fileNameOf, renderGuests } from "../../src/import/render.ts";
import { entryLines, flowText, isReadBackAlike } from "../../src/import/yaml-text.ts";
import { toPlain } from "../../src/document/document.ts";
import { parseDocument } from "../../src/document/parse.ts";
import { parseDesiredFile } from "../../src/desired/parse.ts";
import { CONFIG_SCHEMAS } from "../../src/simulator/host/schema.gen.ts";
import { HOST_FACTS, observedGuest, type ObservedOverrides } from "../support/guests.ts";

const AS_FOUND = { isObserved: false, hasState: true };

function imported(kind: GuestKind, running: RawConfig, more: ObservedOverrides = {}) {
  return importGuest(observedGuest({ kind, running, ...more }), HOST_FACTS, AS_FOUND);
}

describe("the friendliest form that means the same", () => {
  const rows: readonly (readonly [GuestKind, string, RawValue, DeclaredValue | undefined])[] = [
    ["qemu", "memory", "2048", 2048],
    ["qemu", "memory", "0128", 128],
    ["qemu", "memory", "current=256", 256],
    ["qemu", "cores", 4, 4],
    ["qemu", "cpulimit", "1.50", 1.5],
    ["qemu", "onboot", 1, true],
    ["lxc", "protection", 0, false],
    ["qemu", "agent", "1", true],
    ["qemu", "agent", "enabled=1,fstrim_cloned_disks=yes", { enabled: true, fstrim_cloned_disks: true }],
    ["qemu", "cpu", "host", "host"],
    ["qemu", "cpu", "host,flags=+aes;-pcid", { cputype: "host", flags: ["+aes", "-pcid"] }],
    ["qemu", "startup", "5,up=030", { order: 5, up: 30 }],
    ["qemu", "startup", "order=1,order=2", "order=1,order=2"],
    ["qemu", "tags", "b;a", ["b", "a"]],
    ["lxc", "tags", "one", ["one"]],
    ["qemu", "tags", "not a tag!,x", undefined],
    ["qemu", "nameserver", "1.1.1.1,8.8.8.8", ["1.1.1.1", "8.8.8.8"]],
    ["lxc", "searchdomain", "example.org", "example.org"],
    ["qemu", "boot", "order=scsi0;net0", { order: ["scsi0", "net0"] }],
    ["qemu", "boot", "cdn", "cdn"],
    ["qemu", "net0", "virtio=bc:24:11:aa:bb:cc,bridge=vmbr0,firewall=0,tag=0100", { model: "virtio", macaddr: "bc:24:11:aa:bb:cc", bridge: "vmbr0", firewall: false, tag: 100 }],
    ["qemu", "net0", "bridge=vmbr0,e1000=BC:24:11:00:00:01,trunks=5;2-3", { model: "e1000", macaddr: "BC:24:11:00:00:01", bridge: "vmbr0", trunks: [5, "2-3"] }],
    ["lxc", "net0", "name=eth0,bridge=vmbr0,ip=dhcp,type=veth", { name: "eth0", bridge: "vmbr0", ip: "dhcp" }],
    ["qemu", "name", "100", "100"],
    ["qemu", "name", "not_a_dns_name", undefined],
    ["qemu", "description", "one line", "one line"],
    ["lxc", "description", "one line\n", "one line"],
    ["qemu", "description", "a\r\nb", "a\nb\n"],
    ["lxc", "description", "a\nb\n\n\n", "a\nb\n"],
    ["qemu", "description", "  leading", "  leading"],
    ["qemu", "description", "0", undefined],
    ["lxc", "description", "0\n", "0"],
    ["qemu", "tags", " ", undefined],
    ["qemu", "description", "nul\u0000", undefined],
    ["qemu", "description", "half \ud800", undefined],
  ];
  for (const [kind, key, raw, form] of rows) {
    test(`${kind} ${key} ${JSON.stringify(raw)} is written ${JSON.stringify(form)}`, () => {
      expect(imported(kind, { [key]: raw }).config[key]).toEqual(form);
    });
  }

  test("what Proxmox's schema calls a boolean, and nothing else, is written as one", () => {
    for (const kind of ["qemu", "lxc"] as const) {
      for (const [key, { type }] of Object.entries(CONFIG_SCHEMAS[kind])) expect([kind, key, isBooleanKey(kind, key)]).toEqual([kind, key, type === "boolean"]);
    }
  });

  test("the same for the parts of property strings that are written as maps", () => {
    for (const [kind, key] of [["qemu", "agent"], ["qemu", "net[n]"], ["lxc", "net[n]"]] as const) {
      const schema: Readonly<Record<string, { format?: unknown }>> = CONFIG_SCHEMAS[kind];
      const format = schema[key]?.format;
      expect(typeof format).toBe("object");
      for (const [subKey, { type, alias }] of Object.entries(format as Record<string, { type?: string; alias?: string }>)) {
        const isBoolean = type === "boolean" || (alias !== undefined && (format as Record<string, { type?: string }>)[alias]?.type === "boolean");
        expect([kind, key, subKey, isBooleanSubKey(kind, key.replace("[n]", ""), subKey)]).toEqual([kind, key, subKey, isBoolean]);
      }
    }
  });
});

describe("what is left out (rows 11 and 79)", () => {
  const rows: readonly (readonly [GuestKind, string, LeftOutReason | undefined])[] = [
    ["qemu", "cipassword", "may_hold_secrets"], ["lxc", "env", "may_hold_secrets"], ["qemu", "args", "may_hold_secrets"], ["lxc", "entrypoint", "may_hold_secrets"], ["qemu", "of-tomorrow", "may_hold_secrets"],
    ["qemu", "digest", "server_owned"], ["qemu", "meta", "server_owned"], ["qemu", "vmgenid", "server_owned"], ["lxc", "lxc", "may_hold_secrets"], ["qemu", "lock", "server_owned"],
    ["qemu", "smbios1", "identity"],
    ["qemu", "scsi0", "holds_data"], ["qemu", "unused3", "holds_data"], ["lxc", "rootfs", "holds_data"], ["lxc", "mp7", "holds_data"],
    ["qemu", "bios", "not_on_allow_list"], ["qemu", "sshkeys", undefined], ["qemu", "ipconfig31", undefined], ["qemu", "template", "not_on_allow_list"], ["lxc", "features", "not_on_allow_list"],
    ["qemu", "net31", undefined], ["qemu", "net32", "may_hold_secrets"], ["lxc", "swap", undefined],
  ];
  test.each(rows)("%s %s: %p", (kind, key, reason) => {
    expect(reasonToLeaveOut(kind, key)).toEqual(reason);
  });

  test("is named in comments, without values where they may be secrets", () => {
    const one = imported("qemu", { name: "web", args: "-p SECRET", meta: "SECRET", smbios1: "SECRET", scsihw: "virtio-scsi-pci", "of-tomorrow": "SECRET" });
    const text = renderGuests([one], "pve1");
    expect(text).not.toContain("SECRET");
    expect(text).toContain("      # May hold secrets, so the values stay in Proxmox: args, of-tomorrow\n");
    expect(text).toContain("      # Keys that this version never sends; as found:\n      #   scsihw: virtio-scsi-pci\n");
  });

  test("a comment cannot be left: line ends and control characters are escaped, length is bounded", () => {
    const one = imported("qemu", { name: "web", scsi0: `x\nevil: 1\u001b${"y".repeat(500)}` }, { name: "a\nb: c" });
    const text = renderGuests([one], "pve1\nx: 1");
    expect(text.split("\n").every((line) => line.length < 220)).toBe(true);
    expect(text).not.toContain("\u001b");
    const parsed = parseDesiredFile({ name: "x.yaml", text });
    expect([parsed.problems, parsed.guests[0]?.config]).toEqual([[], { name: "web" }]);
  });

  test("a guest with nothing to declare is declared by its number alone", () => {
    const text = renderGuests([imported("qemu", {}, { runState: "unknown" })], "pve1");
    const parsed = parseDesiredFile({ name: "x.yaml", text });
    expect(parsed.problems).toEqual([]);
    expect(parsed.guests[0]).toMatchObject({ vmid: 101, state: undefined, config: {} });
  });
});

describe("file names", () => {
  test.each([
    ["web-1", "101-web-1.yaml"], ["a.b.c", "101-a.b.c.yaml"], [undefined, "101.yaml"], ["", "101.yaml"], ["../../etc/passwd", "101-etc-passwd.yaml"], ["..", "101.yaml"], ["ünï", "101-n.yaml"],
    ["x".repeat(300), `101-${"x".repeat(64)}.yaml`],
  ])("of a guest called %p: %s", (name, file) => {
    expect(fileNameOf({ ...imported("qemu", {}), name })).toBe(file);
  });
});

const SCALAR = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 30 }), fc.string({ unit: "binary", maxLength: 20 }).filter((text) => text.isWellFormed() && !text.includes("\0")), fc.stringMatching(/^[-+.:0-9eExyno #%&*!|>'"@`{}[\],?~\\_=<\n\t]{0,12}$/),
  fc.constantFrom("yes", "null", "~", "1e3", "0x1f", "0128", "1:30", "2026-01-02", "a: b", "a #b", "a:", "on", ".5", "+1", "-", "---", "...", "=", "<<", "1_000", "0o17", "0b1", ".inf", "NaN", "12:30:45", " x", "x "),
  fc.integer({ min: 0 }), fc.boolean(),
);
const VALUE: fc.Arbitrary<DeclaredValue> = fc.oneof(SCALAR, fc.array(SCALAR, { maxLength: 4 }), fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/).filter((key) => key !== "prototype"), fc.oneof(SCALAR, fc.array(SCALAR, { maxLength: 3 })), { minKeys: 1, maxKeys: 8 }));

describe("YAML", () => {
  test("every value reads back as it is, in every place it may stand", () => {
    fc.assert(
      fc.property(VALUE, (value) => {
        expect(isReadBackAlike(value)).toBe(true);
        const lines = entryLines("key", value).map((line) => (line === "" ? "" : `      ${line}`)).join("\n");
        const parsed = parseDocument("x.yaml", `version: 1\nguests:\n  - vmid: 101\n    config:\n${lines}\n      # comment\n      last: 1\n`);
        expect(parsed.ok && toPlain(parsed.tree.root)).toEqual({ version: 1, guests: [{ vmid: 101, config: { key: value, last: 1 } }] });
      }),
      { numRuns: 10_000 },
    );
  }, 60_000);

  test("no other YAML reader sees something else: text that 1.1 takes for a number, a date or a yes is quoted", () => {
    fc.assert(fc.property(SCALAR, (value) => {
      if (typeof value !== "string") return;
      expect(Bun.YAML.parse(`v: ${flowText(value)}\n`)).toEqual({ v: value });
    }), { numRuns: 5_000 });
    for (const text of ["yes", "No", "on", "y", "1:30", "12:30:45", "2026-01-02", "0o17", "1_000", "1e3", "0128"]) expect([text, flowText(text)]).toEqual([text, `"${text}"`]);
  });

  test("a part called like no text at all is quoted", () => {
    expect(flowText({ null: 1, on: "x" })).toBe('{ "null": 1, "on": x }');
    expect(isReadBackAlike({ null: 1, on: "x" })).toBe(true);
  });

  test("text of several lines is a block, one of odd blanks is quoted", () => {
    expect(entryLines("description", "a\n  b\n\nc # d\n")).toEqual(["description: |", "  a", "    b", "", "  c # d"]);
    expect(entryLines("description", "  a\nb")).toEqual(["description: |2-", "    a", "  b"]);
    expect(entryLines("description", "a\n \nb")).toEqual(['description: "a\\n \\nb"']);
    expect(entryLines("description", "tab\there\nx\u0007")).toEqual(['description: "tab\\there\\nx\\u0007"']);
  });
});
