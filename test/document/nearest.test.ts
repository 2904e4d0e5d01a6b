import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { nearestName, suggestName } from "../../src/document/nearest.ts";

const FIELDS = ["vmid", "kind", "mode", "state", "config"];

describe("the name that was probably meant", () => {
  test.each([
    ["vmdi", "vmid"],
    ["stat", "state"],
    ["State", "state"],
    ["confg", "config"],
    ["con-fig", "config"],
    ["mod", "mode"],
    ["memory", undefined],
    ["hookscript", undefined],
    ["", undefined],
  ])("%j → %p", (name, meant) => {
    expect(nearestName(name, FIELDS)).toBe(meant);
  });

  test("a name that is far from all gets the whole list", () => {
    expect(suggestName("hookscript", FIELDS)).toBe("; known: vmid, kind, mode, state, config");
  });

  test("a very long name is not compared, in no time", () => {
    expect(nearestName("x".repeat(1_000_000), FIELDS)).toBeUndefined();
  });

  test("a name on the list is its own nearest, and one wrong letter in a longer one does not hide it", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]{6,20}$/), fc.nat(), (name, at) => {
        const position = at % name.length;
        const mistyped = `${name.slice(0, position)}#${name.slice(position + 1)}`;
        expect(nearestName(name, [name])).toBe(name);
        expect(nearestName(mistyped, [name])).toBe(name);
      }),
    );
  });
});
