import { chmodSync, existsSync, lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import type { Hono } from "hono";
import { fault, ok, type Result } from "../ports/errors.ts";
import { askAgent } from "./client.ts";

/** Only the agent's own user and root may speak to it. */
const SOCKET_MODE = 0o600;
const DIRECTORY_MODE = 0o755;

/** How long a leftover socket is given to answer before it counts as dead. */
const PROBE_TIMEOUT_MS = 1_000;

/** Largest request body; the biggest honest one is a reason of 500 characters. */
export const CONTROL_BODY_BYTES_MAX = 16 * 1024;

export interface ControlSocket {
  close(): Promise<void>;
}

/**
 * Listens on a unix socket. A leftover of a dead process is replaced; one that answers belongs to
 * another agent and is left alone.
 */
export async function listenOnSocket(path: string, app: Hono): Promise<Result<ControlSocket>> {
  const cleared = await clearLeftover(path);
  if (!cleared.ok) return cleared;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
    const server = serveClosed(path, app);
    chmodSync(path, SOCKET_MODE);
    return ok({
      close: async () => {
        await server.stop(true);
        if (existsSync(path)) unlinkSync(path);
      },
    });
  } catch (error) {
    return fault("control.refused", `expected to listen on the control socket ${path}: ${error instanceof Error ? error.message : String(error)}; choose another with "socket:"`, error);
  }
}

/** Created closed and opened up after: between bind and chmod nobody else may connect. */
function serveClosed(path: string, app: Hono): ReturnType<typeof Bun.serve> {
  const umask = process.umask(0o177);
  try {
    return Bun.serve({
      unix: path,
      // A full reconcile may take minutes before it answers.
      fetch: (request, self) => {
        self.timeout(request, 0);
        return app.fetch(request);
      },
      maxRequestBodySize: CONTROL_BODY_BYTES_MAX,
      development: false,
    });
  } finally {
    // Whatever happened: this is the whole process's.
    process.umask(umask);
  }
}

async function clearLeftover(path: string): Promise<Result<void>> {
  if (!existsSync(path)) return ok(undefined);
  if (!lstatSync(path).isSocket()) return fault("control.refused", `expected ${path} to be a socket or absent, found another file; move it away or choose another path with "socket:"`);
  const answer = await askAgent(path, "/v1/status", undefined, PROBE_TIMEOUT_MS);
  if (answer.ok || answer.error.code !== "control.unreachable") {
    return fault("journal.locked", `another agent answers on ${path}; stop it first, or give this one its own "socket:" and "stateDir:"`);
  }
  unlinkSync(path);
  return ok(undefined);
}
