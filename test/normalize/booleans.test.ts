import { expect, test } from "bun:test";
import { BOOLEAN_OFF, BOOLEAN_ON, canonicalBoolean } from "../../src/normalize/booleans.ts";
import { defaultOf } from "../../src/normalize/value-rule.ts";
import { contextOf, formOf, isDrift, merged, refusal } from "./support.ts";

test.each([
  ["1", "1"], ["on", "1"], ["yes", "1"], ["true", "1"], ["TRUE", "1"], ["Yes", "1"],
  ["0", "0"], ["off", "0"], ["no", "0"], ["false", "0"], ["False", "0"],
])("row 3: the boolean word %s reads as %s", (word, digit) => {
  expect(canonicalBoolean(word)).toBe(digit as "0" | "1");
});

test.each(["maybe", "2", "", " 1", "onn", "truefalse", "01"])("text %j is no boolean", (text) => {
  expect(canonicalBoolean(text)).toBeUndefined();
});

test("row 2: whatever spelling is declared, 1 or 0 is what is sent", () => {
  for (const declared of [true, 1, "1", "on", "yes", "true"]) expect(merged("qemu", "onboot", declared, 0)).toBe("1");
  for (const declared of [false, 0, "0", "off", "no", "false"]) expect(merged("qemu", "onboot", declared, 1)).toBe("0");
});

test("row 2: a hand-written `onboot: yes` is not drift against a declared true", () => {
  expect(isDrift("qemu", "onboot", true, "yes")).toBe(false);
  expect(isDrift("qemu", "onboot", false, "yes")).toBe(true);
});

test("row 8: a boolean that is off by default is absent when it says so, one that is on is not", () => {
  expect(formOf("qemu", "onboot", 0)).toBeNull();
  expect(formOf("qemu", "onboot", 1)).toBe("1");
  expect(formOf("qemu", "kvm", 1)).toBeNull();
  expect(formOf("qemu", "kvm", 0)).toBe("0");
  expect([defaultOf(BOOLEAN_OFF, contextOf("qemu")), defaultOf(BOOLEAN_ON, contextOf("qemu"))]).toEqual(["0", "1"]);
});

test("a boolean that is none is refused with what was expected, found and to do", () => {
  expect(refusal("qemu", "onboot", "maybe", 1)).toBe('expected true or false (1 or 0), found "maybe"; correct the declared value');
  expect(refusal("qemu", "onboot", "")).toContain("write null to have it absent");
  expect(refusal("qemu", "onboot", [true])).toContain("expected true or false");
  expect(refusal("qemu", "onboot", { on: 1 })).toContain('{"on":1}');
});
