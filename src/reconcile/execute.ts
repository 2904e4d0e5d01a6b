import { unreachable } from "../ports/errors.ts";
import type { MutatingRequest, MutationAnswer, ProxmoxApi, ProxmoxResult } from "../ports/proxmox-api.ts";
import { assertApproved } from "../gate/assert-approved.ts";
import type { ApprovedAction } from "../gate/types.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import type { Operation } from "../journal/types.ts";
import { startupOf } from "../plan/start-order.ts";

/**
 * What lets an act be sent: the operation whose start is durable, or, where the journal is missing or
 * unwritable and the act benign (docs/journal.md, "Without a healthy journal"), the reason why there is none.
 */
export type JournalPermit =
  | { readonly kind: "journaled"; readonly operation: Operation }
  | { readonly kind: "unjournaled"; readonly reason: string };

declare const prepared: unique symbol;

/** A request that was held against the allow-list once more. Only `prepareRequest` makes one. */
export type PreparedRequest = MutatingRequest & { readonly [prepared]: true };

/**
 * The request an approved action becomes; also what the journal records of it.
 * @throws Error when a key of it is not allowed: a mistake in this program, found before anything is journaled or sent
 */
export function prepareRequest(action: ApprovedAction, observed: ObservedGuest, shutdownTimeoutMs: number): PreparedRequest {
  const request = requestFor(action, observed, shutdownTimeoutMs);
  assertApproved(request, observed);
  return request as PreparedRequest;
}

/**
 * The one function that sends a mutating request to Proxmox. It takes what the gate approved and the
 * proof that its intent is durable; test/tidy.test.ts checks that nothing else calls `mutate`.
 */
export function execute(api: ProxmoxApi, request: PreparedRequest, permit: JournalPermit): Promise<ProxmoxResult<MutationAnswer>> {
  if (permit.kind === "journaled" && permit.operation.state !== "started") {
    throw new Error(`operation ${permit.operation.id} is ${permit.operation.state}, not started`);
  }
  return api.mutate(request);
}

function requestFor(action: ApprovedAction, observed: ObservedGuest, shutdownTimeoutMs: number): MutatingRequest {
  switch (action.type) {
    case "set_config": {
      const set: Record<string, string> = {};
      const removed: string[] = [];
      for (const change of action.changes) {
        if (change.change === "delete") removed.push(change.key);
        else if (change.send !== undefined) set[change.key] = change.send;
      }
      return { type: "set_config", guest: action.guest, digest: action.digest, set, delete: removed };
    }
    case "start":
      return { type: "start", guest: action.guest };
    case "shutdown":
      return { type: "shutdown", guest: action.guest, timeoutSeconds: shutdownSeconds(observed, shutdownTimeoutMs) };
    case "reboot":
      return { type: "reboot", guest: action.guest, timeoutSeconds: shutdownSeconds(observed, shutdownTimeoutMs) };
    default:
      return unreachable(action);
  }
}

/** The guest's own `startup` down= time, else the agent's. Never 0, which would be a power cut. */
function shutdownSeconds(observed: ObservedGuest, shutdownTimeoutMs: number): number {
  return Math.max(1, startupOf(observed.config.merged).downSeconds ?? Math.ceil(shutdownTimeoutMs / 1000));
}
