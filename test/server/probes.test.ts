import { describe, expect, test } from "bun:test";
import { HOST_CONDITIONS, type Condition } from "../../src/conditions/condition.ts";
import { createServerApp } from "../../src/server/app.ts";
import { condition, healthyHost, recordingLog, viewOf, type ViewState } from "./server-view.ts";

const LOCAL = { peerAddress: "127.0.0.1" };
const REMOTE = { peerAddress: "192.0.2.7" };
const BROKEN = condition("ProxmoxReachable", "False", "Unauthenticated", "the token root@pam!steward was refused for guest web-1\nsee /etc/steward/token");

function setup(overrides: Partial<ViewState> = {}) {
  const log = recordingLog();
  const { view, state } = viewOf(overrides);
  const app = createServerApp(view, log);
  const get = (path: string, options: { from?: object; accept?: string; method?: string; headers?: Record<string, string> } = {}) =>
    app.request(path, { method: options.method ?? "GET", headers: { ...(options.accept === undefined ? {} : { accept: options.accept }), ...options.headers } }, options.from ?? LOCAL);
  return { get, state, log, app };
}

function withCondition(changed: Condition): Condition[] {
  return healthyHost().map((entry) => (entry.type === changed.type ? changed : entry));
}

describe("the status code is the answer", () => {
  test("a healthy agent answers 200 with one word on all three endpoints", async () => {
    const { get } = setup();
    for (const path of ["/livez", "/readyz", "/healthz"]) {
      const answer = await get(path);
      expect([answer.status, await answer.text(), answer.headers.get("content-type")]).toEqual([200, "ok\n", "text/plain; charset=utf-8"]);
    }
  });

  test("one required condition that is not True makes /readyz and /healthz 503 and leaves /livez alone", async () => {
    const { get } = setup({ host: withCondition(BROKEN) });
    expect([(await get("/readyz")).status, (await get("/healthz")).status, (await get("/livez")).status]).toEqual([503, 503, 200]);
  });

  test("a stalled loop makes /livez 503 and says so", async () => {
    const { get } = setup({ liveness: { isAlive: false, message: "no pass for 300 s" } });
    const answer = await get("/livez");
    expect([answer.status, await answer.text()]).toEqual([503, "[-]Progress failed: Stalled: no pass for 300 s\nlivez check failed\n"]);
  });

  for (const [type, rule] of Object.entries(HOST_CONDITIONS)) {
    for (const status of ["False", "Unknown"] as const) {
      for (const reason of rule.reasons) {
        const isTolerated = "toleratedReasons" in rule && status === "Unknown" && rule.toleratedReasons.some((tolerated) => tolerated === reason);
        const isReady = !rule.isRequired || isTolerated;
        test(`${type} ${status} with ${reason} ${isReady ? "leaves the agent ready" : "makes it not ready"}`, async () => {
          const { get } = setup({ host: withCondition(condition(type as Condition["type"], status, reason)) });
          expect((await get("/readyz")).status).toBe(isReady ? 200 : 503);
        });
      }
    }
  }

  test("quorum that this token may not see is the only Unknown that is tolerated", () => {
    const tolerated = Object.entries(HOST_CONDITIONS).flatMap(([type, rule]) => ("toleratedReasons" in rule ? rule.toleratedReasons.map((reason) => `${type} ${reason}`) : []));
    expect(tolerated).toEqual(["QuorumOk NotVisible"]);
  });

  test("a required condition that nobody has set yet is not True", async () => {
    const { get } = setup({ host: healthyHost().filter((entry) => entry.type !== "ClockSane") });
    const answer = await get("/readyz");
    expect(answer.status).toBe(503);
    expect(await answer.text()).toContain("[-]ClockSane failed: Starting: not known yet");
  });

  test("a condition that mends itself is seen at the next request", async () => {
    const { get, state } = setup({ host: withCondition(BROKEN) });
    expect((await get("/readyz")).status).toBe(503);
    state.host = healthyHost();
    expect((await get("/readyz")).status).toBe(200);
  });
});

describe("what the body explains", () => {
  test("?verbose lists every check of a passing probe", async () => {
    const { get } = setup();
    expect(await (await get("/readyz?verbose")).text()).toBe(
      "[+]JournalReady ok\n[+]DesiredStateReady ok\n[+]ProxmoxReachable ok\n[+]QuorumOk ok\n[+]FirstFullReadDone ok\n[+]ClockSane ok\nreadyz check passed\n",
    );
    expect(await (await get("/healthz?verbose")).text()).toEndWith("healthz check passed\n");
  });

  test("a failing probe lists every check without being asked, each on one line", async () => {
    const { get } = setup({ host: withCondition(BROKEN) });
    expect(await (await get("/readyz")).text()).toBe(
      "[+]JournalReady ok\n[+]DesiredStateReady ok\n" +
        "[-]ProxmoxReachable failed: Unauthenticated: the token root@pam!steward was refused for guest web-1 see /etc/steward/token\n" +
        "[+]QuorumOk ok\n[+]FirstFullReadDone ok\n[+]ClockSane ok\nreadyz check failed\n",
    );
  });

  test("?exclude takes checks out of the judgement, and may be repeated", async () => {
    const host = withCondition(BROKEN).map((entry) => (entry.type === "ClockSane" ? condition("ClockSane", "False", "BehindJournal") : entry));
    const { get } = setup({ host });
    expect((await get("/readyz?exclude=ProxmoxReachable")).status).toBe(503);
    const answer = await get("/readyz?exclude=ProxmoxReachable&exclude=ClockSane&verbose");
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain("[+]ProxmoxReachable excluded: ok\n");
  });

  for (const path of ["/readyz?exclude=ProxmoxReachble", "/readyz?exclude=", "/readyz?exclude=RevisionHeld", "/livez?exclude=JournalReady"]) {
    test(`${path} names a check that does not exist: 400, with those that do`, async () => {
      const answer = await setup().get(path);
      expect(answer.status).toBe(400);
      expect(await answer.text()).toStartWith(`expected a check of ${path.slice(1, path.indexOf("?"))}, one of `);
    });
  }

  test("each check can be asked alone", async () => {
    const { get } = setup({ host: withCondition(BROKEN) });
    expect([(await get("/readyz/JournalReady")).status, (await get("/readyz/ProxmoxReachable")).status, (await get("/healthz/ProxmoxReachable")).status]).toEqual([200, 503, 503]);
    expect(await (await get("/readyz/JournalReady?verbose")).text()).toBe("[+]JournalReady ok\nreadyz check passed\n");
    expect((await get("/livez/Progress")).status).toBe(200);
  });

  for (const path of ["/readyz/Nothing", "/livez/JournalReady", "/readyz/RevisionHeld"]) {
    test(`${path} does not exist: 404`, async () => {
      expect((await setup().get(path)).status).toBe(404);
    });
  }
});

describe("JSON by Accept", () => {
  const types = [
    ["application/json", "application/json"],
    ["application/health+json", "application/health+json"],
    ["application/json;q=0.5, application/health+json", "application/health+json"],
    ["text/plain, application/json", "text/plain; charset=utf-8"],
    ["*/*", "text/plain; charset=utf-8"],
    ["application/*", "application/json"],
    ["text/html,application/xhtml+xml,*/*;q=0.8", "text/plain; charset=utf-8"],
    ["image/png", "text/plain; charset=utf-8"],
    ["application/json;q=0", "text/plain; charset=utf-8"],
    ["application/json;q=nonsense", "text/plain; charset=utf-8"],
    ["APPLICATION/JSON", "application/json"],
    ["", "text/plain; charset=utf-8"],
  ] as const;
  for (const [accept, type] of types) {
    test(`Accept: ${accept || "(empty)"} gets ${type}`, async () => {
      expect((await setup().get("/readyz", { accept })).headers.get("content-type")).toBe(type);
    });
  }

  test("the body has the draft's fields, and a failing check its output", async () => {
    const { get } = setup({ host: withCondition(BROKEN) });
    const answer = await get("/readyz?exclude=ClockSane", { accept: "application/health+json" });
    const body = (await answer.json()) as { status: string; version: string; checks: Record<string, readonly Readonly<Record<string, unknown>>[]> };
    expect([answer.status, body.status, body.version, Object.keys(body.checks).length]).toEqual([503, "fail", "1.2.3", 6]);
    expect(body.checks["JournalReady"]).toEqual([{ status: "pass", observedValue: "Healthy", time: "2026-01-01T00:00:00.000Z" }]);
    expect(body.checks["ProxmoxReachable"]).toEqual([{ status: "fail", observedValue: "Unauthenticated", time: "2026-01-01T00:00:00.000Z", output: BROKEN.message }]);
    expect(body.checks["ClockSane"]?.[0]?.["isExcluded"]).toBe(true);
  });
});

describe("peers that are not on this host", () => {
  const secretive: readonly { readonly title: string; readonly options: { from: object; headers?: Record<string, string> } }[] = [
    { title: "another machine", options: { from: REMOTE } },
    { title: "an IPv6 peer", options: { from: { peerAddress: "2001:db8::1" } } },
    { title: "an unknown peer", options: { from: {} } },
    { title: "a name that only starts like loopback", options: { from: { peerAddress: "127.0.0.1.example" } } },
    { title: "a local proxy for somebody else", options: { from: LOCAL, headers: { "x-forwarded-for": "192.0.2.7" } } },
    { title: "a local proxy that says Forwarded", options: { from: LOCAL, headers: { forwarded: "for=192.0.2.7" } } },
  ];
  for (const { title, options } of secretive) {
    test(`${title} sees reasons, but neither guest names nor error texts`, async () => {
      const guests = [{ guest: { kind: "qemu" as const, vmid: 101 }, name: "web-1", conditions: [condition("Synced", "False", "ActFailed", "secret text")] }];
      const { get } = setup({ host: withCondition(BROKEN), guests });
      for (const path of ["/readyz", "/readyz/ProxmoxReachable", "/", "/metrics"]) {
        for (const accept of ["text/plain", "application/json"]) {
          const body = await (await get(path, { accept, ...options })).text();
          expect(body).toContain("Unauthenticated");
          for (const secret of ["web-1", "root@pam", "/etc/steward", "secret text", "pve1"]) expect(body).not.toContain(secret);
        }
      }
    });
  }

  for (const peerAddress of ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]) {
    test(`${peerAddress} is this host and sees the message`, async () => {
      const { get } = setup({ host: withCondition(BROKEN) });
      expect(await (await get("/readyz", { from: { peerAddress } })).text()).toContain("web-1");
    });
  }
});

describe("methods and headers", () => {
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
    test(`${method} is refused with the methods that are not`, async () => {
      const answer = await setup().get("/readyz", { method });
      expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    });
  }

  test("HEAD answers like GET, without a body", async () => {
    const { get } = setup({ host: withCondition(BROKEN) });
    const answer = await get("/readyz", { method: "HEAD" });
    expect([answer.status, await answer.text()]).toEqual([503, ""]);
  });

  for (const [path, status] of [["/", 200], ["/livez", 200], ["/metrics", 200], ["/nowhere", 404], ["/readyz?exclude=x", 400], ["/readyz/", 404]] as const) {
    test(`${path} answers ${status} and carries the safety headers`, async () => {
      const answer = await setup().get(path);
      expect(answer.status).toBe(status);
      expect([answer.headers.get("x-content-type-options"), answer.headers.get("cache-control")]).toEqual(["nosniff", "no-store"]);
    });
  }

  test("a defect in the view is a 500 without details, and goes to the log", async () => {
    const { get, state, log } = setup();
    Object.defineProperty(state, "host", { get: () => { throw new Error("secret defect"); } });
    const answer = await get("/readyz");
    expect([answer.status, answer.headers.get("x-content-type-options")]).toEqual([500, "nosniff"]);
    expect(await answer.text()).not.toContain("secret");
    expect(log.lines.map((line) => line.level)).toEqual(["error"]);
  });
});

describe("the page", () => {
  const guests = [
    {
      guest: { kind: "qemu" as const, vmid: 101 },
      name: `<script>alert("1")</script>`,
      conditions: [condition("Synced", "False", "Drifted", `name 'a' → "b" & <b>`), condition("Paused", "True", "ByOperator")],
    },
    { guest: { kind: "lxc" as const, vmid: 102 }, conditions: [] },
  ];

  test("shows a local person the guests, with every character escaped and no script", async () => {
    const answer = await setup({ guests }).get("/");
    const body = await answer.text();
    expect(answer.headers.get("content-type")).toBe("text/html; charset=UTF-8");
    expect(answer.headers.get("content-security-policy")).toStartWith("default-src 'none'");
    expect(body).not.toContain("<script");
    for (const shown of ["qemu/101", "lxc/102", "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;", "name &#39;a&#39; → &quot;b&quot; &amp; &lt;b&gt;", "Paused (ByOperator)", "pve1"]) {
      expect(body).toContain(shown);
    }
  });

  test("shows others the host's conditions and nothing else", async () => {
    const body = await (await setup({ guests }).get("/", { from: REMOTE })).text();
    expect(body).toContain("JournalReady");
    for (const hidden of ["qemu/101", "script&gt;", "pve1", "guests"]) expect(body).not.toContain(hidden);
  });

  test("lists at most a thousand guests and says how many more there are", async () => {
    const many = Array.from({ length: 1_005 }, (_, index) => ({ guest: { kind: "qemu" as const, vmid: 100 + index }, conditions: [] }));
    const body = await (await setup({ guests: many }).get("/")).text();
    expect(body).toContain("1005 guests");
    expect(body).toContain("and 5 more");
    expect(body.split("<tr><td>qemu/").length - 1).toBe(1_000);
  });
});
