import { Hono, type Context } from "hono";
import type { Log } from "../ports/log.ts";
import { livenessChecks, readinessChecks, type Check } from "./checks.ts";
import { preferredType } from "./negotiate.ts";
import { OPEN_METRICS_TYPE, PROMETHEUS_TYPE, toOpenMetrics } from "./open-metrics.ts";
import { isLocalPeer } from "./peer.ts";
import { answerProbe, answerSingleCheck, text, type ProbeRequest } from "./probe.ts";
import { statusPage } from "./status-page.ts";
import type { ServerView } from "./view.ts";

/**
 * Server: what a probe, a scraper and a browser see of the agent. Read-only: it takes a view, changes
 * nothing and waits for nothing, so it answers while Proxmox, the disk or a file is broken, which is when it is
 * asked. Guest names and error texts go to loopback peers only. Commands are control/'s matter.
 */

const ALLOWED_METHODS = ["GET", "HEAD"] as const;

/** Nothing is loaded, run or framed; the page has its own style and that is all. */
const CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What `startServer` tells the app with each request. */
export interface PeerBindings {
  /** The peer's IP address; left out, the peer counts as remote. */
  readonly peerAddress?: string | undefined;
}

export type ServerApp = Hono<{ Bindings: PeerBindings }>;
type ServerContext = Context<{ Bindings: PeerBindings }>;

/** The routes: /livez, /readyz, /healthz (the same as /readyz), /metrics and a page at /. */
export function createServerApp(view: ServerView, log: Log): ServerApp {
  const app: ServerApp = new Hono();
  app.use(async (context, next) => {
    if (!isAllowedMethod(context.req.method)) context.res = methodNotAllowed();
    else await next();
    addSafetyHeaders(context.res.headers);
  });
  addProbe(app, "livez", view, livenessChecks);
  addProbe(app, "readyz", view, readinessChecks);
  addProbe(app, "healthz", view, readinessChecks);
  app.get("/metrics", (context) => metricsAnswer(context, view));
  app.get("/", (context) => context.html(statusPage(view, isLocal(context))));
  app.notFound(() => text(404, "not found: expected /livez, /readyz, /healthz, /metrics or /\n"));
  app.onError((error) => {
    log.error("an answer of the health server failed", { error });
    return text(500, "internal error: see the agent's log\n");
  });
  return app;
}

function addProbe(app: ServerApp, endpoint: string, view: ServerView, checks: (view: ServerView) => readonly Check[]): void {
  const request = (context: ServerContext): ProbeRequest => ({
    endpoint,
    checks: checks(view),
    url: new URL(context.req.url),
    accept: context.req.header("accept"),
    isLocal: isLocal(context),
    version: view.version,
  });
  app.get(`/${endpoint}`, (context) => answerProbe(request(context)));
  app.get(`/${endpoint}/:check`, (context) => answerSingleCheck(request(context), context.req.param("check")));
}

async function metricsAnswer(context: ServerContext, view: ServerView): Promise<Response> {
  const wanted = preferredType(context.req.header("accept"), ["text/plain", "application/openmetrics-text"]);
  const plain = await view.metrics.text();
  if (wanted === "text/plain") return new Response(plain, { headers: { "content-type": PROMETHEUS_TYPE } });
  return new Response(toOpenMetrics(plain), { headers: { "content-type": OPEN_METRICS_TYPE } });
}

function isLocal(context: ServerContext): boolean {
  // Called without bindings (a test, an embedding) there is no address, and no trust.
  const bindings: PeerBindings | undefined = context.env;
  return isLocalPeer(bindings?.peerAddress, context.req.raw.headers);
}

function isAllowedMethod(method: string): boolean {
  return ALLOWED_METHODS.some((allowed) => allowed === method);
}

function methodNotAllowed(): Response {
  const answer = text(405, "method not allowed: this server only answers GET and HEAD\n");
  answer.headers.set("allow", ALLOWED_METHODS.join(", "));
  return answer;
}

function addSafetyHeaders(headers: Headers): void {
  headers.set("x-content-type-options", "nosniff");
  headers.set("cache-control", "no-store");
  headers.set("referrer-policy", "no-referrer");
  headers.set("content-security-policy", CONTENT_SECURITY_POLICY);
}
