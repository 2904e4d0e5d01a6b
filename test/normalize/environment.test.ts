import { expect, test } from "bun:test";
import { formOf, isDrift, merged, refusal } from "./support.ts";

const NUL = "\0";

test("row 79: a container's environment is split at NUL alone; order says nothing, the last of a name counts", () => {
  const there = ["PATH=/bin:/usr/bin", "NAME=a b, c; d", "EMPTY="].join(NUL);
  expect(isDrift("lxc", "env", ["EMPTY=", "NAME=a b, c; d", "PATH=/bin:/usr/bin"], there)).toBe(false);
  expect(isDrift("lxc", "env", there, there)).toBe(false);
  expect(isDrift("lxc", "env", ["NAME=old", "NAME=a b, c; d", "PATH=/bin:/usr/bin", "EMPTY="], there)).toBe(false);
  expect(isDrift("lxc", "env", ["PATH=/bin:/usr/bin", "NAME=a b"], there)).toBe(true);
  expect(isDrift("lxc", "env", ["PATH=/bin:/usr/bin", "NAME=a b, c; d", "EMPTY= "], there)).toBe(true);
  expect(formOf("lxc", "env", "")).toBeNull();
});

test("row 79: what is sent is the whole of it, joined with NUL, and what is there stays as it is spelled", () => {
  expect(merged("lxc", "env", ["B=2", "A=1"])).toBe(`B=2${NUL}A=1`);
  expect(merged("lxc", "env", ["A=1"], `A=1${NUL}B=2`)).toBe("A=1");
  expect(merged("lxc", "env", ["A=1", "B=2"], `B=2${NUL}A=1`)).toBe(`B=2${NUL}A=1`);
  expect(merged("lxc", "env", null, "A=1")).toBeNull();
  expect(merged("lxc", "env", [], "A=1")).toBeNull();
});

test.each([["A"], ["=1"], ["A-B=1"], ["A=1\nlxc.idmap=x"], [{ A: "1" }], [["A=1", "B"]], [1]])("row 79: %j is refused, and the message shows no value", (declared) => {
  const message = refusal("lxc", "env", declared);
  expect(message).toContain("assignments");
  expect(message).not.toContain("idmap");
  expect(message).not.toContain("A-B");
});
