import { afterEach, describe, expect, test } from "bun:test";
import { ok, type Result } from "../../src/ports/errors.ts";
import type { MutatingRequest } from "../../src/ports/proxmox-api.ts";
import { bare, FakePveServer, json, refusal, type FakeAnswer, type FakeScript } from "../support/fake-pve-server.ts";
import { testClient, TOKEN, until, type TestClient } from "../support/proxmox-client.ts";

const VERSION = json(200, { data: { version: "9.2.11" } });
const START: MutatingRequest = { type: "start", guest: { kind: "qemu", vmid: 101 } };
const UPID = "UPID:pve1:000001A3:000408F4:6B00E8B0:qmstart:101:root@pam!agent:";
const RESET: FakeAnswer = { bytes: "", ending: "reset" };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function start(script: FakeScript, parts: Parameters<typeof testClient>[1] = {}): Promise<TestClient & { server: FakePveServer }> {
  const server = await FakePveServer.start(script);
  cleanups.push(() => server.stop());
  const client = testClient(server.url, parts);
  cleanups.push(() => client.api.close());
  return { ...client, server };
}

/** Answers in order, the last one for ever. */
function inOrder(...answers: readonly [FakeAnswer, ...FakeAnswer[]]): FakeScript {
  return (_request, index) => answers[Math.min(index, answers.length - 1)] ?? answers[0];
}

/** Advances the clock in small steps until `work` is done: retries sleep on it. */
async function drive<T>({ clock }: TestClient, work: Promise<T>): Promise<T> {
  let isDone = false;
  void work.finally(() => (isDone = true));
  await until(() => {
    void clock.advance(10);
    return isDone;
  });
  return work;
}

describe("what goes over the wire (row R9)", () => {
  test("a read has its parameters in the query, no body, and the token in one header (row T3)", async () => {
    const { api, server } = await start(inOrder(json(200, { data: [] })));
    await api.listTasks({ source: "active", vmid: 101, limit: 50 });
    const [request] = server.requests;
    expect(request?.target).toBe("/api2/json/nodes/pve1/tasks?source=active&limit=50&vmid=101");
    expect(request?.head).toContain(`Authorization: PVEAPIToken=${TOKEN}`);
    expect(request?.head).not.toMatch(/content-length|transfer-encoding/i);
    expect(server.received[0]?.endsWith("\r\n\r\n")).toBeTrue();
  });

  test("a config write is one PUT with a Content-Length body, digest first, everything percent-encoded (rows T3 and T10)", async () => {
    const { api, server } = await start(inOrder(json(200, { data: null })));
    const set = { description: "a=b&c;d+e!'(f)*%\r\n€ 😀", tags: "x;y" };
    const guest = { kind: "lxc", vmid: 200 } as const;
    expect(await api.mutate({ type: "set_config", guest, digest: "d1", set, delete: ["net1", "unused0"] })).toEqual(ok({ upid: null }));
    const [request] = server.requests;
    expect(`${request?.method} ${request?.target}`).toBe("PUT /api2/json/nodes/pve1/lxc/200/config");
    expect(request?.body).toBe(
      "digest=d1&delete=net1%2Cunused0&description=a%3Db%26c%3Bd%2Be%21%27%28f%29%2A%25%0D%0A%E2%82%AC%20%F0%9F%98%80&tags=x%3By",
    );
    expect(request?.head).toContain("Content-Length: ");
    expect(request?.head).not.toMatch(/transfer-encoding|expect:/i);
    expect(Object.fromEntries(new URLSearchParams(request?.body))).toEqual({ digest: "d1", delete: "net1,unused0", ...set });
  });

  test.each([
    { request: START, target: "POST /api2/json/nodes/pve1/qemu/101/status/start", body: "" },
    { request: { type: "shutdown", guest: { kind: "lxc", vmid: 200 }, timeoutSeconds: 60 } as const, target: "POST /api2/json/nodes/pve1/lxc/200/status/shutdown", body: "timeout=60" },
    { request: { type: "reboot", guest: { kind: "qemu", vmid: 100 }, timeoutSeconds: 90 } as const, target: "POST /api2/json/nodes/pve1/qemu/100/status/reboot", body: "timeout=90" },
    { request: { type: "shutdown", guest: { kind: "qemu", vmid: 100 } } as const, target: "POST /api2/json/nodes/pve1/qemu/100/status/shutdown", body: "" },
  ])("$target with body '$body'", async ({ request, target, body }) => {
    const { api, server } = await start(inOrder(json(200, { data: UPID })));
    expect(await api.mutate(request)).toEqual(ok({ upid: UPID }));
    expect(`${server.requests[0]?.method} ${server.requests[0]?.target}`).toBe(target);
    expect(server.requests[0]?.body).toBe(body);
    expect(server.requests[0]?.head).toContain(`Content-Length: ${body.length}`);
  });

  test("a UPID in a path is encoded whole", async () => {
    const { api, server } = await start(inOrder(json(200, { data: { status: "running" } })));
    await api.taskState(UPID);
    expect(server.requests[0]?.target).toBe(
      "/api2/json/nodes/pve1/tasks/UPID%3Apve1%3A000001A3%3A000408F4%3A6B00E8B0%3Aqmstart%3A101%3Aroot%40pam%21agent%3A/status",
    );
  });

  test("a body over Proxmox's limit is refused here, with nothing sent (row T5)", async () => {
    const { api, server } = await start(inOrder(VERSION));
    const set = { description: "x".repeat(600_000) };
    const result = await api.mutate({ type: "set_config", guest: START.guest, digest: "d", set, delete: [] });
    expect(result).toMatchObject({ error: { code: "proxmox.bad_parameter", delivery: "none" } });
    expect(server.tcpConnections).toBe(0);
  });

  test.each(["digest", "delete", "skiplock", "force", "revert"])("a planner that puts '%s' among the keys is a programmer's error", async (key) => {
    const { api, server } = await start(inOrder(VERSION));
    const request = { type: "set_config", guest: START.guest, digest: "d", set: { [key]: "1" }, delete: [] } as const;
    const thrown: unknown = await api.mutate(request).catch((error: unknown) => error);
    expect(String(thrown)).toContain("not a config key");
    expect(server.requests).toEqual([]);
  });
});

describe("connections", () => {
  test("reads share a connection, within its idle time (row T6)", async () => {
    const { api, server, clock } = await start(inOrder(VERSION));
    for (let index = 0; index < 3; index++) {
      await api.version();
      await clock.advance(2_900);
    }
    expect(server.requests.map(({ connection }) => connection)).toEqual([0, 0, 0]);
    await clock.advance(101);
    await api.version();
    expect(server.requests.at(-1)?.connection).toBe(1);
  });

  test("a connection is given up before its hundredth request (row T6)", async () => {
    const { api, server } = await start(inOrder(VERSION));
    for (let index = 0; index < 100; index++) await api.version();
    expect(server.requests.filter(({ connection }) => connection === 0)).toHaveLength(90);
    expect(server.requests.filter(({ connection }) => connection === 1)).toHaveLength(10);
  });

  test.each([
    { title: "Connection: close", headers: ["Connection: close"] },
    { title: "Connection: close beside Connection: Keep-Alive", headers: ["Connection: close", "Connection: Keep-Alive"] },
    { title: "Connection: Keep-Alive beside Connection: close", headers: ["Connection: Keep-Alive", "Connection: close"] },
  ])("an answer with $title ends its connection, though the server leaves it open (row T7)", async ({ headers }) => {
    const { api, server } = await start(inOrder(json(200, { data: [] }, { headers })));
    await api.listGuests("qemu");
    await api.listGuests("qemu");
    expect(server.requests.map(({ connection }) => connection)).toEqual([0, 1]);
  });

  test("after an error the connection is not used again, whatever its headers say", async () => {
    const broken = { bytes: "HTTP/1.1 500 no\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\n{}", ending: "keep" } as const;
    const { api, server } = await start(inOrder(broken, VERSION));
    await api.version();
    await api.version();
    expect(server.requests.map(({ connection }) => connection)).toEqual([0, 1]);
  });

  test("a mutation never goes over a pooled connection, and leaves none behind", async () => {
    const { api, server } = await start((request) => (request.method === "GET" ? VERSION : json(200, { data: UPID })));
    await api.version();
    await api.mutate(START);
    await api.mutate(START);
    await api.version();
    expect(server.requests.map(({ connection }) => connection)).toEqual([0, 1, 2, 0]);
    expect(server.requests[1]?.head).toContain("Connection: close");
  });

  test("a read on a pooled connection that died is asked again at once on a fresh one", async () => {
    const { api, server, measures } = await start(inOrder(VERSION, RESET, VERSION));
    await api.version();
    expect((await api.version()).ok).toBeTrue();
    expect(server.requests.map(({ connection }) => connection)).toEqual([0, 0, 1]);
    expect(measures.map(({ code }) => code)).toEqual(["200", "no_answer", "200"]);
  });

  test("no more requests run at once than allowed, and they start in the order they came (row T9)", async () => {
    const answers: (() => void)[] = [];
    const hold: FakeScript = () => new Promise((resolve) => answers.push(() => resolve(VERSION)));
    const { api, server } = await start(hold, { maxConcurrentRequests: 2 });
    const finished: number[] = [];
    const work = Array.from({ length: 6 }, (_, index) => api.locateGuests().then(() => finished.push(index)));
    await server.waitForRequests(2);
    expect(server.requests).toHaveLength(2);
    for (let served = 0; served < 6; served++) {
      await server.waitForRequests(served + 1);
      expect(server.requests.length).toBeLessThanOrEqual(served + 2);
      answers[served]?.();
      await until(() => finished.length === served + 1);
    }
    await Promise.all(work);
    expect(finished).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe("retries of reads", () => {
  test.each([
    { title: "595", answer: bare(595, "Connection refused") },
    { title: "596", answer: bare(596, "Broken pipe") },
    { title: "599", answer: bare(599, "Too many redirections") },
    { title: "503", answer: refusal(503, "service unavailable") },
    { title: "a reset", answer: RESET },
  ])("$title is asked again, at most three times in all", async ({ answer }) => {
    const recovering = await start(inOrder(answer, answer, VERSION));
    expect((await drive(recovering, recovering.api.version())).ok).toBeTrue();
    expect(recovering.server.requests).toHaveLength(3);
    const lost = await start(inOrder(answer));
    expect((await drive(lost, lost.api.version())).ok).toBeFalse();
    expect(lost.server.requests).toHaveLength(3);
  });

  test.each([400, 401, 403, 500, 501])("%d is an answer and is not asked again", async (status) => {
    const { api, server } = await start(inOrder(refusal(status, "no")));
    expect((await api.version()).ok).toBeFalse();
    expect(server.requests).toHaveLength(1);
  });

  test("a port where nothing listens is unreachable after three tries", async () => {
    const server = await FakePveServer.start(inOrder(VERSION));
    await server.stop();
    const client = testClient(server.url);
    cleanups.push(() => client.api.close());
    expect(await drive(client, client.api.version())).toMatchObject({ error: { code: "proxmox.unreachable", delivery: "none" } });
    expect(client.measures).toHaveLength(3);
  });
});

describe("a mutation is sent once (row A5)", () => {
  const rows: readonly { title: string; answer: FakeAnswer; code: string; delivery: string }[] = [
    { title: "reset without an answer", answer: RESET, code: "proxmox.no_answer", delivery: "unknown" },
    { title: "an answer cut short", answer: { bytes: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"data\"", ending: "end" }, code: "proxmox.no_answer", delivery: "unknown" },
    { title: "a head cut short", answer: { bytes: "HTTP/1.1 200 OK\r\nContent-Le", ending: "end" }, code: "proxmox.no_answer", delivery: "unknown" },
    { title: "595", answer: bare(595, "Connection refused"), code: "proxmox.unreachable", delivery: "none" },
    { title: "596", answer: bare(596, "Broken pipe"), code: "proxmox.no_answer", delivery: "unknown" },
    { title: "599", answer: bare(599, "Too many redirections"), code: "proxmox.no_answer", delivery: "unknown" },
    { title: "503", answer: refusal(503, "busy"), code: "proxmox.transient", delivery: "answered" },
    { title: "401", answer: bare(401, "Authentication failed!"), code: "proxmox.unauthenticated", delivery: "answered" },
    { title: "an answer that is not HTTP", answer: { bytes: "SSH-2.0-OpenSSH_9.2\r\n", ending: "keep" }, code: "proxmox.unexpected_answer", delivery: "unknown" },
    { title: "an answer that is not JSON", answer: json(200, "<html>"), code: "proxmox.unexpected_answer", delivery: "unknown" },
    { title: "an answer that is neither UPID nor null", answer: json(200, { data: 7 }), code: "proxmox.unexpected_answer", delivery: "unknown" },
    { title: "an answer without data", answer: json(200, {}), code: "proxmox.unexpected_answer", delivery: "unknown" },
    { title: "a redirect", answer: bare(301, "Moved Permanently"), code: "proxmox.unexpected_answer", delivery: "unknown" },
  ];
  test.each(rows)("$title: $code, delivery $delivery", async ({ answer, code, delivery }) => {
    const { api, server } = await start(inOrder(answer));
    expect(await api.mutate(START)).toMatchObject({ ok: false, error: { code, delivery } });
    expect(server.requests).toHaveLength(1);
    expect(server.tcpConnections).toBe(1);
  });

  test("nothing listening: unreachable, not tried again (row A1)", async () => {
    const server = await FakePveServer.start(inOrder(VERSION));
    await server.stop();
    const client = testClient(server.url);
    cleanups.push(() => client.api.close());
    expect(await client.api.mutate(START)).toMatchObject({ error: { code: "proxmox.unreachable", delivery: "none" } });
    expect(client.measures).toEqual([{ method: "POST", code: "unreachable", seconds: 0 }]);
  });
});

describe("a token that somebody echoes", () => {
  const secret = TOKEN.slice(TOKEN.indexOf("=") + 1);
  test.each([
    ["a refusal's text", refusal(500, `who is ${secret}?`)],
    ["a reason phrase alone", bare(500, `Authorization PVEAPIToken=${TOKEN}`)],
    ["a parameter's problem", refusal(400, "Parameter verification failed.", { cores: `not ${secret}`, [secret]: "no" })],
    ["a missing privilege", refusal(403, `Permission check failed (/vms/101, ${secret})`)],
    ["a lock", refusal(500, `VM is locked (${secret})`)],
    ["an answer that is no JSON", { bytes: `HTTP/1.1 200 OK\r\nContent-Length: ${secret.length}\r\n\r\n${secret}`, ending: "keep" } as const],
    ["an answer of another shape", json(200, { data: secret })],
  ])("%s never brings its secret into a fault", async (_name, answer) => {
    const { api } = await start(inOrder(answer));
    const refused = await api.mutate(START);
    expect(refused.ok).toBeFalse();
    expect(JSON.stringify(refused)).not.toContain(secret);
  });
});

describe("time", () => {
  test("a server that never answers: the outcome of a mutation is unknown after the request's time", async () => {
    const { api, server, clock } = await start(() => "silence");
    const answer = api.mutate(START);
    await server.waitForRequests(1);
    await clock.advance(29_999);
    expect(clock.pendingTimers()).toBeGreaterThan(0);
    await clock.advance(1);
    expect(await answer).toMatchObject({ error: { code: "proxmox.no_answer", delivery: "unknown" } });
    expect(clock.pendingTimers()).toBe(0);
  });

  test("an answer that stops in the middle ends with the request's time, and is not retried after it (row A5)", async () => {
    const { api, server, clock } = await start(() => ({ bytes: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", ending: "keep" }));
    const answer = api.version();
    await server.waitForRequests(1);
    await clock.advance(30_000);
    expect(await answer).toMatchObject({ error: { code: "proxmox.no_answer" } });
    expect(server.requests).toHaveLength(1);
  });

  test("a time that is up while a retry waits is no reason for another try: what went wrong is told", async () => {
    const server = await FakePveServer.start(() => "silence");
    const { url } = server;
    await server.stop();
    const { api, clock, measures } = testClient(url, { requestTimeoutMs: 200 });
    const answer = api.version();
    await until(() => measures.length === 1);
    await clock.advance(150);
    await until(() => measures.length === 2);
    await clock.advance(50);
    expect(await answer).toMatchObject({ error: { code: "proxmox.unreachable", message: expect.stringContaining("ECONNREFUSED") } });
    expect(measures).toHaveLength(2);
  });

  test("waiting for a slot counts to the time; what was not sent is known not to have happened (row A3)", async () => {
    const { api, server, clock } = await start(() => "silence", { maxConcurrentRequests: 1 });
    const first = api.mutate(START);
    await server.waitForRequests(1);
    const second = api.mutate(START);
    await clock.advance(30_000);
    expect(await first).toMatchObject({ error: { delivery: "unknown" } });
    expect(await second).toMatchObject({ error: { code: "proxmox.transient", delivery: "none" } });
    expect(server.requests).toHaveLength(1);
  });

  test.each([
    { title: "a quarter of its time is left", waitedMs: 22_500, begins: true },
    { title: "a millisecond less is left", waitedMs: 22_501, begins: false },
  ])("a request whose turn comes when $title is begun: $begins", async ({ waitedMs, begins }) => {
    const script: FakeScript = (_request, index) => (index === 0 ? "silence" : json(200, { data: UPID }));
    const { api, server, clock } = await start(script, { maxConcurrentRequests: 1 });
    const first = api.version();
    await server.waitForRequests(1);
    await clock.advance(30_000 - waitedMs);
    const second = api.mutate(START);
    await clock.advance(waitedMs);
    expect(await first).toMatchObject({ error: { code: "proxmox.no_answer" } });
    expect(await second).toMatchObject(begins ? { value: { upid: UPID } } : { error: { code: "proxmox.transient", delivery: "none" } });
    expect(server.requests).toHaveLength(begins ? 2 : 1);
  });

  test("more waiting requests than the queue holds are refused at once", async () => {
    const { api, server } = await start(() => "silence", { maxConcurrentRequests: 1 });
    const held = api.version();
    await server.waitForRequests(1);
    const waiting = Array.from({ length: 16_384 }, () => api.version());
    expect(await api.version()).toMatchObject({ error: { code: "proxmox.transient", delivery: "none" } });
    api.close();
    expect(await Promise.all([held, ...waiting])).toHaveLength(16_385);
    expect(server.requests).toHaveLength(1);
  });

  test("close ends what runs and what waits, and refuses what comes", async () => {
    const { api, server, clock } = await start(() => "silence", { maxConcurrentRequests: 1 });
    const running = api.mutate(START);
    await server.waitForRequests(1);
    const waiting = api.mutate(START);
    api.close();
    expect(await running).toMatchObject({ error: { code: "proxmox.no_answer", delivery: "unknown" } });
    expect(await waiting).toMatchObject({ error: { delivery: "none" } });
    expect(await api.mutate(START)).toMatchObject({ error: { code: "proxmox.unreachable", delivery: "none" } });
    expect(clock.pendingTimers()).toBe(0);
  });
});

describe("answers", () => {
  test("chunked answers are put together, whatever the chunks", async () => {
    const body = JSON.stringify({ data: { version: "9.2.11", note: "€".repeat(100) } });
    const bytes = Buffer.from(body);
    const parts = [bytes.subarray(0, 1), bytes.subarray(1, 60), bytes.subarray(60)];
    const chunks = parts.map((part) => Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]));
    const head = Buffer.from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    const { api, server } = await start(inOrder({ bytes: Buffer.concat([head, ...chunks, Buffer.from("0\r\n\r\n")]) }));
    expect((await api.version()).ok).toBeTrue();
    expect((await api.version()).ok).toBeTrue();
    expect(server.connections).toBe(1);
  });

  test("an answer that ends with the connection is whole", async () => {
    const { api } = await start(inOrder({ bytes: 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"data":{"version":"9.2.11"}}', ending: "end" }));
    expect((await api.version()).ok).toBeTrue();
  });

  test("a list of 10,000 guests fits", async () => {
    const row = { status: "running", name: "a-name-of-some-length", tags: "one;two;three", cpu: 0.0123, mem: 123456789012, maxmem: 123456789012, uptime: 123456 };
    const data = Array.from({ length: 10_000 }, (_, index) => ({ ...row, vmid: 100 + index }));
    const { api } = await start(inOrder(json(200, { data })));
    const read = await api.listGuests("qemu");
    expect(read.ok && read.value.length).toBe(10_000);
  });

  test("an answer over 32 MiB is cut off, not collected (row A17)", async () => {
    const chunk = Buffer.alloc(1024 * 1024, "x");
    const head = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    const { api } = await start(inOrder({ bytes: Buffer.concat([head, ...Array.from({ length: 33 }, () => chunk)]) }));
    const read = await api.version();
    if (read.ok) throw new Error("expected a refusal");
    expect(read.error.code).toBe("proxmox.unexpected_answer");
    expect(read.error.message).toContain("32 MiB");
  });

  test("headers without end are cut off", async () => {
    const { api } = await start(inOrder({ bytes: `HTTP/1.1 200 OK\r\nX: ${"x".repeat(1_000_000)}` }));
    expect(await api.version()).toMatchObject({ error: { code: "proxmox.unexpected_answer" } });
  });

  test("an answer that nobody asked for does not become the answer to the next request", async () => {
    const doubled = json(200, { data: { version: "9.2.11" } });
    if (doubled === "silence") throw new Error("unreachable");
    const { api } = await start(inOrder({ bytes: `${String(doubled.bytes)}${String(doubled.bytes).replace("9.2.11", "6.6.66")}` }, VERSION));
    for (let index = 0; index < 3; index++) expect(await api.version()).toMatchObject({ value: { major: 9 } });
  });
});

describe("the token", () => {
  function rotating(tokens: readonly string[]): { readToken: () => Result<string>; reads: () => number } {
    let reads = 0;
    return { readToken: () => ok(tokens[Math.min(reads++, tokens.length - 1)] ?? ""), reads: () => reads };
  }
  const OTHER = "root@pam!agent=22222222-2222-4222-8222-222222222222";
  const onlyOther: FakeScript = (request) => (request.head.includes(OTHER) ? VERSION : bare(401, "Authentication failed!"));

  test("is read once, and again after a 401: a replaced one is used for the same read and from then on (row T8)", async () => {
    const token = rotating([TOKEN, `${OTHER}\n`]);
    const { api, server } = await start(onlyOther, { readToken: token.readToken });
    expect((await api.version()).ok).toBeTrue();
    expect((await api.version()).ok).toBeTrue();
    expect(server.requests).toHaveLength(3);
    expect(token.reads()).toBe(2);
  });

  test("that did not change is not tried twice", async () => {
    const token = rotating([TOKEN]);
    const { api, server } = await start(onlyOther, { readToken: token.readToken });
    expect(await api.version()).toMatchObject({ error: { code: "proxmox.unauthenticated" } });
    expect(server.requests).toHaveLength(1);
    expect(token.reads()).toBe(2);
  });

  test("replaced under a mutation: the mutation is not sent again, the next one uses the new token", async () => {
    const token = rotating([TOKEN, OTHER]);
    const { api, server } = await start(
      (request) => (request.head.includes(OTHER) ? json(200, { data: null }) : bare(401, "Authentication failed!")),
      { readToken: token.readToken },
    );
    expect(await api.mutate(START)).toMatchObject({ error: { code: "proxmox.unauthenticated", delivery: "answered" } });
    expect(server.requests).toHaveLength(1);
    expect(await api.mutate(START)).toEqual(ok({ upid: null }));
  });

  test.each([
    { title: "cannot be read", readToken: () => ({ ok: false, error: { code: "config.unreadable", message: "/etc/steward/token: permission denied" } }) as const, says: "permission denied" },
    { title: "would end the header", readToken: () => ok("root@pam!a=b\r\nX-Evil: 1"), says: "user@realm!name=uuid" },
    { title: "is a password", readToken: () => ok("hunter2"), says: "user@realm!name=uuid" },
  ])("that $title is never sent", async ({ readToken, says }) => {
    const { api, server } = await start(inOrder(VERSION), { readToken });
    const result = await api.version();
    if (result.ok) throw new Error("expected a refusal");
    expect(result.error).toMatchObject({ code: "proxmox.unauthenticated", delivery: "none" });
    expect(result.error.message).toContain(says);
    expect(result.error.message).not.toContain("hunter2");
    expect(server.tcpConnections).toBe(0);
  });

  test("appears in no fault and no log line, whatever the answer", async () => {
    const token = rotating([TOKEN, OTHER, TOKEN]);
    const { api, log } = await start((_request, index) => (index % 2 === 0 ? bare(401, "No ticket") : refusal(500, "no")), { readToken: token.readToken });
    const results = [await api.version(), await api.mutate(START), await api.version()];
    const said = JSON.stringify(results) + JSON.stringify(log);
    expect(said).not.toContain("11111111-1111");
    expect(said).not.toContain("22222222-2222");
  });
});
