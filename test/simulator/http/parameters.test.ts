import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Parameters } from "../../../src/simulator/api.ts";
import { decodeForm, decodeJson, mergeParameters } from "../../../src/simulator/http/parameters.ts";

describe("form values as a real host decodes them (row T4)", () => {
  const cases: readonly (readonly [string, string, Parameters])[] = [
    ["nothing", "", {}],
    ["one pair", "description=x", { description: "x" }],
    ["all after a second equals sign is dropped", "description=a=b", { description: "a" }],
    ["… so a property string must be escaped", "startup=order=1", { startup: "order" }],
    ["an escaped equals sign stays", "startup=order%3D1", { startup: "order=1" }],
    ["a semicolon separates pairs", "tags=x;y", { tags: "x", y: null }],
    ["an escaped semicolon stays", "tags=x%3By", { tags: "x;y" }],
    ["a plus is a space", "description=a+b", { description: "a b" }],
    ["an escaped plus stays", "description=a%2Bb", { description: "a+b" }],
    ["a lone percent sign stays", "description=100%", { description: "100%" }],
    ["a broken escape stays", "description=%zz", { description: "%zz" }],
    ["UTF-8", "description=%C3%BC", { description: "ü" }],
    ["raw UTF-8 bytes", Buffer.from("description=ü").toString("latin1"), { description: "ü" }],
    ["an empty value is empty", "boot=", { boot: "" }],
    ["no equals sign is no value", "boot", { boot: null }],
    ["a repeated key becomes a list", "current=1&current=0", { current: ["1", "0"] }],
    ["three times too", "a=1&a=2&a=3", { a: ["1", "2", "3"] }],
    ["empty pairs are skipped", "&a=1&&b=2&", { a: "1", b: "2" }],
    ["line ends survive", "description=a%0D%0Ab", { description: "a\r\nb" }],
  ];
  test.each(cases)("%s", (_, text, expected) => expect(decodeForm(text)).toEqual(expected));

  test("whatever is percent-encoded comes back as it was", () => {
    const key = fc.stringMatching(/^[a-z0-9]{1,8}$/);
    const value = fc.string({ unit: "grapheme" }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(fc.dictionary(key, value, { noNullPrototype: true }), (values) => {
        const form = Object.entries(values).map(([name, text]) => `${name}=${encodeURIComponent(text)}`);
        expect(decodeForm(form.join("&"))).toEqual(values);
      }),
    );
  });
});

describe("JSON bodies (row T10)", () => {
  const cases: readonly (readonly [string, string, unknown])[] = [
    ["types are kept", '{"cores":2,"onboot":true,"tags":["a","b"],"net0":{"model":"virtio"},"d":null}', { cores: 2, onboot: true, tags: ["a", "b"], net0: { model: "virtio" }, d: null }],
    ["an empty object is no parameters", "{}", {}],
  ];
  test.each(cases)("%s", (_, text, expected) => expect(decodeJson(text)).toEqual({ ok: true, parameters: expected as Parameters }));

  test("a list dies as Perl does", () => {
    expect(decodeJson("[1]")).toEqual({ ok: false, reason: "Not a HASH reference at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 978." });
  });

  test("what is not JSON is refused", () => expect(decodeJson("{")).toMatchObject({ ok: false }));
});

test("the query wins over the body, and the GUI's cache breaker is dropped", () => {
  expect(mergeParameters({ a: "1", b: "2" }, { b: "3", _dc: "99" })).toEqual({ a: "1", b: "3" });
});
