import { Hono } from "hono";
import * as v from "valibot";
import { VMID_MAX, VMID_MIN } from "../guest/key.ts";
import type { Compaction, Operation } from "../journal/types.ts";
import { isSettled } from "../journal/types.ts";
import { fault, type Fault, type Result } from "../ports/errors.ts";
import type { Pause } from "../reconcile/pauses.ts";
import type { RestartReport, RestartRequest } from "../reconcile/restart-request.ts";
import type { SelftestReport } from "../reconcile/selftest.ts";
import type { PauseRequest } from "./operator.ts";
import type { ChangeReport, OnceReport, StatusReport } from "./report.ts";

/**
 * The control socket: how the command line talks to the running agent. It is the only way to make the
 * agent do something from outside, a unix socket with mode 0600; the TCP port only shows things.
 */

/** A running agent, as its socket needs it. */
export interface ControlTarget {
  status(): StatusReport;
  /** Cheap, however many guests there are. */
  change(): ChangeReport;
  operations(): readonly Operation[];
  pause(request: PauseRequest): Promise<Result<Pause>>;
  resume(target: number | "all"): Promise<Result<void>>;
  accept(revision: string): Promise<Result<string>>;
  resolve(id: string, outcome: "succeeded" | "failed", reason: string): Promise<Result<Operation>>;
  /** One full reconcile now; resolves when it is over. */
  runOnce(): Promise<OnceReport>;
  /** A round trip on one guest; resolves when its description is as it was, or cannot be for now. */
  selftest(vmid: number): Promise<Result<SelftestReport>>;
  /** A one-shot restart; resolves with its outcome, or with "running" after the time that the request says. */
  restart(request: RestartRequest): Promise<Result<RestartReport>>;
  /** Goes on in a new segment of the journal, and removes old ones as retention allows. */
  compactJournal(): Promise<Result<Compaction>>;
  /** Reads the config again. */
  reload(): Promise<Result<void>>;
}

/** Longest wait for a restart in one request; it goes on after that, and the same key asks again. */
export const RESTART_ANSWER_WAIT_MAX_MS = 24 * 3_600_000;

const target = v.union([v.literal("all"), v.pipe(v.number(), v.integer())]);
const pauseBody = v.strictObject({ target, reason: v.string(), forMs: v.optional(v.number()) });
const resumeBody = v.strictObject({ target });
const acceptBody = v.strictObject({ revision: v.string() });
const resolveBody = v.strictObject({ outcome: v.picklist(["succeeded", "failed"]), reason: v.string() });
const guestVmid = v.pipe(v.number(), v.integer(), v.minValue(VMID_MIN), v.maxValue(VMID_MAX));
const selftestBody = v.strictObject({ vmid: guestVmid });
const restartBody = v.strictObject({ vmid: guestVmid, key: v.string(), keyLifeMs: v.number(), issuedAtMs: v.optional(v.number()), waitMs: v.pipe(v.number(), v.minValue(0), v.maxValue(RESTART_ANSWER_WAIT_MAX_MS)) });

/** Routes of the control socket. Answers: `{ value }`, or 4xx with `{ error: { code, message } }`. */
export function createControlApp(agent: ControlTarget): Hono {
  const app = new Hono();
  app.get("/v1/status", (c) => c.json({ value: agent.status() }));
  app.get("/v1/change", (c) => c.json({ value: agent.change() }));
  app.get("/v1/operations", (c) => {
    const operations = agent.operations();
    return c.json({ value: c.req.query("all") === "1" ? operations : operations.filter((operation) => !isSettled(operation.state)) });
  });
  app.post("/v1/pause", async (c) => answer(await withBody(c.req.raw, pauseBody, ({ forMs, ...rest }) => agent.pause(forMs === undefined ? rest : { ...rest, forMs }))));
  app.post("/v1/resume", async (c) => answer(await withBody(c.req.raw, resumeBody, (body) => agent.resume(body.target))));
  app.post("/v1/accept", async (c) => answer(await withBody(c.req.raw, acceptBody, (body) => agent.accept(body.revision))));
  app.post("/v1/operations/:id/resolve", async (c) =>
    answer(await withBody(c.req.raw, resolveBody, (body) => agent.resolve(c.req.param("id"), body.outcome, body.reason))),
  );
  app.post("/v1/run-once", async () => answer({ ok: true, value: await agent.runOnce() }));
  app.post("/v1/selftest", async (c) => answer(await withBody(c.req.raw, selftestBody, ({ vmid }) => agent.selftest(vmid))));
  app.post("/v1/restart", async (c) =>
    answer(await withBody(c.req.raw, restartBody, ({ issuedAtMs, ...rest }) => agent.restart(issuedAtMs === undefined ? rest : { ...rest, issuedAtMs }))),
  );
  app.post("/v1/journal/compact", async () => answer(await agent.compactJournal()));
  app.post("/v1/reload", async () => answer(await agent.reload()));
  app.notFound((c) => c.json({ error: { code: "control.refused", message: `this agent does not know ${c.req.method} ${c.req.path}; are the command and the agent of the same version?` } }, 404));
  app.onError((error, c) => c.json({ error: { code: "control.refused", message: error.message } }, 500));
  return app;
}

async function withBody<S extends v.GenericSchema, T>(request: Request, schema: S, act: (body: v.InferOutput<S>) => Promise<Result<T>>): Promise<Result<T>> {
  const parsed = v.safeParse(schema, await request.json().catch(() => undefined));
  if (!parsed.success) return fault("command.usage", `expected another body: ${parsed.issues.map((issue) => issue.message).join("; ")}`);
  return act(parsed.output);
}

function answer(result: Result<unknown>): Response {
  if (result.ok) return Response.json({ value: result.value ?? null });
  return Response.json({ error: publicFault(result.error) }, { status: 409 });
}

function publicFault({ code, message }: Fault): { readonly code: string; readonly message: string } {
  return { code, message };
}
