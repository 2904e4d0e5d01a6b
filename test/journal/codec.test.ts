import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeFrame, encodeFrame, findFrames, NO_LINK } from "../../src/journal/frame.ts";
import { decodeRecord, encodeRecord } from "../../src/journal/record.ts";
import { decodeHeader, encodeHeader, segmentName, segmentNames, type SegmentHeader } from "../../src/journal/segment.ts";
import { record, text } from "./arbitraries.ts";
import { codeOf, valueOf } from "./journal-fixture.ts";

const SALT = "00112233445566778899aabbccddeeff";
const OTHER_SALT = "ffeeddccbbaa99887766554433221100";
const body = text.map((value) => JSON.stringify({ value }));
const sequence = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

function bytesOf(line: string): Uint8Array {
  return Buffer.from(line, "utf8");
}

describe("records", () => {
  test("every record comes back as it was, in one line", () => {
    fc.assert(fc.property(record, (original) => {
      const encoded = encodeRecord(original);
      expect(encoded).not.toContain("\n");
      expect(encodeRecord(valueOf(decodeRecord(encoded)))).toBe(encoded);
    }), { numRuns: 500 });
  });

  const refused: [string, string][] = [
    ["no JSON", "{"],
    ["an unknown kind", '{"kind":"surprise","at":""}'],
    ["an unknown field", '{"kind":"nonce_spent","at":"","nonce":"n","until":"u","more":1}'],
    ["a missing field", '{"kind":"nonce_spent","at":"","nonce":"n"}'],
    ["an event of an unknown type", '{"kind":"event","at":"","op":"x","event":{"type":"explode"}}'],
    ["a fact with a null inside", '{"kind":"fact","at":"","namespace":"n","key":"k","value":{"a":null}}'],
    ["a fractional vmid", '{"kind":"verdict","at":"","guest":{"kind":"qemu","vmid":1.5,"identity":{}},"digest":"d","outcome":"held","reason":""}'],
    ["an array", "[]"],
  ];
  for (const [name, encoded] of refused) {
    test(`${name} is refused`, () => expect(codeOf(decodeRecord(encoded))).toBe("journal.corrupt"));
  }
});

describe("frames", () => {
  test("every frame comes back as it was", () => {
    fc.assert(fc.property(sequence, sequence, body, (number, batch, content) => {
      const { line, hash } = encodeFrame(SALT, number, batch, NO_LINK, content);
      expect(line.endsWith("\n") && line.indexOf("\n") === line.length - 1).toBe(true);
      expect(decodeFrame(SALT, bytesOf(line.slice(0, -1)))).toEqual({ sequence: number, batch, link: NO_LINK, body: content, hash });
    }));
  });

  test("no changed bit, no cut and no added byte passes", () => {
    fc.assert(fc.property(body, fc.nat(), fc.integer({ min: 0, max: 7 }), (content, place, bit) => {
      const whole = bytesOf(encodeFrame(SALT, 7, 5, NO_LINK, content).line.slice(0, -1));
      const flipped = Uint8Array.from(whole);
      const at = place % whole.length;
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
      expect(decodeFrame(SALT, flipped)).toBeUndefined();
      expect(decodeFrame(SALT, whole.subarray(0, at))).toBeUndefined();
      expect(decodeFrame(SALT, Buffer.concat([whole, flipped.subarray(0, 1)]))).toBeUndefined();
    }));
  });

  test("a frame of another segment never passes", () => {
    fc.assert(fc.property(body, (content) => {
      const { line } = encodeFrame(OTHER_SALT, 1, 1, NO_LINK, content);
      expect(decodeFrame(SALT, bytesOf(line.slice(0, -1)))).toBeUndefined();
    }));
  });

  test("frames are found whatever surrounds them", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), body, fc.boolean(), (before, content, isEnded) => {
      const { line, hash } = encodeFrame(SALT, 3, 3, NO_LINK, content);
      const found = findFrames(SALT, Buffer.concat([before, bytesOf(isEnded ? line : line.slice(0, -1))]));
      expect(found.map(({ frame, offset }) => [frame.hash, offset])).toEqual([[hash, before.length]]);
    }));
  });

  test("a person can check a frame with sha256sum", () => {
    const { line, hash } = encodeFrame(SALT, 1, 1, NO_LINK, "{}");
    expect(new Bun.CryptoHasher("sha256").update(`${SALT} ${line.slice(17, -1)}`).digest("hex")).toBe(hash);
    expect(line.slice(0, 16)).toBe(hash.slice(0, 16));
  });
});

describe("headers", () => {
  const header: SegmentHeader = {
    node: "pve1", machineId: "m", directoryInode: 12, salt: SALT, firstSequence: 1, previousHead: NO_LINK, createdAt: "2026-01-01T00:00:00.000Z", version: "0.1.0",
  };

  test("a header comes back as it was", () => {
    fc.assert(fc.property(text, text, sequence, (node, machineId, firstSequence) => {
      const original = { ...header, node, machineId, firstSequence };
      const { line, hash } = encodeHeader(original);
      expect(JSON.stringify(valueOf(decodeHeader(line.slice(0, -1))))).toBe(JSON.stringify({ header: original, hash }));
    }));
  });

  test("no changed bit passes", () => {
    const line = bytesOf(encodeHeader(header).line.slice(0, -1));
    for (let at = 0; at < line.length; at++) {
      const flipped = Uint8Array.from(line);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << at % 8);
      expect(codeOf(decodeHeader(Buffer.from(flipped).toString("utf8")))).toBe("journal.corrupt");
    }
  });

  test("a newer format is refused with the advice to run the newer agent", () => {
    const body = JSON.stringify(header);
    const hash = new Bun.CryptoHasher("sha256").update(`steward-journal 2 ${body}`).digest("hex");
    const decoded = decodeHeader(`steward-journal 2 ${hash.slice(0, 16)} ${body}`);
    expect(decoded.ok ? "" : decoded.error.message).toMatch(/format 2.*newer agent/);
  });

  test("segments are named after their first record and sort by it", () => {
    expect(segmentName(42)).toBe("0000000000000042.journal");
    const names = [9, 10, 123_456, Number.MAX_SAFE_INTEGER].map(segmentName);
    expect(segmentNames(["lock", "reserve", `${segmentName(1)}.tmp`, `${segmentName(1)}.torn-x`, ...names.toReversed()])).toEqual(names);
  });
});
