import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hasCloudinitDrive, jsonValue, parseConfig, renderConfig } from "../../../src/simulator/host/config-file.ts";
import { generateHost } from "../../../src/simulator/start-state.ts";
import { decodeText, encodeText } from "../../../src/simulator/host/text.ts";
import { HostUnderTest, LXC_200, QEMU_101, QEMU_102 } from "./host-under-test.ts";

describe("a configuration file (rows O1 and 9)", () => {
  for (const [kind, text] of [["qemu", QEMU_101], ["qemu", QEMU_102], ["lxc", LXC_200]] as const) {
    test(`of ${kind} that Proxmox wrote is written the same again: ${text.split("\n")[0]}`, () => {
      expect(renderConfig(kind, parseConfig(kind, text))).toBe(text);
    });
  }

  test("has pending changes and snapshots in sections of their own", () => {
    const text = "cores: 1\n\n[PENDING]\ncores: 2\ndelete: memory,!net0\n\n[snap]\n#before\ncores: 1\nsnaptime: 12\n";
    const file = parseConfig("qemu", text);
    expect([...file.pending]).toEqual([["cores", "2"], ["delete", "memory,!net0"]]);
    expect(file.snapshots.get("snap")?.get("description")).toBe("before");
    expect(renderConfig("qemu", file)).toBe(text);
  });

  const onReading: readonly (readonly ["qemu" | "lxc", string, Record<string, string>])[] = [
    ["qemu", "cores: 02\nonboot: yes\n", { cores: "2", onboot: "1" }],
    ["qemu", "cores: many\nbogus: 1\nnot a line\nname: x\n", { name: "x" }],
    ["qemu", "name: \"quoted\"\n", {}],
    ["qemu", "[who knows]\ncores: 3\n", {}],
    ["qemu", "cdrom: none\n", { ide2: "none" }],
    ["lxc", "memory: many\nbogus: 1\n", { memory: "many", bogus: "1" }],
    ["lxc", "tags: \n", { tags: " " }],
    ["qemu", "#one\n#two  \n", { description: "one\ntwo" }],
    ["lxc", "#one\n#two  \n", { description: "one\ntwo  \n" }],
  ];
  for (const [kind, text, main] of onReading) {
    test(`${kind} ${JSON.stringify(text)} reads as ${JSON.stringify(main)}`, () => {
      expect(Object.fromEntries(parseConfig(kind, text).main)).toEqual(main);
    });
  }

  test("keeps a container's raw lines in order, doubles included (row 80)", () => {
    const text = "memory: 128\nlxc.mount.entry: a\nlxc.mount.entry: b\n";
    expect(renderConfig("lxc", parseConfig("lxc", text))).toBe(text);
  });

  test("no longer lists a volume as unused that is attached again", () => {
    const file = parseConfig("qemu", "scsi0: local:1/vm-1-disk-0.raw,size=1G\nunused0: local:1/vm-1-disk-0.raw\n");
    expect(renderConfig("qemu", file)).toBe("scsi0: local:1/vm-1-disk-0.raw,size=1G\n");
  });

  test("turns smp into sockets (row 55)", () => {
    expect(renderConfig("qemu", parseConfig("qemu", "cores: 2\nsmp: 4\n"))).toBe("sockets: 4\n");
  });

  test("shows what the cloud-init drive lacks only while there is one", () => {
    const withDrive = "ide2: local:1/vm-1-cloudinit.qcow2,media=cdrom\n\n[special:cloudinit]\nadded: ciuser\n";
    expect(renderConfig("qemu", parseConfig("qemu", withDrive))).toBe(withDrive);
    const without = parseConfig("qemu", "cores: 1\n\n[special:cloudinit]\nadded: ciuser\n");
    expect(hasCloudinitDrive(without.main)).toBe(false);
    expect(renderConfig("qemu", without)).toBe("cores: 1\n");
  });

  const json: readonly (readonly ["qemu" | "lxc", string, string, string | number])[] = [
    ["qemu", "memory", "2048", "2048"],
    ["lxc", "memory", "2048", 2048],
    ["qemu", "cores", "2", 2],
    ["qemu", "onboot", "1", 1],
    ["qemu", "cpulimit", "1.5", "1.5"],
    ["lxc", "cpulimit", "1", "1"],
    ["qemu", "net0", "virtio", "virtio"],
  ];
  for (const [kind, key, text, value] of json) {
    test(`${kind} ${key} is ${JSON.stringify(value)} in JSON`, () => expect(jsonValue(kind, key, text)).toBe(value));
  }
});

test("generated hosts have files as Proxmox would write them", () => {
  const { startState } = generateHost("pve1", 60, 3);
  const configs = Object.entries(startState.files).filter(([path]) => path.endsWith(".conf"));
  expect(configs.length).toBe(60);
  for (const [path, text] of configs) {
    const kind = path.includes("/lxc/") ? "lxc" : "qemu";
    expect(renderConfig(kind, parseConfig(kind, text))).toBe(text);
  }
});

describe("laws of configuration files", () => {
  const lines = fc.array(fc.oneof(
    fc.constantFrom("cores: 2", "name: web", "tags: a;b", "tags:  ", "net0: virtio=BC:24:11:00:00:01,bridge=vmbr0", "boot: order=net0", "[PENDING]", "[snap]", "delete: cores"),
    fc.string({ maxLength: 12 }).map((text) => `#${encodeText(text)}`),
    fc.string({ maxLength: 12 }).filter((text) => !text.includes("\n")),
  ), { maxLength: 12 });

  for (const kind of ["qemu", "lxc"] as const) {
    test(`whatever a ${kind} file holds, writing it a second time changes nothing`, () => {
      fc.assert(fc.property(lines, (all) => {
        const once = renderConfig(kind, parseConfig(kind, all.join("\n")));
        const twice = renderConfig(kind, parseConfig(kind, once));
        expect(renderConfig(kind, parseConfig(kind, twice))).toBe(twice);
      }));
    });
  }

  test("any text can be written as a comment and read back", () => {
    fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect(decodeText(encodeText(text))).toBe(text);
      expect(encodeText(text)).toMatch(/^[\x20-\x7e]*$/);
    }));
  });
});

describe("descriptions, written and read back", () => {
  const texts = fc.string({ unit: "grapheme", maxLength: 40 }).filter((text) => !text.includes("\0"));

  test("QEMU's lose white space at the end and nothing else", async () => {
    const host = new HostUnderTest();
    await fc.assert(fc.asyncProperty(texts, async (text) => {
      await host.send("PUT", "qemu/101/config", { delete: "description" });
      const kept = text.replace(/\s+$/u, "");
      fc.pre(kept !== "" && kept !== "0");
      expect(await host.outcome("PUT", "qemu/101/config", { description: text })).toBe("200");
      expect((await host.config("qemu/101"))["description"]).toBe(kept);
    }), { numRuns: 60 });
  });

  test("containers' end in exactly one line end", async () => {
    const host = new HostUnderTest();
    await fc.assert(fc.asyncProperty(texts, async (text) => {
      fc.pre(text.replace(/\n+$/, "") !== "" && text !== "0");
      await host.send("PUT", "lxc/200/config", { description: text });
      expect((await host.config("lxc/200"))["description"]).toBe(`${text.replace(/\n+$/, "")}\n`);
    }), { numRuns: 60 });
  });
});
