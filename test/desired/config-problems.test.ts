import { describe, expect, test } from "bun:test";
import { parseDesiredFiles } from "../../src/desired/parse.ts";

/** What is told of `lines` under one guest's config. */
function told(kind: string, ...lines: readonly string[]): readonly string[] {
  const text = ["version: 1", "guests:", "  - vmid: 101", `    kind: ${kind}`, "    config:", ...lines.map((line) => `      ${line}`), ""].join("\n");
  return parseDesiredFiles([{ name: "a.yaml", text }]).problems.map(({ code, message }) => `${code} ${message}`);
}

describe("a name that cannot be a key has the key it was meant to be", () => {
  for (const [written, meant] of [["Net0", "net0"], ["net[n]", "net0"], ["net[3]", "net3"], ["MEMORY", "memory"], ["onBoot", "onboot"], ["SSHKeys", "sshkeys"], ["Root FS", "rootfs"]] as const) {
    test(`${written} is ${meant}`, () => {
      const [problem = ""] = told("qemu", `"${written}": 1`);
      expect(problem).toStartWith("desired.schema a.yaml:6:7: ");
      expect(problem).toEndWith(`; did you mean \`${meant}\`?`);
    });
  }

  test("one that resembles none has no hint, nor has a sub-key", () => {
    expect(told("qemu", "????: x")[0]).toEndWith('found "????"');
    expect(told("qemu", "net0: { Bridge: a }")[0]).toEndWith('found "Bridge"');
  });
});

test("a raw lxc line belongs in the container's own file (row 80)", () => {
  for (const line of ["lxc.idmap: x", "lxc: x"]) expect(told("lxc", line)).toEqual([expect.stringContaining("keep them in /etc/pve/lxc/VMID.conf on the host")]);
});

describe("a problem points at", () => {
  const rows: readonly (readonly [string, string, string])[] = [
    ["the key that is not known", "memroy: 1", "a.yaml:6:7: guests[0].config.memroy: "],
    ["the value that is wrong", "cores: none", "a.yaml:6:14: guests[0].config.cores: "],
    ["the sub-key in a map", "net0: { model: virtio, brigde: vmbr0 }", "a.yaml:6:30: guests[0].config.net0.brigde: "],
    ["the sub-key's value in a map", "net0: { model: virtio, tag: 4095 }", "a.yaml:6:35: guests[0].config.net0.tag: "],
    ["the text that holds the sub-key", "net0: virtio,brigde=vmbr0", "a.yaml:6:13: guests[0].config.net0.brigde: "],
    ["the list where there should be none", "cores: [2]", "a.yaml:6:14: guests[0].config.cores: "],
  ];
  for (const [what, line, place] of rows) {
    test(what, () => {
      const problems = told("qemu", line);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toStartWith(`desired.schema ${place}`);
    });
  }

  test("each of several, in the order of the file", () => {
    const places = told("lxc", "cores: -1", "net0: { nmae: eth0, tag: 0 }", "balloon: 0").map((problem) => /a\.yaml:(\d+:\d+)/.exec(problem)?.[1]);
    expect(places).toEqual(["6:14", "7:15", "7:32", "8:7"]);
  });
});

describe("what somebody wrote to play tricks on a terminal is shown with escapes, and not at length", () => {
  const escape = String.raw`\u001b[2J`;
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ["a key", [`"${escape}": 1`]],
    ["a key twice", [`"${escape}": 1`, `"${escape}": 2`]],
    ["a key that turns the direction of writing", ["\u202eeroc: 1"]],
    ["a sub-key in a map", [`net0: { "${escape}": 1 }`]],
    ["a sub-key in text", [`net0: "virtio,${escape}=1"`]],
    ["a long sub-key", [`net0: "virtio,${"k".repeat(30_000)}=1"`]],
    ["a value", [String.raw`cores: "\u202e\u009b"`]],
    ["a value that looks like a quotation", [`cores: "\`${escape}\`"`]],
    ["a value that looks like a description", [`cores: "a list of ${escape}"`]],
  ];
  for (const [what, lines] of rows) {
    test(what, () => {
      const problems = told("qemu", ...lines);
      expect(problems.length).toBeGreaterThan(0);
      for (const problem of problems) {
        expect(problem).not.toMatch(/[\p{Cc}\p{Cf}]/u);
        expect(problem.length).toBeLessThan(600);
      }
    });
  }
});

describe("what may be a secret is not repeated", () => {
  for (const [kind, line] of [["qemu", "cipassword: { hunter2: hunter2 }"], ["lxc", "env: hunter2"], ["lxc", "env: [hunter2]"], ["qemu", "args: { a: hunter2 }"]] as const) {
    test(`${kind} ${line}`, () => {
      expect(told(kind, line).join("\n")).not.toContain("hunter2");
    });
  }
});

test("of a file full of nonsense twenty problems are told", () => {
  expect(told("qemu", ...Array.from({ length: 500 }, (_, index) => `nonsense-${index}: 1`))).toHaveLength(20);
});
