import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Hono } from "hono";
import { createControlApp } from "../../src/control/app.ts";
import { askAgent } from "../../src/control/client.ts";
import { listenOnSocket, type ControlSocket } from "../../src/control/socket.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { FakeAgent } from "./control-target.ts";

async function listening(agent = new FakeAgent(), path = join(temporaryDirectory(), "agent.sock")): Promise<{ path: string; socket: ControlSocket; agent: FakeAgent }> {
  const socket = await listenOnSocket(path, createControlApp(agent));
  if (!socket.ok) throw new Error(socket.error.message);
  return { path, socket: socket.value, agent };
}

/** One raw request; the status and the body. */
async function raw(path: string, method: string, url: string, body?: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`http://agent${url}`, { unix: path, method, ...(body === undefined ? {} : { body }) });
  return { status: response.status, body: await response.json().catch(() => undefined) };
}

describe("over a real socket", () => {
  const routes: readonly { path: string; body: unknown; called: string }[] = [
    { path: "/v1/pause", body: { target: 101, reason: "mine" }, called: 'pause {"target":101,"reason":"mine"}' },
    { path: "/v1/pause", body: { target: "all", reason: "", forMs: 1000 }, called: 'pause {"target":"all","reason":"","forMs":1000}' },
    { path: "/v1/resume", body: { target: "all" }, called: "resume all" },
    { path: "/v1/accept", body: { revision: "0123456789" }, called: "accept 0123456789" },
    { path: "/v1/run-once", body: {}, called: "runOnce" },
    { path: "/v1/restart", body: { vmid: 101, key: "k", keyLifeMs: 3_600_000, waitMs: 1_000 }, called: 'restart {"vmid":101,"key":"k","keyLifeMs":3600000,"waitMs":1000}' },
    { path: "/v1/restart", body: { vmid: 101, key: "k", keyLifeMs: 3_600_000, issuedAtMs: 5, waitMs: 0 }, called: 'restart {"vmid":101,"key":"k","keyLifeMs":3600000,"waitMs":0,"issuedAtMs":5}' },
    { path: "/v1/journal/compact", body: {}, called: "compactJournal" },
    { path: "/v1/reload", body: {}, called: "reload" },
  ];
  test.each(routes)("$path does what it says", async ({ path, body, called }) => {
    const { path: at, socket, agent } = await listening();
    const answer = await askAgent(at, path, body);
    expect(answer.ok).toBe(true);
    expect(agent.calls).toEqual([called]);
    await socket.close();
  });

  test("a refusal comes back with its code and message, and without its cause", async () => {
    const { path, socket } = await listening();
    expect(await askAgent(path, "/v1/resume", { target: 404 })).toEqual({ ok: false, error: { code: "control.refused", message: "expected a pause of guest 404, found none" } });
    expect(await raw(path, "POST", "/v1/operations/x/resolve", JSON.stringify({ outcome: "failed", reason: "r" }))).toEqual({ status: 409, body: { error: { code: "journal.unknown_operation", message: "no operation x" } } });
    await socket.close();
  });

  test("operations: the open ones, or all when asked", async () => {
    const { path, socket, agent } = await listening();
    const base = { guest: { kind: "qemu", vmid: 101, identity: {} }, action: "start", params: {}, provenance: "desired", plannedAt: "", changedAt: "" } as const;
    agent.operationList = [{ ...base, id: "a", state: "succeeded" }, { ...base, id: "b", state: "unknown" }, { ...base, id: "c", state: "task_running" }];
    const ids = (answer: Awaited<ReturnType<typeof askAgent>>): unknown => (answer.ok ? (answer.value as { id: string }[]).map(({ id }) => id) : answer.error.code);
    expect([ids(await askAgent(path, "/v1/operations")), ids(await askAgent(path, "/v1/operations?all=1"))]).toEqual([["b", "c"], ["a", "b", "c"]]);
    await socket.close();
  });

  const bad: readonly (readonly [string, string, string | undefined])[] = [
    ["no body", "/v1/pause", undefined],
    ["no JSON", "/v1/pause", "target=101"],
    ["a list", "/v1/pause", "[]"],
    ["a vmid as text", "/v1/pause", '{"target":"101","reason":""}'],
    ["half a vmid", "/v1/pause", '{"target":101.5,"reason":""}'],
    ["a field too many", "/v1/resume", '{"target":101,"force":true}'],
    ["a field too few", "/v1/accept", "{}"],
    ["another outcome", "/v1/operations/x/resolve", '{"outcome":"maybe","reason":"r"}'],
    ["null", "/v1/accept", "null"],
    ["a VMID that is none", "/v1/restart", '{"vmid":1,"key":"k","keyLifeMs":1,"waitMs":1}'],
    ["a wait without end", "/v1/restart", '{"vmid":101,"key":"k","keyLifeMs":1,"waitMs":1e12}'],
  ];
  test.each(bad)("%s is refused and does nothing", async (_, path, body) => {
    const { path: at, socket, agent } = await listening();
    const { status, body: answer } = await raw(at, "POST", path, body);
    expect([status, (answer as { error: { code: string } }).error.code, agent.calls]).toEqual([409, "command.usage", []]);
    await socket.close();
  });

  test("a body of megabytes is cut off", async () => {
    const { path, socket, agent } = await listening();
    const { status } = await raw(path, "POST", "/v1/accept", JSON.stringify({ revision: "x".repeat(5_000_000) }));
    expect([status, agent.calls]).toEqual([413, []]);
    await socket.close();
  });

  test.each([["GET", "/v1/nope"], ["GET", "/v1/pause"], ["DELETE", "/v1/status"], ["GET", "/"]])("%s %s: not known, said so", async (method, url) => {
    const { path, socket } = await listening();
    const { status, body } = await raw(path, method, url);
    expect(status).toBe(404);
    expect((body as { error: { message: string } }).error.message).toContain(`does not know ${method} ${url}`);
    await socket.close();
  });

  test("a defect answers 500 in the same shape and the socket lives on", async () => {
    const { path, socket, agent } = await listening();
    agent.isBroken = true;
    expect(await raw(path, "GET", "/v1/status")).toEqual({ status: 500, body: { error: { code: "control.refused", message: "a bug" } } });
    agent.isBroken = false;
    expect((await askAgent(path, "/v1/status")).ok).toBe(true);
    await socket.close();
  });
});

describe("the socket file", () => {
  test("is for its owner alone, in a directory that is made for it, and gone when it is closed", async () => {
    const path = join(temporaryDirectory(), "run", "steward", "agent.sock");
    const { socket } = await listening(new FakeAgent(), path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await socket.close();
    expect(existsSync(path)).toBe(false);
  });

  test("that a dead process left behind is replaced", async () => {
    const path = join(temporaryDirectory(), "agent.sock");
    const child = Bun.spawn(["bun", "-e", `Bun.serve({ unix: ${JSON.stringify(path)}, fetch: () => new Response("") }); console.log("up"); await new Promise(() => {});`], { stdout: "pipe", env: { ...process.env, BUN_OPTIONS: "" } });
    await child.stdout.getReader().read();
    child.kill("SIGKILL");
    await child.exited;
    expect(existsSync(path)).toBe(true);
    const { socket } = await listening(new FakeAgent(), path);
    expect((await askAgent(path, "/v1/status")).ok).toBe(true);
    await socket.close();
  });

  test("of a living agent is left alone", async () => {
    const { path, socket } = await listening();
    const second = await listenOnSocket(path, createControlApp(new FakeAgent()));
    expect(second.ok ? "ok" : second.error.code).toBe("journal.locked");
    expect((await askAgent(path, "/v1/status")).ok).toBe(true);
    await socket.close();
  });

  test("behind which something else answers is left alone", async () => {
    const path = join(temporaryDirectory(), "agent.sock");
    const other = new Hono();
    other.get("*", (c) => c.text("hello"));
    const server = Bun.serve({ unix: path, fetch: other.fetch });
    const refused = await listenOnSocket(path, createControlApp(new FakeAgent()));
    expect(refused.ok ? "ok" : refused.error.code).toBe("journal.locked");
    expect(existsSync(path)).toBe(true);
    await server.stop(true);
  });

  test("behind which somebody listens and never answers is left alone", async () => {
    const path = join(temporaryDirectory(), "agent.sock");
    const mute = createServer(() => {});
    await new Promise<void>((resolve) => mute.listen(path, resolve));
    const refused = await listenOnSocket(path, createControlApp(new FakeAgent()));
    expect(refused.ok ? "ok" : refused.error.code).toBe("journal.locked");
    mute.close();
  });

  test("that is another kind of file is not touched", async () => {
    const path = join(temporaryDirectory(), "agent.sock");
    writeFileSync(path, "precious");
    const refused = await listenOnSocket(path, createControlApp(new FakeAgent()));
    expect(refused.ok ? "ok" : refused.error.code).toBe("control.refused");
    expect(readFileSync(path, "utf8")).toBe("precious");
  });

  test("that cannot be made is an error that names it, and the process keeps its file mode mask", async () => {
    const before = process.umask();
    const taken = join(temporaryDirectory(), "agent.sock");
    symlinkSync("nowhere", taken);
    const refused = await listenOnSocket(taken, createControlApp(new FakeAgent()));
    expect(refused.ok ? "" : refused.error.message).toContain(taken);
    expect(process.umask()).toBe(before);
  });
});

describe("asking", () => {
  test("where nobody listens: unreachable, so that a command may go on by itself", async () => {
    const answer = await askAgent(join(temporaryDirectory(), "agent.sock"), "/v1/status");
    expect(answer.ok ? "" : answer.error.code).toBe("control.unreachable");
  });

  test("an agent that does not answer in time: refused, so that no command goes on beside it", async () => {
    const { path, socket, agent } = await listening();
    const never = Promise.withResolvers<void>();
    agent.onRunOnce = () => never.promise;
    const answer = await askAgent(path, "/v1/run-once", {}, 50);
    expect(answer.ok ? "" : answer.error.code).toBe("control.refused");
    never.resolve();
    await socket.close();
  });

  test.each([["{}", 200], ["not json", 200], ['{"error":{"code":"of.tomorrow","message":"m"}}', 409], ['{"error":"m"}', 500]])("an answer of another shape (%s) is no success", async (text, status) => {
    const path = join(temporaryDirectory(), "agent.sock");
    const server = Bun.serve({ unix: path, fetch: () => new Response(text, { status }) });
    const answer = await askAgent(path, "/v1/status");
    expect(answer.ok ? "ok" : answer.error.code).toBe("control.refused");
    await server.stop(true);
  });

  test("a socket that this user may not open: refused, not unreachable", async () => {
    if (process.getuid?.() === 0) return;
    const directory = join(temporaryDirectory(), "closed");
    mkdirSync(directory);
    const { socket } = await listening(new FakeAgent(), join(directory, "agent.sock"));
    chmodSync(directory, 0);
    const answer = await askAgent(join(directory, "agent.sock"), "/v1/status");
    chmodSync(directory, 0o700);
    expect(answer.ok ? "" : answer.error.code).toBe("control.refused");
    await socket.close();
  });
});
