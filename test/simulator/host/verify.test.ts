import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Died } from "../../../src/simulator/host/died.ts";
import { parseBoolean, splitList } from "../../../src/simulator/host/perl.ts";
import { configOption, type OptionSchema, type PropertySchema } from "../../../src/simulator/host/schema.ts";
import { formatSize, parseSize } from "../../../src/simulator/host/sizes.ts";
import { checkFormat, parsePropertyString, printPropertyString, verifyParameters } from "../../../src/simulator/host/verify.ts";

function problemsOf(parameters: Parameters<typeof verifyParameters>[0], kind: "qemu" | "lxc" = "qemu"): Record<string, string> {
  try {
    verifyParameters(parameters, (name) => configOption(kind, name), []);
    return {};
  } catch (error) {
    return error instanceof Died ? { ...error.errors } : {};
  }
}

describe("parameter verification (row O3)", () => {
  const cases: readonly (readonly [string, Parameters<typeof verifyParameters>[0], Record<string, string>])[] = [
    ["a whole number", { cores: "2" }, {}],
    ["a JSON number", { cores: 2 }, {}],
    ["a JSON boolean for a boolean", { onboot: true }, {}],
    ["a list for a list", { tags: ["b", "a"] }, {}],
    ["null", { description: null }, {}],
    ["text for a number", { cores: "two" }, { cores: "type check ('integer') failed - got 'two'" }],
    ["a word for a boolean", { onboot: "yes" }, { onboot: "type check ('boolean') failed - got 'yes'" }],
    ["a list for a number", { cores: ["1", "2"] }, { cores: "type check ('integer') failed - got ARRAY" }],
    ["an object for text", { net0: { model: "virtio" } }, { net0: "type check ('string') failed - got HASH" }],
    ["a number below the range", { cores: "0" }, { cores: "value must have a minimum value of 1" }],
    ["a number above the range", { shares: "50001" }, { shares: "value must have a maximum value of 50000" }],
    ["a word that is none of the choices", { bios: "efi" }, { bios: "value 'efi' does not have a value in the enumeration 'seabios, ovmf'" }],
    ["text that is too long", { description: "x".repeat(8193) }, { description: "value may only be 8192 characters long" }],
    ["an index beyond the last", { net32: "virtio" }, { net32: "property is not defined in schema and the schema does not allow additional properties" }],
    ["an index with a leading zero", { net01: "virtio" }, { net01: "property is not defined in schema and the schema does not allow additional properties" }],
    ["a drive without a file", { scsi0: "size=1G" }, { scsi0: "invalid format - format error\nscsi0.file: property is missing and it is not optional\n" }],
    ["a key given twice", { net0: "virtio,tag=1,tag=2" }, { net0: "invalid format - duplicate key in comma-separated list property: tag\n" }],
    ["a gateway without its address", { ipconfig0: "gw=10.0.0.1" }, { ipconfig0: "invalid format - format error\nipconfig0.ip: missing property - 'ipconfig0.gw' requires this property\n" }],
    ["a network that is none", { ipconfig0: "ip=10.0.0.1" }, { ipconfig0: "invalid format - format error\nipconfig0.ip: invalid format - value does not look like a valid ipv4 network configuration\n\n" }],
    ["several mistakes at once", { cores: "x", bogus: "1" }, { cores: "type check ('integer') failed - got 'x'", bogus: "property is not defined in schema and the schema does not allow additional properties" }],
  ];
  for (const [what, parameters, problems] of cases) test(what, () => expect(problemsOf(parameters)).toEqual(problems));

  test("a missing parameter that must be there", () => {
    expect(() => verifyParameters({}, () => undefined, ["vmid"])).toThrow(Died);
  });

  test("lists in JSON are joined so that they can be split again", () => {
    expect(splitList(verifyParameters({ tags: ["a b", "c"] }, () => ({ type: "string", format: "some-list" }) satisfies OptionSchema, []).get("tags"))).toEqual(["a b", "c"]);
  });
});

describe("named formats", () => {
  const good: readonly (readonly [string, string])[] = [
    ["dns-name", "a.b-c"], ["mac-addr", "BC:24:11:00:00:01"], ["pve-startup-order", "order=1,up=2"], ["pve-startup-order", "3"], ["pve-hotplug-features", "disk,network"],
    ["pve-volume-id-or-qm-path", "local:32"], ["pve-volume-id-or-qm-path", "none"], ["pve-vm-cpu-conf", "host,flags=+aes;-pcid"], ["pve-vm-cpu-conf", "custom-mine"], ["pve-ct-timezone", "Europe/Vienna"],
    ["address-list", "1.1.1.1 ns.example"], ["pve-qm-boot", "order=scsi0;net0"], ["pve-qm-boot", "cdn"], ["pve-tag-list", ""], ["disk-size", "1.5G"], ["lxc-ip-with-ll-iface-list", "fe80::1%eth0"],
  ];
  for (const [format, value] of good) test(`${format} takes ${value}`, () => expect(checkFormat(format, value)).toBeUndefined());

  const bad: readonly (readonly [string, string])[] = [
    ["dns-name", "a_b"], ["dns-name", ""], ["mac-addr", "01:00:5E:00:00:01"], ["pve-startup-order", "order="], ["pve-startup-order", "0,up=x"], ["pve-hotplug-features", "disks"], ["pve-ct-timezone", "Mars/X"],
    ["pve-vm-cpu-conf", "i486dx"], ["pve-qm-boot", "order=floppy0"], ["pve-tag-list", "a;-b"], ["disk-size", "1X"], ["urlencoded", "a b"], ["pve-volume-id", "novolume"], ["ipv4", "1.2.3"],
  ];
  for (const [format, value] of bad) test(`${format} refuses ${JSON.stringify(value)}`, () => expect(checkFormat(format, value)).toEndWith("\n"));
});

describe("property strings", () => {
  const NET = configOption("qemu", "net0")?.format as PropertySchema;

  test("are printed with the model's short form first, the rest sorted", () => {
    const parsed = parsePropertyString(NET, "tag=5,bridge=vmbr0,model=virtio,macaddr=BC:24:11:00:00:01,link_down=on");
    expect(parsed.ok && printPropertyString(NET, parsed.values)).toBe("virtio=BC:24:11:00:00:01,bridge=vmbr0,link_down=1,tag=5");
  });

  test("what was printed is printed the same again", () => {
    const option = fc.constantFrom("bridge=vmbr0", "tag=7", "firewall=1", "link_down=0", "rate=1.5", "queues=4", "mtu=1500");
    fc.assert(fc.property(fc.uniqueArray(option), fc.constantFrom("virtio", "e1000", "model=virtio", "virtio=BC:24:11:00:00:01"), (options, model) => {
      const once = parsePropertyString(NET, [...options, model].join(","));
      if (!once.ok) throw new Error(once.problem);
      const printed = printPropertyString(NET, once.values);
      const twice = parsePropertyString(NET, printed);
      expect(twice.ok && printPropertyString(NET, twice.values)).toBe(printed);
    }));
  });
});

describe("sizes and words", () => {
  test("a size survives printing", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 45 }), (bytes) => {
      expect(parseSize(formatSize(bytes))).toBe(bytes);
    }));
  });

  for (const [text, bytes] of [["528K", 540_672], ["1.5G", 1_610_612_736], ["10", 10]] as const) test(`${text} is ${bytes} bytes`, () => expect(parseSize(text)).toBe(bytes));
  for (const [bytes, text] of [[1024 ** 4, "1T"], [10_752 * 1024 ** 2, "10752M"], [1025, "1025"]] as const) test(`${bytes} bytes are ${text}`, () => expect(formatSize(bytes)).toBe(text));
  for (const text of ["", "G", "1P", "-1"]) test(`${JSON.stringify(text)} is no size`, () => expect(parseSize(text)).toBeUndefined());
  for (const [text, value] of [["on", "1"], ["TRUE", "1"], ["no", "0"], ["2", undefined]] as const) test(`${text} as a boolean`, () => expect(parseBoolean(text)).toBe(value));

  test("lists are split at commas, semicolons and blanks", () => {
    expect(splitList(" a, b;;c ")).toEqual(["a", "b", "c"]);
    expect(splitList("")).toEqual([]);
  });
});
