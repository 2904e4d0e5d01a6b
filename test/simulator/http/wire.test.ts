import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { request as httpRequest } from "node:http";
import { Agent, get } from "node:https";
import { connect } from "node:tls";
import type { ApiAnswer } from "../../../src/simulator/api.ts";
import { headerValues, RawConnection, rawRequest, type RawRequest, type RawResponse } from "../../support/raw-https.ts";
import { RECORDED_TOKENS, serveFakeNode, type Served } from "../../support/served-node.ts";

let served: Served;
beforeEach(async () => {
  served = await serveFakeNode();
});
afterEach(() => served.stop());

const token = RECORDED_TOKENS.root;
const ask = (method: string, path: string, request: RawRequest = {}): Promise<RawResponse> =>
  rawRequest(served, method, path, { token, ...request });
const answer = (given: ApiAnswer): void => {
  served.node.answer = () => given;
};
const connectionHeaders = (response: RawResponse): string[] => headerValues(response, "Connection");

describe("headers", () => {
  test("every header of a direct answer, in a real host's order", async () => {
    answer({ status: 200, data: { version: "9.2.11" }, isProxied: false });
    const response = await ask("GET", "/api2/json/version");
    const date = new Date(served.clock.now()).toUTCString();
    expect(response.statusLine).toBe("HTTP/1.1 200 OK");
    expect(response.headers).toEqual([
      ["Cache-Control", "max-age=0"],
      ["Connection", "Keep-Alive"],
      ["Date", date],
      ["Pragma", "no-cache"],
      ["Server", "pve-api-daemon/3.0"],
      ["Content-Length", "29"],
      ["Content-Type", "application/json;charset=UTF-8"],
      ["Expires", date],
    ]);
    expect(response.body).toBe('{"data":{"version":"9.2.11"}}');
  });

  test("what pvedaemon answered says close and Keep-Alive (row T7)", async () => {
    answer({ status: 200, data: [], isProxied: true });
    expect(connectionHeaders(await ask("GET", "/api2/json/nodes/pve1/qemu"))).toEqual(["close", "Keep-Alive"]);
  });

  test("an error says close alone, and is closed", async () => {
    answer({ status: 500, reason: "VM 100 not running", hasBody: true, isProxied: true });
    const connection = await RawConnection.open(served);
    const response = await connection.request("POST", "/api2/json/x", { token });
    expect(response.statusLine).toBe("HTTP/1.1 500 VM 100 not running");
    expect(connectionHeaders(response)).toEqual(["close"]);
    expect(JSON.parse(response.body)).toEqual({ data: null, message: "VM 100 not running\n" });
    await connection.closed();
  });

  test("both ways a proxied answer leaves the connection open", async () => {
    answer({ status: 200, data: null, isProxied: true });
    const connection = await RawConnection.open(served);
    await connection.request("GET", "/api2/json/a", { token });
    expect((await connection.request("GET", "/api2/json/b", { token })).status).toBe(200);
    expect(served.counts().tcpConnections).toBe(1);
    connection.close();
  });

  test("a client that asks for close gets it", async () => {
    answer({ status: 200, data: null, isProxied: true });
    const connection = await RawConnection.open(served);
    expect(connectionHeaders(await connection.request("GET", "/api2/json/a", { token, headers: { Connection: "close" } }))).toEqual(["close"]);
    await connection.closed();
  });

  test("long bodies are compressed when asked, short ones and others are not", async () => {
    const text = "x".repeat(2000);
    answer({ status: 200, data: text, isProxied: false });
    const zipped = await ask("GET", "/api2/json/a", { headers: { "Accept-Encoding": "gzip, deflate" } });
    expect(headerValues(zipped, "Content-Encoding")).toEqual(["gzip"]);
    expect(zipped.body).toBe(JSON.stringify({ data: text }));
    expect(Number(headerValues(zipped, "Content-Length")[0])).toBeLessThan(200);
    expect(headerValues(await ask("GET", "/api2/json/a"), "Content-Encoding")).toEqual([]);
    answer({ status: 200, data: "short", isProxied: false });
    expect(headerValues(await ask("GET", "/api2/json/a", { headers: { "Accept-Encoding": "gzip" } }), "Content-Encoding")).toEqual([]);
  });
});

describe("a connection", () => {
  test("serves 100 requests and says close on the last", async () => {
    answer({ status: 200, data: null, isProxied: false });
    const connection = await RawConnection.open(served);
    for (let count = 1; count < 100; count++) {
      expect(connectionHeaders(await connection.request("GET", "/api2/json/a", { token }))).toEqual(["Keep-Alive"]);
    }
    expect(connectionHeaders(await connection.request("GET", "/api2/json/a", { token }))).toEqual(["close"]);
    await connection.closed();
  });

  test("is closed after five idle seconds, between requests and inside one", async () => {
    const idle = await RawConnection.open(served);
    await idle.request("GET", "/api2/json/a", { token });
    const halfway = await RawConnection.open(served);
    halfway.send("GET /api2/json/a HTTP/1.1\r\nHost: x\r\n");
    await new Promise((resolve) => setImmediate(resolve));
    await served.clock.advance(4_999);
    expect([idle.isClosed, halfway.isClosed]).toEqual([false, false]);
    await served.clock.advance(2);
    await Promise.all([idle.closed(), halfway.closed()]);
  });

  test("with too many header lines is never answered, and closed by the idle timeout", async () => {
    const connection = await RawConnection.open(served);
    connection.send(`GET /api2/json/a HTTP/1.1\r\n${"X: y\r\n".repeat(70)}\r\n`);
    await new Promise((resolve) => setImmediate(resolve));
    await served.clock.advance(5_001);
    await connection.closed();
    expect(served.requestLog.count()).toBe(0);
  });

  test("answers pipelined requests one after the other", async () => {
    served.node.answer = async (call) => ({ status: 200, data: call.path, isProxied: false });
    const connection = await RawConnection.open(served);
    const head = `Host: x\r\nAuthorization: PVEAPIToken=${token}\r\n`;
    connection.send(`GET /api2/json/a HTTP/1.1\r\n${head}\r\nPUT /api2/json/b HTTP/1.1\r\n${head}Content-Length: 3\r\n\r\nx=1GET /api2/json/c HTTP/1.1\r\n${head}\r\n`);
    const bodies = [(await connection.response()).body, (await connection.response()).body, (await connection.response()).body];
    expect(bodies).toEqual(['{"data":"/a"}', '{"data":"/b"}', '{"data":"/c"}']);
    connection.close();
  });

  test("is closed when a client sends without end while its request is worked on", async () => {
    served.faults.add({ kind: "latency", ms: 1_000 });
    const connection = await RawConnection.open(served);
    connection.request("GET", "/api2/json/a", { token }).catch(() => {});
    while (served.requestLog.count() < 1) await new Promise((resolve) => setImmediate(resolve));
    connection.send("x".repeat(700 * 1024));
    await connection.closed();
  });
});

describe("requests that never reach the host (row T3)", () => {
  const plain = "Host: x\r\n";
  const cases: readonly (readonly [string, string, string, RawRequest, string, string])[] = [
    ["HEAD", "HEAD", "/api2/json/version", {}, "501 method 'HEAD' not available", ""],
    ["PATCH", "PATCH", "/api2/json/version", {}, "501 method 'PATCH' not available", ""],
    ["a body on GET", "GET", "/api2/json/x", { body: "current=1" }, "501 Unexpected content for method 'GET'", "Unexpected content for method 'GET'"],
    ["a body on DELETE", "DELETE", "/api2/json/x", { body: "purge=1" }, "501 Unexpected content for method 'DELETE'", "Unexpected content for method 'DELETE'"],
    ["a chunked request", "PUT", "/api2/json/x", { headers: { "Transfer-Encoding": "chunked" } }, "501 chunked transfer encoding not supported", "chunked transfer encoding not supported"],
    ["a form over 512 KiB", "PUT", "/api2/json/x", { headers: { "Content-Length": String(512 * 1024 + 1) } }, "501 for data too large", "for data too large"],
    ["another content type", "PUT", "/api2/json/x", { body: "<a/>", headers: { "Content-Type": "text/xml" } }, "506 upload 'Content-Type 'text/xml' not implemented", "upload 'Content-Type 'text/xml' not implemented"],
    ["a path outside the API", "GET", "/nope", {}, "501 no such file '/nope'", "no such file '/nope'"],
    ["an unknown format", "GET", "/api2/yaml/version", {}, "501 no formatter for uri /version, yaml", "no formatter for uri /version, yaml"],
    ["a JSON list", "PUT", "/api2/json/x", { body: "[1]", headers: { "Content-Type": "application/json" } }, "500 Not a HASH reference at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 978.", "Not a HASH reference at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 978.\n"],
    ["no token", "GET", "/api2/json/version", { headers: { Authorization: "" } }, "401 No ticket", ""],
    ["a wrong token", "GET", "/api2/json/version", { token: "root@pam!agent=x" }, "401 Authentication failed!", ""],
  ];
  test.each(cases)("%s", async (_, method, path, request, status, body) => {
    const response = await ask(method, path, request);
    expect(response.statusLine).toBe(`HTTP/1.1 ${status}`);
    expect(response.body).toBe(body);
    expect(connectionHeaders(response)).toEqual(["close"]);
    expect(headerValues(response, "Content-Type")).toEqual([]);
    expect(headerValues(response, "Content-Length")).toEqual(body === "" ? [] : [String(body.length)]);
    expect(served.node.calls).toEqual([]);
  });

  test("plain HTTP on the port is sent to HTTPS (row T12)", async () => {
    const response = await new Promise<{ status: number | undefined; location: string | undefined; body: string }>((resolve, reject) => {
      const request = httpRequest({ port: served.port, host: "127.0.0.1", path: "/api2/json/version" }, (incoming) => {
        let body = "";
        incoming.on("data", (chunk: Buffer) => (body += chunk.toString()));
        incoming.on("end", () => resolve({ status: incoming.statusCode, location: incoming.headers.location, body }));
      });
      request.on("error", reject);
      request.end();
    });
    expect(response).toEqual({ status: 301, location: `https://127.0.0.1:${served.port}/api2/json/version`, body: "Moved Permanently" });
    expect(served.requestLog.count()).toBe(0);
  });

  test("an unreadable request line", async () => {
    const connection = await RawConnection.open(served);
    connection.send(`nonsense\r\n${plain}\r\n`);
    expect((await connection.response()).statusLine).toContain("400 bad request");
    await connection.closed();
  });
});

describe("a refusal to authenticate", () => {
  test("takes three seconds, and a good token does not (row T8)", async () => {
    await served.stop();
    served = await serveFakeNode({ authDelayMs: 3_000 });
    expect((await ask("GET", "/api2/json/a")).status).toBe(200);
    let status: number | undefined;
    const refused = ask("GET", "/api2/json/a", { token: "garbage" }).then((response) => (status = response.status));
    while (served.requestLog.count() < 2) await new Promise((resolve) => setImmediate(resolve));
    await served.clock.advance(2_999);
    expect(status).toBeUndefined();
    await served.clock.advance(2);
    expect(await refused).toBe(401);
  });
});

describe("what the host is asked", () => {
  const cases: readonly (readonly [string, string, string, RawRequest, unknown])[] = [
    ["a path", "GET", "/api2/json/nodes/pve1/qemu/100/config", {}, { segments: ["nodes", "pve1", "qemu", "100", "config"], path: "/nodes/pve1/qemu/100/config" }],
    ["a trailing slash", "GET", "/api2/json/version/", {}, { segments: ["version"] }],
    ["a double slash", "GET", "/api2/json//version", {}, { segments: ["version"] }],
    ["an escaped slash separates", "GET", "/api2/json/nodes/pve1/qemu/100%2Fconfig", {}, { segments: ["nodes", "pve1", "qemu", "100", "config"] }],
    ["a dot is a name", "GET", "/api2/json/./version", {}, { segments: [".", "version"], path: "/./version" }],
    ["query parameters", "DELETE", "/api2/json/x?purge=1&_dc=9", {}, { method: "DELETE", parameters: { purge: "1" } }],
    ["form parameters", "POST", "/api2/json/x", { body: "a=b%26c" }, { parameters: { a: "b&c" } }],
    ["both", "PUT", "/api2/json/x?b=2", { body: "a=1&b=1" }, { parameters: { a: "1", b: "2" } }],
    ["JSON parameters", "PUT", "/api2/json/x", { body: '{"cores":2}', headers: { "Content-Type": "application/json; charset=utf-8" } }, { parameters: { cores: 2 } }],
    ["no body on POST", "POST", "/api2/json/x", {}, { parameters: {} }],
  ];
  test.each(cases)("%s", async (_, method, path, request, expected) => {
    expect((await ask(method, path, request)).status).toBe(200);
    expect(served.node.calls).toHaveLength(1);
    expect(served.node.calls[0]).toMatchObject(expected as object);
  });

  test("a body of exactly 512 KiB arrives whole", async () => {
    const body = `a=${"x".repeat(512 * 1024 - 2)}`;
    expect((await ask("POST", "/api2/json/x", { body })).status).toBe(200);
    expect(served.node.calls[0]?.parameters["a"]).toHaveLength(512 * 1024 - 2);
  });
});

describe("/api2/extjs", () => {
  test("puts the status of an error into the body of a 200", async () => {
    answer({ status: 500, reason: "it does not exist", hasBody: true, isProxied: false });
    const response = await ask("GET", "/api2/extjs/x");
    expect(response.statusLine).toBe("HTTP/1.1 200 OK");
    expect(JSON.parse(response.body)).toEqual({ success: 0, status: 500, message: "it does not exist\n", data: null });
    expect(connectionHeaders(response)).toEqual(["Keep-Alive"]);
  });

  test("marks a success", async () => {
    answer({ status: 200, data: [1], total: 7, isProxied: false });
    expect(JSON.parse((await ask("GET", "/api2/extjs/x")).body)).toEqual({ success: 1, data: [1], total: 7 });
  });
});

describe("answers", () => {
  const cases: readonly (readonly [string, ApiAnswer, string, unknown])[] = [
    ["data", { status: 200, data: null, isProxied: true }, "200 OK", { data: null }],
    ["data with a total", { status: 200, data: [], total: 3, isProxied: false }, "200 OK", { data: [], total: 3 }],
    ["bad parameters", { status: 400, reason: "Parameter verification failed.", errors: { vmid: "no" }, hasBody: true, isProxied: false }, "400 Parameter verification failed.", { data: null, message: "Parameter verification failed.\n", errors: { vmid: "no" } }],
    ["a message without its line end", { status: 501, reason: "Method 'GET /nope' not implemented", hasBody: true, hasBareMessage: true, isProxied: false }, "501 Method 'GET /nope' not implemented", { data: null, message: "Method 'GET /nope' not implemented" }],
  ];
  test.each(cases)("%s", async (_, given, status, body) => {
    answer(given);
    const response = await ask("GET", "/api2/json/x");
    expect(response.statusLine).toBe(`HTTP/1.1 ${status}`);
    expect(JSON.parse(response.body)).toEqual(body);
  });

  test("without a body there is no content header at all", async () => {
    answer({ status: 596, reason: "Broken pipe", hasBody: false, isProxied: false });
    const response = await ask("GET", "/api2/json/x");
    expect([response.statusLine, response.body]).toEqual(["HTTP/1.1 596 Broken pipe", ""]);
    expect([...headerValues(response, "Content-Length"), ...headerValues(response, "Content-Type")]).toEqual([]);
  });

  test("/access/permissions is answered here, for one path too, and /access/users is the host's to refuse", async () => {
    const all = await ask("GET", "/api2/json/access/permissions", { token: RECORDED_TOKENS.operator });
    expect(JSON.parse(all.body)).toEqual({ data: { "/vms/100": { "VM.Audit": 1, "VM.PowerMgmt": 1, "VM.Config.Options": 1 } } });
    const one = await ask("GET", "/api2/json/access/permissions?path=/vms/101", { token: RECORDED_TOKENS.operator });
    expect(JSON.parse(one.body)).toEqual({ data: { "/vms/101": {} } });
    expect(served.node.calls).toEqual([]);
    await ask("GET", "/api2/json/access/users");
    expect(served.node.calls).toHaveLength(1);
  });
});

describe("a client that pins the certificate", () => {
  test("and finds another one never sends a request", async () => {
    const socket = connect({ host: "127.0.0.1", port: served.port, rejectUnauthorized: false, servername: "localhost" });
    await new Promise<void>((resolve) => socket.once("secureConnect", () => resolve()));
    expect(socket.getPeerCertificate().fingerprint256).toBe(served.identity.fingerprint);
    socket.destroy();
    const untrusting = await new Promise<string>((resolve) => {
      get({ host: "127.0.0.1", port: served.port, path: "/api2/json/version" }, () => resolve("answered")).on("error", (error) => resolve(error.message));
    });
    expect(untrusting).toMatch(/certificate/);
    expect(served.counts().tcpConnections).toBe(2);
    expect(served.counts().tlsHandshakes).toBeLessThanOrEqual(2);
    expect(served.requestLog.count()).toBe(0);
  });
});

test("node:https clients in parallel, keeping their connections, all get their own answers", async () => {
  served.node.answer = (call) => ({ status: 200, data: call.path, isProxied: false });
  const agent = new Agent({ keepAlive: true, maxSockets: 8, ca: served.caPem, servername: "localhost" });
  const fetchOne = (index: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { Authorization: `PVEAPIToken=${token}` };
      get({ host: "127.0.0.1", port: served.port, path: `/api2/json/${index}`, agent, headers }, (incoming) => {
        let body = "";
        incoming.on("data", (chunk: Buffer) => (body += chunk.toString()));
        incoming.on("end", () => resolve(body));
      }).on("error", reject);
    });
  const bodies = await Promise.all(Array.from({ length: 400 }, (_, index) => fetchOne(index)));
  expect(bodies).toEqual(Array.from({ length: 400 }, (_, index) => `{"data":"/${index}"}`));
  expect(served.requestLog.count()).toBe(400);
  agent.destroy();
});
