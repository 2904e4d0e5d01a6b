import { afterEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { createServerApp } from "../../src/server/app.ts";
import { startServer, type RunningServer } from "../../src/server/listen.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { condition, healthyHost, recordingLog, viewOf } from "./server-view.ts";

const clock = new SystemClock();
const HAS_IPV6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === "::1"));
const started: RunningServer[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.stop(0)));
});

function start(hostname: string, port = 0) {
  const log = recordingLog();
  const host = healthyHost().map((entry) => (entry.type === "JournalReady" ? condition("JournalReady", "False", "Full", "no space in /secret") : entry));
  const { view } = viewOf({ host });
  const server = startServer({ app: createServerApp(view, log), hostname, port, log, clock });
  if (server.ok) started.push(server.value);
  return server;
}

function running(server: ReturnType<typeof start>): RunningServer {
  if (!server.ok) throw new Error(server.error.message);
  return server.value;
}

/** Opens a connection, sends `text`, and gives the socket. */
async function halfSent(port: number, text: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await new Promise<void>((resolve) => socket.once("connect", () => socket.write(text, () => resolve())));
  return socket;
}

describe("listening", () => {
  test("the empty host name serves IPv4 and IPv6, and loopback peers see messages", async () => {
    const server = running(start(""));
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
    for (const host of HAS_IPV6 ? ["127.0.0.1", "[::1]"] : ["127.0.0.1"]) {
      const answer = await fetch(`http://${host}:${server.port}/readyz`);
      expect(answer.status).toBe(503);
      expect(await answer.text()).toContain("no space in /secret");
    }
  });

  test("an address narrows it", async () => {
    const server = running(start("127.0.0.1"));
    expect((await fetch(`${server.url}/livez`)).status).toBe(200);
    await expect(fetch(`http://[::1]:${server.port}/livez`)).rejects.toThrow();
  });

  test("a taken port is refused with its number, who it may be and what to do", () => {
    const first = running(start("127.0.0.1"));
    const second = start("127.0.0.1", first.port);
    if (second.ok) throw new Error("two servers share one port");
    expect(second.error.code).toBe("server.port_taken");
    for (const part of [`port ${first.port}`, "node_exporter", "server.listen", "expected", "found"]) expect(second.error.message).toContain(part);
  });

  test("a port taken on IPv4 alone is taken for everybody", () => {
    const first = running(start("0.0.0.0"));
    const second = start("", first.port);
    expect(second.ok ? "" : second.error.code).toBe("server.port_taken");
  });

  test("an address this host does not have is refused as such", () => {
    const result = start("192.0.2.1");
    expect(result.ok ? "" : result.error.code).toBe("server.cannot_listen");
    expect(result.ok ? "" : result.error.message).toContain("192.0.2.1");
  });

  test("a port is free again once its server has stopped", async () => {
    const first = running(start("127.0.0.1"));
    await first.stop(1_000);
    expect(running(start("127.0.0.1", first.port)).port).toBe(first.port);
  });
});

describe("stopping", () => {
  test("is bounded although somebody has sent half a request", async () => {
    const server = running(start("127.0.0.1"));
    const socket = await halfSent(server.port, "GET /livez HTTP/1.1\r\nHost: x\r\n");
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.on("error", () => undefined);
    const startedAtMs = clock.monotonic();
    await server.stop(100);
    expect(clock.monotonic() - startedAtMs).toBeLessThan(3_000);
    await closed;
  });

  test("twice is the same as once", async () => {
    const server = running(start("127.0.0.1"));
    await Promise.all([server.stop(100), server.stop(100)]);
    await expect(fetch(`${server.url}/livez`)).rejects.toThrow();
  });
});

describe("odd clients", () => {
  test("a body that is too large is refused and the server goes on", async () => {
    const server = running(start("127.0.0.1"));
    const answer = await fetch(`${server.url}/livez`, { method: "POST", body: "x".repeat(1_000_000) });
    expect([405, 413]).toContain(answer.status);
    expect((await fetch(`${server.url}/livez`)).status).toBe(200);
  });

  test("something that is not HTTP is dropped and the server goes on", async () => {
    const server = running(start("127.0.0.1"));
    const socket = await halfSent(server.port, "\u0016\u0003\u0001 not http\r\n\r\n");
    socket.on("error", () => undefined);
    await new Promise<void>((resolve) => socket.once("close", () => resolve()).resume());
    expect((await fetch(`${server.url}/livez`)).status).toBe(200);
  });

  for (const path of ["/readyz?exclude=%FF", "/%00", "/readyz/%2e%2e%2fmetrics", `/${"x".repeat(4_000)}`, "//evil", "/readyz/%E0%A4%A"]) {
    test(`${path.slice(0, 40)} gets an answer below 500`, async () => {
      const server = running(start("127.0.0.1"));
      expect((await fetch(`${server.url}${path}`)).status).toBeLessThan(500);
    });
  }
});
