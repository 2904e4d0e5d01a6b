import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import * as der from "../../../src/simulator/tls/der.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("DER", () => {
  const cases: readonly (readonly [name: string, encoded: Uint8Array, expected: string])[] = [
    ["boolean true is all ones", der.boolean(true), "0101ff"],
    ["boolean false", der.boolean(false), "010100"],
    ["zero has one octet", der.unsignedInteger(Uint8Array.of(0, 0)), "020100"],
    ["leading zeros are dropped", der.unsignedInteger(Uint8Array.of(0, 0, 5)), "020105"],
    ["a high first bit gets a zero in front", der.unsignedInteger(Uint8Array.of(0x80)), "02020080"],
    ["object identifier with a long arc", der.objectIdentifier("1.2.840.10045.4.3.2"), "06082a8648ce3d040302"],
    ["object identifier with a short last arc", der.objectIdentifier("2.5.29.17"), "0603551d11"],
    ["empty sequence", der.sequence(), "3000"],
    ["nested sequence", der.sequence(der.boolean(true), der.sequence()), "30050101ff3000"],
    ["set of one", der.setOfOne(der.boolean(false)), "3103010100"],
    ["bit string with unused bits", der.bitString(Uint8Array.of(0x80), 7), "03020780"],
    ["octet string", der.octetString(Uint8Array.of(1, 2)), "04020102"],
    ["UTF-8 string", der.utf8String("ü"), "0c02c3bc"],
    ["explicit tag wraps", der.explicit(3, der.boolean(true)), "a3030101ff"],
    ["implicit tag replaces", der.implicit(7, Uint8Array.of(127, 0, 0, 1)), "87047f000001"],
    ["time before 2050 has a two-digit year", der.time(Date.UTC(2049, 11, 31, 23, 59, 59)), `170d${Buffer.from("491231235959Z").toString("hex")}`],
    ["time from 2050 has four", der.time(Date.UTC(2050, 0, 1)), `180f${Buffer.from("20500101000000Z").toString("hex")}`],
  ];
  test.each(cases)("%s", (_, encoded, expected) => expect(hex(encoded)).toBe(expected));

  test("a length is short below 128, and otherwise the fewest octets that hold it", () => {
    expect(hex(der.octetString(new Uint8Array(127))).slice(0, 4)).toBe("047f");
    expect(hex(der.octetString(new Uint8Array(128))).slice(0, 6)).toBe("048180");
    expect(hex(der.octetString(new Uint8Array(256))).slice(0, 8)).toBe("04820100");
  });

  test("any unsigned integer reads back as itself and never as negative", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
        const content = der.unsignedInteger(bytes).subarray(2);
        expect(content[0] ?? 0xff).toBeLessThan(0x80);
        expect(BigInt(`0x${hex(content)}`)).toBe(BigInt(`0x${hex(bytes)}`));
      }),
    );
  });
});
