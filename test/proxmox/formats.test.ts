import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DEFAULT_TAG_STYLE } from "../../src/guest/host-facts.ts";
import { encodeParameters, guestPath, nodePath, percentEncode } from "../../src/proxmox/encode.ts";
import { buildGuestConfig } from "../../src/proxmox/guest-config.ts";
import { parseTagStyle, tagStyleOfOptions } from "../../src/proxmox/tag-style.ts";
import { judgeExit } from "../../src/proxmox/tasks.ts";
import { parseUpid } from "../../src/proxmox/upid.ts";

describe("percent-encoding (row T4)", () => {
  test("leaves nothing that Proxmox's form parser splits on or changes (row T11)", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const encoded = percentEncode(text);
        expect(encoded).toMatch(/^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*$/);
        expect(decodeURIComponent(encoded)).toBe(text);
      }),
    );
  });

  test("a parser as Proxmox's gets back exactly what was meant", () => {
    const parse = (form: string) =>
      Object.fromEntries(form.split(/[&;]/).filter((pair) => pair !== "").map((pair) => pair.split("=").map((part) => decodeURIComponent(part.replaceAll("+", " ")))));
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: "grapheme", minLength: 1 }), fc.string({ unit: "grapheme" })), (parameters) => {
        expect(parse(encodeParameters(parameters))).toEqual({ ...parameters });
      }),
    );
  });

  test("half a surrogate pair is replaced, not thrown at the caller", () => {
    expect(percentEncode("a\ud800b")).toBe("a%EF%BF%BDb");
  });

  test("paths cannot be left by a node's name", () => {
    expect(nodePath("../../x?y#z", "qemu")).toBe("/nodes/..%2F..%2Fx%3Fy%23z/qemu");
    expect(guestPath("pve1", { kind: "lxc", vmid: 200 }, "status", "current")).toBe("/nodes/pve1/lxc/200/status/current");
  });
});

describe("a UPID (row R12)", () => {
  test("is taken apart, token included", () => {
    expect(parseUpid("UPID:pve1:00000C7E:0005CF07:6B00ED3B:qmshutdown:101:root@pam!agent:")).toEqual({
      node: "pve1", pid: 3198, processStart: 380679, startedAt: 1795222843, type: "qmshutdown", id: "101", user: "root@pam!agent",
    });
  });

  test.each([
    ["has nine digits of process start after 497 days", "UPID:pve1:00000C7E:1A5CF07AB:6B00ED3B:qmstart:101:root@pam:", 0x1a5cf07ab],
    ["may work on nothing", "UPID:pve-2:00000C7E:0005CF07:6B00ED3B:startall::root@pam:", 380679],
    ["may be of a storage", "UPID:pve1:00000C7E:0005CF07:6B00ED3B:imgdel:102@local:root@pam:", 380679],
  ])("%s", (_title, upid, processStart) => {
    expect(parseUpid(upid)?.processStart).toBe(processStart);
  });

  test.each([
    "", "bogus", "UPID:pve1:00000001:00000001:6B000000:qmstart:101:root@pam", "UPID:pve1:1:00000001:6B000000:qmstart:101:root@pam:",
    "UPID:../x:00000001:00000001:6B000000:qmstart:101:root@pam:", "UPID:pve1:00000001:00000001:6B000000:qmstart:101:root@pam:\n",
  ])("is not '%s'", (text) => {
    expect(parseUpid(text)).toBeUndefined();
  });
});

describe("the two views of a configuration (row 12)", () => {
  test("a recorded running guest with changes, deletions and additions pending (row R1)", () => {
    const rows = [
      { value: 0, key: "kvm", pending: 1 }, { value: 1, key: "cores", pending: 4 }, { key: "ostype", pending: "l26", value: "other" },
      { key: "onboot", value: 1 }, { value: "newname", key: "name" }, { key: "tags", value: "x" },
      { key: "digest", value: "40d9c29596ce4ce6b2021cfa4c96253503bc108e" },
      { value: "uuid=aaaaaaaa-0000-4000-8000-000000000101", key: "smbios1", delete: 1 },
      { key: "memory", pending: "96", value: "64" }, { key: "cpu", pending: "host" },
    ];
    expect(buildGuestConfig(rows)).toEqual({
      digest: "40d9c29596ce4ce6b2021cfa4c96253503bc108e",
      running: { kvm: 0, cores: 1, ostype: "other", onboot: 1, name: "newname", tags: "x", smbios1: "uuid=aaaaaaaa-0000-4000-8000-000000000101", memory: "64" },
      merged: { kvm: 1, cores: 4, ostype: "l26", onboot: 1, name: "newname", tags: "x", memory: "96", cpu: "host" },
      pending: [
        { key: "cores", change: "set", value: 4 }, { key: "cpu", change: "set", value: "host" }, { key: "kvm", change: "set", value: 1 },
        { key: "memory", change: "set", value: "96" }, { key: "ostype", change: "set", value: "l26" }, { key: "smbios1", change: "delete", isForced: false },
      ],
    });
  });

  const digest = { key: "digest", value: "d" };
  const rows: readonly { title: string; row: Record<string, unknown> & { key: string }; running: unknown; merged: unknown; pending: unknown }[] = [
    { title: "a deletion of 0 removes it from the merged view", row: { key: "onboot", value: 0, delete: 1 }, running: 0, merged: undefined, pending: [{ key: "onboot", change: "delete", isForced: false }] },
    { title: "a forced deletion is told apart", row: { key: "net0", value: "x", delete: 2 }, running: "x", merged: undefined, pending: [{ key: "net0", change: "delete", isForced: true }] },
    { title: "a deletion as text is one too", row: { key: "net0", value: "x", delete: "1" }, running: "x", merged: undefined, pending: [{ key: "net0", change: "delete", isForced: false }] },
    { title: "a pending 0 wins over 1", row: { key: "tablet", value: 1, pending: 0 }, running: 1, merged: 0, pending: [{ key: "tablet", change: "set", value: 0 }] },
    { title: "a container's pending value beside a pending deletion wins, as at its next start", row: { key: "nameserver", value: "1.1.1.1", pending: "8.8.8.8", delete: 1 }, running: "1.1.1.1", merged: "8.8.8.8", pending: [{ key: "nameserver", change: "set", value: "8.8.8.8" }] },
    { title: "a pending value of 0 wins over a pending deletion too", row: { key: "cpulimit", value: 2, pending: 0, delete: 2 }, running: 2, merged: 0, pending: [{ key: "cpulimit", change: "set", value: 0 }] },
    { title: "a pending value without a running one is an addition", row: { key: "cpu", pending: "host" }, running: undefined, merged: "host", pending: [{ key: "cpu", change: "set", value: "host" }] },
    { title: "a password's stars are kept, trailing space and all", row: { key: "cipassword", value: "**********", pending: "********** " }, running: "**********", merged: "********** ", pending: [{ key: "cipassword", change: "set", value: "********** " }] },
    { title: "an empty list reads as a space, and stays one", row: { key: "tags", value: " " }, running: " ", merged: " ", pending: [] },
    { title: "the config lock is a key like others", row: { key: "lock", value: "backup" }, running: "backup", merged: "backup", pending: [] },
    { title: "a raw list that cannot be written is left out", row: { key: "lxc", value: [["lxc.mount.entry", "x"]] }, running: undefined, merged: undefined, pending: [] },
    { title: "a key named like a prototype's is only a key", row: { key: "__proto__", value: "x" }, running: "x", merged: "x", pending: [] },
  ];
  test.each(rows)("$title", ({ row, running, merged, pending }) => {
    const config = buildGuestConfig([row, digest]);
    expect(Object.entries(config?.running ?? {})).toEqual(running === undefined ? [] : [[row.key, running as string]]);
    expect(Object.entries(config?.merged ?? {})).toEqual(merged === undefined ? [] : [[row.key, merged as string]]);
    expect(config?.pending as unknown).toEqual(pending);
  });

  test("without a digest there is no configuration to write against", () => {
    expect(buildGuestConfig([{ key: "cores", value: 1 }])).toBeUndefined();
    expect(buildGuestConfig([{ key: "digest", value: "" }])).toBeUndefined();
  });

  test("the order of the rows, which is random on a real host, changes nothing (rows R1 and 13)", () => {
    const some = [digest, { key: "a", value: 1 }, { key: "b", value: 2, pending: 3 }, { key: "c", value: 4, delete: 1 }, { key: "d", pending: 5 }];
    fc.assert(fc.property(fc.shuffledSubarray(some, { minLength: some.length }), (rows) => expect(buildGuestConfig(rows)).toEqual(buildGuestConfig(some))));
  });
});

describe("tag style", () => {
  test.each([
    ["ordering=config", { isOrdered: true, isCaseSensitive: false }],
    ["case-sensitive=1,ordering=config,color-map=a:ff0000:000000;b:00ff00,shape=full", { isOrdered: true, isCaseSensitive: true }],
    ["shape=dense, case-sensitive=yes", { isOrdered: false, isCaseSensitive: true }],
    ["ordering=alphabetical,case-sensitive=0", DEFAULT_TAG_STYLE],
    ["", DEFAULT_TAG_STYLE],
    [{ ordering: "config", "case-sensitive": 1 }, { isOrdered: true, isCaseSensitive: true }],
    [{ ordering: "alphabetical" }, DEFAULT_TAG_STYLE],
    [undefined, DEFAULT_TAG_STYLE],
    [7, DEFAULT_TAG_STYLE],
  ])("%p", (style, expected) => {
    expect(parseTagStyle(style)).toEqual(expected);
  });

  test.each([
    { title: "a token that may not see it", options: { "allowed-tags": ["a"] }, expected: null },
    { title: "an empty answer", options: {}, expected: null },
    { title: "a full answer that says nothing about tags", options: { "allowed-tags": [], keyboard: "en-us" }, expected: DEFAULT_TAG_STYLE },
    { title: "a limited answer that has it all the same", options: { "allowed-tags": [], "tag-style": { ordering: "config" } }, expected: { isOrdered: true, isCaseSensitive: false } },
  ])("$title", ({ options, expected }) => {
    expect(tagStyleOfOptions(options)).toEqual(expected);
  });
});

describe("a finished task's exit text (row R10)", () => {
  test.each([
    ["OK", "succeeded"], ["WARNINGS: 1", "succeeded_with_warnings"], ["WARNINGS: 12", "succeeded_with_warnings"],
    ["unexpected status", "unknown"], ["", "unknown"], ["unable to read tail (got 0 bytes)", "unknown"], ["unable to open file - No such file or directory", "unknown"],
    ["VM 101 already running", "failed"], ["received interrupt", "failed"], ["VM quit/powerdown failed - got timeout", "failed"],
    ["OK but not really", "failed"], ["WARNINGS: x", "failed"], ["VM is locked (backup)", "failed"],
  ])("'%s' is %s", (exit, verdict) => {
    expect(judgeExit(exit)).toMatchObject({ isRunning: false, verdict, exit });
  });
});
