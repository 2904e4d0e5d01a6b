import { expect, test } from "bun:test";
import fc from "fast-check";
import { SIZE_RULE, formatSize, parseSize } from "../../src/normalize/sizes.ts";

test.each([
  ["1024G", "1T"], ["10.5G", "10752M"], ["528K", "528K"], ["4M", "4M"], ["0.5G", "512M"], ["1029M", "1029M"], ["1000", "1000"], ["2048", "2K"], ["0", "0"], ["1.5T", "1536G"],
])("row 32: the size %s is printed %s", (text, printed) => {
  expect(formatSize(parseSize(text) ?? Number.NaN)).toBe(printed);
});

test.each(["", "G", "32 G", "32g", "-1G", "1P", "1e3", "99999999999999999T", "1..5G"])("text %j is no size", (text) => {
  expect(parseSize(text)).toBeUndefined();
});

test("row 32: every number of bytes survives being printed and read", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (sizeBytes) => parseSize(formatSize(sizeBytes)) === sizeBytes),
    { numRuns: 2000 },
  );
});

test("row 33: a volume may be larger by less than one extent, never smaller, never by a whole one", () => {
  expect(SIZE_RULE.covers?.("1029M", "1032M")).toBe(true);
  expect(SIZE_RULE.covers?.("1G", "1G")).toBe(true);
  expect(SIZE_RULE.covers?.("1G", "1028M")).toBe(false);
  expect(SIZE_RULE.covers?.("1G", "1023M")).toBe(false);
});
