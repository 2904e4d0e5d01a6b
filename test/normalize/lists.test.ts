import { expect, test } from "bun:test";
import { listOf, splitList, uniqueSorted } from "../../src/normalize/lists.ts";
import { numberSet, rangeSet } from "../../src/normalize/ranges.ts";
import { TEXT } from "../../src/normalize/text-rules.ts";
import { contextOf } from "./support.ts";

test.each([
  ["a,b", ["a", "b"]], ["a;b c", ["a", "b", "c"]], [" ;,a", ["a"]], ["a;;b", ["a", "b"]], ["", []], ["a\tb\nc", ["a", "b", "c"]], ["a b\0c,d\0", ["a b", "c,d"]],
])("row 7: %j splits into %j", (text, items) => {
  expect(splitList(text)).toEqual(items);
});

test("row 7: a set drops order and repetitions, a sequence keeps both", () => {
  const shape = { noun: "things", item: TEXT, joiner: ";" };
  expect(listOf({ ...shape, order: "set" }).canonical("b,a b", contextOf("qemu"))).toBe("a;b");
  expect(listOf({ ...shape, order: "sequence" }).canonical("b,a b", contextOf("qemu"))).toBe("b;a;b");
  expect(uniqueSorted(["b", "A", "a", "b"])).toEqual(["A", "a", "b"]);
});

test.each([
  ["3;0-1", "0-1;3"], ["0;1;2", "0-2"], ["1-3;2", "1-3"], ["5", "5"], ["0-1,4", "0-1;4"], ["4-9;1-3", "1-9"],
])("rows 28 and 58: the ranges %s are %s", (text, canonical) => {
  const rule = rangeSet(";");
  expect(rule.canonical(text, contextOf("qemu"))).toBe(canonical);
  expect(rule.canonical(canonical, contextOf("qemu"))).toBe(canonical);
});

test.each(["", "3-1", "a", "1-", "-1", "1--2", "1:2"])("text %j is no set of ranges", (text) => {
  expect(rangeSet(";").canonical(text, contextOf("qemu"))).toBeUndefined();
});

test("a range of a billion numbers costs no more than its text", () => {
  expect(rangeSet(";").canonical("0-999999999;5", contextOf("qemu"))).toBe("0-999999999");
});

test.each([
  ["5;6;7", "5;6;7"], ["7 5,6", "5;6;7"], ["5-7", "5;6;7"], ["6;5-7;5", "5;6;7"], ["10;9;0100", "9;10;100"], ["4094", "4094"],
])("row 28: the single numbers %s are %s, without ranges", (text, canonical) => {
  const rule = numberSet(4094);
  expect(rule.canonical(text, contextOf("lxc"))).toBe(canonical);
  expect(rule.canonical(canonical, contextOf("lxc"))).toBe(canonical);
});

test.each(["", "7-5", "a", "4095", "1-999999999", "0-4094;4095"])("text %j is no set of numbers up to 4094", (text) => {
  expect(numberSet(4094).canonical(text, contextOf("lxc"))).toBeUndefined();
});

test("row 28: many overlapping ranges of single numbers cost no more than the numbers there are", () => {
  expect(numberSet(3).canonical(Array.from({ length: 1000 }, () => "1-3").join(";"), contextOf("lxc"))).toBe("1;2;3");
});

test("row 7: a list split at NUL whose items would come apart when joined is left as it is", () => {
  const rule = listOf({ noun: "things", item: TEXT, joiner: " ", order: "sequence" });
  expect(rule.canonical("x y\0z", contextOf("qemu"))).toBeUndefined();
  expect(rule.canonical("x\0z", contextOf("qemu"))).toBe("x z");
});
