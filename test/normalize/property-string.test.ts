import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseProperties, printProperties, sortProperties, valueOf } from "../../src/normalize/property-string.ts";
import { formOf, isDrift, merged, refusal } from "./support.ts";

test.each([
  ["host,flags=+aes;-pcid", "cputype", [["cputype", "host"], ["flags", "+aes;-pcid"]]],
  ["256,", "current", [["current", "256"]]],
  [" a = 1 , b=2 ", undefined, [["a", "1"], ["b", "2"]]],
  ["serial=QUJD==,x=1", undefined, [["serial", "QUJD=="], ["x", "1"]]],
  ['a="x,y",b=2', undefined, [["a", '"x,y"'], ["b", "2"]]],
  ['"x,y",b=2', "d", [["d", '"x,y"'], ["b", "2"]]],
  ['a="x,b=2', undefined, [["a", '"x'], ["b", "2"]]],
  ['a=x"y,b="z"', undefined, [["a", 'x"y'], ["b", '"z"']]],
  ["", "d", []],
] as const)("row 6: %j reads as %j, %j", (text, defaultKey, pairs) => {
  expect(parseProperties(text, defaultKey)?.map(({ key, value }) => [key, value])).toEqual(pairs.map((pair) => [...pair]));
});

test.each([["bare", undefined], ["=1", "d"], ["a=", "d"], ["a= ", "d"]])("%j cannot be read (default key %j)", (text, defaultKey) => {
  expect(parseProperties(text, defaultKey)).toBeUndefined();
});

test("a text of more parts than any property string has is left alone", () => {
  expect(parseProperties("a=1,".repeat(200), undefined)).toBeUndefined();
  expect(formOf("qemu", "vga", "a=1,".repeat(200))).toBe("a=1,".repeat(200));
});

const WORD = fc.stringMatching(/^[a-z][a-z0-9_-]{0,6}$/);
const VALUE = fc.stringMatching(/^[A-Za-z0-9:;./+-]{1,8}$/);

test("what is printed reads back the same, in the order it had", () => {
  const properties = fc.uniqueArray(fc.record({ key: WORD, value: VALUE }), { selector: ({ key }) => key, maxLength: 8 });
  fc.assert(
    fc.property(properties, WORD, (list, bare) => {
      const read = parseProperties(printProperties(list, bare), bare) ?? [];
      expect(sortProperties([...read], bare)).toEqual(sortProperties([...list], bare));
      expect(read.filter(({ key }) => key !== bare)).toEqual(list.filter(({ key }) => key !== bare));
      for (const { key, value } of list) expect(valueOf(read, key)).toBe(value);
    }),
    { numRuns: 2000 },
  );
});

test("row 6: the order of sub-keys has no meaning, in map and in text form", () => {
  expect(isDrift("qemu", "vga", "memory=32,type=virtio", "virtio,memory=32")).toBe(false);
  expect(isDrift("qemu", "vga", { memory: 32, type: "virtio" }, "type=virtio,memory=32")).toBe(false);
});

test("a sub-key nobody declared keeps its value, in map and in text form", () => {
  expect(merged("qemu", "vga", { type: "qxl" }, "virtio,memory=32")).toBe("qxl,memory=32");
  expect(merged("qemu", "vga", "qxl", "type=virtio,memory=32")).toBe("qxl,memory=32");
});

test("a null sub-key removes what is there and asks for nothing when nothing is", () => {
  expect(merged("qemu", "vga", { memory: null }, "virtio,memory=32")).toBe("virtio");
  expect(isDrift("qemu", "vga", { memory: null }, "virtio")).toBe(false);
  expect(merged("qemu", "startup", { up: null }, "up=3")).toBeNull();
});

test("row 8: a null or default sub-key is not written over one that says the default", () => {
  expect(merged("qemu", "net0", { firewall: null }, "virtio=BC:24:11:00:01:00,firewall=0")).toBe("virtio=BC:24:11:00:01:00,firewall=0");
  expect(merged("qemu", "net0", { firewall: 0 }, "virtio=BC:24:11:00:01:00")).toBe("virtio=BC:24:11:00:01:00");
});

test("what is equal keeps the spelling it has; only what differs is rewritten", () => {
  expect(merged("qemu", "cpu", { flags: ["+aes"], hidden: true }, "cputype=host,flags=+aes")).toBe("host,flags=+aes,hidden=1");
  expect(merged("qemu", "agent", { type: "isa" }, "1,freeze-fs=off")).toBe("1,freeze-fs=off,type=isa");
});

test.each([
  [{ "type=std,memory": 32 }, "names of sub-keys"], [{ "": 1 }, "names of sub-keys"], [{ tpye: "std" }, "tpye"], [{ tpye: null }, "tpye"], [{ type: "std,memory=32" }, "without a comma"], [{ type: "" }, "write null"],
  [{ type: "a\nmemory: 1" }, "one line"], [{ memory: [] }, "expected"], [["std"], "a map or text"], ["type=std,type=qxl", "every sub-key once"], ["x=", "a map or text"], [" ", "write null"],
  [{ memory: "much" }, "memory: expected an integer from 4 to 512"],
] as const)("%j is refused for a property string", (declared, message) => {
  expect(refusal("qemu", "vga", declared)).toContain(message);
});

test("a sub-key this table does not know is taken when Proxmox already has it", () => {
  expect(merged("qemu", "vga", { future: 2 }, "std,future=1")).toBe("std,future=2");
  expect(refusal("qemu", "vga", { future: null }, "std,future=1")).toContain("future");
});
