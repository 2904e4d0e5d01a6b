import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readHead, type HeadResult } from "../../../src/simulator/http/request-head.ts";

const read = (text: string): HeadResult => readHead(Buffer.from(text, "latin1"));
const lines = (count: number): string => Array.from({ length: count }, (_, index) => `X-${index}: y\r\n`).join("");

describe("request heads", () => {
  test("method, target, version, headers, and what comes after", () => {
    const result = read("PUT /a?b=c HTTP/1.1\r\nHost: x\r\nContent-LENGTH : 3\r\n\r\nabcGET");
    if (result.type !== "head") throw new Error(result.type);
    expect({ ...result.head, headers: Object.fromEntries(result.head.headers) }).toEqual({
      method: "PUT",
      target: "/a?b=c",
      minorVersion: 1,
      headers: { host: "x", "content-length": "3" },
    });
    expect(result.rest.toString()).toBe("abcGET");
  });

  const cases: readonly (readonly [string, string, Partial<HeadResult>])[] = [
    ["bare line feeds do", "GET / HTTP/1.0\nHost: x\n\n", { type: "head" }],
    ["empty lines in front are skipped", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", { type: "head" }],
    ["nothing yet", "", { type: "incomplete" }],
    ["half a line", "GET / HT", { type: "incomplete" }],
    ["no empty line yet", "GET / HTTP/1.1\r\nHost: x\r\n", { type: "incomplete" }],
    ["not a request", "hello\r\n", { type: "refused", status: 400, reason: "bad request" }],
    ["HTTP/2", "PRI * HTTP/2.0\r\n", { type: "refused", status: 506, reason: "http protocol version 2.0 not supported" }],
    ["a line that is no header", "GET / HTTP/1.1\r\nnonsense\r\n\r\n", { type: "refused", status: 506, reason: "unable to parse request header" }],
    ["63 header lines with the empty one", `GET / HTTP/1.1\r\n${lines(62)}\r\n`, { type: "head" }],
    ["64 header lines with the empty one", `GET / HTTP/1.1\r\n${lines(63)}\r\n`, { type: "stuck" }],
    ["headers of 8 KiB", `GET / HTTP/1.1\r\nX: ${"y".repeat(8192 - 3)}\r\n\r\n`, { type: "stuck" }],
    ["headers of one byte less", `GET / HTTP/1.1\r\nX: ${"y".repeat(8192 - 4)}\r\n\r\n`, { type: "head" }],
    ["a header that grows without an end", `GET / HTTP/1.1\r\nX: ${"y".repeat(9000)}`, { type: "stuck" }],
    ["a request line that grows without an end", "G".repeat(64 * 1024 + 1), { type: "closed" }],
  ];
  test.each(cases)("%s", (_, text, expected) => expect(read(text)).toMatchObject(expected));

  test("a header over two lines is one value, a repeated one is joined", () => {
    const result = read("GET / HTTP/1.1\r\nA: 1\r\n  2\r\nB: 3\r\nb: 4\r\n\r\n");
    expect(result.type === "head" && Object.fromEntries(result.head.headers)).toEqual({ a: "1 2", b: "3, 4" });
  });

  test("wherever the bytes are cut, the head is the same", () => {
    const whole = Buffer.from("POST /x HTTP/1.1\r\nHost: localhost\r\nA: b\r\n\r\nbody");
    const expected = readHead(whole);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length }), (cut) => {
        const early = readHead(whole.subarray(0, cut));
        if (early.type === "incomplete") expect(readHead(Buffer.concat([whole.subarray(0, cut), whole.subarray(cut)]))).toEqual(expected);
        else expect(early.type === "head" && early.head).toEqual(expected.type === "head" && expected.head);
      }),
    );
  });
});
