import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { RawConnection, rawRequest, type RawResponse } from "../../support/raw-https.ts";
import { RECORDED_TOKENS, serveFakeNode, type Served } from "../../support/served-node.ts";

let served: Served;
beforeEach(async () => {
  served = await serveFakeNode();
});
afterEach(() => served.stop());

const token = RECORDED_TOKENS.root;
const START = "/api2/json/nodes/pve1/qemu/101/status/start";
const start = (): Promise<RawResponse> => rawRequest(served, "POST", START, { token });

async function control(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${served.controlUrl}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return { status: response.status, body: await response.json() };
}

/** Lets the server see what was sent: waits until it has logged `count` requests. */
async function arrived(count: number): Promise<void> {
  while (served.requestLog.count() < count) await new Promise((resolve) => setImmediate(resolve));
}

describe("faults set over the control port", () => {
  test("an error is answered and nothing is done", async () => {
    const set = await control("POST", "/_sim/faults", { kind: "error", status: 500, reason: "got timeout", errors: { a: "b" }, times: 1 });
    expect(set).toEqual({ status: 201, body: { id: 1 } });
    const response = await start();
    expect(response.statusLine).toBe("HTTP/1.1 500 got timeout");
    expect(JSON.parse(response.body)).toEqual({ data: null, message: "got timeout\n", errors: { a: "b" } });
    expect(served.node.calls).toEqual([]);
    expect((await start()).status).toBe(200);
  });

  test("596 without a body, as pveproxy says it", async () => {
    await control("POST", "/_sim/faults", { kind: "error", status: 596, reason: "Broken pipe", hasBody: false });
    expect(await start()).toMatchObject({ statusLine: "HTTP/1.1 596 Broken pipe", body: "" });
  });

  test("dropped before: no answer, no act", async () => {
    served.faults.add({ kind: "drop_before", match: { vmid: 101 } });
    expect(await start().catch((error: Error) => error.message)).toContain("without an answer");
    expect(served.node.calls).toEqual([]);
    expect(served.requestLog.entries()).toMatchObject([{ path: START, status: null }]);
  });

  test("dropped after: no answer, but the act", async () => {
    served.faults.add({ kind: "drop_after" });
    expect(await start().catch((error: Error) => error.message)).toContain("without an answer");
    expect(served.node.calls).toHaveLength(1);
  });

  test("dropped, and late: the connection is cut at once, the act happens after its time", async () => {
    served.faults.add({ kind: "drop_late", ms: 6_000 });
    expect(await start().catch((error: Error) => error.message)).toContain("without an answer");
    await served.clock.advance(5_999);
    expect(served.node.calls).toEqual([]);
    await served.clock.advance(2);
    expect(served.node.calls).toHaveLength(1);
  });

  test("late: the act happens after its time though the client has gone", async () => {
    served.faults.add({ kind: "late", ms: 6_000 });
    const connection = await RawConnection.open(served);
    const unanswered = connection.request("POST", START, { token }).catch((error: Error) => error.message);
    await arrived(1);
    await served.clock.advance(1_000);
    connection.close();
    await unanswered;
    await served.clock.advance(4_999);
    expect(served.node.calls).toEqual([]);
    await served.clock.advance(2);
    expect(served.node.calls).toHaveLength(1);
  });

  test("hang: neither answer nor act, and no idle timeout", async () => {
    served.faults.add({ kind: "hang" });
    const connection = await RawConnection.open(served);
    connection.request("POST", START, { token }).catch(() => {});
    await arrived(1);
    await served.clock.advance(600_000);
    expect([connection.isClosed, served.node.calls.length]).toEqual([false, 0]);
    connection.close();
  });

  test("latency: the same answer, later", async () => {
    served.faults.add({ kind: "latency", ms: 700 });
    const answered = start();
    await arrived(1);
    await served.clock.advance(699);
    expect(served.node.calls).toEqual([]);
    await served.clock.advance(2);
    expect((await answered).status).toBe(200);
  });

  test("pvedaemon down: 595 on what it would answer, the rest as ever", async () => {
    await control("POST", "/_sim/faults", { kind: "pvedaemon_down" });
    expect(await start()).toMatchObject({ statusLine: "HTTP/1.1 595 Connection refused", body: "" });
    expect((await rawRequest(served, "GET", "/api2/json/version", { token })).status).toBe(200);
    expect(served.node.calls).toHaveLength(1);
  });

  test("pmxcfs down: 500 to everybody, until it is back", async () => {
    await control("POST", "/_sim/faults", { kind: "pmxcfs_down" });
    const down = await rawRequest(served, "GET", "/api2/json/version", { token });
    expect([down.statusLine, down.body]).toEqual([
      "HTTP/1.1 500 RPCEnvironment init request failed: Unable to load access control list: Connection refused",
      "",
    ]);
    await control("DELETE", "/_sim/faults");
    expect((await rawRequest(served, "GET", "/api2/json/version", { token })).status).toBe(200);
  });

  test("are listed with their hits and removed one by one", async () => {
    await control("POST", "/_sim/faults", { kind: "latency", ms: 0 });
    await control("POST", "/_sim/faults", { kind: "task_hang", taskType: "qmstart" });
    await start();
    const listed = await control("GET", "/_sim/faults");
    expect(listed.body).toMatchObject([{ id: 1, hits: 1, fault: { kind: "latency" } }, { id: 2, fault: { kind: "task_hang" } }]);
    expect(served.node.faults).toHaveLength(1);
    expect((await control("DELETE", "/_sim/faults/2")).status).toBe(200);
    expect(served.node.faults).toEqual([]);
    expect((await control("DELETE", "/_sim/faults/2")).status).toBe(404);
  });

  test("nonsense is refused", async () => {
    expect(await control("POST", "/_sim/faults", { kind: "gremlin" })).toMatchObject({ status: 400 });
    expect((await fetch(`${served.controlUrl}/_sim/faults`, { method: "POST", body: "{" })).status).toBe(400);
    expect(await control("GET", "/_sim/nope")).toMatchObject({ status: 404 });
  });
});

describe("edits", () => {
  test("reach the host as they were sent", async () => {
    const edit = { vmid: 101, set: { cores: "2" }, delete: ["tags"], lock: null, power: "stop" };
    expect(await control("POST", "/_sim/edit", edit)).toEqual({ status: 200, body: {} });
    expect(served.node.edits).toEqual([{ ...edit, power: "stop" }]);
  });

  test("that the host cannot do say why", async () => {
    expect(await control("POST", "/_sim/edit", { vmid: 404, destroy: true })).toEqual({ status: 409, body: { message: "no guest 404" } });
  });

  test.each([[{ vmid: "101" }], [{ vmid: 101, power: "explode" }], [{ vmid: 101, color: "red" }], ["x"]])("refuses %p", async (edit) => {
    expect((await control("POST", "/_sim/edit", edit)).status).toBe(400);
    expect(served.node.edits).toEqual([]);
  });
});

describe("the request log", () => {
  test("has who asked what and what came of it, without secrets", async () => {
    await rawRequest(served, "PUT", "/api2/json/nodes/pve1/qemu/100/config", { token, body: "name=a&cipassword=hunter2" });
    await rawRequest(served, "GET", "/api2/json/version", {});
    const log = await control("GET", "/_sim/log");
    expect(log.body).toMatchObject([
      { method: "PUT", path: "/api2/json/nodes/pve1/qemu/100/config", user: "root@pam!agent", status: 200, parameters: { name: "a", cipassword: "***" } },
      { method: "GET", path: "/api2/json/version", user: "-", status: 401, parameters: {} },
    ]);
    expect(JSON.stringify(log.body)).not.toContain("hunter2");
    expect(JSON.stringify(log.body)).not.toContain(token.split("=")[1] ?? "?");
    expect(served.requestLog.mutations()).toHaveLength(1);
  });

  test("counts connections, handshakes and requests", async () => {
    await start();
    await start();
    expect((await control("GET", "/_sim/connections")).body).toEqual({ tcpConnections: 2, tlsHandshakes: 2, requests: 2 });
    await control("DELETE", "/_sim/log");
    expect((await control("GET", "/_sim/log")).body).toEqual([]);
  });
});
