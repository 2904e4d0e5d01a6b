import { describe, expect, test } from "bun:test";
import { parseDesiredFiles } from "../../src/desired/parse.ts";
import { FileSchema, GuestSchema, GUESTS_PER_FILE_MAX, RESERVED_GUEST_FIELDS, RESERVED_TOP_FIELDS } from "../../src/desired/schema.ts";

const parse = (...texts: string[]) => parseDesiredFiles(texts.map((text, index) => ({ name: `${"abc"[index]}.yaml`, text })));
const messages = (text: string) => parse(text).problems.map(({ code, message }) => `${code} ${message}`);
const guestWith = (lines: string) => `version: 1\nguests:\n  - vmid: 101\n    kind: qemu\n${lines}`;

describe("a guest", () => {
  test("comes out with everything that was written", () => {
    const { guests, problems } = parse(
      "version: 1\nguests:\n  - vmid: 101\n    kind: qemu\n    mode: observe\n    state: running\n    config:\n      name: web-1\n      cores: 4\n      onboot: true\n      tags: [web, prod]\n      net0: { model: virtio, tag: 20, rate: null, trunks: [1, 2] }\n      hookscript: null\n",
    );
    expect(problems).toEqual([]);
    expect(guests.get(101)).toEqual({
      vmid: 101,
      kind: "qemu",
      mode: "observe",
      state: "running",
      config: { name: "web-1", cores: 4, onboot: true, tags: ["web", "prod"], net0: { model: "virtio", tag: 20, rate: null, trunks: [1, 2] }, hookscript: null },
      position: { file: "a.yaml", line: 3, column: 5 },
    });
  });

  test("needs a vmid and a kind and nothing else", () => {
    const { guests } = parse("version: 1\nguests: [{ vmid: 999999999, kind: lxc }]\n");
    expect(guests.get(999_999_999)).toMatchObject({ kind: "lxc", mode: "enforce", state: undefined, config: {} });
  });

  test.each(["amd-sev", "allow-ksm", "net31", "ide3", "spice_enhancements", "smbios1"])("may have the key %s", (key) => {
    expect(parse(guestWith(`    config: { ${key}: null }\n`)).problems).toEqual([]);
  });

  test("numbers keep what was written", () => {
    const { guests } = parse(guestWith("    config: { cpulimit: 9.0, hostpci0: { vendor-id: 0x10de }, name: 007, description: 18446744073709551616 }\n"));
    expect(guests.get(101)?.config).toEqual({ cpulimit: "9.0", hostpci0: { "vendor-id": "0x10de" }, name: "007", description: "18446744073709551616" });
  });
});

describe("a file", () => {
  test("may declare no guests, in so many words", () => {
    const { guests, problems, revision } = parse("version: 1\nguests: []\n");
    expect({ guests: guests.size, problems, revision: revision.length }).toEqual({ guests: 0, problems: [], revision: 64 });
  });

  test("is written in JSON as well", () => {
    const { guests } = parseDesiredFiles([{ name: "a.json", text: '{"version": 1, "guests": [{"vmid": 101, "kind": "lxc", "config": {"cores": 2}}]}' }]);
    expect(guests.get(101)?.config).toEqual({ cores: 2 });
  });

  test.each([
    ["", "desired.empty a.yaml:1:1"],
    ["# nothing yet\n", "desired.empty a.yaml:1:1"],
    ["null\n", "desired.empty a.yaml:1:1"],
    ["version: 1\n", "desired.schema a.yaml:1:1: guests: expected this field, found nothing; write `guests: []`"],
    ["version: 1\nguests:\n", "desired.schema a.yaml:2:8: guests: expected a list of guests, found nothing (null); write `guests: []`"],
    ["version: 1\nguests: {}\n", "desired.schema a.yaml:2:9: guests: expected a list of guests, found a map"],
    ["guests: []\n", "desired.schema a.yaml:1:1: version: expected this field"],
    ["version: 2\nguests: later\nnew: field\n", "desired.schema a.yaml:1:10: version: expected 1, the only format this version reads, found 2"],
    ['version: "1"\nguests: []\n', 'desired.schema a.yaml:1:10: version: expected 1, the only format this version reads, found "1"'],
    ["- vmid: 101\n", "desired.schema a.yaml:1:1: expected a map with `version` and `guests`, found a list of 1"],
    ["<html></html>\n", "desired.schema a.yaml:1:1: expected a map with `version` and `guests`, found text"],
    ["version: 1\nguests: [\n", "desired.syntax a.yaml:3:1"],
    ["version: 1\nguest: []\nguests: []\n", "desired.schema a.yaml:2:1: guest: expected a field of this format, found an unknown one; did you mean `guests`?"],
    [guestWith("    vmid: 102\n"), "desired.syntax a.yaml:5:5: expected each key once, found `vmid` again"],
  ])("%j is an error", (text, message) => {
    expect(messages(text)[0]).toStartWith(message);
    expect(parse(text)).toMatchObject({ conflicts: [], revision: "" });
  });

  test.each([
    ["    memory: 4096\n", "desired.schema a.yaml:5:5: guests[0].memory: expected a field of this format, found an unknown one; known: vmid, kind, mode, state, config; Proxmox's own keys go under `config`"],
    ["    stat: running\n", "desired.schema a.yaml:5:5: guests[0].stat: expected a field of this format, found an unknown one; did you mean `state`?"],
    ["    mode: enforced\n", 'desired.schema a.yaml:5:11: guests[0].mode: expected enforce, observe or ignore, found "enforced"'],
    ["    mode:\n", "desired.schema a.yaml:5:10: guests[0].mode: expected enforce, observe or ignore, found nothing (null)"],
    ["    state: off\n", 'desired.schema a.yaml:5:12: guests[0].state: expected running, stopped or absent, found "off"'],
    ["    config:\n", "desired.schema a.yaml:5:12: guests[0].config: expected a map of Proxmox's own keys, such as `cores: 2`, found nothing (null)"],
    ["    config: [cores]\n", "desired.schema a.yaml:5:13: guests[0].config: expected a map of Proxmox's own keys"],
    ["    config: { Cores: 2 }\n", "desired.schema a.yaml:5:15: guests[0].config.Cores: expected a Proxmox key"],
    ["    config: { lxc.cgroup2: 2 }\n", "desired.schema a.yaml:5:15: guests[0].config.lxc.cgroup2: expected a Proxmox key"],
    ["    config: { <<: 2 }\n", "desired.schema a.yaml:5:15: guests[0].config.<<: expected a Proxmox key"],
    [`    config: { ${"a".repeat(65)}: 2 }\n`, `desired.schema a.yaml:5:15: guests[0].config.${"a".repeat(65)}: expected a key of at most 64 characters`],
    ["    config: { __proto__: 2 }\n", "desired.syntax a.yaml:5:15: expected a key that is a name"],
    ["    config: { net0: { tag: { a: 1 } } }\n", "desired.schema a.yaml:5:28: guests[0].config.net0.tag: expected text, a number, a boolean, a list of those, or null, found a map"],
    ["    config: { net0: { trunks: [1, [2]] } }\n", "desired.schema a.yaml:5:35: guests[0].config.net0.trunks[1]: expected text, a number or a boolean, found a list of 1"],
    ["    config: { tags: [a, null] }\n", "desired.schema a.yaml:5:25: guests[0].config.tags[1]: expected text, a number or a boolean, found nothing (null)"],
    ["    config: { tags: [{ a: 1 }] }\n", "desired.schema a.yaml:5:22: guests[0].config.tags[0]: expected text, a number or a boolean, found a map"],
  ])("a guest with %j is an error", (lines, message) => {
    expect(messages(guestWith(lines))).toEqual([expect.stringContaining(message)]);
  });

  test.each(["99", "1000000000", "0", "-101", "101.5", "101.0", "'101'", "0x65", "1e2", "0101", "18446744073709551717", "true", "null", "[101]"])("the vmid %s is refused", (vmid) => {
    expect(messages(`version: 1\nguests:\n  - vmid: ${vmid}\n    kind: qemu\n`)[0]).toStartWith("desired.schema a.yaml:3:11: guests[0].vmid: expected a whole number from 100 to 999999999");
  });

  test.each([...RESERVED_GUEST_FIELDS])("the reserved guest field %s is refused by name", (field) => {
    expect(messages(guestWith(`    ${field}: x\n`))).toEqual([`desired.reserved a.yaml:5:5: guests[0].${field}: not supported by this version; remove it`]);
  });

  test.each([...RESERVED_TOP_FIELDS])("the reserved top field %s is refused by name", (field) => {
    expect(messages(`version: 1\nguests: []\n${field}: []\n`)).toEqual([`desired.reserved a.yaml:3:1: ${field}: not supported by this version; remove it`]);
  });

  test("a reserved name is a key like any other under config, and Proxmox has none of that name", () => {
    expect(messages(guestWith("    config: { restart: 1 }\n"))).toEqual([expect.stringContaining("desired.schema a.yaml:5:15: guests[0].config.restart: expected a key that Proxmox has for qemu guests")]);
  });

  test("tells all its problems at once, in the order of the file", () => {
    const told = messages("version: 1\nchecks: []\nguests:\n  - vmid: 1\n    kind: vm\n  - kind: lxc\n    config: { A: 1 }\n");
    expect(told.map((line) => line.split(" ")[1])).toEqual(["a.yaml:2:1:", "a.yaml:4:11:", "a.yaml:5:11:", "a.yaml:6:5:", "a.yaml:7:15:"]);
  });

  test("never quotes what stands under config, which may be a password", () => {
    const text = guestWith("    config:\n      cipassword: { secret: { hunter2: x } }\n      sshkeys: [[hunter3]]\n");
    expect(messages(text).join("\n")).not.toMatch(/hunter3/);
    expect(messages(guestWith('    config: "cipassword: hunter2"\n')).join("\n")).not.toMatch(/hunter2/);
    expect(messages("steward@pve!agent=0a1b2c3d-secret\n").join("\n")).not.toMatch(/0a1b2c3d/);
  });

  test(`holds ${GUESTS_PER_FILE_MAX} guests, and not one more`, () => {
    const file = (count: number) => `{"version":1,"guests":[${Array.from({ length: count }, (_, index) => `{"vmid":${100 + index},"kind":"lxc"}`).join(",")}]}`;
    expect(parse(file(GUESTS_PER_FILE_MAX)).guests.size).toBe(GUESTS_PER_FILE_MAX);
    expect(messages(file(GUESTS_PER_FILE_MAX + 1))[0]).toContain(`expected at most ${GUESTS_PER_FILE_MAX} guests a file`);
  });
});

describe("a set of files", () => {
  test("one bad file makes the whole set unusable, and its problems name it", () => {
    const set = parse(guestWith(""), "version: 1\nguests: [", "version: 3\n");
    expect(set.guests.size).toBe(0);
    expect(set.revision).toBe("");
    expect(set.problems.map(({ message }) => message.slice(0, 6))).toEqual(["b.yaml", "c.yaml"]);
  });

  test("a vmid that is declared twice is nobody's, with every place named, and the others work", () => {
    const set = parse(
      "version: 1\nguests:\n  - { vmid: 101, kind: qemu }\n  - { vmid: 102, kind: qemu }\n  - { vmid: 101, kind: qemu }\n",
      "version: 1\nguests:\n  - { vmid: 101, kind: lxc }\n  - { vmid: 103, kind: lxc }\n",
    );
    expect(set.problems).toEqual([]);
    expect([...set.guests.keys()]).toEqual([102, 103]);
    expect(set.conflicts).toEqual([
      { vmid: 101, positions: [{ file: "a.yaml", line: 3, column: 5 }, { file: "a.yaml", line: 5, column: 5 }, { file: "b.yaml", line: 3, column: 5 }] },
    ]);
  });

  test("no files declare no guests", () => {
    expect(parse()).toMatchObject({ conflicts: [], problems: [] });
  });
});

test("the schema's own fields are the ones that messages and documentation name", () => {
  expect(Object.keys(GuestSchema.pipe[1].entries)).toEqual(["vmid", "kind", "mode", "state", "config"]);
  expect(Object.keys(FileSchema.pipe[1].entries)).toEqual(["version", "guests"]);
});
