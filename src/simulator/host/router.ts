import type { ApiAnswer, ApiCall, ApiMethod, Parameters } from "../api.ts";
import { Died } from "./died.ts";
import type { Host } from "./host.ts";
import { need, needAny } from "./permissions.ts";
import type { Resources } from "./resources.ts";
import { ROUTES, type Route } from "./routes.ts";
import { ENDPOINT_SCHEMAS } from "./schema.gen.ts";
import { configOption, type EndpointSchema, type OptionSchema } from "./schema.ts";
import { verifyParameters, type Values } from "./verify.ts";

/**
 * From a call to its answer, in Proxmox's order: is there such a method (501), may the caller use it
 * (403), is the node known (500), do the parameters fit (400), then the method itself.
 */

const VMID_SCHEMA: OptionSchema = { type: "integer", format: "pve-vmid", minimum: 100, maximum: 999_999_999 };
const SNAPSHOT_SCHEMA: OptionSchema = { type: "string", format: "pve-configid", maxLength: 40 };
const TEXT_SCHEMA: OptionSchema = { type: "string" };

interface Match {
  readonly route: Route;
  /** Values of {node}, {vmid}, … */
  readonly path: Readonly<Record<string, string>>;
}

const TABLE = ROUTES.map((route) => {
  const [method = "", path = ""] = route.name.split(" ");
  return { route, method, parts: path.split("/").slice(1) };
});

/** The method that a path names, undefined for none. */
export function findRoute(method: ApiMethod, segments: readonly string[]): Match | undefined {
  for (const entry of TABLE) {
    if (entry.method !== method || entry.parts.length !== segments.length) continue;
    const path: Record<string, string> = {};
    const fits = entry.parts.every((part, index) => {
      const segment = segments[index] ?? "";
      if (!part.startsWith("{")) return part === segment;
      path[part.slice(1, -1)] = segment;
      return true;
    });
    if (fits) return { route: entry.route, path };
  }
  return undefined;
}

/** Answers a call; rejects for programmer errors only. */
export async function answerCall(host: Host, resources: Resources, call: ApiCall): Promise<ApiAnswer> {
  const match = findRoute(call.method, call.segments);
  const isProxied = match?.route.isProxied ?? false;
  try {
    if (match === undefined) throw Died.notImplemented(call.method, call.path);
    const { route, path } = match;
    const schema = ENDPOINT_SCHEMAS[route.name] ?? schemaOfRoute(route);
    needPathPrivileges(call, schema, path);
    assertNode(host, path["node"]);
    const values = verify(call.parameters, schema, path);
    const reply = await route.answer({ host, resources, caller: call.caller, vmid: Number(path["vmid"] ?? 0), path, values });
    const data = shuffleKeys(host, reply.data);
    return reply.total === undefined ? { status: 200, data, isProxied } : { status: 200, data, total: reply.total, isProxied };
  } catch (error) {
    if (!(error instanceof Died)) throw error;
    return refusal(error, isProxied);
  }
}

function schemaOfRoute({ parameters = {}, privileges }: Route): EndpointSchema {
  return privileges === undefined ? { parameters } : { parameters, privileges };
}

function refusal(death: Died, isProxied: boolean): ApiAnswer {
  return {
    status: death.status,
    reason: death.message,
    ...(death.errors === undefined ? {} : { errors: death.errors }),
    hasBody: true,
    ...(death.status === 501 ? { hasBareMessage: true } : {}),
    isProxied,
  };
}

function needPathPrivileges(call: ApiCall, schema: EndpointSchema, path: Readonly<Record<string, string>>): void {
  if (schema.privileges === undefined) return;
  const at = `/vms/${path["vmid"] ?? ""}`;
  if (schema.isAnyEnough === true) needAny(call.caller, at, schema.privileges);
  else need(call.caller, at, ...schema.privileges);
}

function assertNode(host: Host, name: string | undefined): void {
  if (name === undefined || name === host.name || name === "localhost") return;
  throw Died.because(`hostname lookup '${name}' failed - failed to get address info for: ${name}: Name or service not known`);
}

/** Verifies body and path together: a bad vmid is reported beside a bad option. */
function verify(parameters: Parameters, schema: EndpointSchema, path: Readonly<Record<string, string>>): Values {
  const ofPath: Readonly<Record<string, OptionSchema>> = { vmid: VMID_SCHEMA, snapname: SNAPSHOT_SCHEMA };
  const schemaOf = (name: string): OptionSchema | undefined => {
    if (Object.hasOwn(path, name)) return ofPath[name] ?? TEXT_SCHEMA;
    if (Object.hasOwn(schema.parameters, name)) return schema.parameters[name];
    const kind = schema.config;
    const option = kind === "qemu" || kind === "lxc" ? configOption(kind, name) : undefined;
    return option?.isInternal === true ? undefined : option;
  };
  const required = Object.keys(schema.parameters).filter((name) => schema.parameters[name]?.optional === undefined);
  const values = verifyParameters({ ...parameters, ...path }, schemaOf, required);
  for (const name of Object.keys(path)) values.delete(name);
  return values;
}

/** JSON objects come with their keys in random order, as Perl's do. */
function shuffleKeys(host: Host, data: unknown): unknown {
  if (Array.isArray(data)) return data.map((item) => shuffleKeys(host, item));
  if (typeof data !== "object" || data === null) return data;
  return Object.fromEntries(host.shuffled(Object.entries(data)).map(([key, value]) => [key, shuffleKeys(host, value)]));
}
