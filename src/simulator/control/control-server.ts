import * as v from "valibot";
import type { HostEdit, SimulatedNode } from "../api.ts";
import type { ConnectionCounts } from "../http/listener.ts";
import type { RequestLog } from "../http/request-log.ts";
import type { FaultBoard } from "./faults.ts";

/**
 * The simulator's own port, plain HTTP on loopback, no password: what a real host does not have.
 *
 *   POST /_sim/faults   sets a fault, answers {id}      GET lists them      DELETE [/ID] removes
 *   POST /_sim/edit     does something at the host      GET /_sim/log       requests, oldest first
 *   DELETE /_sim/log    forgets them                    GET /_sim/log/changes   those that ask for a change
 *   GET /_sim/connections   counts
 */

export interface ControlOptions {
  readonly node: SimulatedNode;
  readonly faults: FaultBoard;
  readonly log: RequestLog;
  counts(): ConnectionCounts;
}

export interface ControlServer {
  /** "http://127.0.0.1:PORT". */
  readonly url: string;
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 64 * 1024;

const editSchema = v.strictObject({
  vmid: v.pipe(v.number(), v.integer()),
  set: v.optional(v.record(v.string(), v.string())),
  delete: v.optional(v.array(v.string())),
  lock: v.optional(v.nullable(v.string())),
  destroy: v.optional(v.boolean()),
  power: v.optional(v.picklist(["start", "stop", "pause", "resume"])),
});

/** Opens the port on 127.0.0.1, any free one. */
export function startControlServer(options: ControlOptions): ControlServer {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    maxRequestBodySize: MAX_BODY_BYTES,
    fetch: (request) => route(options, request),
    error: (error) => answer(500, { message: error.message }),
  });
  return { url: `http://127.0.0.1:${server.port}`, close: () => server.stop(true) };
}

async function route(options: ControlOptions, request: Request): Promise<Response> {
  const path = new URL(request.url).pathname;
  switch (`${request.method} ${path}`) {
    case "GET /_sim/faults":
      return answer(200, options.faults.list());
    case "POST /_sim/faults":
      return addFault(options, await readJson(request));
    case "DELETE /_sim/faults":
      options.faults.remove();
      return answer(200, {});
    case "POST /_sim/edit":
      return edit(options, await readJson(request));
    case "GET /_sim/log":
      return answer(200, options.log.entries());
    case "GET /_sim/log/changes":
      return answer(200, options.log.mutations());
    case "DELETE /_sim/log":
      options.log.clear();
      return answer(200, {});
    case "GET /_sim/connections":
      return answer(200, { ...options.counts(), requests: options.log.count() });
    default:
      return removeFault(options, request.method, path);
  }
}

function addFault(options: ControlOptions, body: unknown): Response {
  const added = options.faults.parse(body);
  return added.ok ? answer(201, { id: added.id }) : answer(400, { message: added.message });
}

function removeFault(options: ControlOptions, method: string, path: string): Response {
  const id = /^\/_sim\/faults\/(\d+)$/.exec(path)?.[1];
  if (method !== "DELETE" || id === undefined) return answer(404, { message: `nothing at ${method} ${path}` });
  return options.faults.remove(Number(id)) ? answer(200, {}) : answer(404, { message: `no fault ${id}` });
}

async function edit(options: ControlOptions, body: unknown): Promise<Response> {
  const parsed = v.safeParse(editSchema, body);
  if (!parsed.success) {
    const message = parsed.issues.map((issue) => `${v.getDotPath(issue) ?? "edit"}: ${issue.message}`).join("; ");
    return answer(400, { message });
  }
  const done = await options.node.edit(toEdit(parsed.output));
  return done.ok ? answer(200, {}) : answer(409, { message: done.message });
}

function toEdit(input: v.InferOutput<typeof editSchema>): HostEdit {
  return {
    vmid: input.vmid,
    ...(input.set === undefined ? {} : { set: input.set }),
    ...(input.delete === undefined ? {} : { delete: input.delete }),
    ...(input.lock === undefined ? {} : { lock: input.lock }),
    ...(input.destroy === undefined ? {} : { destroy: input.destroy }),
    ...(input.power === undefined ? {} : { power: input.power }),
  };
}

/** undefined where the body is not JSON: the schema then says what was expected. */
async function readJson(request: Request): Promise<unknown> {
  try {
    return JSON.parse(await request.text());
  } catch {
    return undefined;
  }
}

function answer(status: number, body: unknown): Response {
  return Response.json(body, { status });
}
