import { unreachable } from "../ports/errors.ts";
import type { MutatingRequest } from "../ports/proxmox-api.ts";
import { guestPath, type Parameters } from "./encode.ts";
import type { ApiRequest } from "./exchange.ts";

/** The HTTP request of a mutation. Throws for one that no planner may make: request parameters among the keys, or no digest. */
export function mutation(node: string, request: MutatingRequest): ApiRequest {
  switch (request.type) {
    case "set_config":
      return { method: "PUT", path: guestPath(node, request.guest, "config"), parameters: configParameters(request) };
    case "start":
      return { method: "POST", path: guestPath(node, request.guest, "status", "start") };
    case "shutdown": {
      // Never forceStop: a guest that does not shut down in time stays running, and the task says so.
      const parameters: Parameters = request.timeoutSeconds === undefined ? {} : { timeout: String(request.timeoutSeconds) };
      return { method: "POST", path: guestPath(node, request.guest, "status", "shutdown"), parameters };
    }
    case "reboot":
      return { method: "POST", path: guestPath(node, request.guest, "status", "reboot"), parameters: { timeout: String(request.timeoutSeconds) } };
    default:
      return unreachable(request);
  }
}

/** Parameters of PUT …/config that are not config keys; as a key in `set` they would change what the request does. */
const REQUEST_PARAMETERS = ["digest", "delete", "revert", "force", "skiplock", "background_delay"];

function configParameters(request: MutatingRequest & { type: "set_config" }): Parameters {
  const misplaced = REQUEST_PARAMETERS.find((name) => Object.hasOwn(request.set, name));
  if (misplaced !== undefined) throw new Error(`"${misplaced}" is a parameter of the request, not a config key`);
  if (request.digest === "") throw new Error("a config write needs the digest it was planned with: Proxmox ignores an empty one");
  const deleted = request.delete.length === 0 ? {} : { delete: request.delete.join(",") };
  return { digest: request.digest, ...deleted, ...request.set };
}
