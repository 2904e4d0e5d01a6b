import { expect, test } from "bun:test";
import { formOf, isDrift, merged, refusal } from "./support.ts";

const ORDERED = { tagStyle: { isOrdered: true, isCaseSensitive: false } };
const CASED = { tagStyle: { isOrdered: false, isCaseSensitive: true } };

test.each([
  ["b;a", "a;b"], ["B;a", "a;b"], ["a,b", "a;b"], ["a b", "a;b"], ["a;a;b", "a;b"], ["A;a", "a"], ["z; y", "y;z"], [";a;", "a"], ["a;;b", "a;b"], ["A;b;A;B", "a;b"],
  ["a.b_c-d+e", "a.b_c-d+e"], ["", " "], [" ", " "],
])("row 19: tags sent as %j and read back as %j are no drift, and read back is what is sent", (sent, back) => {
  for (const kind of ["qemu", "lxc"] as const) {
    expect(isDrift(kind, "tags", sent, back)).toBe(false);
    expect(merged(kind, "tags", sent)).toBe(back.trim() === "" ? null : back);
  }
});

test("row 19: a list is as good as text and is sent joined with semicolons", () => {
  expect(merged("qemu", "tags", ["web", "Prod"])).toBe("prod;web");
  expect(isDrift("qemu", "tags", ["web", "prod"], "prod;web")).toBe(false);
  expect(merged("qemu", "tags", [], "a;b")).toBeNull();
});

test("row 19: with ordering=config the order is kept and means something", () => {
  expect(merged("qemu", "tags", "z;a;m;a", undefined, ORDERED)).toBe("z;a;m");
  expect(isDrift("qemu", "tags", "a;z", "z;a", ORDERED)).toBe(true);
  expect(isDrift("qemu", "tags", "z;A", "z;a", ORDERED)).toBe(false);
});

test("row 19: with case-sensitive=1 case is kept, and sorting is by byte", () => {
  expect(merged("qemu", "tags", "B;a;A;b", undefined, CASED)).toBe("A;B;a;b");
  expect(isDrift("qemu", "tags", "B", "b", CASED)).toBe(true);
});

test("row 20: tags that creation left as they were sent compare like any", () => {
  expect(formOf("qemu", "tags", "b;A;b")).toBe("a;b");
});

test.each(["ünï", "a/b", "-a", "+a", "a:b", "a;b/c"])("row 19: the tags %j are refused", (tags) => {
  expect(refusal("qemu", "tags", tags)).toContain("expected tags of letters");
});

test.each([[["a", ""]], [["a b"]], [["a;b"]], [[" "]]])("row 19: the list %j is refused: one tag an item", (tags) => {
  expect(refusal("qemu", "tags", tags)).toContain("one value an item and no empty item");
});

test("different tags are drift, and the declared set replaces the one there", () => {
  expect(merged("qemu", "tags", "a;c", "a;b")).toBe("a;c");
  expect(isDrift("qemu", "tags", "a;c", "a;b")).toBe(true);
});
